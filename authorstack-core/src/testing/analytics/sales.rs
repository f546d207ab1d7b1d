use futures::{StreamExt, TryStreamExt, future::join_all};
use rust_decimal::Decimal;

use super::{Stage, currency, day, days, sale, sums};
use crate::{
    Amount, Days, ErrorKind, Id, Listed, NewSale, Platform, SalesFilter, SalesTotal, Sums,
    TotalsBy, TotalsGroup, UpsertCounts,
};

fn counts(inserted: u64, updated: u64, unchanged: u64) -> UpsertCounts {
    UpsertCounts {
        inserted,
        updated,
        unchanged,
    }
}

async fn all(stage: Stage<'_>) -> Vec<crate::Sale> {
    let sales = stage.store.sales();
    let stream = sales.stream(stage.user, SalesFilter::of(Days::ALL));
    stream.try_collect().await.unwrap()
}

pub async fn an_upsert_counts_what_it_did(stage: Stage<'_>) {
    let sales = stage.store.sales();
    let mut batch = vec![
        sale(stage.book, "kdp", "2024-03-01", "1.10"),
        sale(stage.book, "kdp", "2024-03-02", "2.20"),
        sale(stage.book, "gumroad", "2024-03-01", "3.30"),
    ];
    let written = sales.upsert(stage.user, &batch).await.unwrap();
    assert_eq!(written, counts(3, 0, 0));
    let before = sales.get(stage.user, &batch[0].key).await.unwrap();

    batch[1].units = 5;
    batch.push(sale(stage.book, "kdp", "2024-03-03", "0"));
    let written = sales.upsert(stage.user, &batch).await.unwrap();
    assert_eq!(written, counts(1, 1, 2));
    let unchanged = sales.get(stage.user, &batch[0].key).await.unwrap();
    assert_eq!(unchanged, before);
    let updated = sales.get(stage.user, &batch[1].key).await.unwrap();
    assert_eq!((updated.units, updated.revenue), (5, batch[1].revenue));
    assert_eq!(all(stage).await.len(), 4);
}

pub async fn every_figure_of_a_sale_survives(stage: Stage<'_>) {
    let sales = stage.store.sales();
    for (date, revenue) in [
        ("0001-01-01", "99999999.99"),
        ("9999-12-31", "-99999999.99"),
        ("2024-02-29", "0.01"),
    ] {
        let mut new = sale(stage.book, "a platform of their own", date, revenue);
        (new.units, new.page_reads) = (i32::MIN, i32::MAX);
        new.currency = currency("JPY");
        sales
            .upsert(stage.user, std::slice::from_ref(&new))
            .await
            .unwrap();
        let stored = sales.get(stage.user, &new.key).await.unwrap();
        assert_eq!(stored.key(), new.key);
        assert_eq!(stored.user_id, stage.user);
        assert_eq!(stored.revenue, new.revenue);
        assert_eq!((stored.units, stored.page_reads), (i32::MIN, i32::MAX));
        assert_eq!(stored.currency, new.currency);
        assert!(stored.synced_at.is_some());
    }
}

pub async fn a_changed_currency_is_a_conflict_and_writes_nothing(stage: Stage<'_>) {
    let sales = stage.store.sales();
    let first = sale(stage.book, "kdp", "2024-03-01", "5.00");
    sales
        .upsert(stage.user, std::slice::from_ref(&first))
        .await
        .unwrap();
    let before = all(stage).await;

    let mut euros = first.clone();
    euros.currency = currency("EUR");
    let batch = [sale(stage.book, "kdp", "2024-02-28", "7.00"), euros.clone()];
    let error = sales.upsert(stage.user, &batch).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Conflict { .. }),
        "{error}"
    );
    assert!(!error.is_retryable(), "{error}");
    let shown = error.to_string();
    for part in ["USD", "EUR", "2024-03-01", "kdp"] {
        assert!(shown.contains(part), "{shown}");
    }
    assert_eq!(all(stage).await, before);

    // Equal figures in another currency are a conflict too.
    let error = sales
        .upsert(stage.user, &[euros.clone()])
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Conflict { .. }),
        "{error}"
    );
    // The fix that the error suggests.
    sales.delete(stage.user, &first.key).await.unwrap();
    let written = sales.upsert(stage.user, &[euros]).await.unwrap();
    assert_eq!(written, counts(1, 0, 0));
}

