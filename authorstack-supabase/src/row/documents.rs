//! Rows of checklists, follows, community posts, boosts and competitors.

use authorstack_core::{
    Boost, Checklist, Comment, Competitor, Error, Follow, Id, Like, Post, PostView, Price,
    PricePoint, Result, migrate::CompetitorPrice, progress,
};
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;

use super::{Fields, Moment, corrupt};

/// The columns of a checklist, in the order in which [`checklist`] reads them. Its progress is
/// computed on both sides.
macro_rules! checklist_columns {
    () => {
        "id, book_id, user_id, template_id, name, tasks, created_at, updated_at, extra"
    };
}
pub(crate) use checklist_columns;

/// The columns of a follow, in the order in which [`follow`] reads them.
macro_rules! follow_columns {
    () => {
        "id, follower_id, author_id, created_at, extra"
    };
}
pub(crate) use follow_columns;

/// The columns of a post, in the order in which [`post`] reads them: without the counts.
macro_rules! post_columns {
    () => {
        "id, author_id, content, attachments, visibility, created_at, updated_at, extra"
    };
}
pub(crate) use post_columns;

/// The columns of a like, in the order in which [`like`] reads them.
macro_rules! like_columns {
    () => {
        "post_id, user_id"
    };
}
pub(crate) use like_columns;

/// The columns of a comment, in the order in which [`comment`] reads them.
macro_rules! comment_columns {
    () => {
        "post_id, id, author_id, content, created_at, extra"
    };
}
pub(crate) use comment_columns;

/// The columns of a boost, in the order in which [`boost`] reads them.
macro_rules! boost_columns {
    () => {
        "id, book_id, user_id, duration, position, credits_spent, active, started_at, expires_at, \
         extra"
    };
}
pub(crate) use boost_columns;

/// The columns of a competitor, in the order in which [`competitor`] reads them.
macro_rules! competitor_columns {
    () => {
        "id, user_id, asin, title, author, current_price, currency, genre, last_checked, \
         created_at, extra"
    };
}
pub(crate) use competitor_columns;

/// The columns of a price, in the order in which [`competitor_price`] reads them.
macro_rules! price_columns {
    () => {
        "competitor_id, date, price, extra"
    };
}
pub(crate) use price_columns;

/// Reads a row of [`checklist_columns!`].
pub(crate) fn checklist(row: &PgRow) -> Result<Checklist> {
    let row = Fields::of(row)?;
    let read = || {
        let tasks: Vec<_> = row.json(5, "tasks")?;
        Ok(Checklist {
            id: row.id.cast(),
            book_id: row.reference(1, "bookId")?,
            user_id: row.reference(2, "userId")?,
            template_id: row.get(3, "templateId")?,
            name: row.get(4, "name")?,
            progress: progress(&tasks),
            tasks,
            created_at: row.moment(6, "createdAt")?,
            updated_at: row.moment(7, "updatedAt")?,
            extra: row.extra(8)?,
        })
    };
    read().map_err(|error: Error| error.for_record(format_args!("checklist {}", row.id)))
}

/// Reads a row of [`follow_columns!`].
pub(crate) fn follow(row: &PgRow) -> Result<Follow> {
    let row = Fields::of(row)?;
    let read = || {
        Ok(Follow {
            id: row.id.cast(),
            follower_id: row.reference(1, "followerId")?,
            author_id: row.reference(2, "authorId")?,
            created_at: row.moment(3, "createdAt")?,
            extra: row.extra(4)?,
        })
    };
    read().map_err(|error: Error| error.for_record(format_args!("follow {}", row.id)))
}

/// Reads a row of [`post_columns!`].
pub(crate) fn post(row: &PgRow) -> Result<Post> {
    let row = Fields::of(row)?;
    let read = || {
        Ok(Post {
            id: row.id.cast(),
            author_id: row.reference(1, "authorId")?,
            content: row.get(2, "content")?,
            attachments: row.json(3, "attachments")?,
            visibility: row.parsed(4, "visibility")?,
            created_at: row.moment(5, "createdAt")?,
            updated_at: row.moment(6, "updatedAt")?,
            extra: row.extra(7)?,
        })
    };
    read().map_err(|error: Error| error.for_record(format_args!("post {}", row.id)))
}

