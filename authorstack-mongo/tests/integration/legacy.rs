//! Documents that other programs left: read where they mean something, Corrupt where not.

use crate::common;

use authorstack_core::{
    Book, BookFilter, BookPatch, BookStatus, ErrorKind, Id, NewBook, PageRequest, User, UserPatch,
    time,
};
use bson::{Bson, Decimal128, Document, doc, oid::ObjectId};
use chrono::{DateTime, TimeDelta, Utc};
use common::{Fresh, documents, on_indexed};

async fn insert_user(store: &Fresh, more: Document) -> Id<User> {
    let id = ObjectId::new();
    let mut document = doc! {"_id": id, "authId": id.to_hex(), "email": format!("{id}@x.org")};
    document.extend(more);
    documents(&store.mongo, "users")
        .insert_one(document)
        .await
        .unwrap();
    Id::from_object_id(id)
}

async fn insert_book(store: &Fresh, user: Id<User>, more: Document) -> Id<Book> {
    let id = ObjectId::new();
    let mut document = doc! {"_id": id, "userId": user.to_object_id(), "title": "T"};
    document.extend(more);
    documents(&store.mongo, "books")
        .insert_one(document)
        .await
        .unwrap();
    Id::from_object_id(id)
}

fn dec(text: &str) -> Bson {
    Bson::Decimal128(text.parse::<Decimal128>().unwrap())
}

#[tokio::test]
async fn credits_of_every_number_type_are_counted() {
    on_indexed(async |store| {
        let users = store.users();
        let balances: [Bson; 8] = [
            10_i32.into(),
            10_i64.into(),
            10.0.into(),
            dec("10"),
            dec("1E+1"),
            "10".into(),
            "10.0".into(),
            dec("10.000"),
        ];
        for balance in balances {
            let id = insert_user(store, doc! {"credits": balance.clone()}).await;
            assert_eq!(users.get(id).await.unwrap().credits, 10, "{balance:?}");
            assert_eq!(
                users.add_credits(id, 5).await.unwrap().credits,
                15,
                "{balance:?}"
            );
            let id = insert_user(store, doc! {"credits": balance.clone()}).await;
            let error = users.spend_credits(id, 11).await.unwrap_err();
            assert_eq!(
                *error.kind(),
                ErrorKind::InsufficientCredits {
                    balance: 10,
                    needed: 11
                },
            );
            assert_eq!(
                users.spend_credits(id, 10).await.unwrap().credits,
                0,
                "{balance:?}"
            );
        }
        for none in [doc! {}, doc! {"credits": null}] {
            let id = insert_user(store, none).await;
            assert!(users.spend_credits(id, 1).await.is_err());
            assert_eq!(users.add_credits(id, 5).await.unwrap().credits, 5);
        }
        let id = insert_user(store, doc! {"credits": i64::MAX}).await;
        let error = users.add_credits(id, 1).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid { field, .. } if field == "amount"));
    })
    .await;
}

