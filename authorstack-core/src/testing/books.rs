//! The cases of [`BookRepository`](crate::BookRepository).

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{author, users::assert_kind};
use crate::{
    AuthorStack, Book, BookFilter, BookMetadata, BookPatch, BookStatus, Change, ErrorKind, Id,
    NewBook, Order, PageRequest, Platform, PublicBook, User, layers::Operation, limits,
};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn full_book() -> NewBook {
    NewBook {
        title: "The Tide House".to_owned(),
        subtitle: Some(String::new()),
        author: Some("A. Löwe".to_owned()),
        description: Some("Salt, ash\u{2028}and \"letters\" \\N \\. 🦀\r\n".to_owned()),
        isbn: Some("978-3-16-148410-0".parse().unwrap()),
        asin: Some("B08N5WRWNW".parse().unwrap()),
        cover_url: Some("https://covers.example.org/tide.jpg?size=large".to_owned()),
        genres: vec![
            "Mystery".to_owned(),
            "{braces}, commas".to_owned(),
            String::new(),
            "NULL".to_owned(),
            "Mystery".to_owned(),
        ],
        platforms: vec![Platform::KDP, "lulu".parse().unwrap()],
        published_date: Some(at("2024-02-29T23:59:59.999Z")),
        status: BookStatus::Published,
        metadata: BookMetadata {
            page_count: Some(312),
            word_count: Some(u32::MAX),
            series: Some("Harbour".to_owned()),
            series_position: Some(1.5),
            extra: json!({"trim": "5x8"}).as_object().unwrap().clone(),
        },
        extra: json!({
            "__v": 0,
            "rating": 4.7,
            "editions": [{"$oid": "6b0379ca3f6979be1a457c2c"}],
        })
        .as_object()
        .unwrap()
        .clone(),
    }
}

pub async fn creates_and_gets_books(store: &AuthorStack) {
    let ada = author(store, "ada").await;
    let book = store
        .books()
        .create(ada.id, NewBook::new("Plain"))
        .await
        .unwrap();
    assert_eq!((book.user_id, book.title.as_str()), (ada.id, "Plain"));
    assert_eq!(book.status, BookStatus::Draft);
    assert_eq!(book.created_at, book.updated_at);
    assert_eq!(store.books().get(ada.id, book.id).await.unwrap(), book);
}

pub async fn every_field_of_a_book_survives(store: &AuthorStack) {
    let ada = author(store, "ada").await;
    let new = full_book();
    let created = store.books().create(ada.id, new.clone()).await.unwrap();
    let read = store.books().get(ada.id, created.id).await.unwrap();
    assert_eq!(read, created);
    let expected = Book {
        id: read.id,
        user_id: ada.id,
        title: new.title,
        subtitle: new.subtitle,
        author: new.author,
        description: new.description,
        isbn: new.isbn,
        asin: new.asin,
        cover_url: new.cover_url,
        genres: new.genres,
        platforms: new.platforms,
        published_date: new.published_date,
        status: new.status,
        metadata: new.metadata,
        created_at: read.created_at,
        updated_at: read.updated_at,
        extra: new.extra,
    };
    assert_eq!(read, expected);
}

pub async fn a_book_needs_its_user(store: &AuthorStack) {
    let nobody = Id::<User>::new();
    let refused = store.books().create(nobody, NewBook::new("Orphan")).await;
    assert_kind!(refused, ErrorKind::NotFound);
    assert_eq!(titles(store, nobody, BookFilter::default()).await, [""; 0]);
}

pub async fn unknown_books_are_not_found(store: &AuthorStack) {
    let (books, ada) = (store.books(), author(store, "ada").await);
    let id = Id::new();
    let error = books.get(ada.id, id).await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.record(), Some(id.to_string().as_str()), "{error:?}");
    assert_eq!(error.operation(), Some(Operation::BooksGet));
    assert_kind!(
        books.update(ada.id, id, BookPatch::default()).await,
        ErrorKind::NotFound
    );
    assert_kind!(books.delete(ada.id, id).await, ErrorKind::NotFound);
}

