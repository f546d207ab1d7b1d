//! Documents, and what must happen to the dirty ones among them.

use std::collections::BTreeMap;

use authorstack_core::migrate::Kind;
use bson::RawDocumentBuf;

/// The documents, and what must happen to each dirty one.
#[derive(Debug, Default)]
pub struct Dataset {
    /// The documents of each collection, by the kind of the same name.
    pub documents: BTreeMap<Kind, Vec<RawDocumentBuf>>,
    /// How many records of each kind a migration reads.
    pub records: BTreeMap<Kind, u64>,
    /// The dirty records.
    pub cases: Vec<Case>,
}

/// One dirty record.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What is dirty about it.
    pub about: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its key, as the migration names it.
    pub key: String,
    /// What must happen to it.
    pub fate: Fate,
}

/// What must happen to a dirty record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It moves.
    Carried,
    /// It moves without the value of this field, which is set aside.
    SetAside(&'static str),
    /// It is rejected, with a reason that names this field.
    Rejected(&'static str),
}