#[tokio::test]
async fn credits_without_meaning_are_corrupt_and_stay() {
    on_indexed(async |store| {
        let users = store.users();
        let balances: [Bson; 11] = [
            10.5.into(),
            f64::NAN.into(),
            f64::INFINITY.into(),
            1e19.into(),
            (-5).into(),
            dec("NaN"),
            dec("0.5"),
            "ten".into(),
            "NaN".into(),
            true.into(),
            bson::DateTime::now().into(),
        ];
        for balance in balances {
            let id = insert_user(store, doc! {"credits": balance.clone()}).await;
            for result in [
                users.get(id).await,
                users.add_credits(id, 20).await,
                users.spend_credits(id, 1).await,
            ] {
                let error = result.unwrap_err();
                let ErrorKind::Corrupt { what } = error.kind() else {
                    panic!("{balance:?}: {error:?}")
                };
                assert!(what.starts_with("credits: "), "{what}");
                assert_eq!(error.record(), Some(id.to_string().as_str()));
            }
            let collection = documents(&store.mongo, "users");
            let stored = collection.find_one(doc! {"_id": id.to_object_id()});
            let stored = stored.await.unwrap().unwrap();
            assert_eq!(
                format!("{:?}", stored.get("credits")),
                format!("{:?}", Some(balance))
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_change_moves_updated_at_whatever_was_there() {
    on_indexed(async |store| {
        let users = store.users();
        let future = time::now() + TimeDelta::days(1);
        let in_future = bson::DateTime::from_millis(future.timestamp_millis());
        let before: [(Document, Option<DateTime<Utc>>); 9] = [
            (doc! {}, None),
            (doc! {"updatedAt": null}, None),
            (doc! {"updatedAt": "2020-01-01"}, None),
            // Mongoose reads numbers and texts as moments, too.
            (doc! {"updatedAt": 5, "createdAt": in_future}, None),
            (doc! {"updatedAt": future.timestamp_millis()}, Some(future)),
            (
                doc! {"updatedAt": format!(" {}", future.to_rfc3339())},
                Some(future),
            ),
            (
                doc! {"updatedAt": "next year", "createdAt": future.to_rfc3339()},
                Some(future),
            ),
            (doc! {"createdAt": in_future}, Some(future)),
            (doc! {"updatedAt": in_future}, Some(future)),
        ];
        for (document, least) in before {
            let id = insert_user(store, document.clone()).await;
            let start = time::now();
            let patch = UserPatch {
                name: Some("New".to_owned()),
                ..UserPatch::default()
            };
            let user = users.update(id, patch).await.unwrap();
            assert_eq!(user.name, "New");
            match least {
                Some(least) => assert_eq!(
                    user.updated_at,
                    least + TimeDelta::milliseconds(1),
                    "{document}"
                ),
                None => assert!(user.updated_at >= start, "{document}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_expected_moment_holds_where_reading_fills_it_in() {
    on_indexed(async |store| {
        let users = store.users();
        let created = bson::DateTime::from_millis(1_600_000_000_001);
        for document in [
            doc! {},
            doc! {"updatedAt": null},
            doc! {"createdAt": created},
            doc! {"createdAt": created, "updatedAt": null},
            doc! {"createdAt": created, "updatedAt": bson::DateTime::from_millis(7)},
            doc! {"createdAt": created, "updatedAt": 7},
            doc! {"createdAt": "2020-03-01", "updatedAt": " "},
            doc! {"createdAt": created, "updatedAt": "2020-03-01T10:00:00.123456+01:00"},
            doc! {"updatedAt": "Sun Mar 01 2020 12:30:05 GMT+0100 (Central European Standard Time)"},
            doc! {"updatedAt": Bson::Undefined},
        ] {
            let id = insert_user(store, document).await;
            let read = users.get(id).await.unwrap();
            let patch = UserPatch {
                name: Some("New".to_owned()),
                expected_updated_at: Some(read.updated_at),
                ..UserPatch::default()
            };
            let stale = UserPatch {
                expected_updated_at: Some(read.updated_at + TimeDelta::microseconds(1)),
                ..patch.clone()
            };
            let error = users.update(id, stale).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Conflict { .. }),
                "{error:?}"
            );
            users.update(id, patch.clone()).await.unwrap();
            let error = users.update(id, patch).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Conflict { .. }),
                "{error:?}"
            );
        }
        let patch = UserPatch {
            expected_updated_at: Some(time::now()),
            ..UserPatch::default()
        };
        assert!(
            users
                .update(Id::new(), patch)
                .await
                .unwrap_err()
                .is_not_found()
        );

        let user = insert_user(store, doc! {}).await;
        let book = insert_book(store, user, doc! {}).await;
        let patch = BookPatch {
            expected_updated_at: Some(book.created_at()),
            ..BookPatch::default()
        };
        store.books().update(user, book, patch).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_address_in_mixed_case_is_found() {
    on_indexed(async |store| {
        let users = store.users();
        let first = insert_user(store, doc! {"email": "Ada.B+c@Example.ORG"}).await;
        insert_user(store, doc! {"email": "adaxb+c@example.org"}).await;
        insert_user(store, doc! {"email": "xada.b+c@example.org"}).await;
        let found = users
            .get_by_email(&"ADA.b+C@example.org".parse().unwrap())
            .await
            .unwrap();
        assert_eq!(found.id, first);
        let exact = insert_user(store, doc! {"email": "ada.b+c@example.org"}).await;
        let found = users
            .get_by_email(&"ada.b+c@example.org".parse().unwrap())
            .await
            .unwrap();
        assert_eq!(found.id, exact);
        let umlaut = insert_user(store, doc! {"email": "LÖWE@example.org"}).await;
        let found = users
            .get_by_email(&"löwe@example.org".parse().unwrap())
            .await
            .unwrap();
        assert_eq!(found.id, umlaut);
        for missing in ["*@example.org", ".*@example.org", "a|b@c"] {
            let error = users
                .get_by_email(&missing.parse().unwrap())
                .await
                .unwrap_err();
            assert!(error.is_not_found());
        }
    })
    .await;
}

#[tokio::test]
async fn filters_see_what_reading_sees() {
    on_indexed(async |store| {
        let (books, user) = (store.books(), insert_user(store, doc! {}).await);
        let bare = insert_book(store, user, doc! {}).await;
        let null = insert_book(store, user, doc! {"status": null}).await;
        let scalar = insert_book(
            store,
            user,
            doc! {"status": "published", "genres": "Mystery", "platforms": "kdp", "asin": "b08n5wrwnw"},
        )
        .await;
        let ids = |filter: BookFilter| {
            let books = &books;
            async move {
                let page = books.list(user, filter, PageRequest::first(200)).await.unwrap();
                let mut ids: Vec<_> = page.items.iter().map(|book| book.id).collect();
                ids.sort();
                ids
            }
        };
        let drafts = BookFilter { status: Some(BookStatus::Draft), ..BookFilter::default() };
        assert_eq!(ids(drafts).await, [bare, null]);
        let genre = BookFilter { genre: Some("Mystery".to_owned()), ..BookFilter::default() };
        assert_eq!(ids(genre).await, [scalar]);
        let kdp = Some(authorstack_core::Platform::KDP);
        assert_eq!(ids(BookFilter { platform: kdp, ..BookFilter::default() }).await, [scalar]);
        let found = books.list_by_asin(user, &"B08N5WRWNW".parse().unwrap()).await.unwrap();
        assert_eq!(found[0].id, scalar);
    })
    .await;
}

#[tokio::test]
async fn what_has_no_meaning_is_corrupt_by_field() {
    on_indexed(async |store| {
        let user = insert_user(store, doc! {}).await;
        for (document, field) in [
            (doc! {"isbn": "9783161484101"}, "isbn"),
            (doc! {"status": "gone"}, "status"),
            (doc! {"metadata": {"pageCount": 1.5}}, "metadata.pageCount"),
            (doc! {"genres": [1]}, "genres.0"),
            (doc! {"updatedAt": "now"}, "updatedAt"),
            (doc! {"extra": {"$oid": "x"}}, "extra.$oid"),
        ] {
            let id = insert_book(store, user, document).await;
            let error = store.books().get(user, id).await.unwrap_err();
            let ErrorKind::Corrupt { what } = error.kind() else {
                panic!("{error:?}")
            };
            assert!(what.starts_with(&format!("{field}: ")), "{what}");
            assert_eq!(error.record(), Some(id.to_string().as_str()));
            // It can still be deleted.
            store.books().delete(user, id).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_list_of_platforms_that_is_none_is_not_touched() {
    on_indexed(async |store| {
        let users = store.users();
        let kdp = authorstack_core::Platform::KDP;
        let id = insert_user(store, doc! {"connectedPlatforms": "kdp"}).await;
        for result in [
            users.connect_platform(id, kdp.clone(), time::now()).await,
            users.disconnect_platform(id, &kdp).await,
            users.mark_synced(id, &kdp, time::now()).await,
        ] {
            assert!(matches!(
                result.unwrap_err().kind(),
                ErrorKind::Corrupt { .. }
            ));
        }
        let id = insert_user(store, doc! {"connectedPlatforms": null}).await;
        let user = users
            .connect_platform(id, kdp.clone(), time::now())
            .await
            .unwrap();
        assert_eq!(user.connected_platforms.len(), 1);
        // Twice in an old document: both are one platform.
        let twice = vec![
            doc! {"platform": "kdp", "_id": 1},
            doc! {"platform": "kdp", "lastSync": "x"},
        ];
        let id = insert_user(store, doc! {"connectedPlatforms": twice}).await;
        let user = users.mark_synced(id, &kdp, time::now()).await.unwrap();
        assert!(
            user.connected_platforms
                .iter()
                .all(|c| c.last_sync.is_some())
        );
        assert_eq!(user.connected_platforms[0].extra["_id"], 1);
        let user = users.disconnect_platform(id, &kdp).await.unwrap();
        assert!(user.connected_platforms.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_platform_in_capitals_is_the_same() {
    on_indexed(async |store| {
        let users = store.users();
        let kdp: authorstack_core::Platform = "kdp.\u{e9}".parse().unwrap();
        let item = doc! {"platform": "KDP.\u{e9}", "_id": 1};
        let id = insert_user(
            store,
            doc! {"connectedPlatforms": [item, {"platform": "kdpx\u{e9}"}]},
        )
        .await;
        let user = users
            .connect_platform(id, kdp.clone(), time::now())
            .await
            .unwrap();
        assert_eq!(user.connected_platforms.len(), 2);
        assert_eq!(user.connected_platforms[0].platform, kdp);
        assert!(user.connected_platforms[0].connected_at.is_some());
        let user = users.mark_synced(id, &kdp, time::now()).await.unwrap();
        let synced = user
            .connected_platforms
            .iter()
            .map(|item| item.last_sync.is_some());
        assert_eq!(synced.collect::<Vec<_>>(), [true, false]);
        // The document keeps what the app wrote.
        let held = documents(&store.mongo, "users")
            .find_one(doc! {})
            .await
            .unwrap()
            .unwrap();
        let held = held.get_array("connectedPlatforms").unwrap()[0]
            .as_document()
            .unwrap();
        assert_eq!(held.get_str("platform").unwrap(), "KDP.\u{e9}");

        let other = "kdp.\u{c9}".parse().unwrap();
        assert!(
            users
                .mark_synced(id, &other, time::now())
                .await
                .unwrap_err()
                .is_not_found()
        );
        let user = users.disconnect_platform(id, &kdp).await.unwrap();
        assert_eq!(user.connected_platforms.len(), 1);

        let books = store.books();
        let mut found = Vec::new();
        for platforms in [
            doc! {"platforms": ["Lulu", "KDP.\u{e9}"]},
            doc! {"platforms": "kdp.\u{e9}"},
            doc! {"platforms": ["kdpx\u{e9}"]},
        ] {
            found.push(insert_book(store, id, platforms).await);
        }
        let filter = BookFilter {
            platform: Some(kdp),
            ..BookFilter::default()
        };
        let page = books.list(id, filter, PageRequest::first(9)).await.unwrap();
        let mut ids: Vec<_> = page.items.iter().map(|book| book.id).collect();
        ids.sort();
        assert_eq!(ids, found[..2]);
    })
    .await;
}

#[tokio::test]
async fn values_that_look_like_expressions_are_values() {
    on_indexed(async |store| {
        let id = insert_user(store, doc! {}).await;
        let mut patch = UserPatch {
            name: Some("$authId".to_owned()),
            preferences: Some(authorstack_core::Preferences::default()),
            ..UserPatch::default()
        };
        if let Some(preferences) = &mut patch.preferences {
            preferences
                .extra
                .insert("$add".to_owned(), serde_json::json!([1, "$credits"]));
        }
        let user = store.users().update(id, patch).await.unwrap();
        assert_eq!(user.name, "$authId");
        assert_eq!(
            user.preferences.extra["$add"],
            serde_json::json!([1, "$credits"])
        );
        let name: authorstack_core::Platform = "$name".parse().unwrap();
        let users = store.users();
        users
            .connect_platform(id, name.clone(), time::now())
            .await
            .unwrap();
        let user = users
            .connect_platform(id, name.clone(), time::now())
            .await
            .unwrap();
        assert_eq!(user.connected_platforms.len(), 1);
        assert_eq!(user.connected_platforms[0].platform, name);
        assert!(
            users
                .disconnect_platform(id, &name)
                .await
                .unwrap()
                .connected_platforms
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn a_user_without_books_left_is_deleted_on_the_second_call() {
    on_indexed(async |store| {
        let user = insert_user(store, doc! {}).await;
        store.books().create(user, NewBook::new("T")).await.unwrap();
        // As after a crash between the two steps.
        documents(&store.mongo, "books")
            .delete_many(doc! {})
            .await
            .unwrap();
        store.users().delete(user).await.unwrap();
        assert!(store.users().delete(user).await.unwrap_err().is_not_found());
    })
    .await;
}
