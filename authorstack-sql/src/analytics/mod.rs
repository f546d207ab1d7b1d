//! The analytics repositories on PostgreSQL: one text for each statement, in the words of the
//! database's dialect.

mod aggregates;
mod forecasts;
mod insights;
mod rows;
mod sales;
mod sync_logs;

use std::sync::Arc;

use authorstack_core::{
    AggregateRepository, AnalyticsStore, Confidence, Error, ForecastRepository, Id,
    InsightRepository, Result, SalesRepository, SyncLogRepository,
    migrate::{Kind, Record},
};
use rust_decimal::Decimal;
use sqlx::{AssertSqlSafe, postgres::PgRow, query};
use uuid::Uuid;

use crate::{Bytes, Pool, Statement, get};

pub use rows::{json_columns, lasting_columns, row_columns, row_digest, unique_columns};

/// What differs between an Azure database and a Supabase project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Whether moments are `TIMESTAMP` columns that hold UTC, rather than `timestamptz`.
    pub plain_timestamps: bool,
    /// Whether the users and books are tables beside, so that an owner can be asked for.
    pub has_books: bool,
    /// How ids are written as UUIDs.
    pub ids: IdForm,
}

impl Dialect {
    /// What [`SqlAnalytics::record`] reads of a table of the analytics; `None` for other kinds.
    #[must_use]
    pub fn select_list(self, kind: Kind) -> Option<Arc<str>> {
        let columns = match kind {
            Kind::SalesData => sales::COLUMNS,
            Kind::DailyAggregates => aggregates::COLUMNS,
            Kind::SyncLogs => sync_logs::COLUMNS,
            Kind::AiInsights => insights::COLUMNS,
            Kind::RevenueForecasts => forecasts::COLUMNS,
            _ => return None,
        };
        Some(in_dialect(self, columns))
    }
}

/// How a 24-digit id stands in a `uuid` column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IdForm {
    /// AuthorStack's own form, [`Id::to_uuid`].
    #[default]
    Embedded,
    /// Eight zeros before the digits.
    PaddedLeft,
    /// Eight zeros behind the digits.
    PaddedRight,
}

impl IdForm {
    /// The id as a UUID of this form.
    #[must_use]
    pub fn write<T>(self, id: Id<T>) -> Uuid {
        let digits = id.to_bytes();
        let mut bytes = [0; 16];
        match self {
            Self::Embedded => return id.to_uuid(),
            Self::PaddedLeft => bytes[4..].copy_from_slice(&digits),
            Self::PaddedRight => bytes[..12].copy_from_slice(&digits),
        }
        Uuid::from_bytes(bytes)
    }

    /// The id that a UUID of this form holds.
    ///
    /// # Errors
    /// Invalid for `id` when the UUID has another form.
    pub fn read<T>(self, uuid: Uuid) -> Result<Id<T>> {
        let bytes = uuid.as_bytes();
        let mut digits = [0; 12];
        match self {
            Self::Embedded => return Id::from_uuid(uuid),
            Self::PaddedLeft => digits.copy_from_slice(&bytes[4..]),
            Self::PaddedRight => digits.copy_from_slice(&bytes[..12]),
        }
        let id = Id::from_bytes(digits);
        if self.write(id) == uuid {
            Ok(id)
        } else {
            let reason = format!("the UUID {uuid} is no id padded with zeros in the way chosen");
            Err(Error::invalid("id", reason))
        }
    }

    /// SQL for the id's 24 digits, of a `uuid` column of this form.
    #[must_use]
    pub fn digits(self, column: &str) -> String {
        match self {
            Self::Embedded => format!(
                "(substr({column}::text, 1, 8) || substr({column}::text, 10, 4) || \
                 substr({column}::text, 16, 3) || substr({column}::text, 21, 3) || \
                 substr({column}::text, 25, 6))"
            ),
            Self::PaddedLeft => format!("substr(replace({column}::text, '-', ''), 9)"),
            Self::PaddedRight => format!("substr(replace({column}::text, '-', ''), 1, 24)"),
        }
    }
}

/// The analytics of an app on PostgreSQL.
#[derive(Debug, Clone)]
pub struct SqlAnalytics {
    pool: Pool,
    dialect: Dialect,
    texts: Arc<Texts>,
}

