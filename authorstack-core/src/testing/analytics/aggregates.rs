use futures::future::join_all;
use rust_decimal::Decimal;

use super::{Stage, currency, day, days, sale, sums};
use crate::{
    Conversion, DailyAggregate, Days, Gap, GapReason, Id, NewSale, Overview, Platform,
    RefreshReport, Sums,
};

fn dollars() -> Conversion {
    Conversion::into(currency("USD"))
}

async fn write(stage: Stage<'_>, batch: &[NewSale]) {
    let sales = stage.store.sales();
    sales.upsert(stage.user, batch).await.unwrap();
}

async fn refresh(stage: Stage<'_>, days: Days) -> RefreshReport {
    let aggregates = stage.store.aggregates();
    aggregates
        .refresh(stage.user, days, &dollars())
        .await
        .unwrap()
}

async fn stored(stage: Stage<'_>) -> Vec<DailyAggregate> {
    let aggregates = stage.store.aggregates();
    let listed = aggregates.list(stage.user, Days::ALL).await.unwrap();
    listed.items
}

fn counts(written: u64, removed: u64) -> RefreshReport {
    RefreshReport {
        written,
        removed,
        gaps: Vec::new(),
    }
}

pub async fn a_refresh_sums_every_day(stage: Stage<'_>) {
    let other = Id::new();
    let mut read = sale(other, "kdp", "2024-03-01", "0.35");
    (read.units, read.page_reads) = (0, 812);
    write(
        stage,
        &[
            sale(stage.book, "kdp", "2024-03-01", "2.70"),
            sale(stage.book, "gumroad", "2024-03-01", "9.99"),
            read,
            sale(stage.book, "kdp", "2024-03-03", "0"),
        ],
    )
    .await;
    assert_eq!(
        refresh(stage, days("2024-03-01", "2024-03-31")).await,
        counts(2, 0)
    );
    let found = stored(stage).await;
    assert_eq!(found.len(), 2);
    let first = &found[0];
    assert_eq!((first.user_id, first.date), (stage.user, day("2024-03-01")));
    assert_eq!(first.totals, sums("13.04", 2, 812));
    let platforms: Vec<_> = first.platform_breakdown.clone().into_iter().collect();
    assert_eq!(
        platforms,
        [
            (Platform::GUMROAD, sums("9.99", 1, 0)),
            (Platform::KDP, sums("3.05", 1, 812)),
        ]
    );
    assert_eq!(first.book_breakdown[&stage.book], sums("12.69", 2, 0));
    assert_eq!(first.book_breakdown[&other], sums("0.35", 0, 812));
    assert_eq!(found[1].totals, sums("0", 1, 0));
}

pub async fn refunds_and_breakdowns_add_up(stage: Stage<'_>) {
    let mut batch = Vec::new();
    for n in 0..40_u32 {
        let revenue = Decimal::new(i64::from(n) * 7 - 101, 2).to_string();
        let mut new = sale(Id::new(), "kdp", "2024-03-01", &revenue);
        new.key.channel = format!("shop {}", n % 7).parse().unwrap();
        new.units = 3 - i32::try_from(n % 6).unwrap();
        batch.push(new);
    }
    write(stage, &batch).await;
    refresh(stage, Days::ALL).await;
    let found = &stored(stage).await[0];
    let all = |sums: &mut dyn Iterator<Item = &Sums>| {
        let mut total = Sums::default();
        sums.for_each(|sums| total += *sums);
        total
    };
    assert_eq!(all(&mut found.platform_breakdown.values()), found.totals);
    assert_eq!(all(&mut found.book_breakdown.values()), found.totals);
    let revenue: Decimal = batch.iter().map(|new| new.revenue.to_decimal()).sum();
    assert_eq!(found.totals.revenue, revenue);
    assert_eq!(
        (found.platform_breakdown.len(), found.book_breakdown.len()),
        (7, 40)
    );
}

pub async fn a_day_without_sales_loses_its_roll_up(stage: Stage<'_>) {
    let batch = ["2024-03-01", "2024-03-02"].map(|date| sale(stage.book, "kdp", date, "1"));
    write(stage, &batch).await;
    refresh(stage, Days::ALL).await;
    let sales = stage.store.sales();
    sales.delete(stage.user, &batch[0].key).await.unwrap();
    assert_eq!(refresh(stage, Days::ALL).await, counts(0, 1));
    let left: Vec<_> = stored(stage).await.iter().map(|found| found.date).collect();
    assert_eq!(left, [day("2024-03-02")]);
}