pub async fn a_sale_twice_in_a_batch_is_named(stage: Stage<'_>) {
    let sales = stage.store.sales();
    let batch = [
        sale(stage.book, "kdp", "2024-03-01", "1"),
        sale(stage.book, "kdp", "2024-03-02", "1"),
        sale(stage.book, "kdp", "2024-03-01", "2"),
    ];
    let error = sales.upsert(stage.user, &batch).await.unwrap_err();
    let shown = error.to_string();
    assert!(matches!(error.kind(), ErrorKind::Invalid { .. }), "{shown}");
    assert!(
        shown.contains("2024-03-01") && !shown.contains("2024-03-02"),
        "{shown}"
    );
    assert!(shown.contains(&stage.book.to_string()), "{shown}");
    assert!(all(stage).await.is_empty());
}

pub async fn a_far_date_is_invalid_and_writes_nothing(stage: Stage<'_>) {
    let sales = stage.store.sales();
    let good = sale(stage.book, "kdp", "2024-03-01", "1");
    for date in [
        day("0001-01-01").pred_opt().unwrap(),
        day("9999-12-31").succ_opt().unwrap(),
    ] {
        let mut far = good.clone();
        far.key.date = date;
        let error = sales
            .upsert(stage.user, &[good.clone(), far])
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Invalid { field, .. } if field == "date"),
            "{error}"
        );
    }
    assert!(all(stage).await.is_empty());
}

pub async fn an_empty_batch_does_nothing(stage: Stage<'_>) {
    let written = stage.store.sales().upsert(stage.user, &[]).await.unwrap();
    assert_eq!(written, UpsertCounts::default());
}

pub async fn sales_of_others_are_not_found(stage: Stage<'_>) {
    let sales = stage.store.sales();
    let new = sale(stage.book, "kdp", "2024-03-01", "1");
    sales
        .upsert(stage.user, std::slice::from_ref(&new))
        .await
        .unwrap();
    let others = sales.get(stage.stranger, &new.key).await.unwrap_err();
    assert!(others.is_not_found(), "{others}");
    let others = sales.delete(stage.stranger, &new.key).await.unwrap_err();
    assert!(others.is_not_found(), "{others}");
    let filter = SalesFilter::of(Days::ALL);
    let totals = sales.totals(stage.stranger, &filter, TotalsBy::Day).await;
    assert!(totals.unwrap().is_empty());
    assert!(sales.stream(stage.stranger, filter).next().await.is_none());
    // Two users may report the same book: each has their own row.
    let written = sales.upsert(stage.stranger, &[new]).await.unwrap();
    assert_eq!(written, counts(1, 0, 0));
    assert_eq!(all(stage).await.len(), 1);
}

pub async fn a_large_batch_is_written_whole(stage: Stage<'_>) {
    const ROWS: u32 = 45_000;
    let sales = stage.store.sales();
    let first = day("2000-01-01");
    let mut batch: Vec<NewSale> = (0..ROWS)
        .map(|n| {
            let mut new = sale(
                stage.book,
                &format!("shop {}", n % 15),
                "2000-01-01",
                "0.01",
            );
            new.key.date = first + chrono::Days::new(u64::from(n / 15));
            new
        })
        .collect();
    // No order is asked for.
    batch.reverse();
    let written = sales.upsert(stage.user, &batch).await.unwrap();
    assert_eq!(written, counts(u64::from(ROWS), 0, 0));
    let written = sales.upsert(stage.user, &batch).await.unwrap();
    assert_eq!(written, counts(0, 0, u64::from(ROWS)));

    let filter = SalesFilter::of(Days::ALL);
    let totals = sales
        .totals(stage.user, &filter, TotalsBy::Currency)
        .await
        .unwrap();
    assert_eq!(totals[0].sums, sums("450.00", ROWS.into(), 0));
    assert_eq!(all(stage).await.len(), ROWS as usize);

    // A batch that fails at its end has written nothing of its beginning.
    for new in &mut batch {
        new.units = 9;
    }
    let last = batch.iter_mut().max_by(|a, b| a.key.cmp(&b.key)).unwrap();
    last.currency = currency("EUR");
    let error = sales.upsert(stage.user, &batch).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Conflict { .. }),
        "{error}"
    );
    let totals = sales
        .totals(stage.user, &filter, TotalsBy::Currency)
        .await
        .unwrap();
    assert_eq!(totals[0].sums.units, i64::from(ROWS));
}

