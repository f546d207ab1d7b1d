//! What a list leaves out because it cannot be read.

use std::{borrow::Cow, fmt, ops::Deref, slice::Iter, vec::IntoIter};

use serde::{Deserialize, Serialize};

use crate::{Error, values::excerpt};

/// A stored record that does not fit the schema: a list names it, and returns the others.
///
/// It holds no values of the record. `get` of the record says what is wrong with its fields, and so
/// does `authorstack-migrate plan`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unreadable {
    /// The table or collection of its kind, such as `community_posts`.
    pub kind: Cow<'static, str>,
    /// Its key, as stored: of any form, since the key itself may be what cannot be read. Escape it
    /// before you show it; `Display` does.
    pub key: String,
    /// The first fields that cannot be read, by their paths in the document, such as
    /// `metadata.pageCount`.
    pub fields: Vec<String>,
}

/// A key or a path as it is, if it is plain and short; else escaped and cut.
fn shown(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    if !text.is_empty() && text.len() <= 60 && text.chars().all(plain) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(excerpt(text))
    }
}

impl Unreadable {
    /// How many fields it names at most.
    pub const MOST_FIELDS: usize = 20;

    /// A record that cannot be read: its table or collection, its key, and the fields at fault.
    #[must_use]
    pub fn new(
        kind: impl Into<Cow<'static, str>>,
        key: impl Into<String>,
        mut fields: Vec<String>,
    ) -> Self {
        fields.dedup();
        fields.truncate(Self::MOST_FIELDS);
        Self {
            kind: kind.into(),
            key: key.into(),
            fields,
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} cannot be read", self.kind, shown(&self.key))?;
        for (index, field) in self.fields.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { ", " })?;
            f.write_str(&shown(field))?;
        }
        Ok(())
    }
}

impl From<Unreadable> for Error {
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt), for a stream's item.
    fn from(unreadable: Unreadable) -> Self {
        let fields: Vec<String> = unreadable
            .fields
            .iter()
            .map(|field| shown(field).into())
            .collect();
        let what = format!("{}; correct or remove the record", fields.join(", "));
        let record = format!("{} {}", unreadable.kind, shown(&unreadable.key));
        Self::corrupt(what).for_record(record)
    }
}

/// What a job did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Done {
    /// How many records it changed.
    pub count: u64,
    /// The records that it could not change, because the store refuses them as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<Unreadable>,
}

impl From<u64> for Done {
    fn from(count: u64) -> Self {
        Self {
            count,
            unreadable: Vec::new(),
        }
    }
}

/// The answer of a list without pages: the records, and what could not be read.
///
/// It dereferences to a slice of the records, and iterates over them.
///
/// ```
/// use authorstack_core::Listed;
///
/// let listed = Listed::from(vec![1, 2, 3]);
/// assert_eq!(listed.len(), 3);
/// assert!(listed.unreadable.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed<T> {
    /// The records, in the order of the list.
    pub items: Vec<T>,
    /// The records of the list that could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<Unreadable>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self::from(Vec::new())
    }
}

impl<T> From<Vec<T>> for Listed<T> {
    fn from(items: Vec<T>) -> Self {
        Self {
            items,
            unreadable: Vec::new(),
        }
    }
}

impl<T> Listed<T> {
    /// The list with each record converted.
    #[must_use]
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Listed<U> {
        Listed {
            items: self.items.into_iter().map(make).collect(),
            unreadable: self.unreadable,
        }
    }

    /// Adds a record, or what could not be read.
    pub fn add(&mut self, outcome: Result<T, Unreadable>) {
        match outcome {
            Ok(item) => self.items.push(item),
            Err(unreadable) => self.unreadable.push(unreadable),
        }
    }
}

impl<T> FromIterator<Result<T, Unreadable>> for Listed<T> {
    fn from_iter<I: IntoIterator<Item = Result<T, Unreadable>>>(outcomes: I) -> Self {
        let mut listed = Self::default();
        for outcome in outcomes {
            listed.add(outcome);
        }
        listed
    }
}

impl<T> Deref for Listed<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> IntoIterator for Listed<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        self.items.into_iter()
    }
}

impl<'l, T> IntoIterator for &'l Listed<T> {
    type Item = &'l T;
    type IntoIter = Iter<'l, T>;

    fn into_iter(self) -> Iter<'l, T> {
        self.items.iter()
    }
}

/// Equal when the records are and nothing was unreadable.
impl<T: PartialEq> PartialEq<Vec<T>> for Listed<T> {
    fn eq(&self, other: &Vec<T>) -> bool {
        self.items == *other && self.unreadable.is_empty()
    }
}

/// Equal when the records are and nothing was unreadable.
impl<T: PartialEq> PartialEq<[T]> for Listed<T> {
    fn eq(&self, other: &[T]) -> bool {
        self.items == *other && self.unreadable.is_empty()
    }
}

/// Equal when the records are and nothing was unreadable.
impl<T: PartialEq, const N: usize> PartialEq<[T; N]> for Listed<T> {
    fn eq(&self, other: &[T; N]) -> bool {
        self.items == *other && self.unreadable.is_empty()
    }
}
