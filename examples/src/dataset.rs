//! Authors and their books as documents of MongoDB: most of them sound, some as dirty as years
//! of an app leave them. All of it follows from a seed.

use std::collections::HashMap;

use authorstack_core::migrate::RejectLine;
use bson::{
    Binary, Bson, DateTime, Decimal128, Document, RawDocumentBuf, doc, oid::ObjectId,
    spec::BinarySubtype,
};
use mongodb::{Database, error::Result};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// How many sound records there are.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Users.
    pub users: usize,
    /// Books, spread over the users.
    pub books: usize,
}

/// The documents, and what each dirty one is expected to come to.
#[derive(Debug, Default)]
pub struct Dataset {
    /// The documents of `users`.
    pub users: Vec<RawDocumentBuf>,
    /// The documents of `books`.
    pub books: Vec<RawDocumentBuf>,
    /// The dirty documents.
    pub cases: Vec<Case>,
}

/// One dirty document.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What is dirty about it.
    pub about: &'static str,
    /// `users` or `books`.
    pub collection: &'static str,
    /// Its key, as the migration names it.
    pub key: String,
    /// What must become of it.
    pub fate: Fate,
}

/// The cases that came to something else than they must, by what the rejects file says.
#[must_use]
pub fn astray(cases: &[Case], rejects: &[RejectLine]) -> Vec<String> {
    let by_key: HashMap<(&str, &str), &RejectLine> = rejects
        .iter()
        .map(|line| ((line.kind.as_str(), line.key.as_str()), line))
        .collect();
    let mut astray = Vec::new();
    for case in cases {
        let found = by_key.get(&(case.collection, case.key.as_str()));
        let right = match (case.fate, found) {
            (Fate::Carried, None) => true,
            (Fate::Rejected(field), Some(line)) => {
                line.reason.contains(field)
                    && line.problems.0.iter().any(|problem| problem.field == field)
            }
            _ => false,
        };
        if !right {
            astray.push(format!("{case:?}: {:?}", found.map(|line| &line.reason)));
        }
    }
    let expected = cases
        .iter()
        .filter(|case| case.fate != Fate::Carried)
        .count();
    if rejects.len() != expected {
        astray.push(format!("{} rejects, expected {expected}", rejects.len()));
    }
    astray
}

/// What must become of a dirty document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It moves.
    Carried,
    /// It is rejected, with a reason that names this field.
    Rejected(&'static str),
}

const GIVEN: &[&str] = &[
    "Ada", "Bruno", "Chiyo", "Dalia", "Emeka", "Freya", "Goran", "Hana", "Ines", "Jonas", "Kofi",
    "Leïla", "Marek", "Nadia", "Oisín", "Priya", "Quang", "Rosa", "Søren", "Tamar",
];
const FAMILY: &[&str] = &[
    "Abara",
    "Bianchi",
    "Costa",
    "Dubois",
    "Eriksen",
    "Farkas",
    "Grünwald",
    "Hayashi",
    "Ivanova",
    "Jensen",
    "Kowalski",
    "Lindqvist",
    "Mensah",
    "Novák",
    "Okafor",
    "Pereira",
    "Quispe",
    "Rossi",
];
const WORDS: &[&str] = &[
    "harbour", "winter", "glass", "orchard", "signal", "quiet", "ember", "river", "letters",
    "salt", "midnight", "garden", "hollow", "crown", "paper", "storm", "lantern", "atlas",
    "mirror", "feather", "iron", "island", "promise", "shadow", "wolf", "clock", "bridge", "tide",
];
const GENRES: &[&str] = &[
    "Mystery", "Romance", "Fantasy", "Thriller", "Sci-Fi", "Memoir", "YA",
];
const PLATFORMS: &[&str] = &["kdp", "gumroad", "apple_books", "kobo"];

/// Makes the sound documents and, among them, one dirty document for each case.
#[must_use]
pub fn generate(seed: u64, size: Size) -> Dataset {
    let mut maker = Maker {
        random: StdRng::seed_from_u64(seed),
        counter: 0,
        set: Dataset::default(),
    };
    let authors: Vec<ObjectId> = (0..size.users).map(|_| maker.sound_user()).collect();
    for _ in 0..size.books {
        let author = maker.pick(&authors);
        let book = maker.book(author);
        maker.add_book(&book);
    }
    let author = authors
        .first()
        .copied()
        .unwrap_or_else(|| maker.sound_user());
    maker.dirty_users();
    maker.dirty_books(author);
    maker.set
}