pub async fn upserts_at_once_lose_nothing(stage: Stage<'_>) {
    let sales = stage.store.sales();
    let batch = |turn: usize| -> Vec<NewSale> {
        let mut batch: Vec<NewSale> = (1..=28)
            .map(|d| sale(stage.book, "kdp", &format!("2024-02-{d:02}"), "1.00"))
            .collect();
        // Each takes the rows in another order, and adds one of its own.
        batch.rotate_left(turn * 3);
        batch.push(sale(
            stage.book,
            &format!("shop {turn}"),
            "2024-02-01",
            "1.00",
        ));
        batch
    };
    let writers = (0..8).map(|turn| {
        let (sales, batch) = (&sales, batch(turn));
        async move { sales.upsert(stage.user, &batch).await.unwrap() }
    });
    let mut written = UpsertCounts::default();
    for counts in join_all(writers).await {
        written += counts;
    }
    assert_eq!(written, counts(28 + 8, 0, 7 * 28));
    assert_eq!(all(stage).await.len(), 36);
}

pub async fn a_stream_is_ordered_and_filtered(stage: Stage<'_>) {
    let sales = stage.store.sales();
    let other = Id::new();
    let mut euros = sale(other, "gumroad", "2024-03-02", "2");
    euros.currency = currency("EUR");
    let batch = [
        sale(other, "kdp", "2024-03-02", "1"),
        euros,
        sale(stage.book, "kdp", "2024-03-03", "3"),
        sale(stage.book, "kdp", "2024-03-01", "4"),
    ];
    sales.upsert(stage.user, &batch).await.unwrap();
    let keys = |filter: SalesFilter| {
        let stream = sales.stream(stage.user, filter);
        async move {
            let found: Vec<crate::Sale> = stream.try_collect().await.unwrap();
            found.iter().map(crate::Sale::key).collect::<Vec<_>>()
        }
    };
    let ordered: Vec<_> = [3, 1, 0, 2].map(|n: usize| batch[n].key.clone()).into();
    assert_eq!(keys(SalesFilter::of(Days::ALL)).await, ordered);
    assert_eq!(
        keys(SalesFilter::of(days("2024-03-02", "2024-03-02"))).await,
        ordered[1..3]
    );
    let mut filter = SalesFilter::of(Days::ALL);
    filter.platform = Some(Platform::GUMROAD);
    assert_eq!(keys(filter).await, ordered[1..2]);
    let mut filter = SalesFilter::of(Days::ALL);
    filter.book_id = Some(other);
    assert_eq!(keys(filter).await, ordered[1..3]);
    let mut filter = SalesFilter::of(Days::ALL);
    filter.currency = Some(currency("EUR"));
    assert_eq!(keys(filter).await, ordered[1..2]);
}

