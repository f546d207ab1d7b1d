//! Users.

use std::time::Duration;

use async_trait::async_trait;
use authorstack_core::{
    AuthId, Book, Email, Error, ErrorKind, Id, Listed, NewUser, Page, PageRequest, Platform,
    Result, User, UserPatch, UserRepository, resilience::retry_on_conflict,
};
use bson::{Bson, Document, Regex, doc};
use chrono::{DateTime, Utc};

use crate::{
    document::{decode, encode},
    error::driver,
    page::in_one_batch,
    pipeline::{
        Changes, contended, date, forms_of, list_of, literal, moment, name_as_read, refers_to,
    },
    store::{MongoStore, by_id, read_document},
};

#[derive(Debug)]
pub(crate) struct MongoUsers(pub(crate) MongoStore);

impl MongoUsers {
    async fn change(&self, filter: Document, changes: Changes) -> Result<Option<User>> {
        let store = &self.0;
        let pipeline = changes.into_pipeline();
        store.change(&store.users, filter, pipeline).await
    }

    /// The user that a change did not match: NotFound, Corrupt, or the present record.
    async fn unmatched(&self, id: Id<User>) -> Result<User> {
        let store = &self.0;
        let user = by_id(id.to_object_id());
        store.get_from_primary(&store.users, user).await
    }

    /// Adds to the balance if the sum is within the limits. The server checks this.
    async fn move_credits(&self, id: Id<User>, amount: i64) -> Result<User> {
        let (least, most) = if amount < 0 {
            (-amount, i64::MAX)
        } else {
            (0, i64::MAX - amount)
        };
        // Another write may come between a change that matches nothing and the search for the
        // reason.
        retry_on_conflict(|| async move {
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
            Err(contended())
        })
        .await
    }

    /// Changes the list of connected platforms. A document whose list is neither an array nor a
    /// single object is not changed.
    async fn change_platforms(
        &self,
        id: Id<User>,
        condition: Option<(&str, Bson)>,
        list: Document,
    ) -> Result<User> {
        let mut filter = by_id(id.to_object_id());
        filter.insert(
            "$or",
            vec![
                doc! {"connectedPlatforms": null},
                doc! {"connectedPlatforms": {"$type": ["array", "object", "undefined"]}},
            ],
        );
        let must_match = condition.is_some();
        if let Some((field, value)) = condition {
            filter.insert(field, value);
        }
        let mut changes = Changes::new();
        changes.compute("connectedPlatforms", list);
        match self.change(filter, changes).await? {
            Some(user) => Ok(user),
            None => match self.unmatched(id).await {
                Ok(_) if must_match => Err(Error::not_found()),
                Ok(_) => Err(contended()),
                Err(error) => Err(error),
            },
        }
    }
}

