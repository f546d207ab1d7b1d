use chrono::TimeDelta;
use futures::TryStreamExt;
use serde_json::json;

use super::{Stage, currency, day, days, sale, sums};
use crate::{
    Conversion, DailyAggregate, Days, ErrorKind, Forecast, InsightKind, NewForecast, NewInsight,
    NewSale, PageRequest, Platform, Sale, SalesFilter, SyncStatus, UpsertCounts,
    services::{Dashboard, DashboardQuery, IngestReport, SalesIngest},
    testing::clock_moved,
    time,
};

async fn ingest(stage: Stage<'_>, sales: Vec<NewSale>) -> IngestReport {
    let dollars = Conversion::into(currency("USD"));
    let service = SalesIngest::new(stage.store);
    let run = service.run(stage.user, &Platform::KDP, sales, &dollars);
    run.await.unwrap()
}

pub async fn an_ingest_writes_refreshes_and_logs(stage: Stage<'_>) {
    let sales: Vec<NewSale> = (1..=9)
        .map(|n| sale(stage.book, "kdp", &format!("2024-03-0{n}"), "1.10"))
        .collect();
    let report = ingest(stage, sales.clone()).await;
    assert_eq!((report.counts.inserted, report.refreshed.written), (9, 9));
    assert_eq!((report.rejected.len(), report.refreshed.gaps.len()), (0, 0));
    assert_eq!(report.log.status, SyncStatus::Success);
    assert_eq!(
        (report.log.records_synced, &report.log.error_message),
        (9, &None)
    );
    let logs = stage.store.sync_logs();
    let page = logs
        .list(stage.user, None, PageRequest::first(5))
        .await
        .unwrap();
    assert_eq!(page.items, [report.log]);

    let again = ingest(stage, sales).await;
    assert_eq!((again.counts.unchanged, again.refreshed.written), (9, 0));
    assert_eq!(again.log.status, SyncStatus::Success);
    let nothing = ingest(stage, Vec::new()).await;
    assert_eq!(nothing.counts, UpsertCounts::default());
    assert_eq!(nothing.log.status, SyncStatus::Success);
}

pub async fn what_is_refused_is_refused_alone(stage: Stage<'_>) {
    let mut euros = sale(stage.book, "kdp", "2024-03-05", "1");
    euros.currency = currency("EUR");
    let repository = stage.store.sales();
    repository
        .upsert(stage.user, std::slice::from_ref(&euros))
        .await
        .unwrap();

    let twice = sale(stage.book, "kdp", "2024-03-06", "1");
    let other_platform = sale(stage.book, "gumroad", "2024-03-07", "1");
    let mut far = sale(stage.book, "kdp", "2024-03-08", "1");
    far.key.date = day("9999-12-31").succ_opt().unwrap();
    let mut sales: Vec<NewSale> = (1..=28)
        .filter(|n| *n != 6)
        .map(|n| sale(stage.book, "kdp", &format!("2024-03-{n:02}"), "1"))
        .collect();
    sales.extend([
        twice.clone(),
        other_platform.clone(),
        twice.clone(),
        far.clone(),
    ]);
    let dollars = Conversion::into(currency("USD"));
    let dollars = dollars
        .rate(currency("EUR"), "1.1".parse().unwrap())
        .unwrap();
    let service = SalesIngest::new(stage.store);
    let run = service.run(stage.user, &Platform::KDP, sales, &dollars);
    let report = run.await.unwrap();

    assert_eq!(report.counts.inserted, 26);
    let mut refused: Vec<_> = report.rejected.iter().map(|r| r.key.clone()).collect();
    refused.sort();
    let mut expected = [
        euros.key,
        twice.key.clone(),
        twice.key,
        other_platform.key,
        far.key,
    ];
    expected.sort();
    assert_eq!(refused, expected);
    assert!(
        report
            .rejected
            .iter()
            .all(|refused| !refused.reason.is_empty())
    );
    assert_eq!(report.log.status, SyncStatus::Partial);
    assert_eq!(report.log.records_synced, 26);
    let message = report.log.error_message.unwrap();
    assert!(message.contains("5 refused"), "{message}");
    assert_eq!(report.refreshed.written, 26);
}

pub async fn an_ingest_of_nothing_sound_has_failed(stage: Stage<'_>) {
    let report = ingest(stage, vec![sale(stage.book, "gumroad", "2024-03-01", "1")]).await;
    assert_eq!(report.log.status, SyncStatus::Failed);
    assert_eq!((report.log.records_synced, report.rejected.len()), (0, 1));
    assert_eq!(report.counts, UpsertCounts::default());
}

pub async fn a_missing_rate_leaves_the_sales_and_says_so(stage: Stage<'_>) {
    let mut pounds = sale(stage.book, "kdp", "2024-03-01", "1");
    pounds.currency = currency("GBP");
    let report = ingest(stage, vec![pounds.clone()]).await;
    assert_eq!(report.counts.inserted, 1);
    assert_eq!(report.log.status, SyncStatus::Partial);
    let gaps: Vec<_> = report.refreshed.gaps.iter().map(|gap| gap.date).collect();
    assert_eq!(gaps, [day("2024-03-01")]);
    let message = report.log.error_message.unwrap();
    assert_eq!(message, "days not rolled up: 2024-03-01 (no rate of GBP)");
    let aggregates = stage.store.aggregates();
    assert!(
        aggregates
            .list(stage.user, Days::ALL)
            .await
            .unwrap()
            .is_empty()
    );
}

