//! The shared parts of the analytics repositories.

use std::sync::Arc;

use authorstack_core::{
    Cursor, Error, Id, Listed, Page, Result, Unreadable, User, migrate::Stored,
};
use sqlx::{
    AssertSqlSafe,
    postgres::{PgArguments, PgRow},
    query, query_with,
};
use uuid::Uuid;

use super::dialect::Dialect;
use crate::{ArgumentWriter, Pool, Statement, fields::row_number, get, read, read_listed};

/// The connections, and the form of the rows.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) pool: Pool,
    pub(super) dialect: Dialect,
}

impl Base {
    pub(super) fn uuid<T>(&self, id: Id<T>) -> Uuid {
        self.dialect.ids.write(id)
    }

    /// Refuses an unknown user, where the database holds the users too.
    pub(super) async fn known_user(&self, user_id: Id<User>) -> Result<()> {
        if !self.dialect.has_books {
            return Ok(());
        }
        let known = query("select from public.users where id = $1").bind(self.uuid(user_id));
        match self.pool.fetch_optional(known).await? {
            Some(_) => Ok(()),
            None => Err(unknown_user(user_id)),
        }
    }

    pub(super) fn id<T>(&self, uuid: Uuid, field: &'static str) -> Result<Id<T>> {
        let id = self.dialect.ids.read(uuid);
        id.map_err(|error| Error::corrupt(format!("{field}: {}", error.kind())))
    }

    pub(super) fn read<T: Stored>(&self, row: &PgRow) -> Result<T> {
        read(row, self.dialect.ids)
    }

    /// Reads a row for a list.
    pub(super) fn listed<T: Stored>(&self, row: &PgRow) -> Result<T, Unreadable> {
        read_listed(row, self.dialect.ids)
    }

    /// Reads all rows of a list.
    pub(super) fn read_all<T: Stored>(&self, rows: &[PgRow]) -> Listed<T> {
        rows.iter().map(|row| self.listed(row)).collect()
    }

    /// The page of rows whose first column is their number.
    pub(super) fn numbered<T: Stored>(&self, rows: &[PgRow], limit: u32) -> Page<T> {
        let number = |row: &PgRow| row_number(row, 0).map(Cursor::behind_row);
        Page::from_rows(rows, limit, |row| self.listed(row), number)
    }

    /// The arguments of an insert, without the row's number: the table assigns it.
    pub(super) fn arguments<T: Stored>(&self, row: &T) -> Result<PgArguments> {
        let mut writer = ArgumentWriter::with_ids(self.dialect.ids)
            .without("id")
            .without_extra();
        row.write(&mut writer)?;
        Ok(writer.into_arguments())
    }
}

pub(super) fn unknown_user(id: Id<User>) -> Error {
    Error::not_found().for_record(format_args!("user {id}"))
}

/// The texts contain only constants and parts of the dialect.
pub(super) fn statement(text: &Arc<str>) -> Statement<'static> {
    query(AssertSqlSafe(Arc::clone(text)))
}

pub(super) fn statement_with(text: &Arc<str>, arguments: PgArguments) -> Statement<'static> {
    query_with(AssertSqlSafe(Arc::clone(text)), arguments)
}

pub(super) fn parsed<T: std::str::FromStr<Err = Error>>(row: &PgRow, index: usize) -> Result<T> {
    let text: &str = get(row, index)?;
    text.parse()
        .map_err(|error: Error| Error::corrupt(error.kind().to_string()))
}
