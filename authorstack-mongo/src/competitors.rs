//! Competitors, with their price histories inside.

use async_trait::async_trait;
use authorstack_core::{
    Asin, Competitor, CompetitorPatch, CompetitorRepository, DateRange, Error, ErrorKind, Id,
    Listed, NewCompetitor, Page, PageRequest, Price, PricePoint, Result, User, fields::Patch,
    migrate::Kind,
};
use bson::{Bson, Document, RawDocument, doc};
use chrono::{DateTime, Utc};

use crate::{
    document::{encode_with_arrays, point},
    page::{behind_date, beyond, direction, one_more, unreadable},
    pipeline::{Changes, date, list_of, literal, moment, refers_to},
    store::{MongoStore, own},
};

#[derive(Debug)]
pub(crate) struct MongoCompetitors(pub(crate) MongoStore);

impl MongoCompetitors {
    async fn change(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        pipeline: Vec<Document>,
    ) -> Result<Competitor> {
        let store = &self.0;
        let own = own(user_id, id);
        if pipeline.is_empty() {
            return store.get_from_primary(&store.competitors, own).await;
        }
        let changed = store.change(&store.competitors, own, pipeline).await?;
        changed.ok_or_else(Error::not_found)
    }

    /// The stages that record a price, as core's `Competitor::note_price` does.
    fn noted(&self, price: Price, at: DateTime<Utc>) -> Vec<Document> {
        let at = date(at);
        let history = list_of("$priceHistory");
        let of_moment = doc! {"$eq": [moment("$$point.date"), at]};
        let filter =
            |cond: Document| doc! {"$filter": {"input": &history, "as": "point", "cond": cond}};
        let same = filter(of_moment.clone());
        let others = filter(doc! {"$not": [of_moment]});
        let moments = doc! {"$map": {
            "input": &history, "as": "point", "in": moment("$$point.date"),
        }};
        let newest = doc! {"$max": moments};
        let has_price = doc! {"$not": [
            {"$in": [{"$type": "$currentPrice"}, ["missing", "null", "undefined"]]},
        ]};
        let checked = doc! {"$cond": [has_price, moment("$lastChecked"), null]};
        let known = doc! {"$ifNull": [newest, checked]};
        let is_newest = doc! {"$or": [{"$eq": [&known, null]}, {"$lte": [&known, at]}]};
        let point = doc! {"$mergeObjects": [
            {"$arrayElemAt": [same, 0]},
            {"price": price.to_f64(), "date": at},
        ]};
        let mut changes = Changes::without_date();
        changes.compute(
            "currentPrice",
            doc! {"$cond": [is_newest, price.to_f64(), "$currentPrice"]},
        );
        changes.compute("lastChecked", doc! {"$max": [moment("$lastChecked"), at]});
        changes.compute("priceHistory", doc! {"$concatArrays": [others, [point]]});
        let mut stages = changes.into_pipeline();
        if let Some(limit) = self.0.price_history_limit {
            let sorted = doc! {"$sortArray": {"input": "$priceHistory", "sortBy": {"date": 1}}};
            let kept = -i64::from(limit.max(1));
            stages.push(doc! {"$set": {"priceHistory": {"$slice": [sorted, kept]}}});
        }
        stages
    }
}

/// A moment, rounded up to a whole millisecond.
fn ceiling(at: DateTime<Utc>) -> Bson {
    let whole = at.timestamp_millis();
    let beyond = DateTime::from_timestamp_millis(whole).is_some_and(|floor| floor < at);
    bson::DateTime::from_millis(whole + i64::from(beyond)).into()
}

