//! Records in MongoDB's form, read and written using the lists of their fields.

mod decode;
mod encode;
pub(crate) mod key;
pub(crate) mod moment;
mod number;
mod parts;
mod views;

#[cfg(test)]
mod tests;

use authorstack_core::{
    Book, Boost, Checklist, Competitor, Follow, Like, Post, User,
    migrate::{Kind, Problem, Problems, Record},
};

pub(crate) use self::{
    decode::decode,
    encode::{encode, encode_comment, encode_task, encode_value, encode_with_arrays, to_document},
    parts::{comment, point},
    views::{due_task, post_view},
};

/// Reads a document of a kind. For a kind of parts, the document is for example `{postId, likes}`:
/// the whole's id and one element.
pub(crate) fn record(kind: Kind, bytes: &[u8]) -> Result<Record, Problems> {
    match kind {
        Kind::Users => decode::<User>(bytes).map(Record::from),
        Kind::Books => decode::<Book>(bytes).map(Record::from),
        Kind::Checklists => decode::<Checklist>(bytes).map(Record::from),
        Kind::Follows => decode::<Follow>(bytes).map(Record::from),
        Kind::CommunityPosts => decode::<Post>(bytes).map(Record::from),
        Kind::PostLikes => decode::<Like>(bytes).map(Record::from),
        Kind::PostComments => parts::comment(bytes).map(Record::from),
        Kind::MarketplaceBoosts => decode::<Boost>(bytes).map(Record::from),
        Kind::Competitors => decode::<Competitor>(bytes).map(Record::from),
        Kind::CompetitorPrices => parts::price(bytes).map(Record::from),
        Kind::SalesData
        | Kind::DailyAggregates
        | Kind::SyncLogs
        | Kind::AiInsights
        | Kind::RevenueForecasts => {
            Err(Problem::new("", format!("MongoDB holds no {kind}")).into())
        }
    }
}
