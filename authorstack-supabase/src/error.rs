//! The driver's errors, in the words of a Supabase project.

use std::fmt;

use authorstack_core::Error;

pub(crate) use authorstack_sql::{has_code, is_data_error, is_duplicate_object};

/// An error of a statement on an open connection.
pub(crate) fn from_sqlx(error: sqlx::Error) -> Error {
    authorstack_sql::from_sqlx(error, &crate::config::SERVER)
}

/// A record in a message.
pub(crate) fn user_label(id: impl fmt::Display) -> String {
    format!("user {id}")
}
