//! Users.

use std::time::Duration;

use async_trait::async_trait;
use authorstack_core::{
    AuthId, AuthProvider, Email, Error, ErrorKind, Id, NewUser, Page, PageRequest, Platform,
    Result, SubscriptionTier, User, UserPatch, UserRepository, check_credits,
};
use bson::{Bson, Document, Regex, doc};
use chrono::{DateTime, Utc};

use crate::{
    document::{self, fields_of_preferences, user_document},
    error::within,
    page::in_one_batch,
    schema::by_id,
    store::{Changes, MongoStore, contended, date, expect_update, literal},
};

/// How often a change is tried again when another write came between it and its explanation.
const ATTEMPTS: usize = 5;

#[derive(Debug)]
pub(crate) struct MongoUsers(pub(crate) MongoStore);

impl MongoUsers {
    async fn first(&self, filter: Document) -> Result<Option<User>> {
        self.0.first(&self.0.users, filter, document::user).await
    }

    async fn change(&self, filter: Document, changes: Changes) -> Result<Option<User>> {
        let pipeline = changes.into_pipeline();
        self.0
            .change(&self.0.users, filter, pipeline, document::user)
            .await
    }

    /// The user that a change did not match: NotFound, Corrupt, or as they are.
    async fn unmatched(&self, id: Id<User>) -> Result<User> {
        let store = &self.0;
        let found = store.first_on_primary(&store.users, by_id(id.to_object_id()), document::user);
        found.await?.ok_or_else(Error::not_found)
    }

    async fn update_once(&self, id: Id<User>, patch: UserPatch) -> Result<User> {
        patch.check()?;
        let mut filter = by_id(id.to_object_id());
        let possible = patch
            .expected_updated_at
            .is_none_or(|at| expect_update(&mut filter, id, at).is_some());
        let mut changes = Changes::new();
        changes.set_some("authId", patch.auth_id.map(AuthId::into_string));
        let provider = patch.auth_provider.as_ref();
        changes.set_some("authProvider", provider.map(AuthProvider::as_str));
        changes.set_some("email", patch.email.map(Email::into_string));
        changes.set_some("name", patch.name);
        let tier = patch.subscription_tier;
        changes.set_some("subscriptionTier", tier.map(SubscriptionTier::as_str));
        if let Some(preferences) = &patch.preferences {
            changes.set(
                "preferences",
                to_document(fields_of_preferences(preferences)?)?,
            );
        }
        if possible && let Some(user) = self.change(filter, changes).await? {
            return Ok(user);
        }
        self.unmatched(id).await?;
        Err(match patch.expected_updated_at {
            Some(_) => Error::stale(),
            None => contended(),
        })
    }

    /// Removes what is theirs, and the user last: a call that broke off can be repeated, and goes
    /// on. In this order: their likes and comments on all posts, their posts, follows in both
    /// directions, the checklists and boosts of their books, their own, their competitors, their
    /// books, the user.
    async fn erase(&self, id: Id<User>) -> Result<()> {
        /// No index leads from a user to the posts that they like: it would grow with every like
        /// for the sake of a rare call. So these passes read all posts.
        const WHOLE_COLLECTION: Duration = Duration::from_mins(10);
        let store = &self.0;
        self.0.known_user(id).await?;
        let user = id.to_object_id();
        let likes = doc! {"$pull": {"likes": user}};
        let of_likes = store.posts.update_many(doc! {"likes": user}, likes);
        within(WHOLE_COLLECTION, of_likes).await?;
        let comments = doc! {"$pull": {"comments": {"authorId": user}}};
        let of_theirs = doc! {"comments": {"$elemMatch": {"authorId": user}}};
        let commented = store.posts.update_many(of_theirs, comments);
        within(WHOLE_COLLECTION, commented).await?;
        let deadline = store.deadline;
        let posts = store.posts.delete_many(doc! {"authorId": user});
        within(deadline, posts).await?;
        let both = doc! {"$or": [{"followerId": user}, {"authorId": user}]};
        within(deadline, store.follows.delete_many(both)).await?;
        for book in self.books_of(id).await? {
            let of_book = doc! {"bookId": book};
            within(deadline, store.checklists.delete_many(of_book.clone())).await?;
            within(deadline, store.boosts.delete_many(of_book)).await?;
        }
        let own = doc! {"userId": user};
        for collection in [
            &store.checklists,
            &store.boosts,
            &store.competitors,
            &store.books,
        ] {
            within(deadline, collection.delete_many(own.clone())).await?;
        }
        let user = store.users.delete_one(by_id(user));
        match within(deadline, user).await?.deleted_count {
            0 => Err(Error::not_found()),
            _ => Ok(()),
        }
    }

