//! Keyset pagination: a page is found by the last id seen. Pages stay right while records are added
//! and removed, and page 1,000 costs as much as page 1.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Id, Listed, Result, Unreadable};

/// Which page: how many records, in which order, after which cursor.
///
/// ```
/// use authorstack_core::{Order, PageRequest};
///
/// let request = PageRequest::first(20).order(Order::OldestFirst);
/// assert_eq!(request.limit(), 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    limit: u32,
    order: Order,
    after: Option<Cursor>,
}

/// The order of a page: by the records' ids (creation order), unless a list documents another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// The newest record first.
    #[default]
    NewestFirst,
    /// The oldest record first.
    OldestFirst,
}

impl PageRequest {
    /// The largest page.
    pub const MAX_LIMIT: u32 = 200;

    /// The first `limit` records, at most [`PageRequest::MAX_LIMIT`]; a limit of zero counts as one.
    #[must_use]
    pub fn first(limit: u32) -> Self {
        Self {
            limit: limit.clamp(1, Self::MAX_LIMIT),
            order: Order::default(),
            after: None,
        }
    }

    /// The page after this cursor: [`Page::next`] of the previous page, requested in the same
    /// order.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// The order of the records.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// How many records the page holds at most.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// In which order.
    #[must_use]
    pub fn sort_order(&self) -> Order {
        self.order
    }

    /// The id after which the page starts.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a cursor of a list that is ordered
    /// differently.
    pub fn after_id<T>(&self) -> Result<Option<Id<T>>> {
        match &self.after {
            None => Ok(None),
            Some(Cursor(Place::Id(id))) => Ok(Some(id.cast())),
            Some(_) => Err(foreign_cursor()),
        }
    }

    /// The id after which the page starts, as a UUID, for stores that hold ids as UUIDs. The UUID
    /// may be one that is no id: the page before ended at a row that cannot be read.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a cursor of a list that is ordered
    /// differently.
    pub fn after_uuid(&self) -> Result<Option<Uuid>> {
        match &self.after {
            None => Ok(None),
            Some(Cursor(Place::Id(id))) => Ok(Some(id.to_uuid())),
            Some(Cursor(Place::Uuid(uuid))) => Ok(Some(*uuid)),
            Some(_) => Err(foreign_cursor()),
        }
    }

    /// The number of the row after which the page starts, in lists of numbered rows.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a cursor of a list that is ordered
    /// differently.
    pub fn after_row(&self) -> Result<Option<i64>> {
        match &self.after {
            None => Ok(None),
            Some(Cursor(Place::Row(row))) => Ok(Some(*row)),
            Some(_) => Err(foreign_cursor()),
        }
    }

    /// The date, and the key among the records of that date, after which the page starts, in lists
    /// that are ordered by date.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a cursor of a list that is ordered
    /// differently.
    pub fn after_moment(&self) -> Result<Option<(DateTime<Utc>, &str)>> {
        match &self.after {
            None => Ok(None),
            Some(Cursor(Place::Moment { at, key })) => Ok(Some((*at, key))),
            Some(_) => Err(foreign_cursor()),
        }
    }
}

fn foreign_cursor() -> Error {
    Error::invalid(
        "cursor",
        "is a cursor of another list; pass `next` of the page before as it came",
    )
}

impl Default for PageRequest {
    fn default() -> Self {
        Self::first(50)
    }
}

/// Where a page ended. Opaque text for clients, stable across restarts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor(Place);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Id(Id<()>),
    /// A stored id that is none of ours.
    Uuid(Uuid),
    Moment {
        at: DateTime<Utc>,
        key: String,
    },
    Row(i64),
}

impl Cursor {
    /// The cursor after this record.
    #[must_use]
    pub fn behind<T>(id: Id<T>) -> Self {
        Self(Place::Id(id.cast()))
    }

    /// The cursor after a stored id, which may be one that cannot be read.
    #[must_use]
    pub fn behind_uuid(uuid: Uuid) -> Self {
        Self(Id::from_uuid(uuid).map_or(Place::Uuid(uuid), Place::Id))
    }

    /// The cursor after a numbered row.
    #[must_use]
    pub const fn behind_row(row: i64) -> Self {
        Self(Place::Row(row))
    }

    /// The cursor after a record in a list that is ordered by date (in whole microseconds: another
    /// client may have written these), then by a key.
    #[must_use]
    pub fn behind_moment(at: DateTime<Utc>, key: impl Into<String>) -> Self {
        let at = DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at);
        let key = key.into();
        Self(Place::Moment { at, key })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Id(id) => fmt::Display::fmt(id, f),
            Place::Uuid(uuid) => write!(f, "!{uuid}"),
            Place::Row(row) => write!(f, "#{row}"),
            Place::Moment { at, key } => write!(f, "{}~{key}", at.timestamp_micros()),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let place = match text.split_once('~') {
            None => match (text.strip_prefix('#'), text.strip_prefix('!')) {
                (Some(row), _) => row.parse().ok().map(Place::Row),
                (None, Some(uuid)) => uuid.parse().ok().map(Place::Uuid),
                (None, None) => text.parse().ok().map(Place::Id),
            },
            Some((micros, key)) => micros
                .parse()
                .ok()
                .and_then(DateTime::from_timestamp_micros)
                .filter(|_| !key.contains('\0'))
                .map(|at| Place::Moment {
                    at,
                    key: key.to_owned(),
                }),
        };
        place.map(Self).ok_or_else(|| {
            Error::invalid(
                "cursor",
                "is not a page cursor; pass `next` of the page before as it came",
            )
        })
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// One page of records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The records, in the order asked for. A page may hold fewer than were asked for, even none,
    /// and still have a next one: some could not be read.
    pub items: Vec<T>,
    /// The cursor of the next page; `None` on the last.
    pub next: Option<Cursor>,
    /// The records of this page that could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<Unreadable>,
}

impl<T> Page<T> {
    /// Makes a page from the records that a store found when it was asked for one more than
    /// `limit`. The extra record shows that there is a next page.
    #[must_use]
    pub fn from_one_more<R>(found: Vec<T>, limit: u32, id: impl Fn(&T) -> Id<R>) -> Self {
        Self::from_one_more_by(found, limit, |last| Cursor::behind(id(last)))
    }

    /// Makes a page of a list that is not ordered by ids, as [`Page::from_one_more`] does.
    #[must_use]
    pub fn from_one_more_by(mut found: Vec<T>, limit: u32, cursor: impl Fn(&T) -> Cursor) -> Self {
        let limit = limit as usize;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(cursor);
        Self {
            items: found,
            next,
            unreadable: Vec::new(),
        }
    }

    /// Makes a page from stored rows, readable or not, as [`Page::from_one_more`] does. `cursor`
    /// tells where a row is, from its stored key: `None` if nothing readable can come after it.
    #[must_use]
    pub fn from_rows<R>(
        rows: &[R],
        limit: u32,
        read: impl Fn(&R) -> Result<T, Unreadable>,
        cursor: impl Fn(&R) -> Option<Cursor>,
    ) -> Self {
        let kept = rows.get(..limit as usize).unwrap_or(rows);
        let next = if kept.len() < rows.len() {
            kept.last().and_then(cursor)
        } else {
            None
        };
        let Listed { items, unreadable } = kept.iter().map(read).collect();
        Self {
            items,
            next,
            unreadable,
        }
    }

    /// The page with each record converted.
    #[must_use]
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(make).collect(),
            next: self.next,
            unreadable: self.unreadable,
        }
    }
}
