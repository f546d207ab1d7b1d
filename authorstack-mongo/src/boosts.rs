//! Marketplace boosts.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use async_trait::async_trait;
use authorstack_core::{
    Boost, BoostRepository, Error, ErrorKind, Id, NewBoost, Page, PageRequest, Result, User,
    first_free_position,
};
use bson::{Document, RawDocumentBuf, doc};
use chrono::{DateTime, Utc};
use mongodb::{
    ClientSession, Collection,
    error::ErrorKind as DriverKind,
    options::{Acknowledgment, ReadConcern, TransactionOptions, WriteConcern},
};

use crate::{
    document::{self, boost_document},
    error::{map, within},
    page::in_one_batch,
    schema::{BOOST_POSITIONS, by_id},
    store::{Changes, MongoStore, Read, date, decode},
    users::balance,
};

#[derive(Debug)]
pub(crate) struct MongoBoosts(pub(crate) MongoStore);

/// The first pause before a purchase that met another one is tried again; it doubles each time.
const PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

impl MongoBoosts {
    /// A transaction, tried again when others came between, until the deadline.
    async fn buy(&self, user_id: Id<User>, new: NewBoost) -> Result<Boost> {
        new.check()?;
        let store = &self.0;
        let purchase = async {
            let _turn = store.purchases.lock().await;
            let mut pause = PAUSE;
            loop {
                match self.buy_once(user_id, &new).await {
                    Err(error) if came_between(&error) => {
                        tokio::time::sleep(jittered(pause)).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                    other => return other,
                }
            }
        };
        match tokio::time::timeout(store.deadline, purchase).await {
            Ok(bought) => bought,
            Err(_) => Err(Error::timeout(store.deadline)),
        }
    }

    async fn buy_once(&self, user_id: Id<User>, new: &NewBoost) -> Result<Boost> {
        let store = &self.0;
        let mut session = within(store.deadline, store.database.client().start_session()).await?;
        let majority = WriteConcern::builder().w(Acknowledgment::Majority).build();
        let options = TransactionOptions::builder()
            .read_concern(ReadConcern::snapshot())
            .write_concern(majority)
            .build();
        let start = session.start_transaction().with_options(options);
        within(store.deadline, start).await?;
        match self.buy_in(&mut session, user_id, new).await {
            Ok(boost) => {
                within(store.deadline, session.commit_transaction()).await?;
                Ok(boost)
            }
            Err(error) => {
                // The server ends the transaction in any case.
                let _ = within(store.deadline, session.abort_transaction()).await;
                Err(error)
            }
        }
    }

    /// What happens within the transaction. The answer counts once it is committed.
    async fn buy_in(
        &self,
        session: &mut ClientSession,
        user_id: Id<User>,
        new: &NewBoost,
    ) -> Result<Boost> {
        let store = &self.0;
        let user = by_id(user_id.to_object_id());
        let user = self
            .one(session, &store.users, user, document::user)
            .await?;
        let user = user.ok_or_else(|| missing("user", user_id))?;
        let mut book = by_id(new.book_id.to_object_id());
        book.insert("userId", user_id.to_object_id());
        let book = self.one(session, &store.books, book, |_| Ok(())).await?;
        book.ok_or_else(|| missing("book", new.book_id))?;
        let present = by_id(new.id.to_object_id());
        let present = self.one(session, &store.boosts, present, document::boost);
        if let Some(present) = present.await? {
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
        let mut boost = new.clone().into_boost(user_id, wanted.unwrap_or(1))?;
        if wanted.is_none() {
            let taken = self.taken(session, &boost, None).await?;
            boost.position = first_free_position(taken);
        }
        self.claim(session, boost.position).await?;
        let held = self.taken(session, &boost, Some(boost.position)).await?;
        if !held.is_empty() {
            return Err(Boost::position_taken(boost.position));
        }
        let document = boost_document(&boost)?;
        let insert = store.boosts.insert_one(document).session(&mut *session);
        within(store.deadline, insert).await?;
        Ok(boost)
    }

    async fn one<T>(
        &self,
        session: &mut ClientSession,
        collection: &Collection<RawDocumentBuf>,
        filter: Document,
        read: Read<T>,
    ) -> Result<Option<T>> {
        let find = collection.find_one(filter).session(session);
        let deadline = self.0.deadline;
        let found = match tokio::time::timeout(deadline, find.into_future()).await {
            Ok(found) => found.map_err(|error| match error.kind.as_ref() {
                // The first call of a transaction finds out.
                DriverKind::Command(command) if command.code == NO_TRANSACTIONS => {
                    Error::new(ErrorKind::Unsupported {
                        what: "a purchase needs transactions, and this server is no member of a \
                               replica set; start it as one"
                            .into(),
                    })
                }
                _ => map(&error, deadline),
            })?,
            Err(_) => return Err(Error::timeout(deadline)),
        };
        found.map(|document| decode(&document, read)).transpose()
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
        let paid = within(store.deadline, pay.session(session)).await?;
        if paid.matched_count == 0 {
            // The snapshot said that the balance is enough.
            return Err(Error::internal("a balance changed within its snapshot"));
        }
        Ok(())
    }

    /// Writes the position's document: of two purchases of it at once one meets a conflict.
    async fn claim(&self, session: &mut ClientSession, position: u32) -> Result<()> {
        let store = &self.0;
        let positions = store.database.collection::<Document>(BOOST_POSITIONS);
        let count = doc! {"$inc": {"purchases": 1_i64}};
        let claim = positions
            .update_one(by_id(i64::from(position)), count)
            .upsert(true)
            .session(session);
        match within(store.deadline, claim).await {
            Ok(_) => Ok(()),
            // Another purchase has just made the document.
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists { .. }) => {
                Err(Error::new(ErrorKind::Conflict {
                    reason: "another purchase came between; repeat the call".into(),
                })
                .retryable(true))
            }
            Err(error) => Err(error),
        }
    }

    /// The positions that active boosts hold in the boost's time, the Node app's boosts too.
    async fn taken(
        &self,
        session: &mut ClientSession,
        boost: &Boost,
        position: Option<u32>,
    ) -> Result<Vec<u32>> {
        let store = &self.0;
        let mut filter = doc! {
            "active": true,
            "startedAt": {"$lt": date(boost.expires_at)},
            "expiresAt": {"$gt": date(boost.started_at)},
        };
        if let Some(position) = position {
            filter.insert("position", i64::from(position));
        }
        let positions = store.boosts.distinct("position", filter).session(session);
        let positions = within(store.deadline, positions).await?;
        let whole = |position: &bson::Bson| match position {
            bson::Bson::Int32(position) => u32::try_from(*position).ok(),
            bson::Bson::Int64(position) => u32::try_from(*position).ok(),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the range is checked"
            )]
            bson::Bson::Double(position) => {
                let is_whole = position.fract() == 0.0;
                let fits = (0.0..=f64::from(u32::MAX)).contains(position);
                (is_whole && fits).then_some(*position as u32)
            }
            _ => None,
        };
        Ok(positions.iter().filter_map(whole).collect())
    }
}