pub async fn a_refresh_stays_within_its_days_and_user(stage: Stage<'_>) {
    let batch =
        ["2024-03-01", "2024-03-02", "2024-03-03"].map(|date| sale(stage.book, "kdp", date, "1"));
    write(stage, &batch).await;
    let sales = stage.store.sales();
    sales.upsert(stage.stranger, &batch).await.unwrap();
    let aggregates = stage.store.aggregates();
    aggregates
        .refresh(stage.stranger, Days::ALL, &dollars())
        .await
        .unwrap();

    assert_eq!(
        refresh(stage, days("2024-03-02", "2024-03-02")).await,
        counts(1, 0)
    );
    let found = stored(stage).await;
    assert_eq!(found.len(), 1);
    for new in &batch {
        sales.delete(stage.user, &new.key).await.unwrap();
    }
    assert_eq!(
        refresh(stage, days("2024-03-01", "2024-03-01")).await,
        counts(0, 0)
    );
    assert_eq!(stored(stage).await, found);
    let theirs = aggregates.list(stage.stranger, Days::ALL).await.unwrap();
    assert_eq!(theirs.len(), 3);
    let some = aggregates
        .list(stage.stranger, days("2024-03-02", "2024-03-09"))
        .await
        .unwrap();
    assert_eq!(some.len(), 2);
}

pub async fn other_currencies_are_converted(stage: Stage<'_>) {
    let aggregates = stage.store.aggregates();
    let mut yen = sale(stage.book, "kdp", "2024-03-01", "1001");
    yen.currency = currency("JPY");
    let mut euros = sale(stage.book, "gumroad", "2024-03-01", "0.01");
    euros.currency = currency("EUR");
    let dollar = sale(stage.book, "apple_books", "2024-03-01", "1.00");
    write(stage, &[dollar, yen, euros]).await;
    let rate = |conversion: Conversion, code, rate: &str| {
        conversion
            .rate(currency(code), rate.parse().unwrap())
            .unwrap()
    };
    let both = rate(rate(dollars(), "JPY", "0.0065"), "EUR", "1.5");
    aggregates
        .refresh(stage.user, Days::ALL, &both)
        .await
        .unwrap();
    let found = &stored(stage).await[0];
    // 6.5065 and 0.015, each rounded on its own, half a cent away from zero.
    assert_eq!(
        found.platform_breakdown[&Platform::KDP].revenue,
        "6.51".parse().unwrap()
    );
    assert_eq!(
        found.platform_breakdown[&Platform::GUMROAD].revenue,
        "0.02".parse().unwrap()
    );
    assert_eq!(found.totals, sums("7.53", 3, 0));
    assert_eq!(found.book_breakdown[&stage.book], sums("7.53", 3, 0));
}

/// A day without the rate of a currency.
fn without_rate(date: &str, codes: &[&str]) -> Gap {
    let codes = codes.iter().map(|code| currency(code)).collect();
    Gap {
        date: day(date),
        reason: GapReason::WithoutRate(codes),
    }
}

pub async fn a_day_without_a_rate_is_named_and_the_others_are_rolled_up(stage: Stage<'_>) {
    let aggregates = stage.store.aggregates();
    let days_of_dollars = ["2024-03-01", "2024-03-02", "2024-03-03", "2024-03-05"]
        .map(|date| sale(stage.book, "kdp:amazon.com", date, "2"));
    write(stage, &days_of_dollars).await;
    assert_eq!(refresh(stage, Days::ALL).await, counts(4, 0));

    let foreign = |channel, date, code| {
        let mut new = sale(stage.book, channel, date, "1");
        new.currency = currency(code);
        new
    };
    let batch = [
        foreign("kdp:amazon.de", "2024-03-02", "EUR"),
        foreign("kdp:amazon.co.jp", "2024-03-02", "JPY"),
        foreign("kdp:amazon.co.uk", "2024-03-02", "GBP"),
        foreign("kdp:amazon.co.uk", "2024-03-03", "GBP"),
        foreign("kdp:amazon.co.uk", "2024-03-04", "GBP"),
    ];
    write(stage, &batch).await;
    let mut more = sale(stage.book, "gumroad", "2024-03-05", "3");
    more.units = 0;
    write(stage, &[more]).await;

    let pounds = dollars()
        .rate(currency("GBP"), "1.25".parse().unwrap())
        .unwrap();
    let report = aggregates.refresh(stage.user, Days::ALL, &pounds).await;
    let report = report.unwrap();
    // Two days are changed, one is new, and of one the sum is not known any more.
    assert_eq!((report.written, report.removed), (3, 1));
    assert_eq!(report.gaps, [without_rate("2024-03-02", &["EUR", "JPY"])]);
    let shown = report.gaps[0].to_string();
    assert_eq!(shown, "2024-03-02 (no rate of EUR, JPY)");
    let found = stored(stage).await;
    let totals: Vec<_> = found.iter().map(|day| (day.date, day.totals)).collect();
    assert_eq!(
        totals,
        [
            (day("2024-03-01"), sums("2", 1, 0)),
            (day("2024-03-03"), sums("3.25", 2, 0)),
            (day("2024-03-04"), sums("1.25", 1, 0)),
            (day("2024-03-05"), sums("5", 1, 0)),
        ]
    );

    // With every rate, the day has its sum.
    let all = pounds
        .rate(currency("EUR"), "1.1".parse().unwrap())
        .unwrap();
    let all = all.rate(currency("JPY"), "0.01".parse().unwrap()).unwrap();
    let report = aggregates.refresh(stage.user, Days::ALL, &all).await;
    assert_eq!(report.unwrap(), counts(1, 0));
    assert_eq!(stored(stage).await[1].totals, sums("4.36", 4, 0));
    // Without rates, no other user's days are named.
    let theirs = aggregates
        .refresh(stage.stranger, Days::ALL, &dollars())
        .await;
    assert_eq!(theirs.unwrap(), counts(0, 0));
}

