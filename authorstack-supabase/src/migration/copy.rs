//! Records in the binary form of COPY.

use authorstack_core::{
    Error, Extra, Result,
    fields::{Field, FieldWriter, Fields, Shape, Texts, Value},
    migrate::{Kind, Record},
};
use authorstack_sql::{integer, is_integer, postgres_micros, write_json, write_sums};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::{Encode, PgConnection, Postgres, postgres::PgArgumentBuffer};
use uuid::Uuid;

use super::normal::normal_json;

/// How many bytes are encoded before they are sent. The server reads them while the next piece is
/// encoded.
const PIECE: usize = 1 << 20;
/// The first piece is smaller, so that the server begins at once.
const FIRST_PIECE: usize = PIECE / 16;
/// A buffer larger than this, after a large record, is shrunk.
const KEPT: usize = 4 * PIECE;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: &[u8] = &(-1i16).to_be_bytes();
pub(super) const NULL: [u8; 4] = (-1i32).to_be_bytes();
const TEXT_OID: [u8; 4] = 25i32.to_be_bytes();

/// PostgreSQL counts days from here.
const FIRST_OF_2000: NaiveDate = match NaiveDate::from_ymd_opt(2000, 1, 1) {
    Some(day) => day,
    None => NaiveDate::MIN,
};

/// How many columns the table of a kind has; a row of COPY begins with this number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "tables have few columns"
)]
fn count(kind: Kind) -> [u8; 2] {
    let columns = kind.fields().iter().filter(|field| field.column.is_some());
    let extra = i16::from(kind.has_extra());
    (columns.count() as i16 + extra).to_be_bytes()
}

/// Why a COPY failed.
pub(super) enum CopyError {
    /// A record has no binary form.
    Encoding(Error),
    /// An error of the server or the connection.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for CopyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Copies records. Returns how many rows the server accepted.
pub(super) async fn copy<'r>(
    connection: &mut PgConnection,
    statement: &'static str,
    records: impl Iterator<Item = &'r Record> + Send,
    buffer: &mut Buffer,
) -> Result<u64, CopyError> {
    copy_rows(connection, statement, records, buffer, Buffer::record).await
}

/// Copies rows of any form: a function writes each to the buffer.
pub(super) async fn copy_rows<T: Send>(
    connection: &mut PgConnection,
    statement: &'static str,
    rows: impl Iterator<Item = T> + Send,
    buffer: &mut Buffer,
    write: impl Fn(&mut Buffer, T) -> Result<()> + Send,
) -> Result<u64, CopyError> {
    let mut copy = connection.copy_in_raw(statement).await?;
    buffer.start();
    let mut piece = FIRST_PIECE;
    for row in rows {
        if let Err(error) = write(buffer, row) {
            copy.abort("a record has no binary form").await?;
            return Err(CopyError::Encoding(error));
        }
        if buffer.bytes.len() >= piece {
            copy.send(buffer.bytes.as_slice()).await?;
            buffer.clear();
            piece = PIECE;
        }
    }
    buffer.bytes.extend_from_slice(TRAILER);
    copy.send(buffer.bytes.as_slice()).await?;
    buffer.clear();
    Ok(copy.finish().await?)
}

/// Writes the form in which the server gives a record back: a row of COPY, with JSON
/// in the server's own form. Returns whether it is known exactly.
pub(super) fn write_stored(record: &Record, form: &mut Vec<u8>) -> bool {
    let mut buffer = Buffer::default();
    std::mem::swap(&mut buffer.bytes, form);
    buffer.exact = Some(true);
    let written = buffer.record(record);
    *form = buffer.bytes;
    written.is_ok() && buffer.exact == Some(true)
}

