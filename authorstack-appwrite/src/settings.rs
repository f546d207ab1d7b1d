//! The settings of accounts in their rows.

use std::time::Duration;

use authorstack_core::{
    AccountPreferences, AccountPreferencesPatch, AuthId, Change, Error, ErrorKind, Extra, Result,
    Theme, time,
};
use serde_json::{Map, Value};

use crate::{api::known_id, fields::Fields, store::AppwriteAccounts, user::account};

/// Columns with a meaning. What else is there is the app's own.
const KNOWN: [&str; 4] = ["userId", "theme", "notifications", EXTRA];

/// The column of what has no column, as a text of JSON.
const EXTRA: &str = "extra";

/// How often a write is tried that others come before.
const ATTEMPTS: u32 = 30;

/// A write of settings.
pub(crate) enum Write {
    /// All of them.
    Put(AccountPreferences),
    /// Some of them.
    Patch(AccountPreferencesPatch),
}

/// Reads a row.
pub(crate) fn read(row: &Value, account_id: &AuthId) -> Result<AccountPreferences> {
    let fields = Fields(row);
    let read = || {
        let mut extra = Extra::new();
        for (name, value) in own_columns(row) {
            let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            if !is_empty {
                extra.insert(name.clone(), value.clone());
            }
        }
        if let Some(text) = fields.text(EXTRA)? {
            match serde_json::from_str(text) {
                Ok(Value::Object(more)) => extra.extend(more),
                _ => {
                    return Err(Error::corrupt(
                        "extra: is no JSON object; correct the column",
                    ));
                }
            }
        }
        Ok(AccountPreferences {
            account_id: account_id.clone(),
            theme: fields.parsed::<Theme>("theme")?,
            notifications: fields.flag("notifications")?,
            updated_at: fields.moment("$updatedAt")?,
            extra,
        })
    };
    read().map_err(|error: Error| error.for_record(account_id))
}

/// The columns that AuthorStack does not know.
fn own_columns(row: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let columns = row.as_object().into_iter().flatten();
    columns.filter(|(name, _)| !name.starts_with('$') && !KNOWN.contains(&name.as_str()))
}

/// All columns of a row with these settings. `there` is the row before.
fn columns(settings: &AccountPreferences, there: Option<&Value>) -> Result<Map<String, Value>> {
    let mut data = Map::new();
    data.insert("userId".to_owned(), settings.account_id.as_str().into());
    data.insert("theme".to_owned(), settings.theme.map(Theme::as_str).into());
    data.insert("notifications".to_owned(), settings.notifications.into());
    let mut rest = settings.extra.clone();
    for (name, _) in there.into_iter().flat_map(own_columns) {
        let value = rest.remove(name).unwrap_or(Value::Null);
        data.insert(name.clone(), value);
    }
    let has_column = there.is_some_and(|row| row.get(EXTRA).is_some());
    if !rest.is_empty() {
        let text = serde_json::to_string(&rest);
        let text = text.map_err(|_| Error::internal("settings could not be written as JSON"))?;
        data.insert(EXTRA.to_owned(), text.into());
    } else if has_column {
        data.insert(EXTRA.to_owned(), Value::Null);
    }
    Ok(data)
}

