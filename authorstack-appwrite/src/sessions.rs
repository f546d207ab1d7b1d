use async_trait::async_trait;
use authorstack_core::{AuthId, Error, Result, Session, SessionId, SessionRepository, chrono::Utc};
use serde_json::Value;

use crate::{api::known_id, config::is_id, fields::Fields, page, store::AppwriteAccounts};

#[derive(Debug)]
pub(crate) struct AppwriteSessions(pub(crate) AppwriteAccounts);

/// Reads a session. Its secret, or the hash of it, is left out.
pub(crate) fn session(found: &Value) -> Result<Session> {
    let fields = Fields(found);
    let missing = |name: &str| Error::corrupt(format!("{name}: is missing"));
    let moment = fields.moment("$createdAt")?;
    let words = [fields.text("clientName")?, fields.text("clientVersion")?];
    let client: Vec<&str> = words.into_iter().flatten().collect();
    let system: Vec<&str> = [fields.text("osName")?, fields.text("osVersion")?]
        .into_iter()
        .flatten()
        .collect();
    let words = [client.join(" "), system.join(" ")];
    let words: Vec<String> = words.into_iter().filter(|it| !it.is_empty()).collect();
    Ok(Session {
        id: fields.parsed("$id")?.ok_or_else(|| missing("$id"))?,
        account_id: fields.parsed("userId")?.ok_or_else(|| missing("userId"))?,
        created_at: moment.ok_or_else(|| missing("$createdAt"))?,
        last_used_at: None,
        expires_at: fields.moment("expire")?,
        ip: fields.text("ip")?.map(str::to_owned),
        client: (!words.is_empty()).then(|| words.join(", ")),
    })
}

#[async_trait]
impl SessionRepository for AppwriteSessions {
    async fn list(&self, account_id: &AuthId) -> Result<Vec<Session>> {
        let Ok(id) = known_id(account_id) else {
            return Ok(Vec::new());
        };
        let found = match self.0.api().get(&["users", id, "sessions"]).await {
            Ok(found) => page::items(found, "sessions")?,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut sessions: Vec<Session> = found.iter().map(session).collect::<Result<_>>()?;
        let now = Utc::now();
        sessions.retain(|session| session.expires_at.is_none_or(|end| end > now));
        sessions.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(b.id.cmp(&a.id)));
        Ok(sessions)
    }

    async fn revoke(&self, account_id: &AuthId, id: &SessionId) -> Result<()> {
        let account = known_id(account_id)?;
        if !is_id(id.as_str()) {
            return Err(Error::not_found());
        }
        let path = ["users", account, "sessions", id.as_str()];
        self.0.api().delete(&path).await
    }

    async fn revoke_all(&self, account_id: &AuthId) -> Result<()> {
        let path = ["users", known_id(account_id)?, "sessions"];
        self.0.api().delete(&path).await
    }
}
