//! The driver's errors, with messages for a Supabase project.

use std::fmt;

use authorstack_core::Error;

use crate::config::SERVER;

/// An error of a statement on an open connection.
pub(crate) fn from_sqlx(error: sqlx::Error) -> Error {
    authorstack_sql::from_sqlx(error, &SERVER)
}

/// A user in a message.
pub(crate) fn user_label(id: impl fmt::Display) -> String {
    format!("user {id}")
}
