//! A Mongoose app beside ours: each reads, and then changes, what the other wrote.

use crate::common;

use authorstack_core::{
    Book, BookMetadata, BookPatch, BookStatus, Id, NewBook, NewUser, Platform, Preferences,
    SubscriptionTier, Theme, User, UserPatch,
};
use bson::{Bson, Document, doc};
use chrono::{DateTime, SecondsFormat, Utc};
use common::{Fresh, documents, node::mongoose, on_empty, on_indexed};
use serde_json::{Value, json};

fn date(moment: DateTime<Utc>) -> Value {
    json!({"date": moment.to_rfc3339_opts(SecondsFormat::Millis, true)})
}

fn oid<T>(id: Id<T>) -> Value {
    json!({"oid": id.to_string()})
}

/// Adds the members that are there.
fn with(mut object: Value, members: &[(&str, Option<Value>)]) -> Value {
    for (name, value) in members {
        if let Some(value) = value {
            object[*name] = value.clone();
        }
    }
    object
}

/// A user as JavaScript sees them.
fn seen_user(user: &User) -> Value {
    let p = &user.preferences;
    let preferences = [
        ("emailNotifications", p.email_notifications.map(Value::from)),
        ("weeklyDigest", p.weekly_digest.map(Value::from)),
        ("theme", p.theme.map(|theme| theme.as_str().into())),
        ("timezone", p.timezone.clone().map(Value::from)),
        ("currency", p.currency.as_ref().map(|c| c.as_str().into())),
    ];
    let connected: Vec<Value> = user
        .connected_platforms
        .iter()
        .map(|connected| {
            let members = [
                ("connectedAt", connected.connected_at.map(date)),
                ("lastSync", connected.last_sync.map(date)),
            ];
            with(json!({"platform": connected.platform.as_str()}), &members)
        })
        .collect();
    let user_json = json!({
        "_id": oid(user.id),
        "authId": user.auth_id.as_str(),
        "authProvider": user.auth_provider.as_str(),
        "email": user.email.as_str(),
        "name": user.name,
        "subscriptionTier": user.subscription_tier.as_str(),
        "credits": user.credits,
        "preferences": with(json!({}), &preferences),
        "connectedPlatforms": connected,
        "createdAt": date(user.created_at),
        "updatedAt": date(user.updated_at),
    });
    with(user_json, &[("__v", user.extra.get("__v").cloned())])
}

/// A book as JavaScript sees it.
fn seen_book(book: &Book) -> Value {
    let m = &book.metadata;
    let metadata = [
        ("pageCount", m.page_count.map(Value::from)),
        ("wordCount", m.word_count.map(Value::from)),
        ("series", m.series.clone().map(Value::from)),
        ("seriesPosition", m.series_position.map(js_number)),
    ];
    let book_json = json!({
        "_id": oid(book.id),
        "userId": oid(book.user_id),
        "title": book.title,
        "genres": book.genres,
        "platforms": book.platforms.iter().map(Platform::as_str).collect::<Vec<_>>(),
        "status": book.status.as_str(),
        "metadata": with(json!({}), &metadata),
        "createdAt": date(book.created_at),
        "updatedAt": date(book.updated_at),
    });
    let members = [
        ("subtitle", book.subtitle.clone().map(Value::from)),
        ("author", book.author.clone().map(Value::from)),
        ("description", book.description.clone().map(Value::from)),
        ("isbn", book.isbn.as_ref().map(|isbn| isbn.as_str().into())),
        ("asin", book.asin.as_ref().map(|asin| asin.as_str().into())),
        ("coverUrl", book.cover_url.clone().map(Value::from)),
        ("publishedDate", book.published_date.map(date)),
        ("__v", book.extra.get("__v").cloned()),
    ];
    with(book_json, &members)
}

