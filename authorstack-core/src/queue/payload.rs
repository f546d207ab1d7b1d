//! The typed form of a job.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{job::Job, name::QueueName};
use crate::{Error, Result};

/// The member of the data that has the payload's version. Jobs of Node apps need not have it.
const VERSION: &str = "version";

/// What a job is about, with the name of the job and the queue that it belongs to.
///
/// ```
/// use authorstack_core::queue::{NewJob, Payload, QueueName};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(rename_all = "camelCase")]
/// struct ResizeCover {
///     book_id: String,
/// }
///
/// impl Payload for ResizeCover {
///     const QUEUE: QueueName = QueueName::DATA_SYNC;
///     const NAME: &'static str = "resize-cover";
/// }
///
/// # fn example() -> authorstack_core::Result<()> {
/// let job = NewJob::of(&ResizeCover { book_id: "66f2a1b3c4d5e6f708192a3b".to_owned() })?;
/// assert_eq!(job.data["version"], 1);
/// # Ok(())
/// # }
/// # example().unwrap();
/// ```
pub trait Payload: Serialize + DeserializeOwned + Send + 'static {
    /// Its queue.
    const QUEUE: QueueName;
    /// The name of its jobs.
    const NAME: &'static str;
    /// The version of its form, in the data as `version`. Raise it where an older worker would do
    /// the wrong thing with the new form: such a worker then fails the job and says why.
    const VERSION: u32 = 1;

    /// Brings data of an older version into today's form; as it is by default.
    ///
    /// # Errors
    /// What is wrong with the data.
    fn upgrade(version: u32, data: Value) -> Result<Value> {
        let _ = version;
        Ok(data)
    }
}

/// The data of a job with this payload.
pub(super) fn encode<P: Payload>(payload: &P) -> Result<Value> {
    let unfit = |reason: String| Error::invalid("job data", format!("{}: {reason}", P::NAME));
    let data = serde_json::to_value(payload).map_err(|error| unfit(error.to_string()))?;
    let Value::Object(mut members) = data else {
        return Err(unfit("a payload is a JSON object; use a struct".to_owned()));
    };
    members.insert(VERSION.to_owned(), P::VERSION.into());
    Ok(Value::Object(members))
}

impl Job {
    /// The payload of the job.
    ///
    /// # Errors
    /// Corrupt, naming the job, if the name is another payload's, the version is not known to this
    /// program, or the data does not fit.
    pub fn payload<P: Payload>(&self) -> Result<P> {
        let unfit = |reason: String| {
            Error::corrupt(format!(
                "job {} ({}): {reason}",
                self.id,
                crate::shown(&self.name)
            ))
        };
        if self.name != P::NAME {
            return Err(unfit(format!("it is no {}", P::NAME)));
        }
        let version = match self.data.get(VERSION) {
            None | Some(Value::Null) => 1,
            Some(version) => version
                .as_u64()
                .and_then(|version| u32::try_from(version).ok())
                .ok_or_else(|| unfit(format!("version is {version}, which is no version")))?,
        };
        if version == 0 || version > P::VERSION {
            return Err(unfit(format!(
                "version {version} of the data is not known here, only up to {}; update this worker, \
                 then retry the job",
                P::VERSION
            )));
        }
        let mut data = self.data.clone();
        if version < P::VERSION {
            data = P::upgrade(version, data)?;
        }
        serde_json::from_value(data).map_err(|error| unfit(format!("data does not fit: {error}")))
    }
}
