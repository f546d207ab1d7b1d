//! Marketplace boosts.

use async_trait::async_trait;
use authorstack_core::{
    Boost, BoostRepository, Done, Error, ErrorKind, Id, Listed, NewBoost, Page, PageRequest,
    Result, User,
    fields::Fields,
    first_free_position,
    resilience::{retry_on_conflict, with_deadline},
};
use bson::{Bson, Document, RawDocumentBuf, doc};
use chrono::{DateTime, Utc};
use mongodb::{
    ClientSession, Collection,
    error::{Error as DriverError, ErrorKind as DriverKind},
    options::{Acknowledgment, ReadConcern, TransactionOptions, WriteConcern},
};

use crate::{
    document::{decode, encode},
    error::{driver, map},
    pipeline::{Changes, date, moment, refers_to, true_forms},
    store::{MongoStore, by_id, own, read_document},
    users::balance,
};

/// One document for each position on the leaderboard that was ever purchased. Two purchases of the
/// position conflict on it. It is not part of the schema, and is not migrated.
const BOOST_POSITIONS: &str = "boost_positions";

#[derive(Debug)]
pub(crate) struct MongoBoosts(pub(crate) MongoStore);

impl MongoBoosts {
    /// A purchase in its own transaction.
    async fn buy(&self, user_id: Id<User>, new: &NewBoost) -> Result<Boost> {
        let store = &self.0;
        let mut session = driver(store.deadline, store.database.client().start_session()).await?;
        let majority = WriteConcern::builder().w(Acknowledgment::Majority).build();
        let options = TransactionOptions::builder()
            .read_concern(ReadConcern::snapshot())
            .write_concern(majority)
            .build();
        let start = session.start_transaction().with_options(options);
        driver(store.deadline, start).await?;
        match self.buy_in(&mut session, user_id, new).await {
            Ok(boost) => {
                driver(store.deadline, session.commit_transaction()).await?;
                Ok(boost)
            }
            Err(error) => {
                // The server ends the transaction in any case.
                let _ = driver(store.deadline, session.abort_transaction()).await;
                Err(error)
            }
        }
    }

    /// The work in the transaction. The result is valid only after the commit.
    async fn buy_in(
        &self,
        session: &mut ClientSession,
        user_id: Id<User>,
        new: &NewBoost,
    ) -> Result<Boost> {
        let store = &self.0;
        let user = by_id(user_id.to_object_id());
        let user = self.one::<User>(session, &store.users, user).await?;
        let user = user.ok_or_else(|| missing("user", user_id))?;
        let book = own(user_id, new.book_id);
        let book = self.any(session, &store.books, book).await?;
        book.ok_or_else(|| missing("book", new.book_id))?;
        let present = by_id(new.id.to_object_id());
        let present = self.one(session, &store.boosts, present).await?;
        if let Some(present) = present {
            return new.repeated(user_id, present);
        }
        if user.credits < new.credits {
            return Err(Error::new(ErrorKind::InsufficientCredits {
                balance: user.credits,
                needed: new.credits,
            }));
        }
        self.pay(session, user_id, new.credits).await?;
        let wanted = new.position;
        let mut boost = new.clone().into_boost(user_id, wanted.unwrap_or(1));
        if wanted.is_none() {
            let taken = self.taken(session, &boost, None).await?;
            boost.position = first_free_position(taken);
        }
        self.claim(session, boost.position).await?;
        let held = self.taken(session, &boost, Some(boost.position)).await?;
        if !held.is_empty() {
            return Err(Boost::position_taken(boost.position));
        }
        let insert = store.boosts.insert_one(encode(&boost)?);
        let insert = insert.session(&mut *session);
        match driver(store.deadline, insert).await {
            Ok(_) => Ok(boost),
            // Not this user's: their purchases meet on the balance.
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists { .. }) => {
                Err(new.id_is_taken())
            }
            Err(error) => Err(error),
        }
    }

    async fn one<T: Fields>(
        &self,
        session: &mut ClientSession,
        collection: &Collection<RawDocumentBuf>,
        filter: Document,
    ) -> Result<Option<T>> {
        let found = self.any(session, collection, filter).await?;
        let record = found.map(|document| read_document(&document, decode::<T>));
        record.transpose()
    }

    async fn any(
        &self,
        session: &mut ClientSession,
        collection: &Collection<RawDocumentBuf>,
        filter: Document,
    ) -> Result<Option<RawDocumentBuf>> {
        let deadline = self.0.deadline;
        let find = collection.find_one(filter).session(session);
        let refused = |error: DriverError| match error.kind.as_ref() {
            // The first call of a transaction gets this error.
            DriverKind::Command(command) if command.code == NO_TRANSACTIONS => {
                Error::new(ErrorKind::Unsupported {
                    what: "a purchase needs transactions, and this server is not a member of a \
                           replica set; start it as one"
                        .into(),
                })
            }
            _ => map(&error, deadline),
        };
        with_deadline(deadline, async { find.await.map_err(refused) }).await
    }

    async fn pay(
        &self,
        session: &mut ClientSession,
        user_id: Id<User>,
        credits: i64,
    ) -> Result<()> {
        let store = &self.0;
        let mut payer = by_id(user_id.to_object_id());
        payer.insert("$expr", doc! {"$gte": [balance(), credits]});
        let mut changes = Changes::new();
        changes.compute("credits", doc! {"$subtract": [balance(), credits]});
        let pay = store.users.update_one(payer, changes.into_pipeline());
        let paid = driver(store.deadline, pay.session(session)).await?;
        if paid.matched_count == 0 {
            // In the snapshot, the balance was high enough.
            return Err(Error::internal("a balance changed within its snapshot"));
        }
        Ok(())
    }

    /// Writes the position's document. If two purchases do this at the same time, one of them gets
    /// a conflict.
    async fn claim(&self, session: &mut ClientSession, position: u32) -> Result<()> {
        let store = &self.0;
        let positions = store.database.collection::<Document>(BOOST_POSITIONS);
        let count = doc! {"$inc": {"purchases": 1_i64}};
        let claim = positions
            .update_one(by_id(i64::from(position)), count)
            .upsert(true)
            .session(session);
        match driver(store.deadline, claim).await {
            Ok(_) => Ok(()),
            // Another purchase has just created the document.
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists { .. }) => {
                Err(Error::new(ErrorKind::Conflict {
                    reason: "another purchase came in between; repeat the call".into(),
                })
                .retryable(true))
            }
            Err(error) => Err(error),
        }
    }

    /// The positions that active boosts hold in the boost's time. This includes the Node app's
    /// boosts.
    async fn taken(
        &self,
        session: &mut ClientSession,
        boost: &Boost,
        position: Option<u32>,
    ) -> Result<Vec<u32>> {
        let store = &self.0;
        let mut filter = active(("$lt", boost.expires_at), ("$gt", boost.started_at));
        if let Some(position) = position {
            let forms: Vec<Bson> = vec![i64::from(position).into(), position.to_string().into()];
            filter.insert("position", doc! {"$in": forms});
        }
        let positions = store.boosts.distinct("position", filter).session(session);
        let positions = driver(store.deadline, positions).await?;
        let whole = |position: &Bson| match position {
            Bson::Int32(position) => u32::try_from(*position).ok(),
            Bson::Int64(position) => u32::try_from(*position).ok(),
            Bson::String(position) => position.trim().parse().ok(),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the range is checked"
            )]
            Bson::Double(position) => {
                let is_whole = position.fract() == 0.0;
                let fits = (0.0..=f64::from(u32::MAX)).contains(position);
                (is_whole && fits).then_some(*position as u32)
            }
            _ => None,
        };
        Ok(positions.iter().filter_map(whole).collect())
    }
}