pub async fn totals_are_exact_and_never_mix_currencies(stage: Stage<'_>) {
    let sales = stage.store.sales();
    let mut batch = Vec::new();
    // Dimes and cents, of which no float sums up right.
    for n in 1..=28 {
        let mut dollars = sale(stage.book, "kdp", &format!("2024-02-{n:02}"), "0.10");
        dollars.page_reads = 3;
        batch.push(dollars);
        let mut euros = sale(stage.book, "gumroad", &format!("2024-02-{n:02}"), "-0.07");
        euros.currency = currency("EUR");
        batch.push(euros);
    }
    sales.upsert(stage.user, &batch).await.unwrap();
    let filter = SalesFilter::of(Days::ALL);
    let totals = |by| sales.totals(stage.user, &filter, by);

    let by_currency = totals(TotalsBy::Currency).await.unwrap();
    let named: Vec<_> = by_currency
        .iter()
        .map(|total| (total.currency.as_str(), total.sums))
        .collect();
    assert_eq!(
        named,
        [("EUR", sums("-1.96", 28, 0)), ("USD", sums("2.80", 28, 84))]
    );
    let by_platform = totals(TotalsBy::Platform).await.unwrap();
    let groups: Vec<_> = by_platform.into_iter().map(|total| total.group).collect();
    assert_eq!(
        groups,
        [
            TotalsGroup::Platform(Platform::GUMROAD),
            TotalsGroup::Platform(Platform::KDP)
        ]
    );
    let by_book = totals(TotalsBy::Book).await.unwrap();
    assert_eq!(by_book.len(), 2);
    assert!(
        by_book
            .iter()
            .all(|total| total.group == TotalsGroup::Book(stage.book))
    );
    let by_day = totals(TotalsBy::Day).await.unwrap();
    assert_eq!(by_day.len(), 56);
    let sum: Decimal = by_day.iter().map(|total| total.sums.revenue).sum();
    assert_eq!(sum, "0.84".parse().unwrap());

    // More than a column holds.
    let rich: Vec<NewSale> = (1..=3)
        .map(|n| {
            let mut rich = sale(stage.book, "lulu", &format!("2023-01-0{n}"), "99999999.99");
            rich.units = i32::MAX;
            rich.currency = currency("GBP");
            rich
        })
        .collect();
    sales.upsert(stage.user, &rich).await.unwrap();
    let mut pounds = SalesFilter::of(Days::ALL);
    pounds.currency = Some(currency("GBP"));
    let total = sales
        .totals(stage.user, &pounds, TotalsBy::Currency)
        .await
        .unwrap();
    let sum = (0..3).fold(Decimal::ZERO, |sum, _| sum + Amount::MAX);
    assert_eq!(total[0].sums.revenue, sum);
    assert_eq!(total[0].sums.units, 3 * i64::from(i32::MAX));
}

pub async fn weeks_and_months_begin_where_they_should(stage: Stage<'_>) {
    let sales = stage.store.sales();
    let batch = [
        "2024-12-29",
        "2024-12-30",
        "2024-12-31",
        "2025-01-05",
        "2025-01-06",
    ]
    .map(|date| sale(stage.book, "kdp", date, "1.00"));
    sales.upsert(stage.user, &batch).await.unwrap();
    let filter = SalesFilter::of(Days::ALL);
    let by = async |by| -> Vec<(TotalsGroup, i64)> {
        let totals = sales.totals(stage.user, &filter, by).await.unwrap();
        totals
            .into_iter()
            .map(|total| (total.group, total.sums.units))
            .collect()
    };
    let from = |date: &str, units| (TotalsGroup::From(day(date)), units);
    assert_eq!(
        by(TotalsBy::Week).await,
        [
            from("2024-12-23", 1),
            from("2024-12-30", 3),
            from("2025-01-06", 1)
        ]
    );
    assert_eq!(
        by(TotalsBy::Month).await,
        [from("2024-12-01", 3), from("2025-01-01", 2)]
    );
}

pub async fn deletes_once(stage: Stage<'_>) {
    let sales = stage.store.sales();
    let new = sale(stage.book, "kdp", "2024-03-01", "1");
    sales
        .upsert(stage.user, std::slice::from_ref(&new))
        .await
        .unwrap();
    sales.delete(stage.user, &new.key).await.unwrap();
    let again = sales.delete(stage.user, &new.key).await.unwrap_err();
    assert!(again.is_not_found(), "{again}");
    let gone = sales.get(stage.user, &new.key).await.unwrap_err();
    assert!(gone.is_not_found(), "{gone}");
}