pub async fn a_book_of_another_user_is_not_found(store: &AuthorStack) {
    let (books, ada) = (store.books(), author(store, "ada").await);
    let bob = author(store, "bob").await;
    let book = books.create(ada.id, full_book()).await.unwrap();
    assert_kind!(books.get(bob.id, book.id).await, ErrorKind::NotFound);
    let patch = BookPatch {
        title: Some("Stolen".to_owned()),
        ..BookPatch::default()
    };
    assert_kind!(
        books.update(bob.id, book.id, patch).await,
        ErrorKind::NotFound
    );
    let patch = BookPatch {
        expected_updated_at: Some(book.updated_at),
        ..BookPatch::default()
    };
    assert_kind!(
        books.update(bob.id, book.id, patch).await,
        ErrorKind::NotFound
    );
    assert_kind!(books.delete(bob.id, book.id).await, ErrorKind::NotFound);
    assert_eq!(titles(store, bob.id, BookFilter::default()).await, [""; 0]);
    let asin = book.asin.clone().unwrap();
    assert_eq!(books.list_by_asin(bob.id, &asin).await.unwrap(), []);
    assert_eq!(books.get(ada.id, book.id).await.unwrap(), book);
}

pub async fn asin_finds_the_users_books(store: &AuthorStack) {
    let (books, ada) = (store.books(), author(store, "ada").await);
    let first = books.create(ada.id, full_book()).await.unwrap();
    books.create(ada.id, NewBook::new("Without")).await.unwrap();
    let second = books.create(ada.id, full_book()).await.unwrap();
    let asin = "b08n5wrwnw".parse().unwrap();
    assert_eq!(
        books.list_by_asin(ada.id, &asin).await.unwrap(),
        [first, second]
    );
    let other = "B000000000".parse().unwrap();
    assert_eq!(books.list_by_asin(ada.id, &other).await.unwrap(), []);
}

async fn walk(
    store: &AuthorStack,
    user: Id<User>,
    filter: BookFilter,
    order: Order,
    limit: u32,
) -> Vec<Book> {
    let mut found = Vec::new();
    let mut request = PageRequest::first(limit).order(order);
    loop {
        let page = store
            .books()
            .list(user, filter.clone(), request.clone())
            .await
            .unwrap();
        assert!(page.items.len() <= limit as usize);
        found.extend(page.items);
        match page.next {
            None => return found,
            Some(cursor) => request = request.after(cursor),
        }
    }
}

async fn titles(store: &AuthorStack, user: Id<User>, filter: BookFilter) -> Vec<String> {
    let books = walk(store, user, filter, Order::OldestFirst, 2).await;
    books.into_iter().map(|book| book.title).collect()
}

/// Six books: statuses in turn, every other one on KDP, every third one a mystery.
async fn shelf(store: &AuthorStack, user: Id<User>) -> Vec<Book> {
    let mut books = Vec::new();
    for n in 0..6 {
        let mut new = NewBook::new(format!("b{n}"));
        new.status = BookStatus::ALL[n % 3];
        new.platforms = if n % 2 == 0 {
            vec![Platform::KDP]
        } else {
            vec![Platform::GUMROAD]
        };
        new.genres = if n % 3 == 0 {
            vec!["Mystery".into(), "Sea".into()]
        } else {
            vec![]
        };
        books.push(store.books().create(user, new).await.unwrap());
    }
    books
}

pub async fn many_books_come_in_one_call(store: &AuthorStack) {
    let (books, ada) = (store.books(), author(store, "ada").await);
    let bob = author(store, "bob").await;
    let tide = books.create(ada.id, full_book()).await.unwrap();
    let salt = books.create(ada.id, NewBook::new("Salt")).await.unwrap();
    let other = books.create(bob.id, full_book()).await.unwrap();
    let ids = [salt.id, Id::new(), other.id, tide.id, salt.id];
    let found = books.get_many(ada.id, &ids).await.unwrap();
    assert_eq!(found, [tide, salt]);
    assert_eq!(books.get_many(bob.id, &ids).await.unwrap(), [other]);
    assert_eq!(books.get_many(bob.id, &[]).await.unwrap(), [] as [Book; 0]);
    let too_many = vec![ids[0]; PageRequest::MAX_LIMIT as usize + 1];
    let refused = books.get_many(ada.id, &too_many).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "ids");
}