    async fn books_of(&self, id: Id<User>) -> Result<Vec<Bson>> {
        let filter = doc! {"userId": id.to_object_id()};
        let ids = self.0.books.distinct("_id", filter);
        within(self.0.deadline, ids).await
    }

    /// Adds to the balance where the sum is within the limits, decided by the server.
    async fn move_credits(&self, id: Id<User>, amount: i64) -> Result<User> {
        let (least, most) = if amount < 0 {
            (-amount, i64::MAX)
        } else {
            (0, i64::MAX - amount)
        };
        for _ in 0..ATTEMPTS {
            let mut filter = by_id(id.to_object_id());
            filter.insert(
                "$expr",
                doc! {"$and": [
                    {"$gte": [balance(), least]},
                    {"$lte": [balance(), most]},
                ]},
            );
            let mut changes = Changes::new();
            changes.compute("credits", doc! {"$add": [balance(), amount]});
            if let Some(user) = self.change(filter, changes).await? {
                return Ok(user);
            }
            let found = self.unmatched(id).await?.credits;
            if found < least {
                return Err(Error::new(ErrorKind::InsufficientCredits {
                    balance: found,
                    needed: least,
                }));
            }
            if found > most {
                return Err(Error::invalid(
                    "amount",
                    "the balance would be larger than can be stored",
                ));
            }
        }
        Err(contended())
    }

    /// Changes the list of connected platforms. A document whose list is none is not touched.
    async fn change_platforms(
        &self,
        id: Id<User>,
        condition: Option<(&str, &str)>,
        list: Document,
    ) -> Result<User> {
        let mut filter = by_id(id.to_object_id());
        filter.insert(
            "$or",
            vec![
                doc! {"connectedPlatforms": null},
                doc! {"connectedPlatforms": {"$type": "array"}},
            ],
        );
        if let Some((field, value)) = condition {
            filter.insert(field, value);
        }
        let mut changes = Changes::new();
        changes.compute("connectedPlatforms", list);
        match self.change(filter, changes).await? {
            Some(user) => Ok(user),
            None => match self.unmatched(id).await {
                Ok(_) if condition.is_some() => Err(Error::not_found()),
                Ok(_) => Err(contended()),
                Err(error) => Err(error),
            },
        }
    }
}

/// The balance as a 64-bit integer, from every type that reading accepts; null where reading
/// finds a problem, so that no comparison holds.
pub(crate) fn balance() -> Document {
    let kind = doc! {"$type": "$credits"};
    let number = doc! {"$switch": {
        "branches": [
            {"case": {"$in": [&kind, ["missing", "null"]]}, "then": 0_i64},
            {"case": {"$in": [&kind, ["int", "long", "double", "decimal"]]}, "then": "$credits"},
            {
                "case": {"$eq": [&kind, "string"]},
                "then": {"$convert": {"input": "$credits", "to": "decimal", "onError": null}},
            },
        ],
        "default": null,
    }};
    let whole = doc! {"$convert": {"input": "$$number", "to": "long", "onError": null}};
    doc! {"$let": {
        "vars": {"number": number},
        "in": {"$cond": [{"$eq": ["$$number", {"$trunc": "$$number"}]}, whole, null]},
    }}
}

/// The list of connected platforms; empty where the document has none.
fn platforms() -> Document {
    doc! {"$ifNull": ["$connectedPlatforms", []]}
}

/// The list with some members of the items of one platform replaced.
fn with_item(platform: &str, members: Document) -> Document {
    doc! {"$map": {
        "input": platforms(),
        "as": "item",
        "in": {"$cond": [
            {"$eq": ["$$item.platform", literal(platform)]},
            {"$mergeObjects": ["$$item", members]},
            "$$item",
        ]},
    }}
}

fn to_document(raw: bson::RawDocumentBuf) -> Result<Document> {
    Document::try_from(raw).map_err(|error| Error::internal(error.to_string()))
}

