//! Records in MongoDB's form, read and written using the lists of their fields.

mod decode;
mod encode;
pub(crate) mod key;
pub(crate) mod moment;
mod number;
mod parts;
mod set_aside;
mod views;

#[cfg(test)]
mod tests;

use authorstack_core::{
    Book, Boost, Checklist, Competitor, Follow, Like, Post, User,
    migrate::{Kind, Problem, Problems, Record},
};

use self::decode::{Aside, decode_with};
pub(crate) use self::{
    decode::decode,
    encode::{encode, encode_comment, encode_task, encode_value, encode_with_arrays, to_document},
    parts::{comment, point},
    views::{due_task, post_view},
};

/// Reads a document of a kind. For a kind of parts, the document is for example `{postId, likes}`:
/// the whole's id and one element.
pub(crate) fn record(kind: Kind, bytes: &[u8]) -> Result<Record, Problems> {
    read(kind, bytes, None)
}

/// Reads a document of a kind for a migration: values that make no sense in fields that are not
/// vital are set aside. Also returns why. If the record cannot be read, its problems are all of
/// them.
pub(crate) fn record_setting_aside(
    kind: Kind,
    bytes: &[u8],
) -> (Result<Record, Problems>, Problems) {
    decode::setting_aside(|aside| read(kind, bytes, Some(aside)))
}

fn read(kind: Kind, bytes: &[u8], aside: Option<&mut Aside>) -> Result<Record, Problems> {
    match kind {
        Kind::Users => decode_with::<User>(bytes, aside).map(Record::from),
        Kind::Books => decode_with::<Book>(bytes, aside).map(Record::from),
        Kind::Checklists => decode_with::<Checklist>(bytes, aside).map(Record::from),
        Kind::Follows => decode_with::<Follow>(bytes, aside).map(Record::from),
        Kind::CommunityPosts => decode_with::<Post>(bytes, aside).map(Record::from),
        Kind::PostLikes => decode_with::<Like>(bytes, aside).map(Record::from),
        Kind::PostComments => parts::comment(bytes, aside).map(Record::from),
        Kind::MarketplaceBoosts => decode_with::<Boost>(bytes, aside).map(Record::from),
        Kind::Competitors => decode_with::<Competitor>(bytes, aside).map(Record::from),
        Kind::CompetitorPrices => parts::price(bytes, aside).map(Record::from),
        Kind::SalesData
        | Kind::DailyAggregates
        | Kind::SyncLogs
        | Kind::AiInsights
        | Kind::RevenueForecasts
        | Kind::Accounts
        | Kind::Identities => Err(Problem::new("", format!("MongoDB holds no {kind}")).into()),
    }
}