pub async fn only_published_books_are_public(store: &AuthorStack) {
    let (books, ada) = (store.books(), author(store, "ada").await);
    let bob = author(store, "bob").await;
    let mut archived = full_book();
    archived.status = BookStatus::Archived;
    let hidden = [NewBook::new("Draft"), archived];
    let mut ids = Vec::new();
    for new in hidden {
        ids.push(books.create(ada.id, new).await.unwrap().id);
    }
    let tide = books.create(ada.id, full_book()).await.unwrap();
    let other = books.create(bob.id, full_book()).await.unwrap();
    ids.extend([other.id, tide.id, Id::new()]);
    let public = books.list_public(&ids).await.unwrap();
    assert_eq!(public, [tide, other].map(PublicBook::from));
    assert_eq!(
        books.list_public(&ids[..2]).await.unwrap(),
        [] as [PublicBook; 0]
    );
    assert_eq!(books.list_public(&[]).await.unwrap(), [] as [PublicBook; 0]);
    let too_many = vec![ids[0]; PageRequest::MAX_LIMIT as usize + 1];
    let refused = books.list_public(&too_many).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "ids");
}

pub async fn books_are_counted_as_they_are_listed(store: &AuthorStack) {
    let (books, ada) = (store.books(), author(store, "ada").await);
    let bob = author(store, "bob").await;
    for title in ["One", "Two"] {
        books.create(ada.id, NewBook::new(title)).await.unwrap();
    }
    books.create(ada.id, full_book()).await.unwrap();
    books.create(bob.id, full_book()).await.unwrap();
    let filters = [
        (BookFilter::default(), 3),
        (
            BookFilter {
                status: Some(BookStatus::Draft),
                ..BookFilter::default()
            },
            2,
        ),
        (
            BookFilter {
                platform: Some(Platform::KDP),
                genre: Some("Mystery".to_owned()),
                ..BookFilter::default()
            },
            1,
        ),
        (
            BookFilter {
                genre: Some("a\0b".to_owned()),
                ..BookFilter::default()
            },
            0,
        ),
    ];
    for (filter, expected) in filters {
        let counted = books.count(ada.id, filter.clone()).await.unwrap();
        assert_eq!(counted, expected, "{filter:?}");
        let listed = titles(store, ada.id, filter).await;
        assert_eq!(listed.len() as u64, expected);
    }
    assert_eq!(
        books.count(Id::new(), BookFilter::default()).await.unwrap(),
        0
    );
}

pub async fn filters_narrow_the_list(store: &AuthorStack) {
    let ada = author(store, "ada").await;
    let bob = author(store, "bob").await;
    shelf(store, ada.id).await;
    shelf(store, bob.id).await;
    let status = |status| BookFilter {
        status: Some(status),
        ..BookFilter::default()
    };
    let genre = |name: &str| BookFilter {
        genre: Some(name.to_owned()),
        ..BookFilter::default()
    };
    let platform = |name| BookFilter {
        platform: Some(name),
        ..BookFilter::default()
    };
    let all_three = BookFilter {
        status: Some(BookStatus::Draft),
        platform: Some(Platform::GUMROAD),
        genre: Some("Sea".to_owned()),
    };
    for (filter, expected) in [
        (
            BookFilter::default(),
            &["b0", "b1", "b2", "b3", "b4", "b5"][..],
        ),
        (status(BookStatus::Draft), &["b0", "b3"]),
        (status(BookStatus::Archived), &["b2", "b5"]),
        (platform(Platform::KDP), &["b0", "b2", "b4"]),
        (platform("KDP".parse().unwrap()), &["b0", "b2", "b4"]),
        (genre("Sea"), &["b0", "b3"]),
        (genre("sea"), &[]),
        (all_three, &["b3"]),
    ] {
        assert_eq!(
            titles(store, ada.id, filter.clone()).await,
            expected,
            "{filter:?}"
        );
    }
}