fn changed_columns(patch: &AccountPreferencesPatch) -> Map<String, Value> {
    let theme = match patch.theme {
        Change::Keep => None,
        Change::Clear => Some(Value::Null),
        Change::Set(theme) => Some(theme.as_str().into()),
    };
    let notifications = match patch.notifications {
        Change::Keep => None,
        Change::Clear => Some(Value::Null),
        Change::Set(notifications) => Some(notifications.into()),
    };
    let changes = [("theme", theme), ("notifications", notifications)];
    changes
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// The account must be there.
pub(crate) async fn check_account(accounts: &AppwriteAccounts, id: &AuthId) -> Result<bool> {
    let user = accounts.api().get(&["users", known_id(id)?]).await?;
    Ok(account(&user)?.is_blocked)
}

/// Writes settings. The store decides who comes first: a row that was changed meanwhile is read
/// again.
pub(crate) async fn write(
    accounts: &AppwriteAccounts,
    id: &AuthId,
    write: &Write,
) -> Result<AccountPreferences> {
    for attempt in 1.. {
        let written = match accounts.rows().of(id).await? {
            None => add(accounts, id, write).await,
            Some(row) => change(accounts, id, write, &row).await,
        };
        let came_later = |error: &Error| match error.kind() {
            ErrorKind::Conflict { .. } | ErrorKind::NotFound => true,
            ErrorKind::AlreadyExists { field } => field == "id",
            _ => false,
        };
        match written {
            Ok(settings) => return Ok(settings),
            Err(error) if attempt < ATTEMPTS && came_later(&error) => {
                if error.is_not_found() {
                    // The row, or the account.
                    check_account(accounts, id).await?;
                }
                let most = Duration::from_millis(10).saturating_mul(attempt.min(10));
                tokio::time::sleep(most.mul_f64(rand::random::<f64>())).await;
            }
            Err(error) => return Err(error),
        }
    }
    Err(Error::internal("a write of settings was never tried"))
}

async fn add(
    accounts: &AppwriteAccounts,
    id: &AuthId,
    write: &Write,
) -> Result<AccountPreferences> {
    check_account(accounts, id).await?;
    let settings = match write {
        Write::Put(settings) => settings.clone(),
        Write::Patch(patch) => {
            let mut settings = AccountPreferences::empty(id.clone());
            patch.clone().apply(&mut settings);
            settings
        }
    };
    let row = accounts
        .rows()
        .create(id, &columns(&settings, None)?)
        .await?;
    // The account may have been deleted before the row was there.
    if let Err(error) = check_account(accounts, id).await {
        if error.is_not_found() {
            accounts.rows().delete(id).await?;
        }
        return Err(error);
    }
    read(&row, id)
}

async fn change(
    accounts: &AppwriteAccounts,
    id: &AuthId,
    write: &Write,
    row: &Value,
) -> Result<AccountPreferences> {
    check_account(accounts, id).await?;
    let fields = Fields(row);
    let mut data = match write {
        Write::Put(settings) => columns(settings, Some(row))?,
        Write::Patch(patch) => {
            // What cannot be read is not built upon.
            read(row, id)?;
            changed_columns(patch)
        }
    };
    let before = fields.moment("$updatedAt")?;
    // The server's clock has milliseconds, in which two writes may fall.
    let moment = before.map_or_else(time::now, time::next_update);
    let moment = moment.format("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string();
    data.insert("$updatedAt".to_owned(), moment.into());
    let row_id = fields.needed("$id")?;
    let since = fields.text("$updatedAt")?;
    let row = accounts.rows().update(row_id, &data, since).await?;
    read(&row, id)
}

/// Deletes the settings of an account.
pub(crate) async fn delete(accounts: &AppwriteAccounts, id: &AuthId) -> Result<()> {
    match accounts.rows().delete(id).await {
        // An app without settings may have no table for them.
        Err(error)
            if matches!(error.kind(), ErrorKind::Configuration { setting, .. }
            if *setting == crate::config::TABLE || *setting == crate::config::DATABASE) =>
        {
            tracing::debug!(%error, "there is no table of settings");
            Ok(())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id() -> AuthId {
        "u-1".parse().unwrap()
    }

    #[test]
    fn a_row_of_another_app_is_read_whole() {
        let row = json!({
            "$id": "x", "$updatedAt": "2026-11-25T23:40:41.886+00:00", "userId": "u-1",
            "theme": "dark", "notifications": null, "language": "de", "tags": [], "font": null,
            "extra": "{\"n\":2}",
        });
        let settings = read(&row, &id()).unwrap();
        assert_eq!(
            (settings.theme, settings.notifications),
            (Some(Theme::Dark), None)
        );
        assert_eq!(
            Value::from(settings.extra.clone()),
            json!({ "language": "de", "n": 2 })
        );
        let data = columns(&settings, Some(&row)).unwrap();
        assert_eq!(data["language"], "de");
        assert_eq!(data["extra"], "{\"n\":2}");
        assert!(data["font"].is_null() && data["tags"].is_null());
        let cleared = AccountPreferences::empty(id());
        let data = columns(&cleared, Some(&row)).unwrap();
        assert!(data["extra"].is_null() && data["language"].is_null());
        // A table without the column is left alone.
        assert!(!columns(&cleared, None).unwrap().contains_key("extra"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (name, value) in [
            ("theme", json!("pink")),
            ("theme", json!(1)),
            ("notifications", json!("yes")),
            ("extra", json!("dark")),
            ("extra", json!("[1]")),
            ("$updatedAt", json!("soon")),
        ] {
            let mut row = json!({ "$id": "x", "userId": "u-1" });
            row[name] = value;
            let error = read(&row, &id()).unwrap_err();
            assert_eq!(error.kind().code(), "corrupt");
            assert!(error.to_string().contains(name), "{error}");
            assert_eq!(error.record(), Some("u-1"));
        }
    }
}