/// Sound books alone, about 700 bytes each, of these users: for the benchmarks. `from` is the
/// number of the first, so that books made in portions are in the order of their ids.
#[must_use]
pub fn sound_books(from: u32, users: &[ObjectId], books: usize) -> Vec<RawDocumentBuf> {
    let mut maker = Maker {
        random: StdRng::seed_from_u64(from.into()),
        counter: from,
        set: Dataset::default(),
    };
    for _ in 0..books {
        let author = maker.pick(users);
        let book = maker.book(author);
        maker.add_book(&book);
    }
    maker.set.books
}

/// Sound users alone.
#[must_use]
pub fn sound_users(seed: u64, users: usize) -> (Vec<ObjectId>, Vec<RawDocumentBuf>) {
    let mut maker = Maker {
        random: StdRng::seed_from_u64(seed),
        counter: 0,
        set: Dataset::default(),
    };
    let ids = (0..users).map(|_| maker.sound_user()).collect();
    (ids, maker.set.users)
}

impl Dataset {
    /// Writes the documents into a database.
    ///
    /// # Errors
    /// What the driver fails with.
    pub async fn insert(&self, database: &Database) -> Result<()> {
        insert(database, "users", &self.users).await?;
        insert(database, "books", &self.books).await
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

struct Maker {
    random: StdRng,
    counter: u32,
    set: Dataset,
}

/// A moment in 2021, from which the ids count.
const START: u32 = 1_614_556_800;

impl Maker {
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        *from.choose(&mut self.random).unwrap_or(&from[0])
    }

    fn id(&mut self) -> ObjectId {
        self.counter += 1;
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&(START + self.counter * 7).to_be_bytes());
        self.random.fill(&mut bytes[4..9]);
        bytes[9..].copy_from_slice(&self.counter.to_be_bytes()[1..]);
        ObjectId::from_bytes(bytes)
    }

    fn date(&mut self) -> DateTime {
        let millis = self
            .random
            .random_range(1_500_000_000_000..1_760_000_000_000);
        DateTime::from_millis(millis)
    }

    fn text(&mut self, words: usize) -> String {
        let words: Vec<&str> = (0..words).map(|_| self.pick(WORDS)).collect();
        words.join(" ")
    }

    fn user(&mut self) -> Document {
        let id = self.id();
        let (given, family) = (self.pick(GIVEN), self.pick(FAMILY));
        let handle = format!("{given}.{family}")
            .to_lowercase()
            .replace(|c: char| !c.is_ascii(), "");
        let connected = DateTime::from_millis(1_700_000_000_000 + i64::from(self.counter));
        let tier = self.pick(&["free", "free", "starter", "professional", "enterprise"]);
        let (created, updated) = (self.date(), self.date());
        doc! {
            "_id": id,
            "authId": format!("{:016x}", self.random.random::<u64>()),
            "authProvider": "appwrite",
            "email": format!("{handle}.{}@example.org", self.counter),
            "name": format!("{given} {family}"),
            "subscriptionTier": tier,
            "credits": self.random.random_range(0..5_000_i32),
            "preferences": {
                "emailNotifications": self.random.random_bool(0.5),
                "weeklyDigest": self.random.random_bool(0.5),
                "theme": self.pick(&["light", "dark", "system"]),
                "timezone": self.pick(&["Europe/Lisbon", "America/Chicago", "Asia/Tokyo"]),
                "currency": self.pick(&["USD", "EUR", "JPY"]),
            },
            "connectedPlatforms": [
                { "platform": "kdp", "connectedAt": connected, "lastSync": updated },
            ],
            "createdAt": created,
            "updatedAt": updated,
            "__v": 0,
        }
    }

    fn sound_user(&mut self) -> ObjectId {
        let user = self.user();
        self.add_user(&user);
        user.get_object_id("_id").unwrap_or_default()
    }