pub async fn pages_walk_the_filtered_list_in_both_orders(store: &AuthorStack) {
    let ada = author(store, "ada").await;
    let books = shelf(store, ada.id).await;
    let filter = BookFilter {
        platform: Some(Platform::KDP),
        ..BookFilter::default()
    };
    let kdp: Vec<Book> = books.iter().step_by(2).cloned().collect();
    for limit in [1, 2, 3, 200] {
        let oldest = walk(store, ada.id, filter.clone(), Order::OldestFirst, limit).await;
        assert_eq!(oldest, kdp);
        let mut newest = walk(store, ada.id, filter.clone(), Order::NewestFirst, limit).await;
        newest.reverse();
        assert_eq!(newest, kdp);
    }
}

pub async fn pages_stay_right_while_books_come_and_go(store: &AuthorStack) {
    let (repository, ada) = (store.books(), author(store, "ada").await);
    let books = shelf(store, ada.id).await;
    let filter = BookFilter::default;
    let first = repository
        .list(ada.id, filter(), PageRequest::first(2))
        .await
        .unwrap();
    assert_eq!(first.items, [books[5].clone(), books[4].clone()]);
    repository
        .create(ada.id, NewBook::new("newcomer"))
        .await
        .unwrap();
    repository.delete(ada.id, books[4].id).await.unwrap();
    let request = PageRequest::first(3).after(first.next.unwrap());
    let second = repository.list(ada.id, filter(), request).await.unwrap();
    assert_eq!(
        second.items,
        [books[3].clone(), books[2].clone(), books[1].clone()]
    );
}

pub async fn a_patch_changes_its_fields_only_in_books(store: &AuthorStack) {
    let (books, ada) = (store.books(), author(store, "ada").await);
    let book = books.create(ada.id, full_book()).await.unwrap();
    let patch = BookPatch {
        title: Some("Tide".to_owned()),
        ..BookPatch::default()
    };
    let renamed = books.update(ada.id, book.id, patch).await.unwrap();
    assert!(renamed.updated_at > book.updated_at);
    let expected = Book {
        title: "Tide".to_owned(),
        updated_at: renamed.updated_at,
        ..book.clone()
    };
    assert_eq!(renamed, expected);

    let patch = BookPatch {
        subtitle: Change::Set("New".to_owned()),
        isbn: Change::Set("0-306-40615-2".parse().unwrap()),
        genres: Some(vec!["Sea".to_owned()]),
        platforms: Some(vec![]),
        published_date: Change::Set(at("1999-12-31T00:00:00Z")),
        status: Some(BookStatus::Archived),
        metadata: Some(BookMetadata {
            page_count: Some(1),
            ..BookMetadata::default()
        }),
        expected_updated_at: Some(renamed.updated_at),
        ..BookPatch::default()
    };
    let changed = books.update(ada.id, book.id, patch.clone()).await.unwrap();
    let mut expected = renamed.clone();
    patch.apply(&mut expected);
    expected.updated_at = changed.updated_at;
    assert_eq!(changed, expected);
    assert_eq!(books.get(ada.id, book.id).await.unwrap(), expected);
}

pub async fn a_patch_clears_fields(store: &AuthorStack) {
    let (books, ada) = (store.books(), author(store, "ada").await);
    let book = books.create(ada.id, full_book()).await.unwrap();
    let patch = BookPatch {
        subtitle: Change::Clear,
        author: Change::Clear,
        description: Change::Clear,
        isbn: Change::Clear,
        asin: Change::Clear,
        cover_url: Change::Clear,
        published_date: Change::Clear,
        ..BookPatch::default()
    };
    let cleared = books.update(ada.id, book.id, patch.clone()).await.unwrap();
    let mut expected = book;
    patch.apply(&mut expected);
    expected.updated_at = cleared.updated_at;
    assert_eq!(cleared, expected);
    assert_eq!(cleared.asin, None);
    assert_eq!(books.get(ada.id, cleared.id).await.unwrap(), expected);
}