/// Reads a row of [`post_columns!`], both counts, and whether the viewer likes the post.
pub(crate) fn post_view(row: &PgRow) -> Result<PostView> {
    let fields = Fields::of(row)?;
    let count = |index, field| {
        let count: i64 = fields.get(index, field)?;
        u64::try_from(count).map_err(|_| corrupt(field, format_args!("{count} is below zero")))
    };
    Ok(PostView {
        post: post(row)?,
        like_count: count(8, "like_count")?,
        comment_count: count(9, "comment_count")?,
        liked: fields.get(10, "liked")?,
    })
}

/// Reads a row of [`like_columns!`].
pub(crate) fn like(row: &PgRow) -> Result<Like> {
    let row = Fields::of(row)?;
    Ok(Like {
        post_id: row.id.cast(),
        user_id: row.reference(1, "likes")?,
    })
}

/// Reads a row of [`comment_columns!`].
pub(crate) fn comment(row: &PgRow) -> Result<Comment> {
    let row = Fields::of(row)?;
    let read = || {
        Ok(Comment {
            post_id: row.id.cast(),
            id: row.parsed(1, "comments.id")?,
            author_id: row.reference(2, "comments.authorId")?,
            content: row.get(3, "comments.content")?,
            created_at: row.moment(4, "comments.createdAt")?,
            extra: row.extra(5)?,
        })
    };
    read().map_err(|error: Error| error.for_record(format_args!("a comment on post {}", row.id)))
}

/// Reads a row of [`boost_columns!`].
pub(crate) fn boost(row: &PgRow) -> Result<Boost> {
    let row = Fields::of(row)?;
    let whole = |index, field| {
        let number: i64 = row.get(index, field)?;
        u32::try_from(number).map_err(|error| corrupt(field, error))
    };
    let read = || {
        Ok(Boost {
            id: row.id.cast(),
            book_id: row.reference(1, "bookId")?,
            user_id: row.reference(2, "userId")?,
            duration_days: whole(3, "duration")?,
            position: whole(4, "position")?,
            credits_spent: row.get(5, "credits_spent")?,
            active: row.get(6, "active")?,
            started_at: row.moment(7, "startedAt")?,
            expires_at: row.moment(8, "expiresAt")?,
            extra: row.extra(9)?,
        })
    };
    read().map_err(|error: Error| error.for_record(format_args!("boost {}", row.id)))
}

/// Reads a row of [`competitor_columns!`].
pub(crate) fn competitor(row: &PgRow) -> Result<Competitor> {
    let row = Fields::of(row)?;
    let read = || {
        let price: Option<Decimal> = row.get(5, "currentPrice")?;
        Ok(Competitor {
            id: row.id.cast(),
            user_id: row.reference(1, "userId")?,
            asin: row.parsed(2, "asin")?,
            title: row.get(3, "title")?,
            author: row.get(4, "author")?,
            current_price: price
                .map(|price| amount("currentPrice", price))
                .transpose()?,
            currency: row.parsed_option(6, "currency")?,
            genre: row.get(7, "genre")?,
            last_checked: row
                .get::<Option<Moment>>(8, "lastChecked")?
                .map(|moment| moment.0),
            created_at: row.moment(9, "createdAt")?,
            extra: row.extra(10)?,
        })
    };
    read().map_err(|error: Error| error.for_record(format_args!("competitor {}", row.id)))
}

/// Reads a row of [`price_columns!`].
pub(crate) fn competitor_price(row: &PgRow) -> Result<CompetitorPrice> {
    let row = Fields::of(row)?;
    let competitor_id: Id<Competitor> = row.id.cast();
    let read = || {
        Ok(CompetitorPrice {
            competitor_id,
            point: PricePoint {
                date: row.moment(1, "priceHistory.date")?,
                price: amount("priceHistory.price", row.get(2, "priceHistory.price")?)?,
                extra: row.extra(3)?,
            },
        })
    };
    read().map_err(|error: Error| error.for_record(format_args!("a price of {competitor_id}")))
}

fn amount(field: &str, amount: Decimal) -> Result<Price> {
    Price::new(amount).map_err(|error| corrupt(field, error.kind()))
}