    fn book(&mut self, author: ObjectId) -> Document {
        let id = self.id();
        let title = title_case(&self.text(3));
        let (created, updated) = (self.date(), self.date());
        doc! {
            "_id": id,
            "userId": author,
            "title": title,
            "subtitle": self.text(4),
            "author": format!("{} {}", self.pick(GIVEN), self.pick(FAMILY)),
            "description": self.text(24),
            "isbn": isbn(self.random.random_range(0..1_000_000_000)),
            "asin": format!("B0{:08X}", self.random.random::<u32>()),
            "coverUrl": format!("https://covers.example.org/{id}.jpg"),
            "genres": [self.pick(GENRES), self.pick(GENRES)],
            "platforms": [self.pick(PLATFORMS)],
            "publishedDate": self.date(),
            "status": self.pick(&["draft", "published", "published", "archived"]),
            "metadata": {
                "pageCount": self.random.random_range(80..900_i32),
                "wordCount": self.random.random_range(20_000..200_000_i32),
                "series": title_case(&self.text(2)),
                "seriesPosition": self.random.random_range(1..9_i32),
            },
            "createdAt": created,
            "updatedAt": updated,
            "__v": 0,
        }
    }

    fn add_user(&mut self, user: &Document) {
        self.set.users.push(raw(user));
    }

    fn add_book(&mut self, book: &Document) {
        self.set.books.push(raw(book));
    }

    /// Adds a dirty user: a sound one, spoilt.
    fn user_case(&mut self, about: &'static str, fate: Fate, spoil: impl FnOnce(&mut Document)) {
        let mut user = self.user();
        spoil(&mut user);
        let key = key(&user);
        self.add_user(&user);
        self.set.cases.push(Case {
            about,
            collection: "users",
            key,
            fate,
        });
    }

    /// Adds a dirty book: a sound one of the author's, spoilt.
    fn book_case(
        &mut self,
        author: ObjectId,
        about: &'static str,
        fate: Fate,
        spoil: impl FnOnce(&mut Document),
    ) {
        let mut book = self.book(author);
        spoil(&mut book);
        let key = key(&book);
        self.add_book(&book);
        self.set.cases.push(Case {
            about,
            collection: "books",
            key,
            fate,
        });
    }

    /// Spoils bytes of the last book or user added that no driver's types can hold.
    fn patch_last(documents: &mut [RawDocumentBuf], from: &[u8], to: &[u8]) {
        let Some(last) = documents.last_mut() else {
            return;
        };
        let mut bytes = last.as_bytes().to_vec();
        if let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        if let Ok(document) = RawDocumentBuf::from_bytes(bytes) {
            *last = document;
        }
    }

    #[expect(clippy::too_many_lines, reason = "a list of cases")]
    fn dirty_users(&mut self) {
        use Fate::{Carried, Rejected};
        let numbers = [
            ("credits as an int32", Bson::Int32(12)),
            ("credits as an int64", Bson::Int64(12_000_000_000)),
            ("credits as a double", Bson::Double(12.0)),
            ("credits as a string", Bson::from("12")),
            ("credits as a Decimal128", decimal("12")),
        ];
        for (about, credits) in numbers {
            self.user_case(about, Carried, |user| {
                user.insert("credits", credits);
            });
        }
        self.user_case("credits as a fraction", Rejected("credits"), |user| {
            user.insert("credits", 12.5);
        });
        self.user_case("infinite credits", Rejected("credits"), |user| {
            user.insert("credits", f64::INFINITY);
        });
        self.user_case("credits below zero", Rejected("credits"), |user| {
            user.insert("credits", -3);
        });
        self.user_case("optional fields missing", Carried, |user| {
            for field in [
                "name",
                "preferences",
                "connectedPlatforms",
                "credits",
                "authProvider",
                "subscriptionTier",
                "createdAt",
                "updatedAt",
                "__v",
            ] {
                user.remove(field);
            }
        });
        self.user_case("optional fields null", Carried, |user| {
            for field in [
                "name",
                "preferences",
                "connectedPlatforms",
                "credits",
                "updatedAt",
            ] {
                user.insert(field, Bson::Null);
            }
        });
        self.user_case("no e-mail address", Rejected("email"), |user| {
            user.remove("email");
        });
        self.user_case("an unknown tier", Rejected("subscriptionTier"), |user| {
            user.insert("subscriptionTier", "platinum");
        });
        self.user_case("unknown fields of every type", Carried, |user| {
            user.insert("legacy", unknown_fields());
        });
        self.user_case(
            "a password hash beside a broken field",
            Rejected("name"),
            |user| {
                user.insert("name", doc! { "first": "Ada" });
                user.insert("passwordHash", SECRET);
            },
        );

        let mut mixed = String::new();
        self.user_case("an e-mail address in capitals", Carried, |user| {
            user.get_str("email")
                .unwrap_or_default()
                .clone_into(&mut mixed);
            user.insert("email", mixed.to_uppercase());
        });
        self.user_case(
            "the same address in another case",
            Rejected("email"),
            |user| {
                user.insert("email", mixed.clone());
            },
        );
        self.user_case("the same address once more", Rejected("email"), |user| {
            user.insert("email", mixed.to_uppercase());
        });
        let mut account = Bson::Null;
        self.user_case("an account", Carried, |user| {
            account = user.get("authId").cloned().unwrap_or(Bson::Null);
        });
        self.user_case("the same account", Rejected("authId"), |user| {
            user.insert("authId", account);
        });
        self.user_case("NUL in a name", Rejected("name"), |user| {
            user.insert("name", "Ada\0Lovelace");
        });
        self.user_case(
            "bytes in a name that are not UTF-8",
            Rejected("name"),
            |user| {
                user.insert("name", "Ad\u{1}\u{2}\u{3} Lovelace");
            },
        );
        Self::patch_last(&mut self.set.users, b"Ad\x01\x02\x03", b"Ad\xff\xfe\xc0");
        self.user_case("a string as _id", Rejected("_id"), |user| {
            user.insert("_id", "user-17");
        });
        let orphan = ObjectId::from_bytes([0x6b; 12]);
        self.book_case(
            orphan,
            "a book whose user is gone",
            Rejected("userId"),
            |_| {},
        );
        let mut rejected = ObjectId::default();
        self.user_case(
            "a theme that does not exist",
            Rejected("preferences.theme"),
            |user| {
                rejected = user.get_object_id("_id").unwrap_or_default();
                user.insert("preferences", doc! { "theme": "solarized" });
            },
        );
        self.book_case(
            rejected,
            "a book of a rejected user",
            Rejected("userId"),
            |_| {},
        );
    }

