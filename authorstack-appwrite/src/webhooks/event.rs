use authorstack_core::{Account, AccountPreferences, AuthId, Error, Result, SessionId};
use serde_json::Value;

use super::seen::DeliveryKey;
use crate::{fields::Fields, settings, user::account};

/// What a webhook tells of. None of it holds a hash or a secret; the body does.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum WebhookEvent {
    /// An account was created.
    AccountCreated(Box<Account>),
    /// An account was changed; this is how it was then.
    AccountChanged(Box<Account>),
    /// The prefs of an account were changed.
    PrefsChanged {
        /// The account.
        account_id: AuthId,
    },
    /// An account was deleted.
    AccountDeleted {
        /// The account.
        account_id: AuthId,
    },
    /// A session has begun.
    SessionBegan {
        /// The account.
        account_id: AuthId,
        /// The session.
        session_id: SessionId,
    },
    /// A session has ended.
    SessionEnded {
        /// The account.
        account_id: AuthId,
        /// The session.
        session_id: SessionId,
    },
    /// Settings were stored; this is how they were then.
    PreferencesChanged(Box<AccountPreferences>),
    /// Settings were deleted.
    PreferencesDeleted {
        /// The account.
        account_id: AuthId,
    },
    /// Something else.
    Other {
        /// The name of the event.
        name: String,
    },
}

/// A delivery of a webhook, with a signature that was right.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// What it tells of.
    pub event: WebhookEvent,
    /// By what a repeated delivery is recognised. `None` where the body has no moment: the same prefs
    /// may be set twice.
    pub key: Option<DeliveryKey>,
}

/// Reads a delivery. Ids may hold dots, so the names of events are not taken apart: those that the
/// body's own ids make are looked for.
pub(super) fn read(events: &str, body: &[u8], preferences: (&str, &str)) -> Result<Delivery> {
    let unreadable = || Error::corrupt("the body of a webhook is no JSON");
    let body_json: Value = serde_json::from_slice(body).map_err(|_| unreadable())?;
    let names: Vec<&str> = events.split(',').map(str::trim).collect();
    let exact = names.iter().copied().filter(|name| !name.contains('*'));
    let exact = exact.max_by_key(|name| name.len()).unwrap_or_default();
    let event = known(&names, exact, &body_json, preferences)?;
    let has_moment = Fields(&body_json)
        .text("$updatedAt")
        .is_ok_and(|it| it.is_some());
    Ok(Delivery {
        key: has_moment.then(|| DeliveryKey::of(exact, body)),
        event: event.unwrap_or_else(|| WebhookEvent::Other {
            name: exact.to_owned(),
        }),
    })
}

fn known(
    names: &[&str],
    exact: &str,
    body: &Value,
    preferences: (&str, &str),
) -> Result<Option<WebhookEvent>> {
    let fields = Fields(body);
    let is = |name: String| names.contains(&name.as_str());
    // Prefs are their own payload.
    let prefs = exact
        .strip_prefix("users.")
        .and_then(|rest| rest.strip_suffix(".update.prefs"));
    if let Some(id) = prefs {
        let account_id = id.parse()?;
        return Ok(Some(WebhookEvent::PrefsChanged { account_id }));
    }
    let Some(id) = fields.text("$id")? else {
        return Ok(None);
    };
    for (action, is_end) in [("create", false), ("update", false), ("delete", true)] {
        if is(format!("users.{id}.{action}")) {
            return Ok(Some(match (action, is_end) {
                ("create", _) => WebhookEvent::AccountCreated(Box::new(account(body)?)),
                (_, false) => WebhookEvent::AccountChanged(Box::new(account(body)?)),
                (_, true) => WebhookEvent::AccountDeleted {
                    account_id: id.parse()?,
                },
            }));
        }
    }
    let Some(user) = fields.text("userId")? else {
        return Ok(None);
    };
    for (action, is_end) in [("create", false), ("delete", true)] {
        if is(format!("users.{user}.sessions.{id}.{action}")) {
            let (account_id, session_id) = (user.parse()?, id.parse()?);
            return Ok(Some(if is_end {
                WebhookEvent::SessionEnded {
                    account_id,
                    session_id,
                }
            } else {
                WebhookEvent::SessionBegan {
                    account_id,
                    session_id,
                }
            }));
        }
    }
    let (database, table) = preferences;
    for action in ["create", "update", "upsert", "delete"] {
        let row = format!("tablesdb.{database}.tables.{table}.rows.{id}.{action}");
        let document = format!("databases.{database}.collections.{table}.documents.{id}.{action}");
        if is(row) || is(document) {
            let account_id: AuthId = user.parse()?;
            return Ok(Some(if action == "delete" {
                WebhookEvent::PreferencesDeleted { account_id }
            } else {
                let settings = settings::read(body, &account_id)?;
                WebhookEvent::PreferencesChanged(Box::new(settings))
            }));
        }
    }
    Ok(None)
}
