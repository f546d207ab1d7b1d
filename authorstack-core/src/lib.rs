//! AuthorStack's domain, without a driver: records, repository traits, the error type, the
//! in-memory stores and the migration engine.
//!
//! A host codes against [`AuthorStack`]; a backend crate implements [`DocumentStore`] and, for
//! migrations, [`migrate::Source`] and [`migrate::Target`].

mod book;
mod change;
mod error;
mod extra;
mod id;
mod memory;
pub mod migrate;
mod page;
mod stack;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
mod user;
pub mod values;

pub use book::{Book, BookFilter, BookMetadata, BookPatch, BookRepository, BookStatus, NewBook};
pub use change::Change;
pub use error::{Error, ErrorKind, Result};
pub use extra::Extra;
pub use id::Id;
pub use memory::MemoryStore;
pub use page::{Cursor, Order, Page, PageRequest};
pub use stack::{AuthorStack, DocumentStore};
pub use user::{
    ConnectedPlatform, NewUser, Preferences, SubscriptionTier, Theme, User, UserPatch,
    UserRepository, check_credits,
};
pub use values::{Asin, AuthId, AuthProvider, Currency, Email, Isbn, Platform};

#[cfg(feature = "mocks")]
pub use {book::MockBookRepository, user::MockUserRepository};