    #[expect(clippy::too_many_lines, reason = "a list of cases")]
    fn dirty_books(&mut self, author: ObjectId) {
        use Fate::{Carried, Rejected};
        let numbers = [
            ("a page count as an int32", Bson::Int32(312)),
            ("a page count as an int64", Bson::Int64(312)),
            ("a page count as a double", Bson::Double(312.0)),
            ("a page count as a string", Bson::from("312")),
            ("a page count as a Decimal128", decimal("312")),
        ];
        for (about, pages) in numbers {
            self.book_case(author, about, Carried, |book| {
                book.insert("metadata", doc! { "pageCount": pages });
            });
        }
        let bad_numbers = [
            ("NaN pages", Bson::Double(f64::NAN)),
            ("infinitely many pages", Bson::Double(f64::NEG_INFINITY)),
            ("pages as words", Bson::from("many")),
        ];
        for (about, pages) in bad_numbers {
            self.book_case(author, about, Rejected("metadata.pageCount"), |book| {
                book.insert("metadata", doc! { "pageCount": pages });
            });
        }
        self.book_case(
            author,
            "a position in a series between two",
            Carried,
            |book| {
                book.insert("metadata", doc! { "seriesPosition": 1.5 });
            },
        );
        self.book_case(author, "NaN in an unknown field", Carried, |book| {
            book.insert("score", f64::NAN);
            book.insert("scores", vec![f64::INFINITY, -0.0, 1e300, 0.1, 1e-300]);
        });
        self.book_case(author, "optional fields missing", Carried, |book| {
            let keep = ["_id", "userId", "title"];
            let fields: Vec<String> = book.keys().cloned().collect();
            for field in fields
                .iter()
                .filter(|field| !keep.contains(&field.as_str()))
            {
                book.remove(field);
            }
        });
        self.book_case(author, "optional fields null", Carried, |book| {
            for field in [
                "subtitle",
                "isbn",
                "asin",
                "genres",
                "metadata",
                "publishedDate",
            ] {
                book.insert(field, Bson::Null);
            }
        });
        self.book_case(author, "an empty ISBN and ASIN", Carried, |book| {
            book.insert("isbn", "");
            book.insert("asin", "");
        });
        self.book_case(author, "an impossible ISBN", Rejected("isbn"), |book| {
            book.insert("isbn", "978-3-16-148410-1");
        });
        self.book_case(author, "an unknown status", Rejected("status"), |book| {
            book.insert("status", "preorder");
        });
        self.book_case(author, "no title", Rejected("title"), |book| {
            book.remove("title");
        });
        self.book_case(author, "unknown fields of every type", Carried, |book| {
            book.insert("legacy", unknown_fields());
            book.insert(
                "metadata",
                doc! { "trim": { "size": "5x8", "at": DateTime::MIN } },
            );
        });
        self.book_case(
            author,
            "NUL in a description",
            Rejected("description"),
            |book| {
                book.insert("description", "one\0two");
            },
        );
        self.book_case(
            author,
            "NUL deep in an unknown field",
            Rejected("notes.a.1.b"),
            |book| {
                book.insert("notes", doc! { "a": ["fine", { "b": "\0" }] });
            },
        );
        self.book_case(
            author,
            "bytes in a title that are not UTF-8",
            Rejected("title"),
            |book| {
                book.insert("title", "Caf\u{1}\u{2} Noir");
            },
        );
        Self::patch_last(&mut self.set.books, b"Caf\x01\x02", b"Caf\xe9\xff");
        self.book_case(author, "a description of 10 MB", Carried, |book| {
            book.insert("description", "All work and no play. ".repeat(476_626));
        });
        self.book_case(
            author,
            "an array where the title belongs",
            Rejected("title"),
            |book| {
                book.insert("title", vec!["One", "Two"]);
            },
        );
        self.book_case(
            author,
            "a document where a date belongs",
            Rejected("publishedDate"),
            |b| {
                b.insert("publishedDate", doc! { "year": 2020 });
            },
        );
        self.book_case(author, "a scalar where genres belong", Carried, |book| {
            book.insert("genres", "Mystery");
        });
        self.book_case(
            author,
            "numbers among the genres",
            Rejected("genres.1"),
            |book| {
                book.insert("genres", vec![Bson::from("Mystery"), Bson::Int32(7)]);
            },
        );
        for (about, id) in [
            ("a string as _id", Bson::from("book-1")),
            ("a number as _id", Bson::Int64(4_711)),
            (
                "a document as _id",
                Bson::Document(doc! { "place": 2, "shelf": 1 }),
            ),
        ] {
            self.book_case(author, about, Rejected("_id"), |book| {
                book.insert("_id", id);
            });
        }
        let day = 86_400_000_i64;
        for (about, millis, fate) in [
            ("a date before 1970", -40_000 * day, Carried),
            ("a date before our era", -1_000_000 * day, Carried),
            ("a date after 9999", 4_000_000 * day, Carried),
            (
                "a date that no calendar reaches",
                i64::MAX,
                Rejected("publishedDate"),
            ),
            (
                "a date before PostgreSQL's first",
                -3_000_000 * day,
                Rejected("publishedDate"),
            ),
        ] {
            self.book_case(author, about, fate, |book| {
                book.insert("publishedDate", DateTime::from_millis(millis));
            });
        }
    }
}

