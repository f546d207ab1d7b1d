//! New passwords for accounts whose hash could not move here.

use std::{num::NonZeroU32, time::Duration};

use authorstack_core::{AuthId, Email, Error, ErrorKind, Phone, Result};
use authorstack_sql::get;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use sqlx::{postgres::PgRow, query};
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::store::SupabaseAccounts;
use crate::account_rows::auth_id;

/// An account that has lost its password in a move, and has set no new one yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostPassword {
    /// The account.
    pub account_id: AuthId,
    /// Its e-mail address.
    pub email: Option<Email>,
    /// Its phone number.
    pub phone: Option<Phone>,
    /// The algorithm of the hash that stayed behind, such as `md5`.
    pub algorithm: String,
}

/// What [`SupabaseAccounts::send_resets`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ResetsSent {
    /// How many links were sent.
    pub sent: u64,
    /// How many accounts have no e-mail address: theirs is for the host to reach by phone.
    pub without_address: u64,
    /// How many links the server refused to send, most often because it has just sent one. Repeat
    /// the call later.
    pub refused: u64,
}

/// Rows that a stream reads at once.
const PAGE: i64 = 500;

const SELECT: &str = "\
    select id, email, phone, raw_app_meta_data ->> 'password_lost' from auth.users \
    where id > $1 and deleted_at is null and coalesce(encrypted_password, '') = '' \
      and raw_app_meta_data ? 'password_lost' \
    order by id limit $2";

fn lost(row: &PgRow) -> Result<LostPassword> {
    let id: Uuid = get(row, 0)?;
    let own = |error: Error| Error::corrupt(error.kind().to_string()).for_record(id);
    let filled = |text: &String| !text.is_empty();
    let email = get::<Option<String>>(row, 1)?.filter(filled);
    let phone = get::<Option<String>>(row, 2)?.filter(filled);
    let phone = phone.map(|digits| format!("+{digits}").parse());
    Ok(LostPassword {
        account_id: auth_id(id)?,
        email: email.map(|it| it.parse()).transpose().map_err(own)?,
        phone: phone.transpose().map_err(own)?,
        algorithm: get::<Option<String>>(row, 3)?.unwrap_or_default(),
    })
}

impl SupabaseAccounts {
    /// Streams the accounts that have lost their password in a move and have set no new one yet, with
    /// constant memory. One that cannot be read comes as an error of kind
    /// [`Corrupt`](ErrorKind::Corrupt), and the stream goes on.
    #[must_use]
    pub fn lost_passwords(&self) -> BoxStream<'static, Result<LostPassword>> {
        let start = Some((self.clone(), Uuid::nil()));
        let pages = stream::unfold(start, |state| async move {
            let (accounts, after) = state?;
            let rows = match accounts.rows(query(SELECT).bind(after).bind(PAGE)).await {
                Ok(rows) => rows,
                Err(error) => return Some((vec![Err(error)], None)),
            };
            let next = match rows.last().map(|row| get::<Uuid>(row, 0)) {
                None => return None,
                Some(Ok(last)) => Some((accounts, last)),
                Some(Err(error)) => return Some((vec![Err(error)], None)),
            };
            Some((rows.iter().map(lost).collect(), next))
        });
        pages.flat_map(stream::iter).boxed()
    }

    /// Sends an account a link to set a new password, by e-mail.
    ///
    /// The server answers alike for an address that nobody has.
    ///
    /// # Errors
    /// [`RateLimited`](ErrorKind::RateLimited) where the project sends no more for now; Invalid,
    /// Timeout or Unavailable of the server.
    pub async fn send_reset(&self, email: &Email) -> Result<()> {
        self.inner().admin.send_reset(email).await
    }

    /// Sends a link to each account that has lost its password, at most so many a minute: projects
    /// and providers of mail have limits. Repeated, it sends again to those that have not followed
    /// theirs.
    ///
    /// # Errors
    /// Configuration, Timeout or Unavailable of the server: those before it have their links.
    pub async fn send_resets(&self, per_minute: NonZeroU32) -> Result<ResetsSent> {
        let mut pace = interval(Duration::from_mins(1) / per_minute.get());
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut done = ResetsSent::default();
        let mut lost = self.lost_passwords();
        while let Some(account) = lost.next().await {
            let account = match account {
                Ok(account) => account,
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt { .. }) => {
                    done.refused += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(email) = account.email else {
                done.without_address += 1;
                continue;
            };
            pace.tick().await;
            match self.send_reset(&email).await {
                Ok(()) => done.sent += 1,
                Err(error) => match error.kind() {
                    ErrorKind::RateLimited { .. } | ErrorKind::Invalid { .. } => done.refused += 1,
                    _ => return Err(error),
                },
            }
        }
        Ok(done)
    }
}
