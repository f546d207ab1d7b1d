//! Records in the binary form of COPY.

use authorstack_core::{
    Book, Boost, Checklist, Comment, Competitor, Error, Follow, Post, Price, Result, User,
    migrate::Record,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Encode, PgConnection, Postgres, postgres::PgArgumentBuffer};
use uuid::Uuid;

use crate::row::{
    book_columns, boost_columns, checklist_columns, comment_columns, competitor_columns,
    follow_columns, like_columns, post_columns, postgres_micros, price_columns, user_columns,
    write_json,
};

/// How much is encoded before it is sent: the server reads while the next piece is made.
const PIECE: usize = 1 << 20;
/// A piece that one large record blew up is not kept for the next.
const KEPT: usize = 4 * PIECE;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: &[u8] = &(-1i16).to_be_bytes();
const NULL: [u8; 4] = (-1i32).to_be_bytes();
const TEXT_OID: [u8; 4] = 25i32.to_be_bytes();

/// How many columns a list names.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "lists of columns are short"
)]
fn count(columns: &str) -> [u8; 2] {
    let commas = columns.bytes().filter(|byte| *byte == b',').count();
    (commas as i16 + 1).to_be_bytes()
}

/// Why a COPY failed.
pub(crate) enum CopyError {
    /// A record has no binary form.
    Encoding(Error),
    /// The server or the connection.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for CopyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Copies records, and says how many rows the server took.
pub(crate) async fn copy<'r>(
    connection: &mut PgConnection,
    statement: &'static str,
    records: impl Iterator<Item = &'r Record> + Send,
    buffer: &mut Buffer,
) -> Result<u64, CopyError> {
    let mut copy = connection.copy_in_raw(statement).await?;
    buffer.start();
    for record in records {
        if let Err(error) = buffer.record(record) {
            copy.abort("a record has no binary form").await?;
            return Err(CopyError::Encoding(error));
        }
        if buffer.bytes.len() >= PIECE {
            copy.send(buffer.bytes.as_slice()).await?;
            buffer.clear();
        }
    }
    buffer.bytes.extend_from_slice(TRAILER);
    copy.send(buffer.bytes.as_slice()).await?;
    buffer.clear();
    Ok(copy.finish().await?)
}