/// The statements, made once.
#[derive(Debug)]
struct Texts {
    sales: sales::Texts,
    aggregates: aggregates::Texts,
    sync_logs: sync_logs::Texts,
    insights: insights::Texts,
    forecasts: forecasts::Texts,
}

impl SqlAnalytics {
    /// The repositories over these connections.
    #[must_use]
    pub fn new(pool: Pool, dialect: Dialect) -> Self {
        let texts = Arc::new(Texts {
            sales: sales::Texts::new(dialect),
            aggregates: aggregates::Texts::new(dialect),
            sync_logs: sync_logs::Texts::new(dialect),
            insights: insights::Texts::new(dialect),
            forecasts: forecasts::Texts::new(dialect),
        });
        Self {
            pool,
            dialect,
            texts,
        }
    }

    /// Reads a row of [`Dialect::select_list`] as the record of its kind.
    ///
    /// # Errors
    /// Corrupt for a row that is no record; Internal for a kind that is none of the analytics.
    pub fn record(&self, kind: Kind, row: &PgRow) -> Result<Record> {
        let these = || self.clone();
        match kind {
            Kind::SalesData => sales::SqlSales(these()).sale(row).map(Record::from),
            Kind::DailyAggregates => aggregates::SqlAggregates(these())
                .day(row)
                .map(Record::from),
            Kind::SyncLogs => sync_logs::SqlSyncLogs(these()).log(row).map(Record::from),
            Kind::AiInsights => insights::SqlInsights(these())
                .insight(row)
                .map(Record::from),
            Kind::RevenueForecasts => {
                let forecast = forecasts::SqlForecasts(these()).forecast(row);
                forecast.map(Record::from)
            }
            other => Err(Error::internal(format!("{other} are no analytics"))),
        }
    }

    fn uuid<T>(&self, id: Id<T>) -> Uuid {
        self.dialect.ids.write(id)
    }

    fn id<T>(&self, uuid: Uuid, field: &'static str) -> Result<Id<T>> {
        let id = self.dialect.ids.read(uuid);
        id.map_err(|error| Error::corrupt(format!("{field}: {}", error.kind())))
    }
}

impl AnalyticsStore for SqlAnalytics {
    fn sales(&self) -> Arc<dyn SalesRepository> {
        Arc::new(sales::SqlSales(self.clone()))
    }

    fn aggregates(&self) -> Arc<dyn AggregateRepository> {
        Arc::new(aggregates::SqlAggregates(self.clone()))
    }

    fn sync_logs(&self) -> Arc<dyn SyncLogRepository> {
        Arc::new(sync_logs::SqlSyncLogs(self.clone()))
    }

    fn insights(&self) -> Arc<dyn InsightRepository> {
        Arc::new(insights::SqlInsights(self.clone()))
    }

    fn forecasts(&self) -> Arc<dyn ForecastRepository> {
        Arc::new(forecasts::SqlForecasts(self.clone()))
    }
}

/// A statement in the dialect: `utc(x)` turns a stored moment into one with its zone, and back.
fn in_dialect(dialect: Dialect, text: &str) -> Arc<str> {
    let utc = if dialect.plain_timestamps {
        "timezone('UTC', "
    } else {
        "("
    };
    text.replace("utc(", utc).into()
}

/// The texts are made of constants and the dialect alone.
fn statement(text: &Arc<str>) -> Statement<'static> {
    query(AssertSqlSafe(Arc::clone(text)))
}

fn named<T>(result: Result<T>, operation: &'static str) -> Result<T> {
    result.map_err(|error| error.in_operation(operation))
}

fn parsed<T: std::str::FromStr<Err = Error>>(row: &PgRow, index: usize) -> Result<T> {
    let text: &str = get(row, index)?;
    text.parse()
        .map_err(|error: Error| Error::corrupt(error.kind().to_string()))
}

/// A column of `jsonb`.
fn json(row: &PgRow, index: usize) -> Result<Option<serde_json::Value>> {
    let bytes: Option<Bytes<'_>> = get(row, index)?;
    let value = bytes.map(|Bytes(json)| serde_json::from_slice(json));
    value
        .transpose()
        .map_err(|error| Error::corrupt(format!("column {index}: {error}")))
}

fn confidence(row: &PgRow, index: usize) -> Result<Option<Confidence>> {
    let found: Option<Decimal> = get(row, index)?;
    let found = found.map(Confidence::new).transpose();
    found.map_err(|error| Error::corrupt(error.kind().to_string()))
}