/// The buffer for encoded rows. It is reused for the next batch.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// Whether a record without unknown fields has null there: rows of the analytics do.
    extra_may_be_null: bool,
    /// Set while the stored form of a record is written: whether it is known exactly.
    exact: Option<bool>,
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

    /// A row, in the order of the table's columns.
    fn record(&mut self, record: &Record) -> Result<()> {
        self.bytes.extend_from_slice(&count(record.kind()));
        self.extra_may_be_null = record.kind().is_numbered();
        record.write(self)
    }

    /// Begins a row of so many columns.
    pub(super) fn row(&mut self, columns: i16) {
        self.bytes.extend_from_slice(&columns.to_be_bytes());
        self.extra_may_be_null = false;
    }

    pub(super) fn field(&mut self, bytes: &[u8]) -> Result<()> {
        let length = length(bytes.len())?;
        self.bytes.extend_from_slice(&length);
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn none(&mut self) {
        self.bytes.extend_from_slice(&NULL);
    }

    pub(super) fn uuid(&mut self, uuid: Uuid) -> Result<()> {
        self.field(uuid.as_bytes())
    }

    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        self.field(text.as_bytes())
    }

    pub(super) fn moment(&mut self, moment: DateTime<Utc>) -> Result<()> {
        if !moment.timestamp_subsec_nanos().is_multiple_of(1_000) {
            self.is_inexact();
        }
        match postgres_micros(moment) {
            Some(micros) => self.field(&micros.to_be_bytes()),
            None => Err(Error::invalid("date", "is before 4713 BC; correct it")),
        }
    }

    fn day(&mut self, day: NaiveDate) -> Result<()> {
        // All days of `chrono` fit.
        let days = day.signed_duration_since(FIRST_OF_2000).num_days();
        let days = i32::try_from(days).map_err(|_| Error::internal("a day is out of range"))?;
        self.field(&days.to_be_bytes())
    }

    /// Encodes a number with the driver's own encoding.
    fn encoded<'v, T: Encode<'v, Postgres>>(&mut self, value: &T) -> Result<()> {
        let mut buffer = PgArgumentBuffer::default();
        match value.encode_by_ref(&mut buffer) {
            Ok(_) => self.field(&buffer),
            Err(error) => Err(Error::internal(format!(
                "a value has no binary form: {error}"
            ))),
        }
    }

    fn texts(&mut self, texts: &dyn Texts) -> Result<()> {
        self.sized(|buffer| {
            let dimensions = i32::from(texts.count() > 0);
            buffer.bytes.extend_from_slice(&dimensions.to_be_bytes());
            buffer.bytes.extend_from_slice(&0i32.to_be_bytes());
            buffer.bytes.extend_from_slice(&TEXT_OID);
            if texts.count() > 0 {
                let length = length(texts.count())?;
                buffer.bytes.extend_from_slice(&length);
                buffer.bytes.extend_from_slice(&1i32.to_be_bytes());
                for text in texts.texts() {
                    buffer.text(text)?;
                }
            }
            Ok(())
        })
    }

    pub(super) fn json<T: Serialize>(&mut self, value: &T) -> Result<()> {
        self.sized(|buffer| {
            buffer.bytes.push(1);
            let start = buffer.bytes.len();
            write_json(&mut buffer.bytes, value)
                .map_err(|error| Error::internal(format!("a value has no JSON: {error}")))?;
            buffer.normalize(start);
            Ok(())
        })
    }

    /// Brings the JSON at the end into the form in which the server gives it back.
    fn normalize(&mut self, start: usize) {
        if self.exact.is_none() {
            return;
        }
        let compact = self.bytes.split_off(start);
        if !normal_json(&compact, &mut self.bytes) {
            self.is_inexact();
        }
    }

    fn is_inexact(&mut self) {
        self.exact = self.exact.map(|_| false);
    }

    /// Writes a field whose length is known only after writing it.
    fn sized(&mut self, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&NULL);
        write(self)?;
        let length = length(self.bytes.len() - start - NULL.len())?;
        self.bytes[start..start + NULL.len()].copy_from_slice(&length);
        Ok(())
    }
}

impl FieldWriter for Buffer {
    fn value(&mut self, field: &'static Field, value: Option<Value<'_>>) -> Result<()> {
        if field.column.is_none() {
            return Ok(());
        }
        let Some(value) = value else {
            self.none();
            return Ok(());
        };
        match value {
            Value::Id(id) => self.uuid(id.to_uuid()),
            Value::Text(text) => self.text(text),
            Value::Texts(texts) => self.texts(texts),
            Value::Bool(yes) => self.field(&[u8::from(yes)]),
            Value::Whole(number) => match field.shape {
                Shape::Whole(first, last) if is_integer(first, last) => {
                    self.field(&integer(field, number)?.to_be_bytes())
                }
                _ => self.field(&number.to_be_bytes()),
            },
            Value::Float(number) => self.field(&number.to_be_bytes()),
            Value::Decimal(number) => self.encoded(&number),
            Value::Day(day) => self.day(day),
            Value::Moment(moment) => self.moment(moment),
            Value::Json(json) => self.json(json),
            Value::Sums(sums) => self.sized(|buffer| {
                buffer.bytes.push(1);
                let start = buffer.bytes.len();
                write_sums(&mut buffer.bytes, sums);
                buffer.normalize(start);
                Ok(())
            }),
        }
    }

    fn part<T: Fields + Serialize>(&mut self, field: &'static Field, part: &T) -> Result<()> {
        if field.column.is_none() {
            return Ok(());
        }
        self.json(part)
    }

    fn parts<T: Fields + Serialize>(&mut self, field: &'static Field, parts: &[T]) -> Result<()> {
        if field.column.is_none() {
            return Ok(());
        }
        self.json(&parts)
    }

    /// Most records have no unknown fields.
    fn extra(&mut self, extra: &Extra) -> Result<()> {
        if extra.is_empty() && self.extra_may_be_null {
            self.none();
            Ok(())
        } else if extra.is_empty() {
            self.field(b"\x01{}")
        } else {
            self.json(extra)
        }
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
        buffer.none();
        buffer.texts(&vec!["x", ""]).unwrap();
        buffer.texts(&Vec::<&str>::new()).unwrap();
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
        buffer.day("2000-01-02".parse().unwrap()).unwrap();
        buffer.day("1999-12-31".parse().unwrap()).unwrap();
        expected.extend([0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]);
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
