use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{MemoryStore, Records, page};
use crate::{
    AuthId, ConnectedPlatform, Email, Error, ErrorKind, Extra, Id, NewUser, Page, PageRequest,
    Platform, Result, User, UserPatch, UserRepository, time, user::check_credits,
};

#[derive(Debug)]
pub(super) struct MemoryUsers(pub(super) MemoryStore);

impl MemoryUsers {
    fn find(&self, operation: &'static str, matches: impl Fn(&User) -> bool) -> Result<User> {
        let records = self.0.lock();
        let found = records.users.values().find(|user| matches(user)).cloned();
        found.ok_or_else(|| Error::not_found().in_operation(operation))
    }

    fn change(
        &self,
        operation: &'static str,
        id: Id<User>,
        change: impl FnOnce(&mut User) -> Result<()>,
    ) -> Result<User> {
        let mut records = self.0.lock();
        let result = match records.users.get_mut(&id) {
            None => Err(Error::not_found()),
            Some(user) => {
                let mut changed = user.clone();
                change(&mut changed).map(|()| {
                    changed.updated_at = time::next_update(user.updated_at);
                    *user = changed.clone();
                    changed
                })
            }
        };
        result.map_err(|error| error.in_operation(operation).for_record(id))
    }
}

/// The unique fields, checked against every other user.
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
        let create = || {
            let user = user.into_user()?;
            let mut records = self.0.lock();
            check_unique(&records, &user)?;
            records.users.insert(user.id, user.clone());
            Ok(user)
        };
        create().map_err(|error: Error| error.in_operation("users.create"))
    }

    async fn get(&self, id: Id<User>) -> Result<User> {
        self.find("users.get", |user| user.id == id)
            .map_err(|error| error.for_record(id))
    }

    async fn get_by_auth_id(&self, auth_id: &AuthId) -> Result<User> {
        self.find("users.get_by_auth_id", |user| user.auth_id == *auth_id)
    }

    async fn get_by_email(&self, email: &Email) -> Result<User> {
        self.find("users.get_by_email", |user| user.email == *email)
    }

    async fn list(&self, request: PageRequest) -> Result<Page<User>> {
        page(&self.0.lock().users, &request, |user| user.id, |_| true)
            .map_err(|error| error.in_operation("users.list"))
    }

    async fn update(&self, id: Id<User>, patch: UserPatch) -> Result<User> {
        let update = || {
            patch.check()?;
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
        };
        update().map_err(|error: Error| error.in_operation("users.update").for_record(id))
    }

    async fn delete(&self, id: Id<User>) -> Result<()> {
        let mut records = self.0.lock();
        if records.remove_user(id) {
            return Ok(());
        }
        Err(Error::not_found()
            .in_operation("users.delete")
            .for_record(id))
    }

    async fn add_credits(&self, id: Id<User>, amount: i64) -> Result<User> {
        self.change("users.add_credits", id, |user| {
            check_credits(amount)?;
            user.credits = user.credits.checked_add(amount).ok_or_else(|| {
                Error::invalid("amount", "the balance would be larger than can be stored")
            })?;
            Ok(())
        })
    }

    async fn spend_credits(&self, id: Id<User>, amount: i64) -> Result<User> {
        self.change("users.spend_credits", id, |user| {
            check_credits(amount)?;
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
        self.change("users.connect_platform", id, |user| {
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
        self.change("users.disconnect_platform", id, |user| {
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
        self.change("users.mark_synced", id, |user| {
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
