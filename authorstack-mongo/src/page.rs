//! Keyset pages as MongoDB queries.

use authorstack_core::{Id, Order, Page, PageRequest, Result, fields::Fields};
use bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::{Collection, options::FindOptions};

use crate::{
    document::decode,
    store::{MongoStore, own_fields},
};

impl MongoStore {
    /// The page of the matching documents, in the order of their ids.
    pub(crate) async fn page<T: Fields>(
        &self,
        collection: &Collection<RawDocumentBuf>,
        mut filter: Document,
        request: &PageRequest,
        id: impl Fn(&T) -> Id<T>,
    ) -> Result<Page<T>> {
        let sort = by_ids(&mut filter, request)?;
        let mut options = in_one_batch(sort, one_more(request));
        options.projection = own_fields::<T>();
        let found = self.find(collection, filter, options, decode::<T>).await?;
        Ok(Page::from_one_more(found, request.limit(), id))
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