/// A sale in another currency than dollars.
fn foreign(stage: Stage<'_>, channel: &str, date: &str, revenue: &str, code: &str) -> NewSale {
    let mut new = sale(stage.book, channel, date, revenue);
    new.currency = currency(code);
    new
}

async fn totals(stage: Stage<'_>, filter: &SalesFilter, by: TotalsBy) -> Listed<SalesTotal> {
    let sales = stage.store.sales();
    sales.totals(stage.user, filter, by).await.unwrap()
}

pub async fn markets_of_a_platform_are_sales_of_their_own(stage: Stage<'_>) {
    let sales = stage.store.sales();
    let batch = [
        sale(stage.book, "kdp", "2024-03-01", "1"),
        foreign(stage, "kdp:amazon.de", "2024-03-01", "2", "EUR"),
        foreign(stage, "kdp:amazon.co.jp", "2024-03-01", "300", "JPY"),
        sale(stage.book, "apple_books:de", "2024-03-01", "4"),
    ];
    let written = sales.upsert(stage.user, &batch).await.unwrap();
    assert_eq!(written, counts(4, 0, 0));
    let written = sales.upsert(stage.user, &batch).await.unwrap();
    assert_eq!(written, counts(0, 0, 4));
    for new in &batch {
        let found = sales.get(stage.user, &new.key).await.unwrap();
        assert_eq!((&found.key(), found.revenue), (&new.key, new.revenue));
    }
    let keys: Vec<_> = all(stage).await.iter().map(crate::Sale::key).collect();
    let ordered = [3, 0, 2, 1].map(|n: usize| batch[n].key.clone());
    assert_eq!(keys, ordered);

    let mut filter = SalesFilter::of(Days::ALL);
    filter.platform = Some(Platform::KDP);
    let found = totals(stage, &filter, TotalsBy::Market).await;
    let named = found
        .iter()
        .map(|total| (total.group.clone(), total.sums.revenue));
    let market = |channel: &str, revenue: i64| {
        let group = TotalsGroup::Market(channel.parse().unwrap());
        (group, Decimal::from(revenue))
    };
    let expected = [
        market("kdp", 1),
        market("kdp:amazon.co.jp", 300),
        market("kdp:amazon.de", 2),
    ];
    assert_eq!(named.collect::<Vec<_>>(), expected);
    filter.market = Some("amazon.de".parse().unwrap());
    assert_eq!(totals(stage, &filter, TotalsBy::Day).await.len(), 1);
    let stream = sales.stream(stage.user, filter.clone());
    let found: Vec<crate::Sale> = stream.try_collect().await.unwrap();
    assert_eq!((found.len(), found[0].key()), (1, batch[1].key.clone()));
    (filter.platform, filter.market) = (None, Some("de".parse().unwrap()));
    let found = totals(stage, &filter, TotalsBy::Platform).await;
    assert_eq!(found[0].group, TotalsGroup::Platform(Platform::APPLE_BOOKS));
    assert_eq!(found.len(), 1);

    sales.delete(stage.user, &batch[1].key).await.unwrap();
    assert_eq!(all(stage).await.len(), 3);
}