/// Where rows are encoded; reused from batch to batch.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    fn start(&mut self) {
        self.bytes.clear();
        self.bytes.extend_from_slice(SIGNATURE);
    }

    fn clear(&mut self) {
        self.bytes.clear();
        if self.bytes.capacity() > KEPT {
            self.bytes.shrink_to(PIECE);
        }
    }

    fn record(&mut self, record: &Record) -> Result<()> {
        match record {
            Record::User(user) => self.user(user),
            Record::Book(book) => self.book(book),
            Record::Checklist(checklist) => self.checklist(checklist),
            Record::Follow(follow) => self.follow(follow),
            Record::Post(post) => self.post(post),
            Record::Like(like) => {
                self.row(like_columns!());
                self.uuid(like.post_id.to_uuid());
                self.uuid(like.user_id.to_uuid());
                Ok(())
            }
            Record::Comment(comment) => self.comment(comment),
            Record::Boost(boost) => self.boost(boost),
            Record::Competitor(competitor) => self.competitor(competitor),
            Record::Price(price) => {
                self.row(price_columns!());
                self.uuid(price.competitor_id.to_uuid());
                self.moment(price.point.date)?;
                self.price(price.point.price)?;
                self.object(&price.point.extra)
            }
            other => Err(Error::internal(format!(
                "the Supabase target has no table for {}",
                other.kind()
            ))),
        }
    }

    /// In the order of `user_columns!`.
    fn user(&mut self, user: &User) -> Result<()> {
        self.row(user_columns!());
        self.uuid(user.id.to_uuid());
        self.text(user.auth_id.as_str())?;
        self.text(user.auth_provider.as_str())?;
        self.text(user.email.as_str())?;
        self.text(&user.name)?;
        self.text(user.subscription_tier.as_str())?;
        self.field(&user.credits.to_be_bytes())?;
        self.json(&user.preferences)?;
        self.json(&user.connected_platforms)?;
        self.moment(user.created_at)?;
        self.moment(user.updated_at)?;
        self.object(&user.extra)
    }

    /// In the order of `book_columns!`.
    fn book(&mut self, book: &Book) -> Result<()> {
        self.row(book_columns!());
        self.uuid(book.id.to_uuid());
        self.uuid(book.user_id.to_uuid());
        self.text(&book.title)?;
        self.optional_text(book.subtitle.as_deref())?;
        self.optional_text(book.author.as_deref())?;
        self.optional_text(book.description.as_deref())?;
        self.optional_text(book.isbn.as_ref().map(AsRef::as_ref))?;
        self.optional_text(book.asin.as_ref().map(AsRef::as_ref))?;
        self.optional_text(book.cover_url.as_deref())?;
        self.text_array(&book.genres)?;
        self.text_array(&book.platforms)?;
        self.optional_moment(book.published_date)?;
        self.text(book.status.as_str())?;
        self.json(&book.metadata)?;
        self.moment(book.created_at)?;
        self.moment(book.updated_at)?;
        self.object(&book.extra)
    }

    /// In the order of `checklist_columns!`.
    fn checklist(&mut self, checklist: &Checklist) -> Result<()> {
        self.row(checklist_columns!());
        self.uuid(checklist.id.to_uuid());
        self.uuid(checklist.book_id.to_uuid());
        self.uuid(checklist.user_id.to_uuid());
        self.optional_text(checklist.template_id.as_deref())?;
        self.text(&checklist.name)?;
        self.json(&checklist.tasks)?;
        self.moment(checklist.created_at)?;
        self.moment(checklist.updated_at)?;
        self.object(&checklist.extra)
    }

    /// In the order of `follow_columns!`.
    fn follow(&mut self, follow: &Follow) -> Result<()> {
        self.row(follow_columns!());
        self.uuid(follow.id.to_uuid());
        self.uuid(follow.follower_id.to_uuid());
        self.uuid(follow.author_id.to_uuid());
        self.moment(follow.created_at)?;
        self.object(&follow.extra)
    }

    /// In the order of `post_columns!`.
    fn post(&mut self, post: &Post) -> Result<()> {
        self.row(post_columns!());
        self.uuid(post.id.to_uuid());
        self.uuid(post.author_id.to_uuid());
        self.text(&post.content)?;
        self.json(&post.attachments)?;
        self.text(post.visibility.as_str())?;
        self.moment(post.created_at)?;
        self.moment(post.updated_at)?;
        self.object(&post.extra)
    }

    /// In the order of `comment_columns!`.
    fn comment(&mut self, comment: &Comment) -> Result<()> {
        self.row(comment_columns!());
        self.uuid(comment.post_id.to_uuid());
        self.text(comment.id.as_str())?;
        self.uuid(comment.author_id.to_uuid());
        self.text(&comment.content)?;
        self.moment(comment.created_at)?;
        self.object(&comment.extra)
    }

    /// In the order of `boost_columns!`.
    fn boost(&mut self, boost: &Boost) -> Result<()> {
        self.row(boost_columns!());
        self.uuid(boost.id.to_uuid());
        self.uuid(boost.book_id.to_uuid());
        self.uuid(boost.user_id.to_uuid());
        self.field(&i64::from(boost.duration_days).to_be_bytes())?;
        self.field(&i64::from(boost.position).to_be_bytes())?;
        self.field(&boost.credits_spent.to_be_bytes())?;
        self.field(&[u8::from(boost.active)])?;
        self.moment(boost.started_at)?;
        self.moment(boost.expires_at)?;
        self.object(&boost.extra)
    }

    /// In the order of `competitor_columns!`.
    fn competitor(&mut self, competitor: &Competitor) -> Result<()> {
        self.row(competitor_columns!());
        self.uuid(competitor.id.to_uuid());
        self.uuid(competitor.user_id.to_uuid());
        self.text(competitor.asin.as_str())?;
        self.optional_text(competitor.title.as_deref())?;
        self.optional_text(competitor.author.as_deref())?;
        match competitor.current_price {
            None => self.bytes.extend_from_slice(&NULL),
            Some(price) => self.price(price)?,
        }
        self.optional_text(competitor.currency.as_ref().map(AsRef::as_ref))?;
        self.optional_text(competitor.genre.as_deref())?;
        self.optional_moment(competitor.last_checked)?;
        self.moment(competitor.created_at)?;
        self.object(&competitor.extra)
    }

    /// Starts a row of these columns.
    fn row(&mut self, columns: &str) {
        self.bytes.extend_from_slice(&count(columns));
    }

    /// A `numeric`, by the driver's own encoding.
    fn price(&mut self, price: Price) -> Result<()> {
        let mut buffer = PgArgumentBuffer::default();
        match Encode::<Postgres>::encode_by_ref(&price.amount(), &mut buffer) {
            Ok(_) => self.field(&buffer),
            Err(error) => Err(Error::internal(format!(
                "a price has no binary form: {error}"
            ))),
        }
    }

    fn optional_moment(&mut self, moment: Option<DateTime<Utc>>) -> Result<()> {
        if let Some(moment) = moment {
            return self.moment(moment);
        }
        self.bytes.extend_from_slice(&NULL);
        Ok(())
    }

    fn field(&mut self, bytes: &[u8]) -> Result<()> {
        let length = length(bytes.len())?;
        self.bytes.extend_from_slice(&length);
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn uuid(&mut self, uuid: Uuid) {
        self.bytes.extend_from_slice(&16i32.to_be_bytes());
        self.bytes.extend_from_slice(uuid.as_bytes());
    }

    fn text(&mut self, text: &str) -> Result<()> {
        self.field(text.as_bytes())
    }

    fn optional_text(&mut self, text: Option<&str>) -> Result<()> {
        if let Some(text) = text {
            return self.text(text);
        }
        self.bytes.extend_from_slice(&NULL);
        Ok(())
    }

    fn moment(&mut self, moment: DateTime<Utc>) -> Result<()> {
        match postgres_micros(moment) {
            Some(micros) => self.field(&micros.to_be_bytes()),
            None => Err(Error::internal("a date before 4713 BC was not refused")),
        }
    }

    fn text_array<T: AsRef<str>>(&mut self, texts: &[T]) -> Result<()> {
        self.sized(|buffer| {
            let dimensions = i32::from(!texts.is_empty());
            buffer.bytes.extend_from_slice(&dimensions.to_be_bytes());
            buffer.bytes.extend_from_slice(&0i32.to_be_bytes());
            buffer.bytes.extend_from_slice(&TEXT_OID);
            if !texts.is_empty() {
                let length = length(texts.len())?;
                buffer.bytes.extend_from_slice(&length);
                buffer.bytes.extend_from_slice(&1i32.to_be_bytes());
                for text in texts {
                    buffer.text(text.as_ref())?;
                }
            }
            Ok(())
        })
    }

    fn json<T: Serialize>(&mut self, value: &T) -> Result<()> {
        self.sized(|buffer| {
            buffer.bytes.push(1);
            write_json(&mut buffer.bytes, value)
                .map_err(|error| Error::internal(format!("a value has no JSON: {error}")))
        })
    }

    /// Most records hold nothing beyond the schema.
    fn object(&mut self, extra: &authorstack_core::Extra) -> Result<()> {
        if extra.is_empty() {
            self.field(b"\x01{}")
        } else {
            self.json(extra)
        }
    }

    /// A field whose length is known when it is written.
    fn sized(&mut self, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&NULL);
        write(self)?;
        let length = length(self.bytes.len() - start - NULL.len())?;
        self.bytes[start..start + NULL.len()].copy_from_slice(&length);
        Ok(())
    }
}

