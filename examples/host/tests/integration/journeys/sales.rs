//! Reports, the dashboard, jobs.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::common::{DAYS, REPORT, UPLOAD, book};
use crate::stage::Stage;

pub(crate) async fn a_report_shows_on_the_dashboard(stage: &Stage) {
    let ada = stage.user("Ada").await;
    book(&ada, "The Tide House", "B08N5WRWNW").await;
    let upload = async |report: &'static str| {
        let headers = [("content-type", "text/csv"), ("idempotency-key", "march")];
        ada.send(Method::POST, UPLOAD, &headers, report).await
    };
    let imported = upload(REPORT).await.of(200);
    let expected =
        json!({ "inserted": 3, "updated": 0, "unchanged": 0, "rejected": [], "gaps": [] });
    assert_eq!(imported, expected);
    // Repeated under its key, it is not imported again, and answers the same.
    assert_eq!(upload(REPORT).await.of(200), expected);
    let other = REPORT.trim_end_matches("2024-03-02,B08N5WRWNW,Amazon.com,0,1,-3.49,USD,\n");
    upload(other).await.problem(422, "idempotency_key");
    let logs = ada.get("/api/sales/imports").await.of(200);
    assert_eq!(logs["items"].as_array().unwrap().len(), 1);
    // Without a key, the same report changes nothing.
    let again = ada.send(Method::POST, UPLOAD, &[], REPORT).await.of(200);
    assert_eq!(again["unchanged"], 3);

    let totals = ada
        .get(&format!("/api/sales/totals?by=market&{DAYS}"))
        .await
        .of(200);
    assert_eq!(totals[0]["group"], json!({ "market": "kdp:amazon.com" }));
    assert_eq!(
        (&totals[0]["revenue"], &totals[0]["units"]),
        (&json!("13.96"), &json!(4))
    );
    let dashboard = ada.get(&format!("/api/dashboard?{DAYS}")).await.of(200);
    // Euros count twice.
    assert_eq!(
        dashboard["totals"],
        json!({ "revenue": "23.96", "units": 6, "pageReads": 120 })
    );
    assert_eq!(dashboard["series"].as_array().unwrap().len(), 31);
    let wrong = "/api/dashboard?first=2024-04-01&last=2024-03-01";
    ada.get(wrong).await.problem(422, "invalid");
}

pub(crate) async fn a_wrong_report_is_named_by_its_line(stage: &Stage) {
    let ada = stage.user("Ada").await;
    let upload = async |report: String| {
        let answer = ada.send(Method::POST, UPLOAD, &[], report).await;
        answer.problem(422, "invalid")["detail"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let unknown = upload(REPORT.to_owned()).await;
    assert!(
        unknown.starts_with("line 2: asin: B08N5WRWNW is no book of yours"),
        "{unknown}"
    );
    book(&ada, "The Tide House", "B08N5WRWNW").await;
    let wrong = upload(REPORT.replace("2024-03-02", "2024-03-32")).await;
    assert!(wrong.starts_with("line 5: date: "), "{wrong}");
    let wrong = upload(REPORT.replace("3.49,USD,\n2024-03-01", "3.49,GBP,\n2024-03-01")).await;
    assert!(wrong.starts_with("line 3: currency: "), "{wrong}");
    // Nothing of a wrong report is imported.
    let logs = ada.get("/api/sales/imports").await.of(200);
    assert_eq!(logs["items"], json!([]));
}

pub(crate) async fn a_job_runs_and_shows_its_progress(stage: &Stage) {
    let (ada, bob) = (stage.user("Ada").await, stage.user("Bob").await);
    book(&ada, "The Tide House", "B08N5WRWNW").await;
    ada.send(Method::POST, UPLOAD, &[], REPORT).await.of(200);
    let refresh = "/api/jobs/refresh?first=2024-01-15&last=2024-03-31";
    let accepted = ada.post(refresh, &Value::Null).await.of(202);
    let path = format!("/api/jobs/{}", accepted["id"].as_str().unwrap());
    bob.get(&path).await.problem(404, "not_found");
    let job = loop {
        let job = ada.get(&path).await.of(200);
        assert_ne!(job["state"], "failed", "{job}");
        if job["state"] == "completed" {
            break job;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(job["progress"], 100);
    assert_eq!(job["result"]["gaps"], 0);
    ada.get("/api/jobs/none").await.problem(404, "not_found");
}
