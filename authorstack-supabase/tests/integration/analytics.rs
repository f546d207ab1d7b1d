//! The tables of the analytics: what browsers may do with them, and what goes with an author.

use crate::common;

use authorstack_core::{
    AuthorStack, Book, Conversion, Days, Id, InsightKind, NewForecast, NewInsight, NewSale,
    Platform, SaleKey, User, services::SalesIngest,
};
use common::{Via, as_role, author, on_database};
use serde_json::json;

const DENIED: &str = "42501";
const TABLES: [&str; 5] = [
    "sales_data",
    "daily_aggregates",
    "sync_logs",
    "ai_insights",
    "revenue_forecasts",
];

/// Puts one row into each table.
async fn fill(store: &AuthorStack, user: Id<User>, book_id: Id<Book>) {
    let date = "2024-03-01".parse().unwrap();
    let key = SaleKey::new(book_id, Platform::KDP, date);
    let dollars = "USD".parse().unwrap();
    let sale = NewSale::new(key, "27.93".parse().unwrap(), dollars);
    let ingest = SalesIngest::new(store);
    let conversion = Conversion::into("USD".parse().unwrap());
    let run = ingest.run(user, &Platform::KDP, vec![sale], &conversion);
    assert_eq!(run.await.unwrap().refreshed.written, 1);
    let mut insight = NewInsight::new(InsightKind::TREND, json!({ "text": "up" }));
    insight.book_id = Some(book_id);
    store.insights().create(user, insight).await.unwrap();
    let forecast = NewForecast::new(date, "30.00".parse().unwrap());
    store
        .forecasts()
        .create(user, vec![forecast])
        .await
        .unwrap();
}

#[tokio::test]
async fn owners_read_and_nobody_writes() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, book) = author(&store, "ada").await;
        let (stranger, _) = author(&store, "stranger").await;
        fill(&store, ada.id, book).await;
        for table in TABLES {
            let read = format!("select from public.{table}");
            let as_user = |user| as_role(database, "authenticated", user, &read);
            assert_eq!(as_user(Some(&ada)).await, Ok(1), "{table}");
            assert_eq!(as_user(Some(&stranger)).await, Ok(0), "{table}");
            assert_eq!(as_user(None).await, Ok(0), "{table}");
            assert_eq!(as_role(database, "service_role", None, &read).await, Ok(1));
            for write in [
                format!("insert into public.{table} default values"),
                format!("update public.{table} set user_id = user_id"),
                format!("delete from public.{table}"),
                format!("select nextval('public.{table}_id_seq')"),
            ] {
                for (role, user) in [("anon", None), ("authenticated", Some(&ada))] {
                    let refused = as_role(database, role, user, &write).await;
                    assert_eq!(refused, Err(DENIED.to_owned()), "{role}: {write}");
                }
            }
            let nobody = as_role(database, "anon", None, &read).await;
            assert_eq!(nobody, Err(DENIED.to_owned()), "{table}");
        }
        let host = "insert into public.sync_logs (user_id, platform, status) \
                    select user_id, platform, status from public.sync_logs";
        assert_eq!(as_role(database, "service_role", None, host).await, Ok(1));
    })
    .await;
}

#[tokio::test]
async fn sales_outlive_their_book_and_go_with_their_author() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, book) = author(&store, "ada").await;
        fill(&store, ada.id, book).await;
        store.books().delete(ada.id, book).await.unwrap();
        assert_eq!(database.count("public.sales_data").await, 1);
        assert_eq!(database.count("public.ai_insights").await, 0);
        store.users().delete(ada.id).await.unwrap();
        for table in TABLES {
            assert_eq!(
                database.count(&format!("public.{table}")).await,
                0,
                "{table}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_is_written_for_a_user_or_a_book_that_is_not_there() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, _) = author(&store, "ada").await;
        let (_, strangers_book) = author(&store, "stranger").await;
        let insight = |book_id| {
            let mut insight = NewInsight::new(InsightKind::TREND, json!({}));
            insight.book_id = book_id;
            insight
        };
        for book in [strangers_book, Id::new()] {
            let refused = store.insights().create(ada.id, insight(Some(book))).await;
            assert!(refused.unwrap_err().is_not_found());
        }
        let unknown = store.insights().create(Id::new(), insight(None)).await;
        assert!(unknown.unwrap_err().is_not_found());
        let date = "2024-03-01".parse().unwrap();
        let key = SaleKey::new(Id::new(), Platform::KDP, date);
        let sale = NewSale::new(key, "1.00".parse().unwrap(), "USD".parse().unwrap());
        let unknown = store.sales().upsert(Id::new(), &[sale]).await;
        assert!(unknown.unwrap_err().is_not_found());
        let conversion = Conversion::into("USD".parse().unwrap());
        let aggregates = store.aggregates();
        let nothing = aggregates.refresh(Id::new(), Days::month(date), &conversion);
        assert!(nothing.await.unwrap_err().is_not_found());
    })
    .await;
}