/// A day of a report as KDP writes it: several markets and currencies, a refund, pages read.
fn markets(stage: Stage<'_>) -> Vec<NewSale> {
    let line = |channel: &str, revenue: &str, code: &str, units| {
        let mut new = sale(stage.book, channel, "2024-03-01", revenue);
        (new.currency, new.units) = (currency(code), units);
        new
    };
    let mut sales = vec![
        line("KDP:amazon.com", "6.98", "USD", 2),
        line("KDP:amazon.de", "-2.70", "EUR", -1),
        line("KDP:amazon.co.uk", "0", "GBP", 0),
    ];
    sales[2].page_reads = 312;
    sales
}

pub async fn a_report_of_several_markets_is_one_ingest(stage: Stage<'_>) {
    let rates = [("EUR", "1.1"), ("GBP", "1.25")];
    let conversion = rates.into_iter().fold(
        Conversion::into(currency("USD")),
        |conversion, (code, rate)| {
            conversion
                .rate(currency(code), rate.parse().unwrap())
                .unwrap()
        },
    );
    let service = SalesIngest::new(stage.store);
    for (inserted, unchanged) in [(3, 0), (0, 3)] {
        let run = service.run(stage.user, &Platform::KDP, markets(stage), &conversion);
        let report = run.await.unwrap();
        assert_eq!(report.log.status, SyncStatus::Success, "{report:?}");
        let counts = report.counts;
        assert_eq!((counts.inserted, counts.unchanged), (inserted, unchanged));
    }
    let aggregates = stage.store.aggregates();
    let rolled = aggregates.list(stage.user, Days::ALL).await.unwrap();
    // 6.98 - 2.97 + 0
    assert_eq!(rolled[0].totals, sums("4.01", 1, 312));
    assert_eq!(rolled[0].platform_breakdown.len(), 1);
    assert_eq!(
        rolled[0].platform_breakdown[&Platform::KDP],
        rolled[0].totals
    );
}

pub async fn an_ingest_leaves_other_days_alone(stage: Stage<'_>) {
    let mut euros = sale(stage.book, "gumroad", "2024-03-02", "1");
    euros.currency = currency("EUR");
    let with_euros = Conversion::into(currency("USD"));
    let with_euros = with_euros
        .rate(currency("EUR"), "1.1".parse().unwrap())
        .unwrap();
    let service = SalesIngest::new(stage.store);
    let run = service.run(stage.user, &Platform::GUMROAD, vec![euros], &with_euros);
    assert_eq!(run.await.unwrap().refreshed.written, 1);
    let aggregates = stage.store.aggregates();
    let before = aggregates.list(stage.user, Days::ALL).await.unwrap();
    // A run that knows no rate of euros, for the days around.
    let around = ["2024-03-01", "2024-03-03"].map(|date| sale(stage.book, "kdp", date, "1"));
    let report = ingest(stage, around.into()).await;
    assert_eq!(report.log.status, SyncStatus::Success);
    let after = aggregates.list(stage.user, Days::ALL).await.unwrap();
    assert_eq!((after.len(), &after[1]), (3, &before[0]));
}

pub async fn an_ingest_completes_what_an_interrupted_one_left(stage: Stage<'_>) {
    let sales = vec![sale(stage.book, "kdp", "2024-03-01", "1")];
    // This is the state after a run that ended between writing and refreshing.
    stage
        .store
        .sales()
        .upsert(stage.user, &sales)
        .await
        .unwrap();
    let report = ingest(stage, sales).await;
    assert_eq!((report.counts.unchanged, report.refreshed.written), (1, 1));
}

/// The user's sales and roll-ups.
async fn written(stage: Stage<'_>) -> (Vec<Sale>, Vec<DailyAggregate>) {
    let (user, store) = (stage.user, stage.store);
    let sales = store.sales().stream(user, SalesFilter::of(Days::ALL));
    let sales: Vec<Sale> = sales.try_collect().await.unwrap();
    let aggregates = store.aggregates().list(user, Days::ALL).await;
    (sales, aggregates.unwrap().items)
}

pub async fn an_ingest_repeated_later_changes_nothing(stage: Stage<'_>) {
    let sales = vec![
        sale(stage.book, "kdp", "2024-03-01", "1.10"),
        sale(stage.book, "kdp", "2024-03-02", "2.20"),
    ];
    ingest(stage, sales.clone()).await;
    let first = written(stage).await;
    clock_moved().await;
    let again = ingest(stage, sales).await;
    assert_eq!((again.counts.unchanged, again.counts.updated), (2, 0));
    assert_eq!((again.refreshed.written, again.refreshed.removed), (0, 0));
    assert_eq!(again.log.status, SyncStatus::Success);
    // Also the moment of the sync and the row numbers.
    assert_eq!(written(stage).await, first);
}

