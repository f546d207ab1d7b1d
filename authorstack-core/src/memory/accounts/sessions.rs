use async_trait::async_trait;
use chrono::TimeDelta;

use super::{passwords, tables::StoredSession};
use crate::{
    AuthId, Authenticator, BearerToken, Email, Error, ErrorKind, Id, MemoryStore, Principal,
    Result, Session, SessionId, SessionRepository, time,
};

#[derive(Debug)]
pub(in crate::memory) struct MemorySessions(pub(in crate::memory) MemoryStore);

/// Checks tokens against the sessions of the store, so it sees their end and blocked accounts.
#[derive(Debug)]
pub(in crate::memory) struct MemoryAuthenticator(pub(in crate::memory) MemoryStore);

/// How long a session lasts.
const LIFETIME: TimeDelta = TimeDelta::days(30);

fn blocked() -> Error {
    Error::new(ErrorKind::PermissionDenied {
        reason: "the account is blocked".into(),
    })
}

impl MemoryStore {
    /// Signs in to an account by e-mail address and password, as a client of a service does, and
    /// returns the token of the new session. The password is checked against its argon2 hash.
    ///
    /// # Errors
    /// Unauthenticated for an unknown address, a wrong password, and an account without one;
    /// `PermissionDenied` for a blocked account; Unsupported for a hash of another algorithm.
    ///
    /// ```
    /// use authorstack_core::{Credential, MemoryStore, NewAccount, Password};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> authorstack_core::Result<()> {
    /// let store = MemoryStore::new();
    /// let stack = store.stack();
    /// let mut ada = NewAccount::new("ada@example.org".parse()?);
    /// ada.credential = Credential::Password(Password::new("tide and time")?);
    /// let ada = stack.accounts().create(ada).await?;
    ///
    /// let token = store.sign_in(&"ada@example.org".parse()?, "tide and time")?;
    /// assert_eq!(stack.authenticator().authenticate(&token).await?.account_id, ada.id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sign_in(&self, email: &Email, password: &str) -> Result<BearerToken> {
        let (id, hash) = {
            let records = self.lock();
            let mut accounts = records.accounts.accounts.values();
            let found = accounts.find(|stored| stored.account.email.as_ref() == Some(email));
            let found = found.ok_or_else(Error::unauthenticated)?;
            (found.account.id.clone(), found.password.clone())
        };
        // Not under the lock: it takes a while.
        passwords::check(password, &hash.ok_or_else(Error::unauthenticated)?)?;
        let (token, digest) = passwords::new_token()?;
        let now = time::now();
        let session = Session {
            id: Id::<Session>::new().to_string().parse()?,
            account_id: id.clone(),
            created_at: now,
            last_used_at: Some(now),
            expires_at: Some(now + LIFETIME),
            ip: None,
            client: None,
        };
        let mut records = self.lock();
        let tables = &mut records.accounts;
        let stored = tables.get_mut(&id).map_err(|_| Error::unauthenticated())?;
        if stored.account.is_blocked {
            return Err(blocked());
        }
        stored.account.last_seen_at = Some(now);
        let session = StoredSession {
            session,
            token: digest,
        };
        tables.sessions.insert(session.session.id.clone(), session);
        Ok(token)
    }
}

#[async_trait]
impl SessionRepository for MemorySessions {
    async fn list(&self, account_id: &AuthId) -> Result<Vec<Session>> {
        let (records, now) = (self.0.lock(), time::now());
        let sessions = records.accounts.sessions.values().map(|it| &it.session);
        let own = sessions.filter(|session| session.account_id == *account_id);
        let open = own.filter(|session| session.expires_at.is_none_or(|end| end > now));
        let mut open: Vec<Session> = open.cloned().collect();
        open.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(b.id.cmp(&a.id)));
        Ok(open)
    }

    async fn revoke(&self, account_id: &AuthId, id: &SessionId) -> Result<()> {
        let mut records = self.0.lock();
        let sessions = &mut records.accounts.sessions;
        let is_own = |stored: &StoredSession| stored.session.account_id == *account_id;
        if sessions.get(id).is_some_and(is_own) {
            sessions.remove(id);
            return Ok(());
        }
        Err(Error::not_found())
    }

    async fn revoke_all(&self, account_id: &AuthId) -> Result<()> {
        let mut records = self.0.lock();
        records.accounts.get(account_id)?;
        records.accounts.end_sessions(account_id);
        Ok(())
    }
}

#[async_trait]
impl Authenticator for MemoryAuthenticator {
    async fn authenticate(&self, token: &BearerToken) -> Result<Principal> {
        let (digest, now) = (passwords::digest(token), time::now());
        let records = self.0.lock();
        let tables = &records.accounts;
        let mut sessions = tables.sessions.values();
        let found = sessions.find(|stored| stored.token == digest);
        let session = &found.ok_or_else(Error::unauthenticated)?.session;
        if session.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::unauthenticated());
        }
        let account = tables.get(&session.account_id);
        let account = &account.map_err(|_| Error::unauthenticated())?.account;
        if account.is_blocked {
            return Err(blocked());
        }
        Ok(Principal {
            account_id: account.id.clone(),
            session_id: Some(session.id.clone()),
            expires_at: session.expires_at,
        })
    }
}
