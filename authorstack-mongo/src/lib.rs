//! AuthorStack's documents in MongoDB: users, books and everything that belongs to them.
//!
//! The documents follow the schema field by field, so an app on Mongoose can share them: an id is
//! an ObjectId, a moment is a BSON date, and unknown fields of a document are kept. Reading is
//! lenient in types (a number may be an int32, an int64, a double, a Decimal128 or a text) and
//! strict in meaning.
//!
//! ```no_run
//! use authorstack_core::{AnalyticsStore, AuthorStack, NewUser};
//! use authorstack_mongo::{MongoConfig, MongoStore};
//!
//! # async fn example(analytics: &dyn AnalyticsStore) -> authorstack_core::Result<()> {
//! let url = std::env::var("AUTHORSTACK_MONGODB_URL").unwrap_or_default();
//! let store = MongoStore::connect_and_prepare(MongoConfig::new(url)).await?;
//!
//! // The analytics are in another store: `authorstack-postgres` puts them on Azure.
//! let stack = AuthorStack::distributed(&store, analytics);
//! let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
//! let ada = stack.users().create(ada).await?;
//! stack.users().add_credits(ada.id, 100).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What MongoDB does not do
//! - Unique fields are unique by their exact text: an old `Ada@example.org` does not exclude a new
//!   `ada@example.org`. Calls that rely on a unique index answer
//!   [`Unsupported`](authorstack_core::ErrorKind::Unsupported) until [`MongoStore::prepare`] has made
//!   it.
//! - There are no foreign keys. The user of a book, the book of a checklist and the post of a
//!   comment are looked up before the write. If they are deleted in between, the new record remains
//!   without them.
//! - A user is deleted in steps, the user last: their likes and comments on all posts, their posts,
//!   follows in both directions, checklists and boosts, competitors, books, the user. A book is
//!   deleted after its checklists and boosts. If a step fails, repeat the call: it continues.
//! - Likes, comments and price histories are inside their documents, and MongoDB limits a document
//!   to 16 MB: some 700,000 likes. [`MongoConfig::price_history_limit`] keeps histories short.
//! - A purchase of a boost needs a transaction, and so a replica set; Atlas is one.
//! - A change is made before the document is read back. If the document then turns out to be
//!   [`Corrupt`](authorstack_core::ErrorKind::Corrupt) in another field, the change was made.

mod books;
mod boosts;
mod checklists;
mod community;
mod competitors;
mod config;
mod document;
mod error;
mod extended_json;
mod follows;
mod migration;
mod page;
mod pipeline;
mod raw;
mod repositories;
mod schema;
mod store;
mod users;

pub use config::MongoConfig;
pub use store::MongoStore;
