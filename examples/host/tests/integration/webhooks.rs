//! Webhooks that the accounts' service signs.

use std::{net::SocketAddr, time::Duration};

use authorstack_core::{AccountPatch, Change, Credential, NewAccount, Password, Result, User};
use http::Method;
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};

use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profiles_follow_the_webhooks_of_accounts() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stage = Stage::distributed_with_webhook(listener.local_addr().unwrap()).await;
    stage.run(async |stage| follow(stage, listener).await).await;
}

async fn follow(stage: &Stage, listener: TcpListener) {
    let service = stage.nobody().router;
    let service = service.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    let stack = &stage.app.stack;

    // Nobody signs in here: what the profile is made of comes by the webhook.
    let mut account = NewAccount::new("ada@example.org".parse().unwrap());
    "Ada".clone_into(&mut account.name);
    account.credential = Credential::Password(Password::new("tide and time").unwrap());
    let account = stack.accounts().create(account).await.unwrap().id;
    let profile = async || stack.users().get_by_auth_id(&account).await;
    wait(async || profile().await.is_ok_and(|user| user.name == "Ada")).await;

    let patch = AccountPatch {
        email: Change::Set("ada@example.net".parse().unwrap()),
        ..AccountPatch::default()
    };
    stack.accounts().update(&account, patch).await.unwrap();
    let has_moved = |user: User| user.email.as_str() == "ada@example.net";
    wait(async || profile().await.is_ok_and(has_moved)).await;

    // Whoever does not know the key tells the host nothing.
    let body = format!(r#"{{"$id":"{account}"}}"#);
    let events = format!("users.{account}.delete");
    for signature in ["", "bm8gc2lnbmF0dXJl", "?"] {
        let headers = [
            ("content-type", "application/json"),
            ("x-appwrite-webhook-signature", signature),
            ("x-appwrite-webhook-events", events.as_str()),
        ];
        let client = stage.nobody();
        let hook = "/api/webhooks/appwrite";
        let refused = client
            .send(Method::POST, hook, &headers, body.clone())
            .await;
        refused.problem(401, "unauthenticated");
    }
    assert!(profile().await.is_ok());

    stack.accounts().delete(&account).await.unwrap();
    let is_gone = |found: Result<User>| found.is_err_and(|error| error.is_not_found());
    wait(async || is_gone(profile().await)).await;
}

async fn wait(until: impl AsyncFn() -> bool) {
    let holds = async {
        while !until().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_mins(1), holds).await.unwrap();
}
