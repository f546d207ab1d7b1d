//! Records in the binary form of COPY.

use std::collections::BTreeMap;

use authorstack_core::{
    Amount, Book, Boost, Checklist, Comment, Competitor, Confidence, DailyAggregate, Error, Follow,
    Forecast, Insight, InsightKind, Post, Price, Result, Sale, Sums, SyncLog, User,
    migrate::{Kind, Record},
};
use authorstack_sql::row_columns;
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
            Record::Sale(sale) => self.sale(sale),
            Record::DailyAggregate(day) => self.aggregate(day),
            Record::SyncLog(log) => self.sync_log(log),
            Record::Insight(insight) => self.insight(insight),
            Record::Forecast(forecast) => self.forecast(forecast),
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

    /// In the order of `row_columns`.
    fn sale(&mut self, sale: &Sale) -> Result<()> {
        self.row_of(Kind::SalesData);
        self.field(&sale.id.to_be_bytes())?;
        self.uuid(sale.user_id.to_uuid());
        self.uuid(sale.book_id.to_uuid());
        self.text(sale.platform.as_str())?;
        self.encoded(&sale.date)?;
        self.encoded(&sale.revenue.to_decimal())?;
        self.field(&sale.units.to_be_bytes())?;
        self.field(&sale.page_reads.to_be_bytes())?;
        self.text(sale.currency.as_str())?;
        self.optional_moment(sale.synced_at)
    }

    /// In the order of `row_columns`.
    fn aggregate(&mut self, day: &DailyAggregate) -> Result<()> {
        let whole = |field: &'static str, number: i64| {
            let number = i32::try_from(number);
            number.map_err(|_| Error::invalid(field, "is larger than the table can hold"))
        };
        self.row_of(Kind::DailyAggregates);
        self.field(&day.id.to_be_bytes())?;
        self.uuid(day.user_id.to_uuid());
        self.encoded(&day.date)?;
        self.encoded(&day.totals.revenue)?;
        self.field(&whole("total_units", day.totals.units)?.to_be_bytes())?;
        self.field(&whole("total_page_reads", day.totals.page_reads)?.to_be_bytes())?;
        self.breakdown(&day.platform_breakdown)?;
        self.breakdown(&day.book_breakdown)
    }

    /// Sums by platform or book. Amounts are numbers of JSON, exact to the cent.
    fn breakdown<K: std::fmt::Display>(&mut self, sums: &BTreeMap<K, Sums>) -> Result<()> {
        let entries = sums.iter().map(|(key, sums)| {
            let key = serde_json::Value::from(key.to_string());
            let (revenue, units, reads) = (sums.revenue, sums.units, sums.page_reads);
            format!(r#"{key}:{{"revenue":{revenue},"units":{units},"page_reads":{reads}}}"#)
        });
        let entries: Vec<String> = entries.collect();
        self.field(format!("\u{1}{{{}}}", entries.join(",")).as_bytes())
    }

    /// In the order of `row_columns`.
    fn sync_log(&mut self, log: &SyncLog) -> Result<()> {
        self.row_of(Kind::SyncLogs);
        self.field(&log.id.to_be_bytes())?;
        self.uuid(log.user_id.to_uuid());
        self.text(log.platform.as_str())?;
        self.text(log.status.as_str())?;
        self.field(&log.records_synced.to_be_bytes())?;
        self.optional_text(log.error_message.as_deref())?;
        self.optional_moment(log.synced_at)
    }

    /// In the order of `row_columns`.
    fn insight(&mut self, insight: &Insight) -> Result<()> {
        self.row_of(Kind::AiInsights);
        self.field(&insight.id.to_be_bytes())?;
        self.uuid(insight.user_id.to_uuid());
        match insight.book_id {
            None => self.bytes.extend_from_slice(&NULL),
            Some(book) => self.uuid(book.to_uuid()),
        }
        self.optional_text(insight.kind.as_ref().map(InsightKind::as_str))?;
        self.json(&insight.content)?;
        self.optional(insight.confidence.map(Confidence::to_decimal).as_ref())?;
        self.optional_moment(insight.valid_until)?;
        self.optional_moment(insight.created_at)
    }

    /// In the order of `row_columns`.
    fn forecast(&mut self, forecast: &Forecast) -> Result<()> {
        self.row_of(Kind::RevenueForecasts);
        self.field(&forecast.id.to_be_bytes())?;
        self.uuid(forecast.user_id.to_uuid());
        self.encoded(&forecast.date)?;
        self.optional(forecast.predicted.map(Amount::to_decimal).as_ref())?;
        self.optional(forecast.actual.map(Amount::to_decimal).as_ref())?;
        self.optional(forecast.confidence.map(Confidence::to_decimal).as_ref())?;
        match &forecast.factors {
            None => self.bytes.extend_from_slice(&NULL),
            Some(factors) => self.json(factors)?,
        }
        self.optional_moment(forecast.created_at)
    }

    /// Starts a row of these columns.
    fn row(&mut self, columns: &str) {
        self.bytes.extend_from_slice(&count(columns));
    }

    /// Starts a row of the analytics.
    fn row_of(&mut self, kind: Kind) {
        self.row(row_columns(kind).unwrap_or_default());
    }

    fn price(&mut self, price: Price) -> Result<()> {
        self.encoded(&price.amount())
    }

    /// A number or a day, by the driver's own encoding.
    fn encoded<'v, T: Encode<'v, Postgres>>(&mut self, value: &T) -> Result<()> {
        let mut buffer = PgArgumentBuffer::default();
        match value.encode_by_ref(&mut buffer) {
            Ok(_) => self.field(&buffer),
            Err(error) => Err(Error::internal(format!(
                "a value has no binary form: {error}"
            ))),
        }
    }

    fn optional<'v, T: Encode<'v, Postgres>>(&mut self, value: Option<&T>) -> Result<()> {
        if let Some(value) = value {
            return self.encoded(value);
        }
        self.bytes.extend_from_slice(&NULL);
        Ok(())
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