/// Matches the active boosts whose start and end compare so with moments. Dates of the schema's type
/// are compared first; old apps stored texts and numbers, too.
fn active(start: (&str, DateTime<Utc>), end: (&str, DateTime<Utc>)) -> Document {
    let of_type = |field: &str, (operator, at): (&str, DateTime<Utc>)| {
        doc! {field: {operator: date(at)}}
    };
    let as_read = |field: &str, (operator, at): (&str, DateTime<Utc>)| {
        let moment = moment(field);
        doc! {"$and": [{"$ne": [&moment, null]}, {operator: [moment, date(at)]}]}
    };
    let other = doc! {"$type": ["string", "number"]};
    doc! {
        "active": {"$in": true_forms()},
        "$or": [
            {"$and": [of_type("startedAt", start), of_type("expiresAt", end)]},
            {
                "$or": [{"startedAt": &other}, {"expiresAt": &other}],
                "$expr": {"$and": [as_read("$startedAt", start), as_read("$expiresAt", end)]},
            },
        ],
    }
}

/// `IllegalOperation`: transactions need a replica set.
const NO_TRANSACTIONS: i32 = 20;

fn missing<T>(what: &str, id: Id<T>) -> Error {
    Error::not_found().for_record(format_args!("{what} {id}"))
}

/// Whether the transaction conflicted with another one.
fn came_between(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict { .. }) && error.is_retryable()
}

#[async_trait]
impl BoostRepository for MongoBoosts {
    /// A purchase that conflicts with another one is repeated until the deadline.
    async fn purchase(&self, user_id: Id<User>, boost: NewBoost) -> Result<Boost> {
        let store = &self.0;
        let new = &boost;
        with_deadline(store.deadline, async {
            let _turn = store.purchases.lock().await;
            loop {
                let bought = retry_on_conflict(|| self.buy(user_id, new)).await;
                match bought {
                    Err(error) if came_between(&error) => {}
                    other => return other,
                }
            }
        })
        .await
    }

    async fn get(&self, user_id: Id<User>, id: Id<Boost>) -> Result<Boost> {
        let store = &self.0;
        store.get(&store.boosts, own(user_id, id)).await
    }

    async fn list(&self, user_id: Id<User>, request: PageRequest) -> Result<Page<Boost>> {
        let store = &self.0;
        let own = doc! {"userId": refers_to(user_id)};
        store.page(&store.boosts, own, &request).await
    }

    async fn leaderboard(&self, at: DateTime<Utc>, limit: u32) -> Result<Listed<Boost>> {
        let store = &self.0;
        let held = active(("$lte", at), ("$gt", at));
        let limit = limit.clamp(1, PageRequest::MAX_LIMIT);
        let sort = doc! {"position": 1, "_id": 1};
        store.first_of(&store.boosts, held, sort, limit).await
    }

    async fn expire_due(&self, at: DateTime<Utc>) -> Result<Done> {
        let store = &self.0;
        let due = doc! {"active": {"$in": true_forms()}, "$or": [
            {"expiresAt": {"$lte": date(at)}},
            {
                "expiresAt": {"$type": ["string", "number"]},
                "$expr": {"$and": [
                    {"$ne": [moment("$expiresAt"), null]},
                    {"$lte": [moment("$expiresAt"), date(at)]},
                ]},
            },
        ]};
        let expired = doc! {"$set": {"active": false}};
        let updated = driver(store.deadline, store.boosts.update_many(due, expired)).await?;
        Ok(updated.modified_count.into())
    }
}
