//! Keyset pages in MongoDB's terms.

use authorstack_core::{Order, PageRequest};
use bson::{Bson, Document, doc};
use mongodb::options::FindOptions;

/// One page and one record more, in the order of the ids.
pub(crate) fn page(filter: &mut Document, request: &PageRequest) -> FindOptions {
    let (direction, beyond) = match request.sort_order() {
        Order::OldestFirst => (1, "$gt"),
        Order::NewestFirst => (-1, "$lt"),
    };
    // Ids of another type are no records of ours, and comparisons keep to one type.
    if let Some(after) = request.after_id::<()>() {
        filter.insert("_id", doc! {beyond: Bson::ObjectId(after.to_object_id())});
    }
    let one_more = request.limit().saturating_add(1);
    in_one_batch(doc! {"_id": direction}, one_more)
}

/// At most so many documents, in one answer of the server where they fit into one.
pub(crate) fn in_one_batch(sort: Document, limit: u32) -> FindOptions {
    FindOptions::builder()
        .sort(sort)
        .limit(i64::from(limit))
        .batch_size(limit)
        .build()
}
