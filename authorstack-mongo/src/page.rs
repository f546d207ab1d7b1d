//! Keyset pages as MongoDB queries.

use authorstack_core::{
    Cursor, Error, Id, Listed, Order, Page, PageRequest, Result, Unreadable,
    migrate::{Kind, Problems, Stored},
};
use bson::{Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf, doc};
use chrono::{DateTime, Utc};
use mongodb::{Collection, options::FindOptions};

use crate::{
    document::{decode, key::key_of},
    store::{MongoStore, Read, own_fields},
};

impl MongoStore {
    /// The page of the matching documents, in the order of their ids.
    pub(crate) async fn page<T: Stored>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        mut filter: Document,
        request: &PageRequest,
    ) -> Result<Page<T>> {
        let sort = by_ids(&mut filter, request)?;
        let mut options = in_one_batch(sort, one_more(request));
        options.projection = own_fields::<T>();
        let found = self.find_rows(collection, filter, options).await?;
        let order = request.sort_order();
        let behind = |row: &&RawDocument| behind_id(row, "_id", order);
        Ok(Page::from_rows(
            &found.rows()?,
            request.limit(),
            |row| listed(T::KIND, row, decode::<T>),
            behind,
        ))
    }

    /// The records with these ids that match, each once, in the order of their ids.
    pub(crate) async fn get_many<T: Stored>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        ids: &[Id<T>],
        mut filter: Document,
    ) -> Result<Listed<T>> {
        let Ok(most) = u32::try_from(ids.len()) else {
            return Err(Error::internal("more ids than a page has"));
        };
        if most == 0 {
            return Ok(Listed::default());
        }
        let ids: Vec<_> = ids.iter().map(|id| id.to_object_id()).collect();
        filter.insert("_id", doc! {"$in": ids});
        let mut options = in_one_batch(doc! {"_id": 1}, most);
        options.projection = own_fields::<T>();
        let found = self.find_rows(collection, filter, options).await?;
        let rows = found.rows()?;
        Ok(rows
            .iter()
            .map(|row| listed(T::KIND, row, decode::<T>))
            .collect())
    }

    /// The first records of a list, up to a number. Documents that cannot be read do not count.
    pub(crate) async fn first_of<T: Stored>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        filter: Document,
        sort: Document,
        limit: u32,
    ) -> Result<Listed<T>> {
        let mut found = Listed::default();
        let (mut wanted, mut seen) = (limit, 0_u64);
        loop {
            let mut options = in_one_batch(sort.clone(), wanted);
            options.skip = (seen > 0).then_some(seen);
            options.projection = own_fields::<T>();
            let rows = self.find_rows(collection, filter.clone(), options).await?;
            let rows = rows.rows()?;
            seen += rows.len() as u64;
            for row in &rows {
                found.add(listed(T::KIND, row, decode::<T>));
            }
            let left = (limit as usize).saturating_sub(found.items.len());
            if rows.len() < wanted as usize || left == 0 {
                return Ok(found);
            }
            wanted = u32::try_from(left).unwrap_or(limit);
        }
    }
}

/// Reads a document of a list. One that cannot be read is named by its `_id`.
pub(crate) fn listed<T>(kind: Kind, row: &RawDocument, read: Read<T>) -> Result<T, Unreadable> {
    let bytes = row.as_bytes();
    read(bytes).map_err(|problems| {
        let key = key_of(bytes).unwrap_or_default();
        unreadable(kind, key, problems)
    })
}

/// The name of a document that has these problems.
pub(crate) fn unreadable(kind: Kind, key: impl Into<String>, problems: Problems) -> Unreadable {
    let fields = problems.0.into_iter().map(|problem| problem.field);
    let fields = fields.filter(|field| !field.is_empty()).collect();
    Unreadable::new(kind.as_str(), key, fields)
}

/// An id of a field, for a place in a list: of another type, the least or the greatest id, whichever
/// is nearer in MongoDB's order of types.
pub(crate) fn id_or_edge<T>(row: &RawDocument, field: &str) -> (Id<T>, Option<Edge>) {
    match row.get(field) {
        Ok(Some(RawBsonRef::ObjectId(id))) => (Id::from_object_id(id), None),
        Ok(Some(
            RawBsonRef::Boolean(_)
            | RawBsonRef::DateTime(_)
            | RawBsonRef::Timestamp(_)
            | RawBsonRef::RegularExpression(_)
            | RawBsonRef::MaxKey,
        )) => (Id::from_bytes([0xff; 12]), Some(Edge::After)),
        Ok(_) | Err(_) => (Id::from_bytes([0; 12]), Some(Edge::Before)),
    }
}

