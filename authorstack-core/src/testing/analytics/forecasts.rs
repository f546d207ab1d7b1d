use serde_json::json;

use super::{Stage, currency, day, days, sale};
use crate::{Conversion, Days, ErrorKind, Forecast, ForecastAccuracy, NewForecast};

fn forecast(date: &str, predicted: &str) -> NewForecast {
    NewForecast::new(day(date), predicted.parse().unwrap())
}

async fn put(stage: Stage<'_>, forecasts: Vec<NewForecast>) -> Vec<Forecast> {
    let repository = stage.store.forecasts();
    repository.create(stage.user, forecasts).await.unwrap()
}

async fn range(stage: Stage<'_>) -> Vec<Forecast> {
    let repository = stage.store.forecasts();
    let listed = repository.list(stage.user, Days::ALL).await.unwrap();
    listed.items
}

/// Sells on two days, and rolls up.
async fn sell(stage: Stage<'_>) {
    let batch = [
        sale(stage.book, "kdp", "2024-03-01", "80"),
        sale(stage.book, "kdp", "2024-03-03", "-10"),
    ];
    stage
        .store
        .sales()
        .upsert(stage.user, &batch)
        .await
        .unwrap();
    let dollars = Conversion::into(currency("USD"));
    let aggregates = stage.store.aggregates();
    aggregates
        .refresh(stage.user, Days::ALL, &dollars)
        .await
        .unwrap();
}

pub async fn every_field_of_a_forecast_survives(stage: Stage<'_>) {
    let mut full = forecast("9999-12-31", "-99999999.99");
    full.confidence = Some("1".parse().unwrap());
    full.factors = Some(json!({ "season": "spring", "weights": [0.25, 1], "none": null }));
    let put = put(stage, vec![full.clone(), forecast("0001-01-01", "0")]).await;
    assert_eq!(put[0].predicted, Some(full.predicted));
    assert_eq!((put[0].actual, put[0].confidence), (None, full.confidence));
    assert_eq!(put[0].factors, full.factors);
    assert!(put[0].created_at.is_some());
    assert_eq!(range(stage).await, [put[1].clone(), put[0].clone()]);
    let others = stage
        .store
        .forecasts()
        .list(stage.stranger, Days::ALL)
        .await;
    assert!(others.unwrap().is_empty());
}

pub async fn the_newest_forecast_of_a_day_counts(stage: Stage<'_>) {
    put(
        stage,
        vec![forecast("2024-03-01", "1"), forecast("2024-03-02", "2")],
    )
    .await;
    let newer = put(stage, vec![forecast("2024-03-01", "3")]).await;
    let found = range(stage).await;
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], newer[0]);
    let repository = stage.store.forecasts();
    let some = repository
        .list(stage.user, days("2024-03-02", "2024-03-09"))
        .await
        .unwrap();
    assert_eq!(some, found[1..]);
}

pub async fn actuals_come_from_the_roll_ups(stage: Stage<'_>) {
    let repository = stage.store.forecasts();
    let dates = [
        "2024-03-01",
        "2024-03-01",
        "2024-03-02",
        "2024-03-03",
        "2024-03-04",
    ];
    put(stage, dates.map(|date| forecast(date, "50")).into()).await;
    repository
        .create(stage.stranger, vec![forecast("2024-03-01", "1")])
        .await
        .unwrap();
    sell(stage).await;
    let over = days("2024-03-01", "2024-03-03");
    assert_eq!(repository.fill_actuals(stage.user, over).await.unwrap(), 4);
    assert_eq!(repository.fill_actuals(stage.user, over).await.unwrap(), 0);
    let actuals: Vec<_> = range(stage)
        .await
        .iter()
        .map(|found| found.actual.map(|actual| actual.to_string()))
        .collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(actuals, [text("80.00"), text("0.00"), text("-10.00"), None]);

    // What was wrong is corrected.
    let late = [sale(stage.book, "gumroad", "2024-03-02", "3.50")];
    stage.store.sales().upsert(stage.user, &late).await.unwrap();
    let dollars = Conversion::into(currency("USD"));
    let aggregates = stage.store.aggregates();
    aggregates
        .refresh(stage.user, over, &dollars)
        .await
        .unwrap();
    assert_eq!(repository.fill_actuals(stage.user, over).await.unwrap(), 1);
    let theirs = repository.list(stage.stranger, Days::ALL).await.unwrap();
    assert_eq!(theirs[0].actual, None);
}

pub async fn what_was_earned_on_a_day_without_a_roll_up_is_unknown(stage: Stage<'_>) {
    let repository = stage.store.forecasts();
    put(stage, vec![forecast("2024-03-01", "50")]).await;
    sell(stage).await;
    let fill = || repository.fill_actuals(stage.user, Days::ALL);
    assert_eq!(fill().await.unwrap(), 1);
    let mut euros = sale(stage.book, "kdp:amazon.de", "2024-03-01", "3");
    euros.currency = currency("EUR");
    stage
        .store
        .sales()
        .upsert(stage.user, &[euros])
        .await
        .unwrap();
    let dollars = Conversion::into(currency("USD"));
    let aggregates = stage.store.aggregates();
    let refreshed = aggregates.refresh(stage.user, Days::ALL, &dollars).await;
    assert_eq!(refreshed.unwrap().gaps.len(), 1);
    assert_eq!(fill().await.unwrap(), 1);
    assert_eq!(range(stage).await[0].actual, None);
    assert_eq!(fill().await.unwrap(), 0);
}

pub async fn accuracy_leaves_empty_days_out_of_percentages(stage: Stage<'_>) {
    let repository = stage.store.forecasts();
    let nothing = repository.accuracy(stage.user, Days::ALL).await.unwrap();
    assert_eq!(nothing, ForecastAccuracy::default());
    put(
        stage,
        vec![forecast("2024-03-01", "9999"), forecast("2024-03-04", "1")],
    )
    .await;
    put(
        stage,
        vec![
            forecast("2024-03-01", "60"),
            forecast("2024-03-02", "5"),
            forecast("2024-03-03", "-9"),
        ],
    )
    .await;
    sell(stage).await;
    let over = days("2024-03-01", "2024-03-03");
    repository.fill_actuals(stage.user, over).await.unwrap();
    let accuracy = repository.accuracy(stage.user, Days::ALL).await.unwrap();
    assert_eq!(accuracy.days, 3);
    // 25 % and 10 %; the day without sales has no percentage.
    assert_eq!(accuracy.mape, Some("17.5".parse().unwrap()));
    // -20, +5 and +1.
    assert_eq!(accuracy.bias, Some("-4.6667".parse().unwrap()));
}

pub async fn a_bad_forecast_writes_nothing(stage: Stage<'_>) {
    let repository = stage.store.forecasts();
    let good = forecast("2024-03-01", "1");
    let mut nul = good.clone();
    nul.factors = Some(json!(["\0"]));
    let mut far = good.clone();
    far.date = day("0001-01-01").pred_opt().unwrap();
    for (bad, named) in [(nul, "factors.0"), (far, "forecast_date")] {
        let batch = vec![good.clone(), bad];
        let error = repository.create(stage.user, batch).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Invalid { field, .. } if field == named),
            "{error}"
        );
    }
    assert!(range(stage).await.is_empty());
}