/// What must never be seen outside of the stores.
pub const SECRET: &str = "$2b$12$hushhushhushhushhushhu";

fn unknown_fields() -> Document {
    doc! {
        "owner": ObjectId::from_bytes([7; 12]),
        "since": DateTime::from_millis(1_400_000_000_123),
        "first": DateTime::from_millis(-62_200_000_000_000),
        "price": decimal("19.90"),
        "blob": Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 1, 254, 255] },
        "uuid": Binary { subtype: BinarySubtype::Uuid, bytes: vec![9; 16] },
        "flags": [true, false, Bson::Null],
        "counts": { "small": 1, "large": 9_007_199_254_740_993_i64, "half": 0.5, "whole": 2.0 },
        "pattern": Bson::RegularExpression(bson::Regex {
            pattern: bson::raw::cstr!("^a.*").to_owned(),
            options: bson::raw::cstr!("i").to_owned(),
        }),
        "nested": [{ "deeper": [{ "id": ObjectId::from_bytes([8; 12]) }] }],
        "текст": "ключ",
        "": "an empty name",
    }
}

fn decimal(text: &str) -> Bson {
    text.parse::<Decimal128>()
        .map_or(Bson::Null, Bson::Decimal128)
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap_or_default()
}

/// The document's key, as the migration names it.
fn key(document: &Document) -> String {
    match document.get("_id") {
        Some(Bson::ObjectId(id)) => id.to_hex(),
        Some(other) => other.clone().into_canonical_extjson().to_string(),
        None => String::new(),
    }
}

fn title_case(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ")
}

/// An ISBN-13 of these nine digits.
fn isbn(number: u32) -> String {
    let body = format!("978{number:09}");
    let digits = body.bytes().map(|digit| u32::from(digit - b'0'));
    let sum: u32 = digits
        .zip([1, 3].into_iter().cycle())
        .map(|(d, weight)| d * weight)
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
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