/// Matches an e-mail address whatever its case.
fn in_any_case(email: &Email) -> Result<Regex> {
    let mut pattern = String::from("^");
    for character in email.as_str().chars() {
        if character.is_ascii() && !character.is_ascii_alphanumeric() {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('$');
    let text = |text: String| {
        text.try_into()
            .map_err(|error: bson::error::Error| Error::invalid("email", error.to_string()))
    };
    Ok(Regex {
        pattern: text(pattern)?,
        options: text("i".to_owned())?,
    })
}

#[async_trait]
impl UserRepository for MongoUsers {
    async fn create(&self, user: NewUser) -> Result<User> {
        let create = async {
            let user = user.into_user()?;
            let document = user_document(&user)?;
            within(self.0.deadline, self.0.users.insert_one(document)).await?;
            Ok(user)
        };
        create
            .await
            .map_err(|error: Error| error.in_operation("users.create"))
    }

    async fn get(&self, id: Id<User>) -> Result<User> {
        let found = self.first(by_id(id.to_object_id())).await;
        found
            .and_then(|user| user.ok_or_else(Error::not_found))
            .map_err(|error| error.in_operation("users.get").for_record(id))
    }

    async fn get_by_auth_id(&self, auth_id: &AuthId) -> Result<User> {
        let found = self.first(doc! {"authId": auth_id.as_str()}).await;
        found
            .and_then(|user| user.ok_or_else(Error::not_found))
            .map_err(|error| error.in_operation("users.get_by_auth_id"))
    }

    /// An address in mixed case, left by an older app, is found by a walk over the e-mail index
    /// when the exact one is not there.
    async fn get_by_email(&self, email: &Email) -> Result<User> {
        let get = async {
            if let Some(user) = self.first(doc! {"email": email.as_str()}).await? {
                return Ok(user);
            }
            let filter = doc! {"email": in_any_case(email)?};
            let options = in_one_batch(doc! {"_id": 1}, 10);
            let store = &self.0;
            let found = store
                .find(&store.users, filter, options, document::user)
                .await?;
            found
                .into_iter()
                .find(|user| user.email == *email)
                .ok_or_else(Error::not_found)
        };
        get.await
            .map_err(|error: Error| error.in_operation("users.get_by_email"))
    }

    async fn list(&self, request: PageRequest) -> Result<Page<User>> {
        let store = &self.0;
        let all = Document::new();
        let read = document::user;
        let page = store.page(&store.users, all, &request, read, |user| user.id);
        page.await.map_err(|error| error.in_operation("users.list"))
    }

    async fn update(&self, id: Id<User>, patch: UserPatch) -> Result<User> {
        self.update_once(id, patch)
            .await
            .map_err(|error| error.in_operation("users.update").for_record(id))
    }

    async fn delete(&self, id: Id<User>) -> Result<()> {
        self.erase(id)
            .await
            .map_err(|error| error.in_operation("users.delete").for_record(id))
    }

    async fn add_credits(&self, id: Id<User>, amount: i64) -> Result<User> {
        let add = async {
            if let Err(error) = check_credits(amount) {
                // As for every call, a user who is not there comes first.
                return self.unmatched(id).await.and(Err(error));
            }
            self.move_credits(id, amount).await
        };
        add.await
            .map_err(|error| error.in_operation("users.add_credits").for_record(id))
    }

    async fn spend_credits(&self, id: Id<User>, amount: i64) -> Result<User> {
        let spend = async {
            if let Err(error) = check_credits(amount) {
                return self.unmatched(id).await.and(Err(error));
            }
            self.move_credits(id, -amount).await
        };
        spend
            .await
            .map_err(|error| error.in_operation("users.spend_credits").for_record(id))
    }

    async fn connect_platform(
        &self,
        id: Id<User>,
        platform: Platform,
        at: DateTime<Utc>,
    ) -> Result<User> {
        let name = platform.as_str();
        let connected = doc! {"connectedAt": date(at)};
        let item = doc! {"platform": literal(name), "connectedAt": date(at)};
        let names = doc! {"$map": {"input": platforms(), "as": "item", "in": "$$item.platform"}};
        let list = doc! {"$cond": [
            {"$in": [literal(name), names]},
            with_item(name, connected),
            {"$concatArrays": [platforms(), [item]]},
        ]};
        self.change_platforms(id, None, list)
            .await
            .map_err(|error| error.in_operation("users.connect_platform").for_record(id))
    }

    async fn disconnect_platform(&self, id: Id<User>, platform: &Platform) -> Result<User> {
        let list = doc! {"$filter": {
            "input": platforms(),
            "as": "item",
            "cond": {"$ne": ["$$item.platform", literal(platform.as_str())]},
        }};
        self.change_platforms(id, None, list)
            .await
            .map_err(|error| {
                error
                    .in_operation("users.disconnect_platform")
                    .for_record(id)
            })
    }

    async fn mark_synced(
        &self,
        id: Id<User>,
        platform: &Platform,
        at: DateTime<Utc>,
    ) -> Result<User> {
        let name = platform.as_str();
        let later = doc! {"lastSync": {"$max": ["$$item.lastSync", date(at)]}};
        let connected = Some(("connectedPlatforms.platform", name));
        self.change_platforms(id, connected, with_item(name, later))
            .await
            .map_err(|error| error.in_operation("users.mark_synced").for_record(id))
    }
}
