use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{pages::page, store::MemoryStore};
use crate::{
    Boost, BoostRepository, Done, Error, ErrorKind, Id, Listed, NewBoost, Page, PageRequest,
    Result, User, first_free_position, time,
};

#[derive(Debug)]
pub(super) struct MemoryBoosts(pub(super) MemoryStore);

impl MemoryBoosts {
    fn buy(&self, user_id: Id<User>, new: NewBoost) -> Result<Boost> {
        let mut guard = self.0.lock();
        let records = &mut *guard;
        records.known_user(user_id)?;
        records.own_book(user_id, new.book_id)?;
        if let Some(present) = records.boosts.get(&new.id) {
            return new.repeated(user_id, present.clone());
        }
        let needed = new.credits;
        let user = records.users.get_mut(&user_id);
        let user = user.ok_or_else(Error::not_found)?;
        if user.credits < needed {
            return Err(Error::new(ErrorKind::InsufficientCredits {
                balance: user.credits,
                needed,
            }));
        }
        let wanted = new.position;
        let mut boost = new.into_boost(user_id, wanted.unwrap_or(1));
        let mut held = records.boosts.values();
        if let Some(position) = wanted {
            if held.any(|held| held.collides_with(&boost)) {
                return Err(Boost::position_taken(position));
            }
        } else {
            let taken = held.filter(|held| {
                let mut there = boost.clone();
                there.position = held.position;
                held.collides_with(&there)
            });
            boost.position = first_free_position(taken.map(|held| held.position));
        }
        user.credits -= needed;
        user.updated_at = time::next_update(user.updated_at);
        records.boosts.insert(boost.id, boost.clone());
        Ok(boost)
    }
}

#[async_trait]
impl BoostRepository for MemoryBoosts {
    async fn purchase(&self, user_id: Id<User>, boost: NewBoost) -> Result<Boost> {
        self.buy(user_id, boost)
    }

    async fn get(&self, user_id: Id<User>, id: Id<Boost>) -> Result<Boost> {
        let records = self.0.lock();
        let own = records.boosts.get(&id);
        let own = own.filter(|boost| boost.user_id == user_id).cloned();
        own.ok_or_else(Error::not_found)
    }

    async fn list(&self, user_id: Id<User>, request: PageRequest) -> Result<Page<Boost>> {
        let records = self.0.lock();
        let matches = |boost: &Boost| boost.user_id == user_id;
        page(&records.boosts, &request, |boost| boost.id, matches)
    }

    async fn leaderboard(&self, at: DateTime<Utc>, limit: u32) -> Result<Listed<Boost>> {
        let records = self.0.lock();
        let held = records.boosts.values().filter(|boost| boost.holds_at(at));
        let mut held: Vec<Boost> = held.cloned().collect();
        held.sort_by_key(|boost| (boost.position, boost.id));
        held.truncate(limit.clamp(1, PageRequest::MAX_LIMIT) as usize);
        Ok(held.into())
    }

    async fn expire_due(&self, at: DateTime<Utc>) -> Result<Done> {
        let mut records = self.0.lock();
        let mut count = 0;
        records.boosts.change_all(.., |boost| {
            let is_due = boost.active && boost.expires_at <= at;
            boost.active &= !is_due;
            count += u64::from(is_due);
            is_due
        });
        Ok(count.into())
    }
}
