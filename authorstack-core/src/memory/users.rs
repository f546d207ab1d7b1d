use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    pages::{page, pick},
    store::{MemoryStore, Records},
};
use crate::{
    AuthId, ConnectedPlatform, Email, Error, ErrorKind, Extra, Id, Listed, NewUser, Page,
    PageRequest, Platform, Result, User, UserPatch, UserRepository, time,
};

#[derive(Debug)]
pub(super) struct MemoryUsers(pub(super) MemoryStore);

impl MemoryUsers {
    fn find(&self, matches: impl Fn(&User) -> bool) -> Result<User> {
        let records = self.0.lock();
        let found = records.users.values().find(|user| matches(user)).cloned();
        found.ok_or_else(Error::not_found)
    }

    fn change(&self, id: Id<User>, change: impl FnOnce(&mut User) -> Result<()>) -> Result<User> {
        let mut records = self.0.lock();
        let user = records.users.get_mut(&id).ok_or_else(Error::not_found)?;
        let mut changed = user.clone();
        change(&mut changed)?;
        changed.updated_at = time::next_update(user.updated_at);
        *user = changed.clone();
        Ok(changed)
    }
}

/// Checks the unique fields against every other user.
pub(super) fn check_unique(records: &Records, candidate: &User) -> Result<()> {
    for user in records
        .users
        .values()
        .filter(|user| user.id != candidate.id)
    {
        if user.auth_id == candidate.auth_id {
            return Err(Error::already_exists("authId"));
        }
        if user.email == candidate.email {
            return Err(Error::already_exists("email"));
        }
    }
    Ok(())
}

#[async_trait]
impl UserRepository for MemoryUsers {
    async fn create(&self, user: NewUser) -> Result<User> {
        let user = user.into_user();
        let mut records = self.0.lock();
        check_unique(&records, &user)?;
        records.users.insert(user.id, user.clone());
        Ok(user)
    }

    async fn get(&self, id: Id<User>) -> Result<User> {
        self.find(|user| user.id == id)
    }

    async fn get_many(&self, ids: &[Id<User>]) -> Result<Listed<User>> {
        Ok(pick(&self.0.lock().users, ids, |_| true))
    }

    async fn get_by_auth_id(&self, auth_id: &AuthId) -> Result<User> {
        self.find(|user| user.auth_id == *auth_id)
    }

    async fn get_by_email(&self, email: &Email) -> Result<User> {
        self.find(|user| user.email == *email)
    }

    async fn list(&self, request: PageRequest) -> Result<Page<User>> {
        page(&self.0.lock().users, &request, |user| user.id, |_| true)
    }

    async fn update(&self, id: Id<User>, patch: UserPatch) -> Result<User> {
        let mut records = self.0.lock();
        let mut user = records
            .users
            .get(&id)
            .cloned()
            .ok_or_else(Error::not_found)?;
        if patch
            .expected_updated_at
            .is_some_and(|expected| expected != user.updated_at)
        {
            return Err(Error::stale());
        }
        patch.apply(&mut user);
        check_unique(&records, &user)?;
        records.users.insert(id, user.clone());
        Ok(user)
    }

    async fn delete(&self, id: Id<User>) -> Result<()> {
        let mut records = self.0.lock();
        if records.remove_user(id) {
            return Ok(());
        }
        Err(Error::not_found())
    }

    async fn add_credits(&self, id: Id<User>, amount: i64) -> Result<User> {
        self.change(id, |user| {
            user.credits = user.credits.checked_add(amount).ok_or_else(|| {
                Error::invalid("amount", "the balance would be larger than can be stored")
            })?;
            Ok(())
        })
    }

    async fn spend_credits(&self, id: Id<User>, amount: i64) -> Result<User> {
        self.change(id, |user| {
            if user.credits < amount {
                return Err(Error::new(ErrorKind::InsufficientCredits {
                    balance: user.credits,
                    needed: amount,
                }));
            }
            user.credits -= amount;
            Ok(())
        })
    }

    async fn connect_platform(
        &self,
        id: Id<User>,
        platform: Platform,
        at: DateTime<Utc>,
    ) -> Result<User> {
        self.change(id, |user| {
            let at = Some(time::to_millis(at));
            let connected = &mut user.connected_platforms;
            match connected.iter_mut().find(|c| c.platform == platform) {
                Some(found) => found.connected_at = at,
                None => connected.push(ConnectedPlatform {
                    platform,
                    connected_at: at,
                    last_sync: None,
                    extra: Extra::new(),
                }),
            }
            Ok(())
        })
    }

    async fn disconnect_platform(&self, id: Id<User>, platform: &Platform) -> Result<User> {
        self.change(id, |user| {
            user.connected_platforms.retain(|c| c.platform != *platform);
            Ok(())
        })
    }

    async fn mark_synced(
        &self,
        id: Id<User>,
        platform: &Platform,
        at: DateTime<Utc>,
    ) -> Result<User> {
        self.change(id, |user| {
            let connected = &mut user.connected_platforms;
            let found = connected
                .iter_mut()
                .find(|c| c.platform == *platform)
                .ok_or_else(Error::not_found)?;
            found.last_sync = found.last_sync.max(Some(time::to_millis(at)));
            Ok(())
        })
    }
}