/// JavaScript writes a whole number without a point.
fn js_number(number: f64) -> Value {
    serde_json::from_str(&number.to_string()).unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn our_users(store: &Fresh) -> [User; 2] {
    let users = store.users();
    let bare = NewUser::new("ours-1".parse().unwrap(), "bare@x.org".parse().unwrap(), "");
    let bare = users.create(bare).await.unwrap();
    let mut full = NewUser::new(
        "ours-2".parse().unwrap(),
        "full@x.org".parse().unwrap(),
        "Löwe 🦀",
    );
    full.subscription_tier = SubscriptionTier::Enterprise;
    // The largest integer that JavaScript's numbers hold exactly.
    full.credits = 9_007_199_254_740_991;
    full.preferences = Preferences {
        email_notifications: Some(true),
        weekly_digest: Some(false),
        theme: Some(Theme::System),
        timezone: Some("Europe/Berlin".to_owned()),
        currency: Some("EUR".parse().unwrap()),
        ..Preferences::default()
    };
    let full = users.create(full).await.unwrap();
    for name in ["kdp", "gumroad"] {
        let name: Platform = name.parse().unwrap();
        users
            .connect_platform(full.id, name, at("2024-01-01T00:00:00.001Z"))
            .await
            .unwrap();
    }
    let full = users.mark_synced(full.id, &Platform::KDP, at("2024-02-29T23:59:59.999Z"));
    [bare, full.await.unwrap()]
}

async fn our_books(store: &Fresh, user: Id<User>) -> [Book; 2] {
    let books = store.books();
    let bare = books.create(user, NewBook::new("Plain")).await.unwrap();
    let full = NewBook {
        title: "The Tide House".to_owned(),
        subtitle: Some("S".to_owned()),
        author: Some("A. Löwe".to_owned()),
        description: Some("D".to_owned()),
        isbn: Some("978-3-16-148410-0".parse().unwrap()),
        asin: Some("B08N5WRWNW".parse().unwrap()),
        cover_url: Some("https://covers.example.org/1.jpg".to_owned()),
        genres: vec!["Mystery".to_owned(), String::new()],
        platforms: vec![Platform::KDP, Platform::APPLE_BOOKS],
        published_date: Some(at("1969-12-31T23:59:59.999Z")),
        status: BookStatus::Archived,
        metadata: BookMetadata {
            page_count: Some(312),
            word_count: Some(u32::MAX),
            series: Some("Harbour".to_owned()),
            series_position: Some(2.0),
            ..BookMetadata::default()
        },
        ..NewBook::default()
    };
    [bare, books.create(user, full).await.unwrap()]
}

fn ids(users: &[User], books: &[Book]) -> Value {
    json!({
        "users": users.iter().map(|user| user.id).collect::<Vec<_>>(),
        "books": books.iter().map(|book| book.id).collect::<Vec<_>>(),
    })
}

#[tokio::test]
async fn mongoose_reads_what_we_wrote_and_we_what_it_changed() {
    on_indexed(async |store| {
        let users = our_users(store).await;
        let books = our_books(store, users[0].id).await;
        let seen = mongoose(&store.mongo, "read", ids(&users, &books)).await;
        assert_eq!(
            seen["users"],
            users.iter().map(seen_user).collect::<Value>()
        );
        assert_eq!(
            seen["books"],
            books.iter().map(seen_book).collect::<Value>()
        );

        // A balance that a double still holds after the change.
        store.users().spend_credits(users[1].id, 100).await.unwrap();
        mongoose(&store.mongo, "change", ids(&users, &books)).await;
        for before in &users {
            let after = store.users().get(before.id).await.unwrap();
            assert_eq!(after.name, "Changed by Mongoose");
            assert_eq!(
                after.credits,
                if before.credits == 0 {
                    8
                } else {
                    before.credits - 92
                }
            );
            assert_eq!(after.preferences.theme, Some(Theme::Light));
            assert_eq!(after.preferences.currency, before.preferences.currency);
            let last = after.connected_platforms.last().unwrap();
            assert_eq!(last.platform, Platform::APPLE_BOOKS);
            assert_eq!(last.connected_at, Some(DateTime::UNIX_EPOCH));
            let kept = after.connected_platforms.len() - 1;
            assert_eq!(
                after.connected_platforms[..kept],
                before.connected_platforms
            );
            assert!(after.updated_at > before.updated_at);
            assert_eq!(after.created_at, before.created_at);
        }
        for before in &books {
            let after = store.books().get(before.user_id, before.id).await.unwrap();
            assert_eq!(after.subtitle.as_deref(), Some("Changed by Mongoose"));
            assert_eq!(after.genres, ["Essays"]);
            assert_eq!(after.metadata.page_count, Some(100));
            assert_eq!(after.metadata.series, before.metadata.series);
            assert_eq!(
                (&after.isbn, &after.platforms),
                (&before.isbn, &before.platforms)
            );
            assert!(after.updated_at > before.updated_at);
        }
    })
    .await;
}

#[tokio::test]
async fn we_read_what_mongoose_wrote_and_it_what_we_changed() {
    // Mongoose makes the indexes here (autoIndex), and ours find them in place.
    on_empty(async |store| {
        let written = mongoose(&store.mongo, "write", Value::Null).await;
        store.mongo.ensure_indexes().await.unwrap();
        let (mut users, mut books) = (Vec::new(), Vec::new());
        for user in written["users"].as_array().unwrap() {
            let auth_id = user["authId"].as_str().unwrap().parse().unwrap();
            users.push(store.users().get_by_auth_id(&auth_id).await.unwrap());
        }
        for book in written["books"].as_array().unwrap() {
            let id = |name: &str| book[name]["oid"].as_str().unwrap().to_owned();
            let (owner, id) = (id("userId").parse().unwrap(), id("_id").parse().unwrap());
            books.push(store.books().get(owner, id).await.unwrap());
        }
        for (user, written) in users.iter().zip(written["users"].as_array().unwrap()) {
            let mut seen = seen_user(user);
            if written.get("name").is_none() {
                assert_eq!(seen.as_object_mut().unwrap().remove("name").unwrap(), "");
            }
            assert_eq!(seen, *written);
        }
        assert_eq!(
            books.iter().map(seen_book).collect::<Value>(),
            written["books"]
        );

        let changed = change_all(store, &users, &books).await;
        let seen = mongoose(&store.mongo, "read", ids(&users, &books)).await;
        assert_eq!(
            seen["users"],
            changed.0.iter().map(seen_user).collect::<Value>()
        );
        assert_eq!(
            seen["books"],
            changed.1.iter().map(seen_book).collect::<Value>()
        );
        // A save() after our change still finds its version.
        mongoose(&store.mongo, "change", ids(&users, &books)).await;
    })
    .await;
}

async fn change_all(store: &Fresh, users: &[User], books: &[Book]) -> (Vec<User>, Vec<Book>) {
    let (mut new_users, mut new_books) = (Vec::new(), Vec::new());
    for user in users {
        let patch = UserPatch {
            name: Some("Changed by us".to_owned()),
            expected_updated_at: Some(user.updated_at),
            ..UserPatch::default()
        };
        let repository = store.users();
        repository.update(user.id, patch).await.unwrap();
        repository.add_credits(user.id, 1).await.unwrap();
        let lulu: Platform = "lulu".parse().unwrap();
        repository
            .connect_platform(user.id, lulu, at("2025-01-01T00:00:00Z"))
            .await
            .unwrap();
        let changed =
            repository.connect_platform(user.id, Platform::KDP, at("2025-01-01T00:00:00Z"));
        let changed = changed.await.unwrap();
        assert_eq!(changed.extra, user.extra);
        assert_eq!(changed.preferences, user.preferences);
        assert_eq!(changed.credits, user.credits + 1);
        for (before, after) in user
            .connected_platforms
            .iter()
            .zip(&changed.connected_platforms)
        {
            assert_eq!(
                (&before.extra, before.last_sync),
                (&after.extra, after.last_sync)
            );
        }
        new_users.push(changed);
    }
    for book in books {
        let patch = BookPatch {
            subtitle: authorstack_core::Change::Clear,
            asin: "B000000001"
                .parse::<authorstack_core::Asin>()
                .unwrap()
                .into(),
            status: Some(BookStatus::Archived),
            expected_updated_at: Some(book.updated_at),
            ..BookPatch::default()
        };
        let changed = store
            .books()
            .update(book.user_id, book.id, patch)
            .await
            .unwrap();
        assert_eq!(changed.extra, book.extra);
        assert_eq!(changed.metadata, book.metadata);
        new_books.push(changed);
    }
    (new_users, new_books)
}

#[tokio::test]
async fn the_stored_types_are_the_schemas() {
    on_indexed(async |store| {
        let users = our_users(store).await;
        let books = our_books(store, users[1].id).await;
        let raw = async |name: &str, id: bson::oid::ObjectId| -> Document {
            documents(&store.mongo, name)
                .find_one(doc! {"_id": id})
                .await
                .unwrap()
                .unwrap()
        };
        let user = raw("users", users[1].id.to_object_id()).await;
        assert!(matches!(user.get("credits"), Some(Bson::Int64(_))));
        assert!(matches!(user.get("createdAt"), Some(Bson::DateTime(_))));
        let book = raw("books", books[1].id.to_object_id()).await;
        assert_eq!(
            book.get_object_id("userId").unwrap(),
            users[1].id.to_object_id()
        );
        assert!(matches!(book.get("publishedDate"), Some(Bson::DateTime(_))));
        let metadata = book.get_document("metadata").unwrap();
        assert!(matches!(
            metadata.get("seriesPosition"),
            Some(Bson::Double(_))
        ));
        let bare = raw("books", books[0].id.to_object_id()).await;
        let names: Vec<&str> = bare.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "_id",
                "userId",
                "title",
                "genres",
                "platforms",
                "status",
                "metadata",
                "createdAt",
                "updatedAt"
            ]
        );
    })
    .await;
}
