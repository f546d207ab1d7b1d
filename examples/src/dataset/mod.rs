//! The documents of an app as MongoDB holds them: most of them sound, some as dirty as years of
//! an app leave them. All of it follows from a seed.

mod analytics;
mod books;
mod boosts;
mod case;
mod checklists;
mod community;
mod competitors;
mod follows;
mod maker;
mod users;

use std::collections::HashMap;

use authorstack_core::migrate::{Kind, RejectLine};
use bson::{RawDocumentBuf, oid::ObjectId};
use mongodb::{Database, error::Result};

use self::maker::Maker;
pub use self::{
    analytics::Analytics,
    case::{Case, Dataset, Fate},
    users::SECRET,
};

/// How many sound records there are. The other kinds follow from these.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Users.
    pub users: usize,
    /// Books, spread over the users.
    pub books: usize,
}

/// The cases that ended in another way than they must, by the rejects file.
#[must_use]
pub fn surprises(cases: &[Case], rejects: &[RejectLine]) -> Vec<String> {
    let by_key: HashMap<(Kind, &str), &RejectLine> = rejects
        .iter()
        .map(|line| ((line.kind, line.key.as_str()), line))
        .collect();
    let mut surprises = Vec::new();
    for case in cases {
        let found = by_key.get(&(case.kind, case.key.as_str()));
        let right = match (case.fate, found) {
            (Fate::Carried | Fate::SetAside(_), None) => true,
            (Fate::Rejected(field), Some(line)) => {
                line.reason.contains(field)
                    && line.problems.0.iter().any(|problem| problem.field == field)
            }
            _ => false,
        };
        if !right {
            surprises.push(format!("{case:?}: {:?}", found.map(|line| &line.reason)));
        }
    }
    let expected = cases
        .iter()
        .filter(|case| matches!(case.fate, Fate::Rejected(_)))
        .count();
    if rejects.len() != expected {
        surprises.push(format!("{} rejects, expected {expected}", rejects.len()));
    }
    surprises
}

/// Makes the sound documents and, among them, one dirty record for each case.
#[must_use]
pub fn generate(seed: u64, size: Size) -> Dataset {
    let mut maker = Maker::new(seed, 0);
    let mut users: Vec<ObjectId> = (0..size.users).map(|_| maker.sound_user()).collect();
    if users.is_empty() {
        users.push(maker.sound_user());
    }
    let books: Vec<Owned> = (0..size.books)
        .map(|_| {
            let author = maker.pick(&users);
            maker.sound_book(author)
        })
        .collect();
    maker.sound_follows(&users);
    for _ in 0..size.books / 4 {
        let author = maker.pick(&users);
        maker.sound_post(author, &users);
        maker.sound_competitor(author);
    }
    for book in books.iter().step_by(4) {
        maker.sound_checklist(*book);
        maker.sound_boost(*book);
    }
    maker.dirty_users();
    maker.dirty_books(users[0]);
    let book = maker.sound_book(users[0]);
    maker.dirty_checklists(book);
    maker.dirty_follows();
    maker.dirty_posts(users[0]);
    maker.dirty_likes(users[0]);
    maker.dirty_comments(users[0]);
    maker.dirty_boosts(book);
    maker.dirty_competitors();
    maker.dirty_prices();
    maker.set
}

/// A book, and whose it is.
#[derive(Debug, Clone, Copy)]
struct Owned {
    book: ObjectId,
    user: ObjectId,
}

/// Sound books alone, about 700 bytes each, of these users: for the benchmarks. `from` is the
/// number of the first, so that books made in portions are in the order of their ids.
#[must_use]
pub fn sound_books(from: u32, users: &[ObjectId], books: usize) -> Vec<RawDocumentBuf> {
    let mut maker = Maker::new(from.into(), from);
    for _ in 0..books {
        let author = maker.pick(users);
        maker.sound_book(author);
    }
    maker.set.take(Kind::Books)
}

/// Sound posts alone, of these users and with so many likes of theirs each: for the benchmarks.
/// `from` is as for [`sound_books`].
#[must_use]
pub fn sound_posts(
    from: u32,
    users: &[ObjectId],
    posts: usize,
    likes: usize,
) -> Vec<RawDocumentBuf> {
    let mut maker = Maker::new(from.into(), from);
    for _ in 0..posts {
        let author = maker.pick(users);
        maker.liked_post(author, users, likes);
    }
    maker.set.take(Kind::CommunityPosts)
}

/// Sound users alone.
#[must_use]
pub fn sound_users(seed: u64, users: usize) -> (Vec<ObjectId>, Vec<RawDocumentBuf>) {
    let mut maker = Maker::new(seed, 0);
    let ids = (0..users).map(|_| maker.sound_user()).collect();
    (ids, maker.set.take(Kind::Users))
}

impl Dataset {
    /// How many records of all kinds a migration reads.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.records.values().sum()
    }

    /// What the analytics of the first authors hold, with so many sales of each book: most of it
    /// sound, some of it dirty. All of it follows from the seed.
    #[must_use]
    pub fn analytics(&self, seed: u64, size: Size, sales: usize) -> Analytics {
        let books = self.documents.get(&Kind::Books).into_iter().flatten();
        let owned = books.take(size.books).filter_map(|book| {
            Some(Owned {
                book: book.get_object_id("_id").ok()?,
                user: book.get_object_id("userId").ok()?,
            })
        });
        analytics::generate(seed, &owned.collect::<Vec<_>>(), sales)
    }

    /// Writes the documents into a database.
    ///
    /// # Errors
    /// What the driver fails with.
    pub async fn insert(&self, database: &Database) -> Result<()> {
        for (kind, documents) in &self.documents {
            insert(database, kind.as_str(), documents).await?;
        }
        Ok(())
    }

    fn take(&mut self, kind: Kind) -> Vec<RawDocumentBuf> {
        self.documents.remove(&kind).unwrap_or_default()
    }
}

/// Writes documents into a collection, in portions that the server takes.
///
/// # Errors
/// What the driver fails with.
pub async fn insert(
    database: &Database,
    collection: &str,
    documents: &[RawDocumentBuf],
) -> Result<()> {
    let collection = database.collection::<RawDocumentBuf>(collection);
    for portion in documents.chunks(5_000) {
        collection.insert_many(portion).ordered(false).await?;
    }
    Ok(())
}

/// The size of the documents on average, in bytes.
#[must_use]
pub fn average_size(documents: &[RawDocumentBuf]) -> usize {
    let bytes: usize = documents
        .iter()
        .map(|document| document.as_bytes().len())
        .sum();
    bytes / documents.len().max(1)
}
