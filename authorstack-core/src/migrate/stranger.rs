use std::fmt;

use serde::Serialize;

use crate::shown;

/// A collection or a table that stays behind, because the schema does not know it, or that the
/// schema knows and the source lacks. A plan names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stranger {
    /// The store, as messages name it.
    pub store: &'static str,
    /// What it is there, such as `collection` or `view`.
    pub form: &'static str,
    /// Its name there. It may hold anything: `Display` escapes it.
    pub name: String,
    /// About how many records it has, if the store can tell cheaply.
    pub records: Option<u64>,
    /// Whether the source lacks it: then nothing of that kind moves.
    pub missing: bool,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, form, .. } = self;
        let name = shown(&self.name);
        if self.missing {
            return write!(
                f,
                "{store} lacks the {form} {name}: there is nothing of that kind to move"
            );
        }
        write!(f, "{store}: the {form} {name}")?;
        match self.records {
            Some(1) => f.write_str(", about 1 record")?,
            Some(records) => write!(f, ", about {records} records")?,
            None => {}
        }
        f.write_str(": the schema does not know it")
    }
}
