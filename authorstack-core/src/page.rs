//! Keyset pagination: a page is found by the last id seen, so pages stay right while records
//! come and go, and page 1,000 costs what page 1 does.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, Id, Result};

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

/// The order of a page, by the records' ids (creation order).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

    /// The page behind this cursor: [`Page::next`] of the page before, asked in the same order.
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
    #[must_use]
    pub fn after_id<T>(&self) -> Option<Id<T>> {
        self.after.as_ref().map(|cursor| cursor.0.cast())
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self::first(50)
    }
}

/// Where a page ended. Opaque text for clients, stable across restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor(Id<()>);

impl Cursor {
    /// The cursor behind this record.
    #[must_use]
    pub fn behind<T>(id: Id<T>) -> Self {
        Self(id.cast())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self).map_err(|_| {
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
    /// The records, in the order asked for.
    pub items: Vec<T>,
    /// The cursor of the next page; `None` on the last.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page of what a store found when it was asked for one record more than `limit`:
    /// that one says that there is a next page.
    #[must_use]
    pub fn from_one_more<R>(mut found: Vec<T>, limit: u32, id: impl Fn(&T) -> Id<R>) -> Self {
        let limit = limit as usize;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = match found.last() {
            Some(last) if more => Some(Cursor::behind(id(last))),
            _ => None,
        };
        Self { items: found, next }
    }
}