pub async fn an_outdated_patch_of_a_book_is_a_conflict(store: &AuthorStack) {
    let (books, ada) = (store.books(), author(store, "ada").await);
    let book = books.create(ada.id, full_book()).await.unwrap();
    let patch = BookPatch {
        status: Some(BookStatus::Archived),
        expected_updated_at: Some(book.updated_at),
        ..BookPatch::default()
    };
    let changed = books.update(ada.id, book.id, patch.clone()).await.unwrap();
    let refused = books.update(ada.id, book.id, patch).await;
    assert_kind!(refused, ErrorKind::Conflict { .. });
    assert_eq!(books.get(ada.id, book.id).await.unwrap(), changed);
}

pub async fn a_blank_title_is_invalid(store: &AuthorStack) {
    let (books, ada) = (store.books(), author(store, "ada").await);
    let refused = books.create(ada.id, NewBook::new(" \t")).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "title");
    let book = books.create(ada.id, NewBook::new("Named")).await.unwrap();
    let patch = BookPatch {
        title: Some(String::new()),
        ..BookPatch::default()
    };
    let refused = books.update(ada.id, book.id, patch).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "title");
    assert_eq!(books.get(ada.id, book.id).await.unwrap(), book);
}

pub async fn nul_in_a_book_is_invalid(store: &AuthorStack) {
    let (books, ada) = (store.books(), author(store, "ada").await);
    let mut described = full_book();
    described.description = Some("a\0b".to_owned());
    let mut genre = full_book();
    genre.genres.push("\0".to_owned());
    let mut series = full_book();
    series.metadata.series = Some("\0".to_owned());
    let expected = ["description", "genres", "metadata.series"];
    for (new, named) in [described, genre, series].into_iter().zip(expected) {
        let refused = books.create(ada.id, new).await;
        assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == named);
    }
    assert_eq!(titles(store, ada.id, BookFilter::default()).await, [""; 0]);
    let book = books.create(ada.id, full_book()).await.unwrap();
    let patch = BookPatch {
        author: Change::Set("\0".to_owned()),
        ..BookPatch::default()
    };
    assert_kind!(
        books.update(ada.id, book.id, patch).await,
        ErrorKind::Invalid { .. }
    );
}

pub async fn a_series_position_is_finite(store: &AuthorStack) {
    let ada = author(store, "ada").await;
    for position in [f64::NAN, f64::INFINITY] {
        let mut new = full_book();
        new.metadata.series_position = Some(position);
        let refused = store.books().create(ada.id, new).await;
        assert_kind!(refused, ErrorKind::Invalid { .. });
    }
}

pub async fn a_long_description_survives(store: &AuthorStack) {
    let ada = author(store, "ada").await;
    let mut new = full_book();
    new.description = Some("long ".repeat(limits::LONG_TEXT / 5));
    new.title = "ä".repeat(limits::TEXT / 2);
    new.genres = vec!["x".repeat(limits::ENTRY); limits::ENTRIES];
    let manuscript = "long ".repeat(2 << 20);
    new.extra.insert("manuscript".to_owned(), manuscript.into());
    let created = store.books().create(ada.id, new).await.unwrap();
    let read = store.books().get(ada.id, created.id).await.unwrap();
    assert!(
        read == created,
        "an unknown field of 10 MB came back changed"
    );
}

/// A text that is longer than a limit.
fn longer(than: usize) -> String {
    "x".repeat(than + 1)
}

/// JSON of so many levels.
fn nested(levels: usize) -> serde_json::Value {
    (1..levels).fold(json!(1), |inner, _| json!([inner]))
}

