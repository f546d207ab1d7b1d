//! What the host refuses.

use authorstack_core::ErrorKind;
use http::Method;
use serde_json::json;

use crate::stage::Stage;

#[tokio::test]
async fn too_many_requests_of_one_client_are_refused() {
    let settings = vec![("requests_per_minute", "5".to_owned())];
    let stage = Stage::memory_with(settings).await;
    stage
        .run(async |stage| {
            let ada = stage.user("Ada").await;
            for _ in 0..5 {
                ada.get("/api/me").await.of(200);
            }
            let refused = ada.get("/api/me").await;
            assert_ne!(refused.header("retry-after"), "");
            assert_ne!(refused.header("ratelimit"), "");
            refused.problem(429, "rate_limited");
            // Others, and those who watch the host, are not counted with her.
            stage.user("Bob").await.get("/api/me").await.of(200);
            assert_eq!(ada.get("/livez").await.status, 200);
        })
        .await;
}

#[tokio::test]
async fn bodies_are_limited_and_are_json() {
    let stage = Stage::memory().await;
    stage
        .run(async |stage| {
            let ada = stage.user("Ada").await;
            let long = json!({ "title": "x".repeat(300_000) });
            ada.post("/api/books", &long).await.problem(413, "body");
            let unlabelled = ada.send(Method::POST, "/api/books", &[], "{}").await;
            unlabelled.problem(415, "unsupported_media_type");
            let json = [("content-type", "application/json; charset=utf-8")];
            let broken = ada.send(Method::POST, "/api/books", &json, "{").await;
            broken.problem(422, "invalid");
        })
        .await;
}

#[tokio::test]
async fn a_blocked_account_is_told_so() {
    let stage = Stage::memory().await;
    stage
        .run(async |stage| {
            let ada = stage.user("Ada").await;
            let session = ada.get("/api/session").await.of(200);
            let account = session["user"]["authId"].as_str().unwrap().parse().unwrap();
            stage.app.stack.accounts().block(&account).await.unwrap();
            let refused = ada.get("/api/me").await;
            refused.problem(403, "permission_denied");
            let wrong = json!({ "email": "nobody@example.org", "password": "tide and time" });
            stage
                .nobody()
                .post("/api/session", &wrong)
                .await
                .problem(401, "unauthenticated");
        })
        .await;
}

#[tokio::test]
async fn the_demo_fills_an_empty_store() {
    let stage = Stage::memory().await;
    stage
        .run(async |stage| {
            authorstack_host::demo::fill(&stage.app).await.unwrap();
            let credentials = json!({ "email": "ada@example.org", "password": "tide and time" });
            let token = stage
                .nobody()
                .post("/api/session", &credentials)
                .await
                .of(201);
            let mut ada = stage.nobody();
            ada.token = Some(token["token"].as_str().unwrap().to_owned());
            assert_eq!(ada.get("/api/books").await.of(200)["total"], 2);
            let leaders = ada.get("/api/leaderboard").await.of(200);
            assert_eq!(leaders[0]["book"]["title"], "Among the Reeds");
            let dashboard = ada.get("/api/dashboard").await.of(200);
            assert_ne!(dashboard["totals"]["units"], 0);
        })
        .await;
}

#[tokio::test]
async fn a_missing_setting_is_named() {
    use authorstack_host::{backend, settings::Settings};
    let settings = Settings::of([("backend", "distributed".to_owned())]);
    let error = backend::open(&settings).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Configuration { setting, .. } if setting == "mongodb_url")
    );
}