fn length(length: usize) -> Result<[u8; 4]> {
    i32::try_from(length)
        .map(i32::to_be_bytes)
        .map_err(|_| Error::invalid("record", "has a value of more than two gigabytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_their_lengths() {
        let mut buffer = Buffer::default();
        buffer.text("aä").unwrap();
        buffer.optional_text(None).unwrap();
        buffer.text_array(&["x", ""]).unwrap();
        buffer.text_array::<&str>(&[]).unwrap();
        buffer.json(&serde_json::json!({"a": 1})).unwrap();
        buffer
            .moment("2000-01-01T00:00:01Z".parse().unwrap())
            .unwrap();
        let mut expected = vec![0, 0, 0, 3, b'a', 0xc3, 0xa4];
        expected.extend([0xff, 0xff, 0xff, 0xff]);
        expected.extend([0, 0, 0, 29, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25]);
        expected.extend([0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, b'x', 0, 0, 0, 0]);
        expected.extend([0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25]);
        expected.extend([0, 0, 0, 8, 1]);
        expected.extend(br#"{"a":1}"#);
        expected.extend([0, 0, 0, 8, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40]);
        assert_eq!(buffer.bytes, expected);
    }

    #[test]
    fn a_large_piece_is_not_kept() {
        let mut buffer = Buffer::default();
        buffer.text(&"x".repeat(10 << 20)).unwrap();
        buffer.clear();
        assert!(buffer.bytes.capacity() <= KEPT);
    }
}