/// A change of a book, and the field that is then at fault.
type Fault = (&'static str, fn(&mut NewBook));

/// Changes that make a book larger than the limits.
const BEYOND_LIMITS: &[Fault] = &[
    ("title", |book| book.title = longer(limits::TEXT)),
    ("description", |book| {
        book.description = Some(longer(limits::LONG_TEXT));
    }),
    ("genres", |book| {
        book.genres = vec![String::new(); limits::ENTRIES + 1];
    }),
    ("genres", |book| book.genres = vec![longer(limits::ENTRY)]),
    ("metadata.series", |book| {
        book.metadata.series = Some(longer(limits::TEXT));
    }),
    ("metadata", |book| {
        let text = longer(limits::JSON).into();
        book.metadata.extra.insert("notes".to_owned(), text);
    }),
    ("metadata", |book| {
        let deep = nested(limits::LEVELS);
        book.metadata.extra.insert("deep".to_owned(), deep);
    }),
    ("extra", |book| {
        let text = longer(limits::DOCUMENT).into();
        book.extra.insert("notes".to_owned(), text);
    }),
    ("extra", |book| {
        let deep = nested(limits::LEVELS);
        book.extra.insert("deep".to_owned(), deep);
    }),
    ("publishedDate", |book| {
        book.published_date = Some(at("+262000-01-01T00:00:00Z"));
    }),
];

pub async fn what_is_beyond_a_limit_is_refused(store: &AuthorStack) {
    let ada = author(store, "ada").await;
    for (wrong, change) in BEYOND_LIMITS {
        let mut book = full_book();
        change(&mut book);
        let refused = store.books().create(ada.id, book).await;
        assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == *wrong);
    }
    // The deepest that is accepted.
    let mut book = full_book();
    let deep = nested(limits::LEVELS - 1);
    book.extra.insert("deep".to_owned(), deep);
    let created = store.books().create(ada.id, book).await.unwrap();
    let read = store.books().get(ada.id, created.id).await.unwrap();
    assert_eq!(read, created);
    let patch = BookPatch {
        subtitle: longer(limits::TEXT).into(),
        ..BookPatch::default()
    };
    let refused = store.books().update(ada.id, created.id, patch).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "subtitle");
}

pub async fn a_cover_is_on_the_web(store: &AuthorStack) {
    let ada = author(store, "ada").await;
    let book = store.books().create(ada.id, full_book()).await.unwrap();
    for url in [
        "javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:,x",
        "cover.png",
        "",
    ] {
        let mut new = full_book();
        new.cover_url = Some(url.to_owned());
        let refused = store.books().create(ada.id, new).await;
        assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "coverUrl");
        let patch = BookPatch {
            cover_url: url.to_owned().into(),
            ..BookPatch::default()
        };
        let refused = store.books().update(ada.id, book.id, patch).await;
        assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "coverUrl");
    }
}

pub async fn far_dates_survive(store: &AuthorStack) {
    let ada = author(store, "ada").await;
    for year in [-4000, -1, 0, 1, 1583, 1969, 9999, 10_000, 200_000] {
        let date = chrono::NaiveDate::from_ymd_opt(year, 7, 14).unwrap();
        let mut new = full_book();
        new.published_date = Some(date.and_hms_milli_opt(1, 2, 3, 4).unwrap().and_utc());
        let created = store.books().create(ada.id, new.clone()).await.unwrap();
        let read = store.books().get(ada.id, created.id).await.unwrap();
        assert_eq!(read.published_date, new.published_date, "year {year}");
    }
}

pub async fn dates_are_in_milliseconds(store: &AuthorStack) {
    let (books, ada) = (store.books(), author(store, "ada").await);
    let mut new = full_book();
    new.published_date = Some(at("2024-01-01T00:00:00.123456789Z"));
    let created = books.create(ada.id, new).await.unwrap();
    assert_eq!(created.published_date, Some(at("2024-01-01T00:00:00.123Z")));
    assert_eq!(books.get(ada.id, created.id).await.unwrap(), created);
    let patch = BookPatch {
        published_date: Change::Set(at("1969-12-31T23:59:59.999999Z")),
        ..BookPatch::default()
    };
    let changed = books.update(ada.id, created.id, patch).await.unwrap();
    assert_eq!(changed.published_date, Some(at("1969-12-31T23:59:59.999Z")));
    assert_eq!(books.get(ada.id, created.id).await.unwrap(), changed);
}

pub async fn deletes_once(store: &AuthorStack) {
    let (books, ada) = (store.books(), author(store, "ada").await);
    let book = books.create(ada.id, full_book()).await.unwrap();
    let other = books.create(ada.id, full_book()).await.unwrap();
    books.delete(ada.id, book.id).await.unwrap();
    assert_kind!(books.get(ada.id, book.id).await, ErrorKind::NotFound);
    assert_kind!(books.delete(ada.id, book.id).await, ErrorKind::NotFound);
    assert_eq!(books.get(ada.id, other.id).await.unwrap(), other);
}
