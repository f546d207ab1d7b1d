use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Kind, Record};
use crate::{
    Error, ErrorKind,
    records::json::{Form, read_in_form},
    shown,
};

/// One reason why a record cannot move: the field, the problem, and how to fix it. Both come from
/// data; `Display` escapes and shortens them for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The field, by its path in the document, such as `metadata.pageCount`; empty if the record as
    /// a whole has the problem.
    pub field: String,
    /// The problem, and how to fix it.
    pub problem: String,
}

impl Problem {
    /// A problem of a field.
    #[must_use]
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The most characters of a problem.
        const MOST: usize = 1_000;
        let problem = shown(&self.problem).up_to(MOST);
        if self.field.is_empty() {
            return write!(f, "{problem}");
        }
        write!(f, "{}: {problem}", shown(&self.field))
    }
}

/// All reasons why a record cannot move. Never empty for a refused record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Whether there are no problems.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them in one sentence, exact: for JSON. `Display` is for people.
    pub(super) fn joined(&self) -> String {
        let problems = self.0.iter();
        let problems = problems.map(|it| match it.field.as_str() {
            "" => it.problem.clone(),
            field => format!("{field}: {}", it.problem),
        });
        problems.collect::<Vec<_>>().join("; ")
    }

    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl From<Error> for Problems {
    /// The problem that an Invalid or AlreadyExists error names.
    fn from(error: Error) -> Self {
        Problem::from(error).into()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Invalid { field, reason } => Self::new(field.clone(), reason.clone()),
            ErrorKind::AlreadyExists { field } => {
                Self::new(field.clone(), "is already taken by another record")
            }
            other => Self::new("", other.to_string()),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            fmt::Display::fmt(problem, f)?;
        }
        Ok(())
    }
}

impl Record {
    /// Reads the JSON of [`Record::to_json`].
    ///
    /// # Errors
    /// Every missing or malformed field.
    pub fn from_json(kind: Kind, json: Value) -> Result<Self, Problems> {
        let read = read_in_form(Form::Stored, json, |reader| kind.read(reader));
        read.map_err(|faults| {
            let problems = faults.into_iter();
            Problems(
                problems
                    .map(|fault| Problem::new(fault.field, fault.problem))
                    .collect(),
            )
        })
    }
}

/// A record that could not move, as the ledger keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reject {
    /// The kind of the record.
    pub kind: Kind,
    /// Its key in the source, as text ([`Scanned::key`](super::Scanned::key)).
    pub key: String,
    /// Why it could not move.
    pub problems: Problems,
    /// The whole record without secrets, as the text of a JSON object.
    pub record: String,
    /// The digest of the source's record. It shows whether the record has changed since.
    pub source_digest: [u8; 32],
}

/// A record that moved without the values that make no sense, as the ledger keeps it. The values
/// are in the record itself, under [`SET_ASIDE`](crate::SET_ASIDE).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// The kind of the record.
    pub kind: Kind,
    /// Its key in the source.
    pub key: String,
    /// The fields, and why their values make no sense.
    pub fields: Problems,
}

/// One line of a rejects file.
///
/// `record` may be edited by hand and replayed. The other fields say which record it is and why
/// it was rejected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RejectLine {
    /// The kind of the record.
    pub kind: Kind,
    /// Its key in the source.
    pub key: String,
    /// The problems in one sentence.
    pub reason: String,
    /// The problems, field by field.
    pub problems: Problems,
    /// The digest of the source's record, in hexadecimal; leave it as it is.
    #[serde(default)]
    pub source_digest: String,
    /// The record, in the source's own form. Fix it here.
    pub record: Value,
}

impl Reject {
    /// The line of the rejects file.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when `record` is not JSON.
    pub fn to_line(&self) -> Result<RejectLine, Error> {
        Ok(RejectLine {
            kind: self.kind,
            key: self.key.clone(),
            reason: self.problems.joined(),
            problems: self.problems.clone(),
            source_digest: blake3::Hash::from_bytes(self.source_digest)
                .to_hex()
                .to_string(),
            record: crate::json::parse(self.record.as_bytes())
                .map_err(|error| Error::corrupt(format!("a stored reject is not JSON: {error}")))?,
        })
    }
}
