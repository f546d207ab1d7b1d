//! What Realtime says, as far as it is looked at. Payloads are dropped at once: those of accounts hold
//! hashes of passwords.

use authorstack_core::AuthId;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Said {
    r#type: String,
    #[serde(default)]
    data: Value,
}

/// A message of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// The connection is open. Whether the login was taken, and the account may be used.
    Connected { is_own: bool },
    /// Something of the account has changed.
    Change,
    /// A refusal, by its code.
    Refused(u64),
    /// An answer to a heartbeat, a change of somebody else, or what no version has said yet.
    Other,
}

impl Heard {
    pub(super) fn read(text: &str, account: &AuthId) -> Self {
        let Ok(said) = serde_json::from_str::<Said>(text) else {
            return Self::Other;
        };
        let data = &said.data;
        match said.r#type.as_str() {
            "connected" => {
                let user = &data["user"];
                let is_own = user["$id"].as_str() == Some(account.as_str())
                    && user["status"].as_bool() != Some(false);
                Self::Connected { is_own }
            }
            "event" if is_of(data, account) => Self::Change,
            "error" => Self::Refused(data["code"].as_u64().unwrap_or_default()),
            _ => Self::Other,
        }
    }
}

/// Whether an event is one of the account, or of its row.
fn is_of(data: &Value, account: &AuthId) -> bool {
    let channels = data["channels"].as_array().into_iter().flatten();
    let mut channels = channels.filter_map(Value::as_str);
    if channels.any(|channel| channel == "account" || channel.starts_with("account.")) {
        return true;
    }
    // A row that does not say whose it is may be the account's.
    let owner = data["payload"].get("userId").and_then(Value::as_str);
    owner.is_none_or(|owner| owner == account.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn heard(message: &Value) -> Heard {
        Heard::read(&message.to_string(), &"u-1".parse().unwrap())
    }

    #[test]
    fn only_the_own_user_is_a_login() {
        for (user, is_own) in [
            (json!({ "$id": "u-1", "status": true }), true),
            (json!({ "$id": "u-1" }), true),
            (json!({ "$id": "u-1", "status": false }), false),
            (json!({ "$id": "u-2", "status": true }), false),
            (Value::Null, false),
        ] {
            let message = json!({ "type": "connected", "data": { "channels": [], "user": user } });
            assert_eq!(heard(&message), Heard::Connected { is_own }, "{user}");
        }
    }

    #[test]
    fn changes_of_others_are_none() {
        let event = |channel: &str, payload: Value| {
            let data = json!({ "channels": [channel], "events": [], "payload": payload });
            heard(&json!({ "type": "event", "data": data }))
        };
        let rows = "tablesdb.a.tables.b.rows";
        assert_eq!(event(rows, json!({ "userId": "u-1" })), Heard::Change);
        assert_eq!(event(rows, json!({ "userId": "u-2" })), Heard::Other);
        assert_eq!(event(rows, json!({})), Heard::Change);
        assert_eq!(event("account.u-1", json!([])), Heard::Change);
        let refused = json!({ "type": "error", "data": { "code": 1008, "message": "x" } });
        assert_eq!(heard(&refused), Heard::Refused(1008));
        assert_eq!(heard(&json!({ "type": "pong" })), Heard::Other);
        assert_eq!(Heard::read("<html>", &"u-1".parse().unwrap()), Heard::Other);
    }
}
