//! The fields of an answer's objects: missing, null and empty ones are alike, since versions differ.

use authorstack_core::{
    Error, ErrorKind, Result,
    chrono::{DateTime, NaiveDateTime, Utc},
    time,
};
use serde_json::Value;

/// An object of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'v>(pub(crate) &'v Value);

fn broken(name: &str, problem: &str) -> Error {
    Error::corrupt(format!("{name}: {problem}"))
}

impl<'v> Fields<'v> {
    /// A text; `None` if it is missing, null or empty.
    pub(crate) fn text(self, name: &str) -> Result<Option<&'v str>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(broken(name, "is no text")),
        }
    }

    pub(crate) fn needed(self, name: &str) -> Result<&'v str> {
        self.text(name)?.ok_or_else(|| broken(name, "is missing"))
    }

    /// A text, read as another type. What is wrong with it is the record's fault.
    pub(crate) fn parsed<T: std::str::FromStr<Err = Error>>(self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let parsed = text.parse().map_err(|error: Error| match error.kind() {
            ErrorKind::Invalid { reason, .. } => broken(name, reason),
            kind => broken(name, &kind.to_string()),
        });
        parsed.map(Some)
    }

    pub(crate) fn flag(self, name: &str) -> Result<Option<bool>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(broken(name, "is neither true nor false")),
        }
    }

    pub(crate) fn number(self, name: &str) -> Result<Option<u64>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(broken(name, "is no whole number")),
            },
        }
    }

    pub(crate) fn texts(self, name: &str) -> Result<Vec<String>> {
        let items = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter(),
            Some(_) => return Err(broken(name, "is no list")),
        };
        let text = |item: &Value| item.as_str().map(str::to_owned);
        items
            .map(|item| text(item).ok_or_else(|| broken(name, "holds more than texts")))
            .collect()
    }

    /// A moment. Some are written without a zone; they are in UTC.
    pub(crate) fn moment(self, name: &str) -> Result<Option<DateTime<Utc>>> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
            return Ok(Some(time::to_millis(moment.with_timezone(&Utc))));
        }
        let moment = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f");
        let moment = moment.map_err(|_| broken(name, "is no moment"))?;
        Ok(Some(time::to_millis(moment.and_utc())))
    }
}
