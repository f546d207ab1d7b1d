//! Pages of lists in memory.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::{Cursor, Id, Listed, Order, Page, PageRequest, Result};

/// The page of the matching records, found by the last id of the previous page.
pub(super) fn page<T: Clone>(
    records: &BTreeMap<Id<T>, T>,
    request: &PageRequest,
    id: impl Fn(&T) -> Id<T>,
    matches: impl Fn(&T) -> bool,
) -> Result<Page<T>> {
    use std::ops::Bound::{Excluded, Unbounded};
    let one_more = request.limit() as usize + 1;
    let after = request.after_id()?.map_or(Unbounded, Excluded);
    let found: Vec<T> = match request.sort_order() {
        Order::OldestFirst => {
            let range = records.range((after, Unbounded)).map(|(_, record)| record);
            range
                .filter(|r| matches(r))
                .take(one_more)
                .cloned()
                .collect()
        }
        Order::NewestFirst => {
            let range = records
                .range((Unbounded, after))
                .rev()
                .map(|(_, record)| record);
            range
                .filter(|r| matches(r))
                .take(one_more)
                .cloned()
                .collect()
        }
    };
    Ok(Page::from_one_more(found, request.limit(), id))
}

/// The matching records with these ids, each once, in the order of their ids.
pub(super) fn pick<T: Clone>(
    records: &BTreeMap<Id<T>, T>,
    ids: &[Id<T>],
    matches: impl Fn(&T) -> bool,
) -> Listed<T> {
    let ids: BTreeSet<Id<T>> = ids.iter().copied().collect();
    let found = ids.iter().filter_map(|id| records.get(id));
    found
        .filter(|record| matches(record))
        .cloned()
        .map(Ok)
        .collect()
}

/// The page of a list that is ordered by a moment, then by a key.
pub(super) fn page_by_moment<T>(
    mut records: Vec<T>,
    request: &PageRequest,
    place: impl Fn(&T) -> (DateTime<Utc>, String),
) -> Result<Page<T>> {
    let after = request.after_moment()?;
    records.sort_by_cached_key(&place);
    if request.sort_order() == Order::NewestFirst {
        records.reverse();
    }
    if let Some((at, key)) = after {
        let after = (at, key.to_owned());
        records.retain(|record| match request.sort_order() {
            Order::OldestFirst => place(record) > after,
            Order::NewestFirst => place(record) < after,
        });
    }
    Ok(Page::from_one_more_by(records, request.limit(), |last| {
        let (at, key) = place(last);
        Cursor::behind_moment(at, key)
    }))
}