#[async_trait]
impl CompetitorRepository for MongoCompetitors {
    async fn create(&self, user_id: Id<User>, new: NewCompetitor) -> Result<Competitor> {
        let store = &self.0;
        let competitor = new.into_competitor(user_id);
        let document = encode_with_arrays(&competitor, "genre")?;
        store.needs_unique_indexes().await?;
        store.known_user(user_id).await?;
        // Reading also accepts an ASIN in lower case. For the index, that is a different value.
        let small = competitor.asin.as_str().to_ascii_lowercase();
        let present = doc! {"userId": refers_to(user_id), "asin": small};
        if store.exists(&store.competitors, present).await? {
            return Err(Error::already_exists("asin"));
        }
        match store.insert(&store.competitors, document).await {
            Ok(()) => Ok(competitor),
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists { .. }) => {
                Err(Error::already_exists("asin").with_source(error))
            }
            Err(error) => Err(error),
        }
    }

    async fn get(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<Competitor> {
        let store = &self.0;
        store.get(&store.competitors, own(user_id, id)).await
    }

    async fn get_by_asin(&self, user_id: Id<User>, asin: &Asin) -> Result<Competitor> {
        let store = &self.0;
        let spellings = [asin.as_str().to_owned(), asin.as_str().to_ascii_lowercase()];
        let filter = doc! {"userId": refers_to(user_id), "asin": {"$in": spellings.to_vec()}};
        store.get(&store.competitors, filter).await
    }

    async fn list(&self, user_id: Id<User>, request: PageRequest) -> Result<Page<Competitor>> {
        let store = &self.0;
        let own = doc! {"userId": refers_to(user_id)};
        store.page(&store.competitors, own, &request).await
    }

    async fn update(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        patch: CompetitorPatch,
    ) -> Result<Competitor> {
        let mut changes = Changes::without_date();
        patch.write(&mut changes)?;
        self.change(user_id, id, changes.into_pipeline()).await
    }

    async fn delete(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<()> {
        let store = &self.0;
        store.delete(&store.competitors, own(user_id, id)).await
    }

    async fn record_price(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        price: Price,
        at: DateTime<Utc>,
    ) -> Result<Competitor> {
        self.change(user_id, id, self.noted(price, at)).await
    }

    async fn mark_checked(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        at: DateTime<Utc>,
    ) -> Result<Competitor> {
        let mut changes = Changes::without_date();
        let latest = doc! {"$max": [moment("$lastChecked"), literal(date(at))]};
        changes.compute("lastChecked", latest);
        self.change(user_id, id, changes.into_pipeline()).await
    }

    async fn history(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        range: DateRange,
        request: PageRequest,
    ) -> Result<Page<PricePoint>> {
        let store = &self.0;
        let after = request.after_moment()?;
        if !store.exists(&store.competitors, own(user_id, id)).await? {
            return Err(Error::not_found());
        }
        let mut dates = vec![doc! {"at": {"$ne": null}}];
        let mut demand = |operator: &str, at: Option<Bson>| {
            if let Some(at) = at {
                dates.push(doc! {"at": {operator: at}});
            }
        };
        demand("$gte", range.from.map(ceiling));
        demand("$lt", range.until.map(ceiling));
        demand(beyond(&request), after.map(|(at, _)| date(at).into()));
        let mut wanted = doc! {"$and": dates};
        if after.is_none() {
            // Prices without a date are of no range: the first page names them.
            wanted = doc! {"$or": [{"at": null}, wanted]};
        }
        let pipeline = vec![
            doc! {"$match": own(user_id, id)},
            doc! {"$project": {
                "_id": 0,
                "competitorId": "$_id",
                "priceHistory": list_of("$priceHistory"),
            }},
            doc! {"$unwind": "$priceHistory"},
            doc! {"$set": {"at": moment("$priceHistory.date")}},
            doc! {"$match": wanted},
            doc! {"$sort": {"at": direction(&request)}},
            doc! {"$limit": i64::from(one_more(&request))},
        ];
        let found = store.aggregate_rows(&store.competitors, pipeline).await?;
        let date = |row: &'_ RawDocument| -> Option<i64> {
            let date = row.get_datetime("at");
            date.ok().map(bson::DateTime::timestamp_millis)
        };
        let read = |row: &&RawDocument| {
            point(row.as_bytes()).map_err(|problems| {
                let date = date(row).map_or_else(|| "?".to_owned(), |millis| millis.to_string());
                unreadable(Kind::CompetitorPrices, format!("{id}.{date}"), problems)
            })
        };
        let behind = |row: &&RawDocument| {
            behind_date(row.get("at").ok().flatten(), "", request.sort_order())
        };
        Ok(Page::from_rows(
            &found.rows()?,
            request.limit(),
            read,
            behind,
        ))
    }

    async fn due_for_check(&self, before: DateTime<Utc>, limit: u32) -> Result<Listed<Competitor>> {
        let store = &self.0;
        let before = ceiling(before);
        // Reading accepts other types, too.
        let due = doc! {"$or": [
            {"lastChecked": null},
            {"lastChecked": {"$lt": before.clone()}},
            {
                "lastChecked": {"$type": ["string", "number", "undefined"]},
                "$expr": {"$lt": [moment("$lastChecked"), before]},
            },
        ]};
        let limit = limit.clamp(1, PageRequest::MAX_LIMIT);
        let sort = doc! {"lastChecked": 1, "_id": 1};
        store.first_of(&store.competitors, due, sort, limit).await
    }
}
