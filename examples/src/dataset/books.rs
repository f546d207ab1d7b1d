//! Books.

use authorstack_core::migrate::Kind;
use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use rand::Rng;

use super::{
    Fate, Owned,
    maker::{FAMILY, GIVEN, Maker, decimal, title_case, unknown_fields},
};

const GENRES: &[&str] = &[
    "Mystery", "Romance", "Fantasy", "Thriller", "Sci-Fi", "Memoir", "YA",
];
const PLATFORMS: &[&str] = &["kdp", "gumroad", "apple_books", "kobo"];

impl Maker {
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

    pub(super) fn sound_book(&mut self, user: ObjectId) -> Owned {
        let book = self.book(user);
        self.add(Kind::Books, &book);
        Owned {
            book: book.get_object_id("_id").unwrap_or_default(),
            user,
        }
    }

    /// Adds a dirty book: a sound one of this author, with a change.
    pub(super) fn book_case(
        &mut self,
        author: ObjectId,
        about: &'static str,
        fate: Fate,
        spoil: impl FnOnce(&mut Document),
    ) {
        let mut book = self.book(author);
        spoil(&mut book);
        self.add_case(Kind::Books, about, fate, &book);
    }

    #[expect(clippy::too_many_lines, reason = "a list of cases")]
    pub(super) fn dirty_books(&mut self, author: ObjectId) {
        use Fate::{Carried, Rejected, SetAside};
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
            self.book_case(author, about, SetAside("metadata.pageCount"), |book| {
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
        self.book_case(author, "an impossible ISBN", SetAside("isbn"), |book| {
            book.insert("isbn", "978-3-16-148410-1");
        });
        self.book_case(author, "an unknown status", SetAside("status"), |book| {
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
            SetAside("description"),
            |book| {
                book.insert("description", "one\0two");
            },
        );
        self.book_case(
            author,
            "NUL deep in an unknown field",
            SetAside("notes.a.1.b"),
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
        self.patch_last(Kind::Books, b"Caf\x01\x02", b"Caf\xe9\xff");
        self.book_case(author, "an unknown field of 10 MB", Carried, |book| {
            book.insert("manuscript", "All work and no play. ".repeat(476_626));
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
            SetAside("publishedDate"),
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
            SetAside("genres.1"),
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
                SetAside("publishedDate"),
            ),
            (
                "a date before PostgreSQL's first",
                -3_000_000 * day,
                SetAside("publishedDate"),
            ),
        ] {
            self.book_case(author, about, fate, |book| {
                book.insert("publishedDate", DateTime::from_millis(millis));
            });
        }
    }
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