pub async fn far_days_are_refreshed_apart(stage: Stage<'_>) {
    let between = [sale(stage.book, "gumroad", "2010-06-01", "1")];
    stage
        .store
        .sales()
        .upsert(stage.user, &between)
        .await
        .unwrap();
    let sales =
        ["0001-01-01", "2024-03-01", "9999-12-31"].map(|date| sale(stage.book, "kdp", date, "1"));
    let report = ingest(stage, sales.into()).await;
    assert_eq!(report.refreshed.written, 3);
    let aggregates = stage.store.aggregates();
    let rolled = aggregates.list(stage.user, Days::ALL).await.unwrap();
    assert_eq!(rolled.len(), 3);
}

pub async fn a_dashboard_shows_every_part(stage: Stage<'_>) {
    let mut read = sale(stage.book, "kdp", "2024-03-04", "0.50");
    read.page_reads = 120;
    ingest(
        stage,
        vec![
            sale(stage.book, "kdp", "2024-02-29", "4"),
            sale(stage.book, "kdp", "2024-03-02", "5"),
            read,
        ],
    )
    .await;
    let forecasts = stage.store.forecasts();
    let predicted = vec![
        NewForecast::new(day("2024-03-02"), "4".parse().unwrap()),
        NewForecast::new(day("2024-03-05"), "9".parse().unwrap()),
    ];
    forecasts.create(stage.user, predicted).await.unwrap();
    let range = days("2024-03-02", "2024-03-04");
    forecasts.fill_actuals(stage.user, range).await.unwrap();
    let insights = stage.store.insights();
    let now = time::now();
    let mut outdated = NewInsight::new(InsightKind::TREND, json!("down"));
    outdated.valid_until = Some(now - TimeDelta::hours(1));
    insights.create(stage.user, outdated).await.unwrap();
    let up = NewInsight::new(InsightKind::TREND, json!("up"));
    let up = insights.create(stage.user, up).await.unwrap();

    let dashboard = Dashboard::new(stage.store);
    let mut query = DashboardQuery::of(range);
    query.at = now;
    let found = dashboard.summary(stage.user, &query).await.unwrap();
    assert_eq!(found.totals, sums("5.50", 2, 120));
    assert_eq!(found.previous, sums("4", 1, 0));
    assert_eq!(found.revenue_change, Some("37.5".parse().unwrap()));
    assert_eq!(
        found.series,
        [
            (day("2024-03-02"), sums("5", 1, 0)),
            (day("2024-03-03"), sums("0", 0, 0)),
            (day("2024-03-04"), sums("0.50", 1, 120)),
        ]
    );
    assert_eq!(found.books, [(stage.book, sums("5.50", 2, 120))]);
    assert_eq!(found.platforms, [(Platform::KDP, sums("5.50", 2, 120))]);
    assert_eq!(found.insights, [up]);
    let against = |forecast: &Forecast| (forecast.predicted, forecast.actual);
    let expected = (Some("4".parse().unwrap()), Some("5".parse().unwrap()));
    assert_eq!(
        found.forecasts.iter().map(against).collect::<Vec<_>>(),
        [expected]
    );
    assert_eq!(found.accuracy.mape, Some("20".parse().unwrap()));

    let nothing = dashboard.summary(stage.stranger, &query).await.unwrap();
    assert_eq!((nothing.revenue_change, nothing.series.len()), (None, 3));
}

pub async fn a_dashboard_names_days_without_a_roll_up(stage: Stage<'_>) {
    let mut pounds = sale(stage.book, "kdp", "2024-03-03", "1");
    pounds.currency = currency("GBP");
    let sales = vec![
        sale(stage.book, "kdp", "2024-03-01", "2"),
        sale(stage.book, "kdp", "2024-03-02", "4"),
        pounds,
    ];
    ingest(stage, sales).await;
    let dashboard = Dashboard::new(stage.store);
    let of = async |first: &str, last: &str| {
        let query = DashboardQuery::of(days(first, last));
        dashboard.summary(stage.user, &query).await.unwrap()
    };
    let whole = of("2024-03-02", "2024-03-02").await;
    assert_eq!((&whole.gaps[..], whole.totals), (&[][..], sums("4", 1, 0)));
    assert_eq!(whole.revenue_change, Some("100".parse().unwrap()));
    // In the period, and in the one before.
    for (first, last) in [("2024-03-02", "2024-03-03"), ("2024-03-04", "2024-03-05")] {
        let part = of(first, last).await;
        assert_eq!(part.gaps, [day("2024-03-03")]);
        assert_eq!(part.revenue_change, None);
    }
}

pub async fn a_dashboard_of_too_many_days_is_invalid(stage: Stage<'_>) {
    let dashboard = Dashboard::new(stage.store);
    let query = DashboardQuery::of(Days::ALL);
    let error = dashboard.summary(stage.user, &query).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Invalid { field, .. } if field == "days"),
        "{error}"
    );
}