/// Where values stand that cannot be read: before all that can be, or after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    Before,
    After,
}

impl Edge {
    /// Whether a list in this order goes on to what can be read.
    const fn goes_on(self, order: Order) -> bool {
        matches!(
            (order, self),
            (Order::OldestFirst, Self::Before) | (Order::NewestFirst, Self::After)
        )
    }
}

/// The cursor behind a document of a list that is ordered by ids. Ids of other types come before or
/// after all of ours; they fill at most one page.
pub(crate) fn behind_id(row: &RawDocument, field: &str, order: Order) -> Option<Cursor> {
    let (id, edge) = id_or_edge::<()>(row, field);
    match edge {
        Some(edge) if !edge.goes_on(order) => None,
        _ => Some(Cursor::behind(id)),
    }
}

/// The cursor behind a document of a list that is ordered by dates, then by a key. Dates beyond
/// AuthorStack's come before or after all others; they fill at most one page.
pub(crate) fn behind_date(
    date: Option<RawBsonRef<'_>>,
    key: impl Into<String>,
    order: Order,
) -> Option<Cursor> {
    let edge = match date {
        Some(RawBsonRef::DateTime(date)) => {
            let millis = date.timestamp_millis();
            match DateTime::from_timestamp_millis(millis) {
                Some(at) => return Some(Cursor::behind_moment(at, key)),
                None if millis < 0 => Edge::Before,
                None => Edge::After,
            }
        }
        Some(RawBsonRef::Timestamp(_) | RawBsonRef::RegularExpression(_) | RawBsonRef::MaxKey) => {
            Edge::After
        }
        _ => Edge::Before,
    };
    let edge = edge.goes_on(order).then_some(match edge {
        Edge::Before => DateTime::<Utc>::MIN_UTC,
        Edge::After => DateTime::<Utc>::MAX_UTC,
    });
    edge.map(|at| Cursor::behind_moment(at, ""))
}

/// A text for a place in a list: of another type, one before or after all texts, as MongoDB orders
/// the types.
pub(crate) fn text_or_edge(value: Option<RawBsonRef<'_>>) -> &str {
    match value {
        Some(RawBsonRef::String(text)) => text,
        None
        | Some(
            RawBsonRef::Null
            | RawBsonRef::Undefined
            | RawBsonRef::MinKey
            | RawBsonRef::Double(_)
            | RawBsonRef::Int32(_)
            | RawBsonRef::Int64(_)
            | RawBsonRef::Decimal128(_),
        ) => "",
        Some(_) => "\u{10ffff}",
    }
}

/// Makes a filter start after the request's cursor. Returns the order of the ids.
pub(crate) fn by_ids(filter: &mut Document, request: &PageRequest) -> Result<Document> {
    // Documents with ids of another type are not AuthorStack's, and comparisons stay within one
    // type.
    if let Some(after) = request.after_id::<()>()? {
        let beyond = doc! {beyond(request): Bson::ObjectId(after.to_object_id())};
        filter.insert("_id", beyond);
    }
    Ok(doc! {"_id": direction(request)})
}

/// The sort direction of a request.
pub(crate) fn direction(request: &PageRequest) -> i32 {
    match request.sort_order() {
        Order::OldestFirst => 1,
        Order::NewestFirst => -1,
    }
}

/// The comparison that selects what comes after a cursor.
pub(crate) fn beyond(request: &PageRequest) -> &'static str {
    match request.sort_order() {
        Order::OldestFirst => "$gt",
        Order::NewestFirst => "$lt",
    }
}

/// The size of a page plus one: the extra record shows whether there is another page.
pub(crate) fn one_more(request: &PageRequest) -> u32 {
    request.limit().saturating_add(1)
}

/// Limits the number of documents. They come in one answer of the server if they fit into one.
pub(crate) fn in_one_batch(sort: Document, limit: u32) -> FindOptions {
    FindOptions::builder()
        .sort(sort)
        .limit(i64::from(limit))
        .batch_size(limit)
        .build()
}
