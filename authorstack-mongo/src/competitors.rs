//! Competitors, with their price histories inside.

use async_trait::async_trait;
use authorstack_core::{
    Asin, Change, Competitor, CompetitorPatch, CompetitorRepository, Currency, Cursor, DateRange,
    Error, ErrorKind, Id, NewCompetitor, Page, PageRequest, Price, PricePoint, Result, User,
};
use bson::{Bson, Document, doc};
use chrono::{DateTime, Utc};

use crate::{
    document::{self, competitor_document},
    error::within,
    page::{beyond, direction, in_one_batch, one_more},
    schema::by_id,
    store::{Changes, MongoStore, array_of, date, literal},
};

#[derive(Debug)]
pub(crate) struct MongoCompetitors(pub(crate) MongoStore);

fn own(user_id: Id<User>, id: Id<Competitor>) -> Document {
    let mut filter = by_id(id.to_object_id());
    filter.insert("userId", user_id.to_object_id());
    filter
}

/// A date of the document; null where the field holds something else.
fn date_or_null(field: &str) -> Document {
    doc! {"$cond": [{"$eq": [{"$type": field}, "date"]}, field, null]}
}

impl MongoCompetitors {
    async fn change(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        pipeline: Vec<Document>,
    ) -> Result<Competitor> {
        let store = &self.0;
        let filter = own(user_id, id);
        let read = document::competitor;
        if pipeline.is_empty() {
            let found = store
                .first_on_primary(&store.competitors, filter, read)
                .await;
            return found?.ok_or_else(Error::not_found);
        }
        let changed = store.change(&store.competitors, filter, pipeline, read);
        changed.await?.ok_or_else(Error::not_found)
    }

    async fn first(&self, filter: Document) -> Result<Competitor> {
        let store = &self.0;
        let found = store.first(&store.competitors, filter, document::competitor);
        found.await?.ok_or_else(Error::not_found)
    }

    async fn track_for(&self, user_id: Id<User>, new: NewCompetitor) -> Result<Competitor> {
        let competitor = new.into_competitor(user_id)?;
        let document = competitor_document(&competitor)?;
        let store = &self.0;
        store.known_user(user_id).await?;
        // Reading takes an ASIN in small letters too, which the index tells apart.
        let small = competitor.asin.as_str().to_ascii_lowercase();
        let present = doc! {"userId": user_id.to_object_id(), "asin": small};
        if store.exists(&store.competitors, present).await? {
            return Err(Error::already_exists("asin"));
        }
        let insert = store.competitors.insert_one(document);
        match within(store.deadline, insert).await {
            Ok(_) => Ok(competitor),
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists { .. }) => {
                Err(Error::already_exists("asin").with_source(error))
            }
            Err(error) => Err(error),
        }
    }

    /// The stages that note a price: as core's `Competitor::note_price`.
    fn noted(&self, price: Price, at: DateTime<Utc>) -> Vec<Document> {
        let at = date(at);
        let history = array_of("$priceHistory");
        let of_moment = doc! {"$eq": ["$$point.date", at]};
        let filter =
            |cond: Document| doc! {"$filter": {"input": &history, "as": "point", "cond": cond}};
        let same = filter(of_moment.clone());
        let others = filter(doc! {"$not": [of_moment]});
        let dated = filter(doc! {"$eq": [{"$type": "$$point.date"}, "date"]});
        let newest = doc! {"$max": {"$map": {"input": dated, "as": "point", "in": "$$point.date"}}};
        let has_price = doc! {"$not": [
            {"$in": [{"$type": "$currentPrice"}, ["missing", "null", "undefined"]]},
        ]};
        let checked = doc! {"$cond": [has_price, date_or_null("$lastChecked"), null]};
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
        changes.compute(
            "lastChecked",
            doc! {"$max": [date_or_null("$lastChecked"), at]},
        );
        changes.compute("priceHistory", doc! {"$concatArrays": [others, [point]]});
        let mut stages = changes.into_pipeline();
        if let Some(limit) = self.0.price_history_limit {
            let sorted = doc! {"$sortArray": {"input": "$priceHistory", "sortBy": {"date": 1}}};
            let kept = -i64::from(limit.max(1));
            stages.push(doc! {"$set": {"priceHistory": {"$slice": [sorted, kept]}}});
        }
        stages
    }

    async fn history_page(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        range: DateRange,
        request: &PageRequest,
    ) -> Result<Page<PricePoint>> {
        let after = request.after_moment()?;
        let store = &self.0;
        if !store.exists(&store.competitors, own(user_id, id)).await? {
            return Err(Error::not_found());
        }
        let mut dates = vec![doc! {"priceHistory.date": {"$type": "date"}}];
        let mut demand = |operator: &str, at: Option<Bson>| {
            if let Some(at) = at {
                dates.push(doc! {"priceHistory.date": {operator: at}});
            }
        };
        demand("$gte", range.from.map(ceiling));
        demand("$lt", range.until.map(ceiling));
        demand(beyond(request), after.map(|(at, _)| date(at).into()));
        let pipeline = vec![
            doc! {"$match": own(user_id, id)},
            doc! {"$project": {"_id": 0, "competitorId": "$_id", "priceHistory": 1}},
            doc! {"$unwind": "$priceHistory"},
            doc! {"$match": {"$and": dates}},
            doc! {"$sort": {"priceHistory.date": direction(request)}},
            doc! {"$limit": i64::from(one_more(request))},
        ];
        let found = store.aggregate(&store.competitors, pipeline, document::point);
        let cursor = |last: &PricePoint| Cursor::behind_moment(last.date, "");
        Ok(Page::from_one_more_by(
            found.await?,
            request.limit(),
            cursor,
        ))
    }
}

