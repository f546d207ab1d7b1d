//! Errors of the real server, by kind.

use crate::common;

use authorstack_core::{
    BookMetadata, BookPatch, ErrorKind, Extra, NewBook, NewUser, limits, testing::author,
};
use bson::doc;
use common::{documents, on_indexed};

/// An unknown field of so many bytes.
fn unknown(bytes: usize) -> Extra {
    Extra::from_iter([("draft".to_owned(), "x".repeat(bytes).into())])
}

/// Nearly as large as a part may be.
fn large() -> BookMetadata {
    BookMetadata {
        extra: unknown(limits::JSON - 100),
        ..BookMetadata::default()
    }
}

/// Each field is within its limit, but together they are more than MongoDB can hold.
#[tokio::test]
async fn a_document_beyond_16_mb_is_invalid() {
    on_indexed(async |store| {
        let ada = author(store, "ada").await;
        let mut book = NewBook::new("Long");
        book.description = Some("x".repeat(limits::LONG_TEXT));
        book.metadata = large();
        book.extra = unknown(limits::DOCUMENT - 100);
        let error = store.books().create(ada.id, book).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Invalid { field, .. } if field == "document"),
            "{error:?}"
        );

        let mut book = NewBook::new("Long");
        book.extra = unknown(limits::DOCUMENT - 100);
        let book = store.books().create(ada.id, book).await.unwrap();
        let patch = BookPatch {
            metadata: Some(large()),
            ..BookPatch::default()
        };
        let error = store
            .books()
            .update(ada.id, book.id, patch)
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Invalid { field, .. } if field == "document"),
            "{error:?}"
        );
        assert_eq!(store.books().get(ada.id, book.id).await.unwrap(), book);
    })
    .await;
}

#[tokio::test]
async fn a_validator_of_the_collection_is_invalid() {
    on_indexed(async |store| {
        let rule = doc! {"collMod": "users", "validator": {"name": {"$ne": "hunter2"}}};
        store.mongo.database().run_command(rule).await.unwrap();
        let new = NewUser::new("a".parse().unwrap(), "a@b.c".parse().unwrap(), "hunter2");
        let error = store.users().create(new).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Invalid { .. }),
            "{error:?}"
        );
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_taken_value_of_an_update_names_its_field() {
    on_indexed(async |store| {
        let (ada, bob) = (author(store, "ada").await, author(store, "bob").await);
        let patch = authorstack_core::UserPatch {
            email: Some(ada.email.clone()),
            ..Default::default()
        };
        let error = store.users().update(bob.id, patch).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::AlreadyExists { field } if field == "email"),
            "{error:?}"
        );
        assert!(!format!("{error:?}").contains("ada@"), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn an_aborted_command_keeps_the_servers_words() {
    on_indexed(async |store| {
        // A view cannot be written to.
        documents(&store.mongo, "books").drop().await.unwrap();
        let view = doc! {"create": "books", "viewOn": "users", "pipeline": []};
        store.mongo.database().run_command(view).await.unwrap();
        let ada = author(store, "ada").await;
        let error = store
            .books()
            .create(ada.id, NewBook::new("T"))
            .await
            .unwrap_err();
        let ErrorKind::Internal { what } = error.kind() else {
            panic!("{error:?}")
        };
        assert!(what.contains("view"), "{what}");
    })
    .await;
}
