//! A database that an old app has made with the schema's own SQL.

use authorstack_core::{
    Conversion, Days, ErrorKind, Id, NewSale, PageRequest, Platform, Sale, SaleKey, SalesFilter,
    TotalsBy, migrate::Kind,
};
use futures::{StreamExt, TryStreamExt};

use crate::common::{on_database, stack};

/// The schema's tables as its own SQL makes them.
const SCHEMA: &str = include_str!("../schema.sql");

const USER: &str = "6b0379ca-3f69-879b-8e1a-457c2c000000";
const BOOK: &str = "6b0379ca-3f69-879b-8e1a-457c2d000000";

#[tokio::test]
async fn what_an_old_app_left_is_read_and_written_on() {
    on_database(async |database| {
        database.execute(SCHEMA).await;
        database
            .execute(&format!(
                "insert into sales_data (user_id, book_id, platform, date, revenue, units, page_reads, currency, synced_at) values \
                   ('{USER}', '{BOOK}', 'kdp', '2024-03-01', 2.70, 1, null, null, null), \
                   ('{USER}', '{BOOK}', 'gumroad', '2024-03-01', 9.99, 1, 0, 'USD', '2024-03-02 04:05:06.789'); \
                 insert into sync_logs (user_id, platform, status, records_synced, synced_at) values \
                   ('{USER}', 'kdp', 'success', null, null); \
                 insert into ai_insights (user_id, insight_type, content, valid_until, created_at) values \
                   ('{USER}', null, '\"text\"', 'infinity', null); \
                 insert into revenue_forecasts (user_id, forecast_date, predicted_revenue) values \
                   ('{USER}', '2024-03-01', null); \
                 insert into daily_aggregates (user_id, date, total_revenue, total_units, total_page_reads, platform_breakdown, book_breakdown) values \
                   ('{USER}', '2024-02-01', 0.30, 2, null, '{{\"kdp\": {{\"revenue\": 0.1, \"units\": 1}}, \"gumroad\": {{\"revenue\": \"0.20\", \"units\": 1.0}}}}', '{{\"{BOOK}\": {{\"revenue\": 3e-1, \"units\": 2}}}}')"
            ))
            .await;
        let store = database.store().await;
        store.migrate().await.unwrap();
        // Once more changes nothing.
        store.migrate().await.unwrap();
        let stack = stack(&store);

        let user = Id::from_uuid(USER.parse().unwrap()).unwrap();
        let book = Id::from_uuid(BOOK.parse().unwrap()).unwrap();
        let sales = stack.sales();
        let found: Vec<Sale> = sales
            .stream(user, SalesFilter::of(Days::ALL))
            .try_collect()
            .await
            .unwrap();
        // TIMESTAMP columns hold UTC, and what was left out has the schema's default.
        assert_eq!(found[0].synced_at.unwrap().to_rfc3339(), "2024-03-02T04:05:06.789+00:00");
        assert_eq!((found[1].page_reads, found[1].currency.as_str()), (0, "USD"));
        assert_eq!(found[1].synced_at, None);

        let key = SaleKey::new(book, Platform::KDP, "2024-03-01".parse().unwrap());
        let mut same = NewSale::new(key, "2.70".parse().unwrap(), "USD".parse().unwrap());
        same.units = 1;
        let counts = sales.upsert(user, std::slice::from_ref(&same)).await.unwrap();
        assert_eq!(counts.inserted, 0);
        same.currency = "EUR".parse().unwrap();
        let error = sales.upsert(user, &[same]).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Conflict { .. }), "{error}");

        let dollars = Conversion::into("USD".parse().unwrap());
        let aggregates = stack.aggregates();
        let old = aggregates.list(user, Days::ALL).await.unwrap();
        assert_eq!(old[0].totals.revenue, "0.30".parse().unwrap());
        assert_eq!(old[0].book_breakdown[&book].revenue, "0.3".parse().unwrap());
        let overview = aggregates.overview(user, Days::ALL, 5).await.unwrap();
        assert_eq!(overview.books[0].0, book);
        assert_eq!(overview.platforms[0].1.revenue, "0.20".parse().unwrap());
        aggregates.refresh(user, Days::ALL, &dollars).await.unwrap();
        // No floats: the JSON itself is exact, and named by the ids' digits.
        let json = database
            .texts("select platform_breakdown::text || book_breakdown::text from daily_aggregates")
            .await;
        assert_eq!(
            json,
            [format!(
                "{{\"kdp\": {{\"units\": 1, \"revenue\": 2.70, \"page_reads\": 0}}, \
                 \"gumroad\": {{\"units\": 1, \"revenue\": 9.99, \"page_reads\": 0}}}}\
                 {{\"{book}\": {{\"units\": 2, \"revenue\": 12.69, \"page_reads\": 0}}}}"
            )]
        );

        let logs = stack.sync_logs().list(user, None, PageRequest::first(5)).await.unwrap();
        assert_eq!((logs.items[0].records_synced, logs.items[0].synced_at), (0, None));
        let now = authorstack_core::time::now();
        let valid = stack.insights().list_valid(user, now, PageRequest::first(5)).await.unwrap();
        assert_eq!((&valid.items[0].kind, valid.items[0].valid_until), (&None, None));
        let forecasts = stack.forecasts().list(user, Days::ALL).await.unwrap();
        assert_eq!(forecasts[0].predicted, None);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn platforms_in_capitals_are_the_same_and_never_merged() {
    on_database(async |database| {
        database.execute(SCHEMA).await;
        database
            .execute(&format!(
                "insert into sales_data (user_id, book_id, platform, date, revenue, units, currency) values \
                   ('{USER}', '{BOOK}', 'KDP', '2024-03-01', 2.70, 1, 'usd'), \
                   ('{USER}', '{BOOK}', 'Kdp', '2024-03-02', 1, 1, 'USD'), \
                   ('{USER}', '{BOOK}', 'kdp', '2024-03-02', 2, 1, 'USD'), \
                   ('{USER}', '{BOOK}', 'KDP:Amazon.DE', '2024-03-02', 4, 1, 'USD'), \
                   ('{USER}', '{BOOK}', 'Shop: London', '2024-03-03', 8, 1, 'USD'); \
                 insert into sync_logs (user_id, platform, status) values ('{USER}', 'KDP', 'success'); \
                 insert into daily_aggregates (user_id, date, total_revenue, total_units, platform_breakdown, book_breakdown) values \
                   ('{USER}', '2024-02-01', 3, 2, \
                    '{{\"KDP\": {{\"revenue\": 1, \"units\": 1}}, \"kdp\": {{\"revenue\": 2, \"units\": 1}}}}', '{{}}')"
            ))
            .await;
        let store = database.store().await;
        store.migrate().await.unwrap();
        let stack = stack(&store);
        let user = Id::from_uuid(USER.parse().unwrap()).unwrap();
        let book = Id::from_uuid(BOOK.parse().unwrap()).unwrap();
        let sales = stack.sales();
        let new = |date: &str, revenue: &str| {
            let key = SaleKey::new(book, Platform::KDP, date.parse().unwrap());
            let mut new = NewSale::new(key, revenue.parse().unwrap(), "USD".parse().unwrap());
            new.units = 1;
            new
        };
        let (capitals, several) = (new("2024-03-01", "3"), new("2024-03-02", "7"));

        let all = SalesFilter::of(Days::ALL);
        let found: Vec<Sale> = sales.stream(user, all.clone()).try_collect().await.unwrap();
        let named: Vec<_> = found.iter().map(|sale| (sale.id, sale.channel.as_str())).collect();
        let expected = [(1, "kdp"), (2, "kdp"), (3, "kdp"), (4, "kdp:amazon.de"), (5, "shop: london")];
        assert_eq!(named, expected);
        assert_eq!(found[0].currency.as_str(), "USD");
        let by_platform = sales.totals(user, &all, TotalsBy::Platform).await.unwrap();
        let sums: Vec<String> = by_platform.iter().map(|total| total.sums.revenue.to_string()).collect();
        assert_eq!(sums, ["9.70", "8.00"]);
        let by_market = sales.totals(user, &all, TotalsBy::Market).await.unwrap();
        let sums: Vec<String> = by_market.iter().map(|total| total.sums.revenue.to_string()).collect();
        assert_eq!(sums, ["5.70", "4.00", "8.00"]);

        // One spelling: the row is found and updated, and stays as the old app wrote it.
        assert_eq!(sales.get(user, &capitals.key).await.unwrap().id, 1);
        let counts = sales.upsert(user, std::slice::from_ref(&capitals)).await.unwrap();
        assert_eq!((counts.inserted, counts.updated, counts.unchanged), (0, 1, 0));
        let counts = sales.upsert(user, std::slice::from_ref(&capitals)).await.unwrap();
        assert_eq!((counts.inserted, counts.updated, counts.unchanged), (0, 0, 1));
        let held = "select platform || ' ' || revenue from sales_data order by id";
        let rows = ["KDP 3.00", "Kdp 1.00", "kdp 2.00", "KDP:Amazon.DE 4.00", "Shop: London 8.00"];
        assert_eq!(database.texts(held).await, rows);

        // Several spellings of one sale: none is preferred, and nothing is written.
        let read = sales.get(user, &several.key).await.unwrap_err();
        let batch = [several.clone(), new("2024-03-04", "1")];
        let write = sales.upsert(user, &batch).await.unwrap_err();
        for (error, part) in [(&read, "sales 2, 3"), (&write, "Kdp, kdp")] {
            let shown = error.to_string();
            assert!(matches!(error.kind(), ErrorKind::Conflict { .. }), "{shown}");
            assert!(!error.is_retryable(), "{shown}");
            assert!(shown.contains(part) && shown.contains("2024-03-02"), "{shown}");
        }
        assert_eq!(database.texts(held).await, rows);

        let dollars = Conversion::into("USD".parse().unwrap());
        let aggregates = stack.aggregates();
        let overview = aggregates.overview(user, Days::ALL, 5).await.unwrap();
        assert_eq!(overview.platforms.len(), 1);
        assert_eq!(overview.platforms[0].1.revenue, "3".parse().unwrap());
        let report = aggregates.refresh(user, Days::ALL, &dollars).await.unwrap();
        assert_eq!((report.written, report.gaps.len()), (3, 0));
        let json = "select (platform_breakdown ->> 'kdp' is not null)::text || ' ' || total_revenue \
                    from daily_aggregates order by date";
        assert_eq!(database.texts(json).await, ["true 3.00", "true 7.00", "false 8.00"]);
        let page = PageRequest::first(5);
        let logs = stack.sync_logs().list(user, Some(Platform::KDP), page).await.unwrap();
        assert_eq!(logs.items.len(), 1);

        // What the error advises.
        sales.delete(user, &several.key).await.unwrap();
        let counts = sales.upsert(user, &batch).await.unwrap();
        assert_eq!(counts.inserted, 2);
        assert_eq!(sales.get(user, &several.key).await.unwrap().revenue, several.revenue);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_named_beside_the_others() {
    on_database(async |database| {
        database.execute(SCHEMA).await;
        database
            .execute(&format!(
                "insert into sales_data (user_id, book_id, platform, date, revenue, units) values \
                   ('{USER}', '{BOOK}', 'kdp', '2024-03-01', 1, 1), \
                   ('{USER}', '12345678-1234-4234-9234-123456789abc', 'kdp', '2024-03-01', 1, 1), \
                   ('{USER}', '{BOOK}', 'kdp', '2024-03-02', 'NaN', 1), \
                   ('{USER}', '{BOOK}', 'gumroad', '2024-03-03', 1, 1); \
                 insert into daily_aggregates (user_id, date, total_revenue, total_units, platform_breakdown) values \
                   ('{USER}', '2024-03-01', 1, 1, '[1]'), ('{USER}', '2024-03-02', 2, 1, '{{}}'); \
                 insert into revenue_forecasts (user_id, forecast_date, predicted_revenue) values \
                   ('{USER}', '2024-03-01', 'NaN'), ('{USER}', '2024-03-02', 5); \
                 insert into sync_logs (user_id, platform, status) values \
                   ('{USER}', 'kdp', 'success'), ('{USER}', '', 'success'); \
                 insert into ai_insights (user_id, insight_type, content, confidence) values \
                   ('{USER}', 'x', '1', 'NaN'), ('{USER}', 'x', '1', 0.5)"
            ))
            .await;
        let store = database.store().await;
        store.migrate().await.unwrap();
        let stack = stack(&store);
        let user = Id::from_uuid(USER.parse().unwrap()).unwrap();
        let filter = SalesFilter::of(Days::ALL);

        let sales: Vec<_> = stack.sales().stream(user, filter.clone()).collect().await;
        let refused: Vec<String> = sales
            .iter()
            .filter_map(|sale| Some(sale.as_ref().err()?.to_string()))
            .collect();
        assert_eq!((sales.len(), refused.len()), (4, 2), "{refused:?}");
        assert!(refused[0].starts_with("sales.stream sales_data "), "{refused:?}");
        let totals = stack.sales().totals(user, &filter, TotalsBy::Book).await.unwrap();
        let named: Vec<(&str, &str)> = totals
            .unreadable
            .iter()
            .map(|one| (one.key.as_str(), one.fields[0].as_str()))
            .collect();
        assert!(
            named.contains(&("12345678-1234-4234-9234-123456789abc USD", "book_id")),
            "{named:?}"
        );
        let totals = stack.sales().totals(user, &filter, TotalsBy::Day).await.unwrap();
        assert_eq!((totals.len(), totals.unreadable.len()), (2, 1), "{totals:?}");

        let days = stack.aggregates().list(user, Days::ALL).await.unwrap();
        assert_eq!((days.len(), days.unreadable.len()), (1, 1), "{days:?}");
        let overview = stack.aggregates().overview(user, Days::ALL, 5).await.unwrap();
        assert_eq!(overview.totals.revenue, "2".parse().unwrap());
        assert_eq!(overview.unreadable, days.unreadable);
        let forecasts = stack.forecasts().list(user, Days::ALL).await.unwrap();
        assert_eq!((forecasts.len(), forecasts.unreadable.len()), (1, 1));
        let page = PageRequest::first(5);
        let logs = stack.sync_logs().list(user, None, page.clone()).await.unwrap();
        assert_eq!((logs.items.len(), logs.unreadable.len()), (1, 1), "{logs:?}");
        let now = authorstack_core::time::now();
        let insights = stack.insights().list_valid(user, now, page).await.unwrap();
        assert_eq!((insights.items.len(), insights.unreadable.len()), (1, 1), "{insights:?}");
        assert_eq!(insights.unreadable[0].fields, ["confidence"]);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn tables_of_another_shape_are_blocked_by_name() {
    for (table, change, named) in [
        ("sales_data", "drop column page_reads", "page_reads"),
        ("revenue_forecasts", "drop column factors", "factors"),
        (
            "sales_data",
            "drop constraint sales_data_user_id_book_id_platform_date_key",
            "user_id, book_id, platform, date",
        ),
    ] {
        on_database(async |database| {
            database.execute(SCHEMA).await;
            database
                .execute(&format!("alter table {table} {change}"))
                .await;
            let store = database.store().await;
            let error = store.migrate().await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Blocked { .. }), "{error}");
            let shown = error.to_string();
            assert!(shown.contains(table) && shown.contains(named), "{shown}");
            store.close().await;
        })
        .await;
    }
}

#[tokio::test]
async fn tables_have_exactly_the_columns_of_their_records() {
    on_database(async |database| {
        let store = database.store().await;
        store.migrate().await.unwrap();
        for kind in Kind::ANALYTICS {
            let mut columns = database
                .texts(&format!(
                    "select column_name::text from information_schema.columns \
                     where table_schema = 'public' and table_name = '{kind}'"
                ))
                .await;
            columns.sort_unstable();
            let mut fields = kind.column_names();
            fields.sort_unstable();
            assert_eq!(columns, fields, "{kind}");
        }
        store.close().await;
    })
    .await;
}