/// The balance as a 64-bit integer, from every type that reading accepts. Null if reading finds a
/// problem, so that every comparison is false.
pub(crate) fn balance() -> Document {
    let kind = doc! {"$type": "$credits"};
    let text = &doc! {"$trim": {"input": "$credits"}};
    let number = doc! {"$switch": {
        "branches": [
            {"case": {"$in": [&kind, ["missing", "null", "undefined"]]}, "then": 0_i64},
            {"case": {"$in": [&kind, ["int", "long", "double", "decimal"]]}, "then": "$credits"},
            {
                "case": {"$eq": [&kind, "string"]},
                "then": {"$cond": [
                    {"$eq": [text, ""]},
                    0_i64,
                    {"$convert": {"input": text, "to": "decimal", "onError": null}},
                ]},
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

/// The list of connected platforms; empty if the document has none.
fn platforms() -> Document {
    list_of("$connectedPlatforms")
}

/// The platform of an item in small letters without blanks around it, as reading has it. The item
/// keeps its spelling.
fn name_of_item() -> Document {
    let name = "$$item.platform";
    doc! {"$cond": [
        {"$eq": [{"$type": name}, "string"]},
        {"$toLower": {"$trim": {"input": name}}},
        name,
    ]}
}

/// The list, with some members replaced in the items of one platform.
fn with_item(platform: &str, members: Document) -> Document {
    doc! {"$map": {
        "input": platforms(),
        "as": "item",
        "in": {"$cond": [
            {"$eq": [name_of_item(), literal(platform)]},
            {"$mergeObjects": ["$$item", members]},
            "$$item",
        ]},
    }}
}

/// Matches an e-mail address in upper and lower case, and with blanks around it.
fn in_any_case(email: &Email) -> Result<Regex> {
    let mut pattern = String::from("^\\s*");
    for character in email.as_str().chars() {
        if character.is_ascii() && !character.is_ascii_alphanumeric() {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push_str("\\s*$");
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
        let user = user.into_user();
        let store = &self.0;
        store.needs_unique_indexes().await?;
        store.insert(&store.users, encode(&user)?).await?;
        Ok(user)
    }

    async fn get(&self, id: Id<User>) -> Result<User> {
        let store = &self.0;
        store.get(&store.users, by_id(id.to_object_id())).await
    }

    async fn get_many(&self, ids: &[Id<User>]) -> Result<Listed<User>> {
        let store = &self.0;
        store.get_many(&store.users, ids, Document::new()).await
    }

    async fn get_by_auth_id(&self, auth_id: &AuthId) -> Result<User> {
        let store = &self.0;
        let of_account = doc! {"authId": auth_id.as_str()};
        store.get(&store.users, of_account).await
    }

    /// If the exact address does not exist, a scan of the e-mail index finds an address in mixed
    /// case from an older app.
    async fn get_by_email(&self, email: &Email) -> Result<User> {
        let store = &self.0;
        let exact = doc! {"email": email.as_str()};
        if let Some(user) = store.first(&store.users, exact).await? {
            return Ok(user);
        }
        let filter = doc! {"email": in_any_case(email)?};
        let options = in_one_batch(doc! {"_id": 1}, 10);
        let rows = store.find_rows(&store.users, filter, options).await?;
        let mut unreadable = None;
        for row in rows.rows()? {
            match read_document(row, decode::<User>) {
                Ok(user) if user.email == *email => return Ok(user),
                Ok(_) => {}
                Err(error) => unreadable = Some(error),
            }
        }
        Err(unreadable.unwrap_or_else(Error::not_found))
    }

    async fn list(&self, request: PageRequest) -> Result<Page<User>> {
        let store = &self.0;
        let all = Document::new();
        store.page(&store.users, all, &request).await
    }

    async fn update(&self, id: Id<User>, patch: UserPatch) -> Result<User> {
        let store = &self.0;
        if patch.email.is_some() || patch.auth_id.is_some() {
            store.needs_unique_indexes().await?;
        }
        let (own, expected) = (by_id(id.to_object_id()), patch.expected_updated_at);
        store.patch(&store.users, own, id, &patch, expected).await
    }

    /// Removes what belongs to the user, and the user last. A call that failed can be repeated and
    /// continues. The order is: their likes and comments on all posts, their posts, follows in both
    /// directions, the checklists and boosts of their books, their own checklists and boosts, their
    /// competitors, their books, the user.
    async fn delete(&self, id: Id<User>) -> Result<()> {
        /// There is no index from a user to the posts that they like: it would grow with every
        /// like, for a rare call. So these passes read all posts.
        const WHOLE_COLLECTION: Duration = Duration::from_mins(10);
        let store = &self.0;
        store.known_user(id).await?;
        let user = id.to_object_id();
        for (array, field, author) in [
            ("likes", "likes", "$$item"),
            ("comments", "comments.authorId", "$$item.authorId"),
        ] {
            let theirs = doc! {"$in": [author, forms_of(id)]};
            let others = doc! {"$filter": {
                "input": list_of(&format!("${array}")),
                "as": "item",
                "cond": {"$not": [theirs]},
            }};
            let of_theirs = doc! {field: refers_to(id)};
            let left = vec![doc! {"$set": {array: others}}];
            let removed = store.posts.update_many(of_theirs, left);
            driver(WHOLE_COLLECTION, removed).await?;
        }
        let deadline = store.deadline;
        let posts = store.posts.delete_many(doc! {"authorId": refers_to(id)});
        driver(deadline, posts).await?;
        let both = doc! {"$or": [{"followerId": refers_to(id)}, {"authorId": refers_to(id)}]};
        driver(deadline, store.follows.delete_many(both)).await?;
        let books = store.books.distinct("_id", doc! {"userId": refers_to(id)});
        for book in driver(deadline, books).await? {
            let of_book = match book {
                Bson::ObjectId(book) => refers_to(Id::<Book>::from_object_id(book)),
                book => doc! {"$eq": book},
            };
            let of_book = doc! {"bookId": of_book};
            driver(deadline, store.checklists.delete_many(of_book.clone())).await?;
            driver(deadline, store.boosts.delete_many(of_book)).await?;
        }
        let own = doc! {"userId": refers_to(id)};
        for collection in [
            &store.checklists,
            &store.boosts,
            &store.competitors,
            &store.books,
        ] {
            driver(deadline, collection.delete_many(own.clone())).await?;
        }
        store.delete(&store.users, by_id(user)).await
    }

    async fn add_credits(&self, id: Id<User>, amount: i64) -> Result<User> {
        self.move_credits(id, amount).await
    }

    async fn spend_credits(&self, id: Id<User>, amount: i64) -> Result<User> {
        self.move_credits(id, -amount).await
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
        let names = doc! {"$map": {"input": platforms(), "as": "item", "in": name_of_item()}};
        let list = doc! {"$cond": [
            {"$in": [literal(name), names]},
            with_item(name, connected),
            {"$concatArrays": [platforms(), [item]]},
        ]};
        self.change_platforms(id, None, list).await
    }

    async fn disconnect_platform(&self, id: Id<User>, platform: &Platform) -> Result<User> {
        let list = doc! {"$filter": {
            "input": platforms(),
            "as": "item",
            "cond": {"$ne": [name_of_item(), literal(platform.as_str())]},
        }};
        self.change_platforms(id, None, list).await
    }

    async fn mark_synced(
        &self,
        id: Id<User>,
        platform: &Platform,
        at: DateTime<Utc>,
    ) -> Result<User> {
        let name = platform.as_str();
        let later = doc! {"lastSync": {"$max": [moment("$$item.lastSync"), date(at)]}};
        let connected = Some((
            "connectedPlatforms.platform",
            name_as_read("platform", platform.as_str())?,
        ));
        self.change_platforms(id, connected, with_item(name, later))
            .await
    }
}