pub async fn a_total_beyond_the_table_is_named_and_the_others_are_rolled_up(stage: Stage<'_>) {
    let too_large = |date| Gap {
        date: day(date),
        reason: GapReason::TooLarge,
    };
    let mut rich = ["2024-03-01", "2024-03-02", "2024-03-03"]
        .map(|date| sale(stage.book, "kdp:us", date, "99999999.99"));
    rich[1].units = i32::MAX;
    rich[2].page_reads = i32::MAX;
    write(stage, &rich).await;
    assert_eq!(refresh(stage, Days::ALL).await, counts(3, 0));
    // A cent, a copy and a page too many.
    let mut more = ["2024-03-01", "2024-03-02", "2024-03-03"]
        .map(|date| sale(stage.book, "kdp:de", date, "0"));
    more[0].revenue = "0.01".parse().unwrap();
    more[2].page_reads = 1;
    write(stage, &more).await;
    write(stage, &[sale(stage.book, "kdp", "2024-03-04", "1")]).await;
    let report = refresh(stage, Days::ALL).await;
    assert_eq!((report.written, report.removed), (1, 3));
    let days = ["2024-03-01", "2024-03-02", "2024-03-03"];
    assert_eq!(report.gaps, days.map(too_large));
    let found = stored(stage).await;
    assert_eq!((found.len(), found[0].totals), (1, sums("1", 1, 0)));
    let sales = stage.store.sales();
    sales.delete(stage.user, &rich[1].key).await.unwrap();
    let report = refresh(stage, Days::ALL).await;
    assert_eq!((report.written, report.gaps.len()), (1, 2));
}

pub async fn markets_are_folded_into_their_platform(stage: Stage<'_>) {
    let mut pages = sale(stage.book, "kdp:amazon.co.uk", "2024-03-01", "0");
    (pages.units, pages.page_reads) = (0, 90);
    let batch = [
        sale(stage.book, "KDP:amazon.com", "2024-03-01", "2"),
        sale(stage.book, "kdp:Amazon.de", "2024-03-01", "3"),
        sale(stage.book, "kdp", "2024-03-01", "-1"),
        pages,
        sale(stage.book, "shop & co:us", "2024-03-01", "5"),
    ];
    write(stage, &batch).await;
    assert_eq!(refresh(stage, Days::ALL).await, counts(1, 0));
    let found = &stored(stage).await[0];
    let shop: Platform = "shop & co".parse().unwrap();
    let platforms: Vec<_> = found.platform_breakdown.clone().into_iter().collect();
    let expected = [(Platform::KDP, sums("4", 3, 90)), (shop, sums("5", 1, 0))];
    assert_eq!(platforms, expected);
    assert_eq!(found.totals, sums("9", 4, 90));
    let aggregates = stage.store.aggregates();
    let overview = aggregates.overview(stage.user, Days::ALL, 9).await.unwrap();
    let mut ranked = expected;
    ranked.reverse();
    assert_eq!(overview.platforms, ranked);
}

