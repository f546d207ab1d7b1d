use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    pages::{page, page_by_moment},
    store::{MemoryStore, Records},
};
use crate::{
    Asin, Competitor, CompetitorPatch, CompetitorRepository, DateRange, Error, Id, Listed,
    NewCompetitor, Page, PageRequest, Price, PricePoint, Result, User, time,
};

#[derive(Debug)]
pub(super) struct MemoryCompetitors(pub(super) MemoryStore);

impl Records {
    pub(super) fn competitor_of(&self, user_id: Id<User>, asin: &Asin) -> Option<&Competitor> {
        let mut own = self.competitors.values();
        own.find(|rival| rival.user_id == user_id && rival.asin == *asin)
    }

    fn own_competitor(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<&Competitor> {
        let own = self.competitors.get(&id);
        own.filter(|rival| rival.user_id == user_id)
            .ok_or_else(Error::not_found)
    }

    fn own_competitor_mut(
        &mut self,
        user_id: Id<User>,
        id: Id<Competitor>,
    ) -> Result<&mut Competitor> {
        let own = self.competitors.get_mut(&id);
        own.filter(|rival| rival.user_id == user_id)
            .ok_or_else(Error::not_found)
    }

    pub(super) fn history(&self, id: Id<Competitor>) -> impl Iterator<Item = &PricePoint> {
        let first = (id, DateTime::<Utc>::MIN_UTC);
        let last = (id, DateTime::<Utc>::MAX_UTC);
        self.prices.range(first..=last).map(|(_, point)| point)
    }
}

impl MemoryCompetitors {
    fn change(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        change: impl FnOnce(&mut Records) -> Result<()>,
    ) -> Result<Competitor> {
        let mut records = self.0.lock();
        records.own_competitor(user_id, id)?;
        change(&mut records)?;
        records.own_competitor(user_id, id).cloned()
    }
}

#[async_trait]
impl CompetitorRepository for MemoryCompetitors {
    async fn create(&self, user_id: Id<User>, competitor: NewCompetitor) -> Result<Competitor> {
        let competitor = competitor.into_competitor(user_id);
        let mut records = self.0.lock();
        records.known_user(user_id)?;
        if records.competitor_of(user_id, &competitor.asin).is_some() {
            return Err(Error::already_exists("asin"));
        }
        records
            .competitors
            .insert(competitor.id, competitor.clone());
        Ok(competitor)
    }

    async fn get(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<Competitor> {
        self.0.lock().own_competitor(user_id, id).cloned()
    }

    async fn get_by_asin(&self, user_id: Id<User>, asin: &Asin) -> Result<Competitor> {
        let records = self.0.lock();
        let found = records.competitor_of(user_id, asin).cloned();
        found.ok_or_else(Error::not_found)
    }

    async fn list(&self, user_id: Id<User>, request: PageRequest) -> Result<Page<Competitor>> {
        let records = self.0.lock();
        let matches = |rival: &Competitor| rival.user_id == user_id;
        page(&records.competitors, &request, |rival| rival.id, matches)
    }

    async fn update(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        patch: CompetitorPatch,
    ) -> Result<Competitor> {
        self.change(user_id, id, |records| {
            patch.apply(records.own_competitor_mut(user_id, id)?);
            Ok(())
        })
    }

    async fn delete(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<()> {
        let mut records = self.0.lock();
        records.own_competitor(user_id, id)?;
        records.competitors.remove(&id);
        records.remove_dependents();
        Ok(())
    }

    async fn record_price(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        price: Price,
        at: DateTime<Utc>,
    ) -> Result<Competitor> {
        self.change(user_id, id, |records| {
            let mut point = PricePoint::new(price, at);
            let newest = records.history(id).last().map(|point| point.date);
            records
                .own_competitor_mut(user_id, id)?
                .note_price(&point, newest);
            if let Some(replaced) = records.prices.remove(&(id, point.date)) {
                point.extra = replaced.extra;
            }
            records.prices.insert((id, point.date), point);
            Ok(())
        })
    }

    async fn mark_checked(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        at: DateTime<Utc>,
    ) -> Result<Competitor> {
        self.change(user_id, id, |records| {
            let rival = records.own_competitor_mut(user_id, id)?;
            rival.last_checked = rival.last_checked.max(Some(time::to_millis(at)));
            Ok(())
        })
    }

    async fn history(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        range: DateRange,
        request: PageRequest,
    ) -> Result<Page<PricePoint>> {
        let records = self.0.lock();
        records.own_competitor(user_id, id)?;
        let seen = records
            .history(id)
            .filter(|point| range.contains(point.date));
        page_by_moment(seen.cloned().collect(), &request, |point| {
            (point.date, String::new())
        })
    }

    async fn due_for_check(&self, before: DateTime<Utc>, limit: u32) -> Result<Listed<Competitor>> {
        let records = self.0.lock();
        let due = records.competitors.values();
        let due = due.filter(|rival| rival.last_checked.is_none_or(|checked| checked < before));
        let mut due: Vec<Competitor> = due.cloned().collect();
        due.sort_by_key(|rival| (rival.last_checked, rival.id));
        due.truncate(limit.clamp(1, PageRequest::MAX_LIMIT) as usize);
        Ok(due.into())
    }
}
