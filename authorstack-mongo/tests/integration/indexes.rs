//! The schema's indexes, beside what is there already.

use crate::common;

use authorstack_core::{ErrorKind, NewUser, testing::author};
use authorstack_mongo::MongoStore;
use bson::doc;
use common::{documents, on_empty};
use futures::TryStreamExt;
use mongodb::{IndexModel, options::IndexOptions};

async fn names(store: &MongoStore, collection: &str) -> Vec<(String, bool)> {
    let indexes = documents(store, collection).list_indexes().await.unwrap();
    let indexes: Vec<IndexModel> = indexes.try_collect().await.unwrap();
    let mut names: Vec<_> = indexes
        .into_iter()
        .filter_map(|index| index.options)
        .map(|options| (options.name.unwrap(), options.unique == Some(true)))
        .collect();
    names.sort();
    names
}

fn index(keys: bson::Document, name: Option<&str>, unique: Option<bool>) -> IndexModel {
    let options = IndexOptions::builder()
        .name(name.map(str::to_owned))
        .unique(unique)
        .build();
    IndexModel::builder().keys(keys).options(options).build()
}

#[tokio::test]
async fn they_are_the_schemas_and_made_once() {
    on_empty(async |store| {
        for _ in 0..2 {
            store.mongo.ensure_indexes().await.unwrap();
        }
        let expect = |names: &[(&str, bool)]| -> Vec<_> {
            names
                .iter()
                .map(|(name, unique)| ((*name).to_owned(), *unique))
                .collect()
        };
        assert_eq!(
            names(&store.mongo, "users").await,
            expect(&[("_id_", false), ("authId_1", true), ("email_1", true)])
        );
        assert_eq!(
            names(&store.mongo, "books").await,
            expect(&[
                ("_id_", false),
                ("asin_1", false),
                ("userId_1", false),
                ("userId_1_status_1", false)
            ])
        );
    })
    .await;
}

#[tokio::test]
async fn those_of_mongoose_and_others_stay() {
    on_empty(async |store| {
        let users = documents(&store.mongo, "users");
        // Mongoose's autoIndex, and an administrator with a name of their own.
        users
            .create_index(index(doc! {"email": 1}, Some("email_1"), Some(true)))
            .await
            .unwrap();
        users
            .create_index(index(doc! {"authId": 1.0}, Some("account"), Some(true)))
            .await
            .unwrap();
        let books = documents(&store.mongo, "books");
        books
            .create_index(index(doc! {"asin": 1}, Some("by asin"), None))
            .await
            .unwrap();
        store.mongo.ensure_indexes().await.unwrap();
        let names: Vec<_> = names(&store.mongo, "users")
            .await
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["_id_", "account", "email_1"]);
        assert_eq!(self::names(&store.mongo, "books").await.len(), 4);
    })
    .await;
}

#[tokio::test]
async fn one_that_is_not_unique_is_said() {
    on_empty(async |store| {
        let users = documents(&store.mongo, "users");
        users
            .create_index(index(doc! {"email": 1}, None, None))
            .await
            .unwrap();
        let error = store.mongo.ensure_indexes().await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Conflict { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("users.email"), "{error}");
        assert!(!error.is_retryable());
    })
    .await;
}

#[tokio::test]
async fn shared_values_are_said_by_their_field() {
    on_empty(async |store| {
        let users = documents(&store.mongo, "users");
        let twice = [
            doc! {"email": "a@b.c", "authId": "1"},
            doc! {"email": "a@b.c", "authId": "2"},
        ];
        users.insert_many(twice).await.unwrap();
        let error = store.mongo.ensure_indexes().await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Conflict { .. }),
            "{error:?}"
        );
        assert!(
            error
                .to_string()
                .contains("users.email cannot be made unique"),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_taken_value_names_its_field_whatever_the_index_is_called() {
    on_empty(async |store| {
        let users = documents(&store.mongo, "users");
        users
            .create_index(index(doc! {"authId": 1}, Some("account"), Some(true)))
            .await
            .unwrap();
        store.mongo.ensure_indexes().await.unwrap();
        let ada = author(store, "ada").await;
        let again = NewUser::new(ada.auth_id, "other@example.org".parse().unwrap(), "");
        let error = store.users().create(again).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::AlreadyExists { field } if field == "authId"),
            "{error:?}"
        );
    })
    .await;
}