/// `IllegalOperation`: transaction numbers are for replica sets.
const NO_TRANSACTIONS: i32 = 20;

fn missing<T>(what: &str, id: Id<T>) -> Error {
    Error::not_found().for_record(format_args!("{what} {id}"))
}

/// Whether the transaction met another one.
fn came_between(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict { .. }) && error.is_retryable()
}

/// A pause of half to the whole length, so that those who met do not meet again.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let share = u32::try_from(random % 512).unwrap_or_default();
    pause / 2 + pause * share / 1024
}

#[async_trait]
impl BoostRepository for MongoBoosts {
    async fn purchase(&self, user_id: Id<User>, boost: NewBoost) -> Result<Boost> {
        self.buy(user_id, boost)
            .await
            .map_err(|error| error.in_operation("boosts.purchase"))
    }

    async fn get(&self, user_id: Id<User>, id: Id<Boost>) -> Result<Boost> {
        let store = &self.0;
        let mut own = by_id(id.to_object_id());
        own.insert("userId", user_id.to_object_id());
        let found = store.first(&store.boosts, own, document::boost);
        found
            .await
            .and_then(|boost| boost.ok_or_else(Error::not_found))
            .map_err(|error| error.in_operation("boosts.get").for_record(id))
    }

    async fn list(&self, user_id: Id<User>, request: PageRequest) -> Result<Page<Boost>> {
        let store = &self.0;
        let own = doc! {"userId": user_id.to_object_id()};
        let read = document::boost;
        let page = store.page(&store.boosts, own, &request, read, |boost| boost.id);
        page.await
            .map_err(|error| error.in_operation("boosts.list"))
    }

    async fn leaderboard(&self, at: DateTime<Utc>, limit: u32) -> Result<Vec<Boost>> {
        let store = &self.0;
        let held = doc! {
            "active": true,
            "startedAt": {"$lte": date(at)},
            "expiresAt": {"$gt": date(at)},
        };
        let limit = limit.clamp(1, PageRequest::MAX_LIMIT);
        let options = in_one_batch(doc! {"position": 1, "_id": 1}, limit);
        let found = store.find(&store.boosts, held, options, document::boost);
        found
            .await
            .map_err(|error| error.in_operation("boosts.leaderboard"))
    }

    async fn expire_due(&self, at: DateTime<Utc>) -> Result<u64> {
        let store = &self.0;
        let due = doc! {"active": true, "expiresAt": {"$lte": date(at)}};
        let expire = store
            .boosts
            .update_many(due, doc! {"$set": {"active": false}});
        within(store.deadline, expire)
            .await
            .map(|updated| updated.modified_count)
            .map_err(|error| error.in_operation("boosts.expire_due"))
    }
}