pub async fn totals_by_platform_are_those_of_its_markets(stage: Stage<'_>) {
    let sales = stage.store.sales();
    let mut batch = Vec::new();
    for n in 0..120_usize {
        let channels = [
            "kdp",
            "KDP:us",
            "kdp:de",
            "gumroad",
            "gumroad:us",
            "barnes & noble:us",
        ];
        let code = ["USD", "EUR", "USD", "EUR", "JPY"][n % 5];
        let date = format!("2024-02-{:02}", n / 6 + 1);
        let mut new = foreign(stage, channels[n % 6], &date, &format!("{n}.07"), code);
        new.page_reads = i32::try_from(n % 5).unwrap();
        batch.push(new);
    }
    sales.upsert(stage.user, &batch).await.unwrap();
    let filter = SalesFilter::of(Days::ALL);
    let by_platform = totals(stage, &filter, TotalsBy::Platform).await;
    let mut folded: std::collections::BTreeMap<_, Sums> = std::collections::BTreeMap::new();
    for total in totals(stage, &filter, TotalsBy::Market).await {
        let TotalsGroup::Market(channel) = total.group else {
            panic!("{total:?} is no market");
        };
        let group = TotalsGroup::Platform(channel.platform());
        *folded.entry((group, total.currency)).or_default() += total.sums;
    }
    let folded = folded
        .into_iter()
        .map(|((group, currency), sums)| SalesTotal {
            group,
            currency,
            sums,
        });
    assert_eq!(by_platform, folded.collect::<Vec<_>>());
    assert_eq!(by_platform.len(), 3 * 3);
}

pub async fn a_platform_is_the_same_in_capitals(stage: Stage<'_>) {
    let sales = stage.store.sales();
    let small = sale(stage.book, "kdp:amazon.de", "2024-03-01", "1");
    let capitals = sale(stage.book, "KDP:Amazon.DE", "2024-03-01", "1");
    assert_eq!(small.key, capitals.key);
    let batch = std::slice::from_ref(&small);
    sales.upsert(stage.user, batch).await.unwrap();
    let written = sales.upsert(stage.user, &[capitals]).await.unwrap();
    assert_eq!(written, counts(0, 0, 1));
    let mut filter = SalesFilter::of(Days::ALL);
    filter.platform = Some("Kdp".parse().unwrap());
    let found = totals(stage, &filter, TotalsBy::Platform).await;
    assert_eq!(found[0].group, TotalsGroup::Platform(Platform::KDP));
}

pub async fn sales_in_two_currencies_are_told_to_take_markets(stage: Stage<'_>) {
    let sales = stage.store.sales();
    let dollars = sale(stage.book, "kdp", "2024-03-01", "1");
    let euros = foreign(stage, "KDP", "2024-03-01", "1", "EUR");
    let batch = [dollars.clone(), euros.clone()];
    let twice = sales.upsert(stage.user, &batch).await.unwrap_err();
    sales.upsert(stage.user, &batch[..1]).await.unwrap();
    let changed = sales.upsert(stage.user, &batch[1..]).await.unwrap_err();
    for (error, way_out) in [(&twice, "kdp:us"), (&changed, "kdp:amazon.de")] {
        let shown = error.to_string();
        let parts = [way_out, "market", "USD", "EUR", "2024-03-01"];
        assert!(parts.iter().all(|part| shown.contains(part)), "{shown}");
        assert!(!shown.contains("add them up"), "{shown}");
    }
    // What the errors advise.
    let with_market = foreign(stage, "kdp:amazon.de", "2024-03-01", "1", "EUR");
    let written = sales.upsert(stage.user, &[dollars, with_market]).await;
    assert_eq!(written.unwrap(), counts(1, 0, 1));
    let twice = [euros.clone(), euros];
    let error = sales.upsert(stage.user, &twice).await.unwrap_err();
    let shown = error.to_string();
    assert!(
        shown.contains("add them up") && shown.contains("market"),
        "{shown}"
    );
}

pub async fn a_colon_without_a_market_is_invalid(stage: Stage<'_>) {
    let sales = stage.store.sales();
    let good = sale(stage.book, "kdp", "2024-03-01", "1");
    for channel in ["shop: london", "kdp:", "a:b:c", "kdp:amazon de", ":us"] {
        let odd = sale(stage.book, channel, "2024-03-01", "1");
        let error = sales.upsert(stage.user, &[good.clone(), odd]).await;
        let error = error.unwrap_err();
        let shown = error.to_string();
        assert!(
            matches!(error.kind(), ErrorKind::Invalid { field, .. } if field == "platform"),
            "{shown}"
        );
        assert!(shown.contains("platform:market"), "{shown}");
    }
    assert!(all(stage).await.is_empty());
}