pub async fn days_without_a_roll_up_are_found(stage: Stage<'_>) {
    let aggregates = stage.store.aggregates();
    let gaps = async |first: &str, last: &str| {
        let found = aggregates.gaps(stage.user, days(first, last)).await;
        found.unwrap()
    };
    let mut euros = sale(stage.book, "kdp", "2024-03-02", "1");
    euros.currency = currency("EUR");
    let batch = [
        sale(stage.book, "kdp", "2024-03-01", "1"),
        sale(stage.book, "gumroad", "2024-03-02", "1"),
        euros,
        sale(stage.book, "kdp", "2024-03-04", "1"),
    ];
    write(stage, &batch).await;
    let sold = ["2024-03-01", "2024-03-02", "2024-03-04"].map(day);
    assert_eq!(gaps("2024-01-01", "2024-12-31").await, sold);
    assert_eq!(gaps("2024-03-02", "2024-03-03").await, sold[1..2]);
    refresh(stage, Days::ALL).await;
    assert_eq!(gaps("2024-01-01", "2024-12-31").await, sold[1..2]);
    let theirs = aggregates.gaps(stage.stranger, Days::ALL).await.unwrap();
    assert!(theirs.is_empty());
}

pub async fn a_repeated_refresh_writes_nothing(stage: Stage<'_>) {
    write(stage, &[sale(stage.book, "kdp", "2024-03-01", "1.10")]).await;
    assert_eq!(refresh(stage, Days::ALL).await, counts(1, 0));
    assert_eq!(refresh(stage, Days::ALL).await, counts(0, 0));
    let empty = stage
        .store
        .aggregates()
        .refresh(stage.stranger, Days::ALL, &dollars())
        .await;
    assert_eq!(empty.unwrap(), counts(0, 0));
}

pub async fn refreshes_beside_upserts_end_right(stage: Stage<'_>) {
    let (sales, aggregates) = (stage.store.sales(), stage.store.aggregates());
    let month = days("2024-02-01", "2024-02-29");
    let writers = (0..12_u32).map(|turn| {
        let (sales, aggregates) = (&sales, &aggregates);
        async move {
            for round in 1..=5_i32 {
                let batch: Vec<NewSale> = (1..=20)
                    .map(|n| {
                        let shop = format!("shop {turn}");
                        let mut new = sale(stage.book, &shop, &format!("2024-02-{n:02}"), "1.01");
                        new.units = round;
                        new
                    })
                    .collect();
                sales.upsert(stage.user, &batch).await.unwrap();
                aggregates
                    .refresh(stage.user, month, &dollars())
                    .await
                    .unwrap();
            }
        }
    });
    join_all(writers).await;
    let found = stored(stage).await;
    assert_eq!(found.len(), 20);
    for day in found {
        assert_eq!(day.totals, sums("12.12", 60, 0), "{}", day.date);
    }
    // The roll-ups are right already: a last refresh has nothing to fix.
    assert_eq!(refresh(stage, month).await, counts(0, 0));
}

pub async fn an_overview_compares_and_ranks(stage: Stage<'_>) {
    let books: [Id<crate::Book>; 4] = std::array::from_fn(|_| Id::new());
    let batch = [
        sale(books[0], "kdp", "2024-02-29", "100"),
        sale(books[0], "kdp", "2024-03-02", "5"),
        sale(books[1], "gumroad", "2024-03-02", "7.50"),
        sale(books[2], "kdp", "2024-03-03", "5"),
        sale(books[3], "apple_books", "2024-03-03", "-1"),
        sale(books[1], "kdp", "2024-03-04", "50"),
    ];
    write(stage, &batch).await;
    refresh(stage, Days::ALL).await;
    let aggregates = stage.store.aggregates();
    let two = days("2024-03-02", "2024-03-03");
    let found = aggregates.overview(stage.user, two, 3).await.unwrap();
    assert_eq!(found.totals, sums("16.50", 4, 0));
    // 29 February and 1 March.
    assert_eq!(found.previous, sums("100", 1, 0));
    assert_eq!(
        found.days,
        [
            (day("2024-03-02"), sums("12.50", 2, 0)),
            (day("2024-03-03"), sums("4", 2, 0)),
        ]
    );
    assert_eq!(
        found.platforms,
        [
            (Platform::KDP, sums("10", 2, 0)),
            (Platform::GUMROAD, sums("7.50", 1, 0)),
            (Platform::APPLE_BOOKS, sums("-1", 1, 0)),
        ]
    );
    // Of two books with equal revenue the one with the lower id comes first.
    assert_eq!(
        found.books,
        [
            (books[1], sums("7.50", 1, 0)),
            (books[0], sums("5", 1, 0)),
            (books[2], sums("5", 1, 0)),
        ]
    );
    let nothing = aggregates
        .overview(stage.stranger, Days::ALL, 3)
        .await
        .unwrap();
    assert_eq!(nothing, Overview::default());
    let all = aggregates.overview(stage.user, Days::ALL, 0).await.unwrap();
    assert_eq!((all.previous, all.books.len()), (Sums::default(), 0));
    assert_eq!(all.totals, sums("166.50", 6, 0));
}