/// The first whole millisecond from a moment on.
fn ceiling(at: DateTime<Utc>) -> Bson {
    let whole = at.timestamp_millis();
    let beyond = DateTime::from_timestamp_millis(whole).is_some_and(|floor| floor < at);
    bson::DateTime::from_millis(whole + i64::from(beyond)).into()
}

fn changes_of(patch: CompetitorPatch) -> Changes {
    let mut changes = Changes::without_date();
    let currency = match patch.currency {
        Change::Keep => Change::Keep,
        Change::Clear => Change::Clear,
        Change::Set(currency) => Change::Set(Currency::into_string(currency)),
    };
    for (field, change) in [
        ("title", patch.title),
        ("author", patch.author),
        ("genre", patch.genre),
        ("currency", currency),
    ] {
        match change {
            Change::Keep => {}
            Change::Clear => changes.unset(field),
            Change::Set(text) => changes.set(field, text),
        }
    }
    changes
}

#[async_trait]
impl CompetitorRepository for MongoCompetitors {
    async fn track(&self, user_id: Id<User>, competitor: NewCompetitor) -> Result<Competitor> {
        self.track_for(user_id, competitor)
            .await
            .map_err(|error| error.in_operation("competitors.track"))
    }

    async fn get(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<Competitor> {
        self.first(own(user_id, id))
            .await
            .map_err(|error| error.in_operation("competitors.get").for_record(id))
    }

    async fn get_by_asin(&self, user_id: Id<User>, asin: &Asin) -> Result<Competitor> {
        let spellings = [asin.as_str().to_owned(), asin.as_str().to_ascii_lowercase()];
        let filter = doc! {"userId": user_id.to_object_id(), "asin": {"$in": spellings.to_vec()}};
        self.first(filter)
            .await
            .map_err(|error| error.in_operation("competitors.get_by_asin"))
    }

    async fn list(&self, user_id: Id<User>, request: PageRequest) -> Result<Page<Competitor>> {
        let store = &self.0;
        let own = doc! {"userId": user_id.to_object_id()};
        let read = document::competitor;
        let page = store.page(&store.competitors, own, &request, read, |rival| rival.id);
        page.await
            .map_err(|error| error.in_operation("competitors.list"))
    }

    async fn update(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        patch: CompetitorPatch,
    ) -> Result<Competitor> {
        let update = async {
            patch.check()?;
            let pipeline = changes_of(patch).into_pipeline();
            self.change(user_id, id, pipeline).await
        };
        update
            .await
            .map_err(|error: Error| error.in_operation("competitors.update").for_record(id))
    }

    async fn delete(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<()> {
        let store = &self.0;
        let deleted = within(
            store.deadline,
            store.competitors.delete_one(own(user_id, id)),
        )
        .await;
        deleted
            .and_then(|deleted| match deleted.deleted_count {
                0 => Err(Error::not_found()),
                _ => Ok(()),
            })
            .map_err(|error| error.in_operation("competitors.delete").for_record(id))
    }

    async fn record_price(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        price: Price,
        at: DateTime<Utc>,
    ) -> Result<Competitor> {
        self.change(user_id, id, self.noted(price, at))
            .await
            .map_err(|error| {
                error
                    .in_operation("competitors.record_price")
                    .for_record(id)
            })
    }

    async fn mark_checked(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        at: DateTime<Utc>,
    ) -> Result<Competitor> {
        let mut changes = Changes::without_date();
        let latest = doc! {"$max": [date_or_null("$lastChecked"), literal(date(at))]};
        changes.compute("lastChecked", latest);
        self.change(user_id, id, changes.into_pipeline())
            .await
            .map_err(|error| {
                error
                    .in_operation("competitors.mark_checked")
                    .for_record(id)
            })
    }

    async fn history(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        range: DateRange,
        request: PageRequest,
    ) -> Result<Page<PricePoint>> {
        self.history_page(user_id, id, range, &request)
            .await
            .map_err(|error| error.in_operation("competitors.history").for_record(id))
    }

    async fn due_for_check(&self, before: DateTime<Utc>, limit: u32) -> Result<Vec<Competitor>> {
        let store = &self.0;
        let before = ceiling(before);
        let due = doc! {"$or": [{"lastChecked": null}, {"lastChecked": {"$lt": before}}]};
        let limit = limit.clamp(1, PageRequest::MAX_LIMIT);
        let options = in_one_batch(doc! {"lastChecked": 1, "_id": 1}, limit);
        let found = store.find(&store.competitors, due, options, document::competitor);
        found
            .await
            .map_err(|error| error.in_operation("competitors.due_for_check"))
    }
}
