//! What only the stand-in can be told to do: proxies, broken pages, limits, deletions between pages.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use authorstack_appwrite::{AppwriteAccounts, AppwriteConfig};
use authorstack_core::{
    AccountPreferences, ErrorKind, IdentityProvider, NewAccount, Theme,
    health::HealthCheck as _,
    testing::{
        FreshAccounts,
        accounts::{address, new_account},
    },
};
use futures::TryStreamExt;
use serde_json::json;
use tests_standins::appwrite::{Appwrite, NewIdentity};

use crate::project::{Project, quick};

async fn project() -> Project {
    Project::stand_in(|config| config).await
}

#[tokio::test]
async fn a_proxys_page_of_html_names_the_endpoint() {
    let project = project().await;
    project.accounts.check_health().await.unwrap();
    project
        .server()
        .order(200, "text/html", "<html>quokka</html>");
    let refused = project.accounts.check_health().await.unwrap_err();
    assert!(
        refused.to_string().contains("appwrite_endpoint"),
        "{refused}"
    );
    assert!(!refused.to_string().contains("quokka"));
}

#[tokio::test]
async fn a_truncated_page_ends_a_stream_with_an_error_that_may_be_retried() {
    let project = project().await;
    let stack = project.stack();
    stack.accounts().create(new_account("ada")).await.unwrap();
    project
        .server()
        .order(200, "application/json", r#"{"total":1,"users":[{"$id":"#);
    let found: Vec<_> = futures::StreamExt::collect(stack.accounts().stream()).await;
    let [Err(error)] = &found[..] else {
        panic!("{found:?}");
    };
    assert!(error.is_retryable(), "{error}");
    assert!(
        !matches!(error.kind(), ErrorKind::Corrupt { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn one_broken_user_does_not_hide_the_others() {
    let project = project().await;
    let user = |id: &str, email: &str, prefs: serde_json::Value| {
        json!({
            "$id": id, "$createdAt": "2026-11-25T23:40:41.886+00:00", "status": true,
            "email": email, "prefs": prefs,
        })
    };
    let page = json!({ "total": 3, "users": [
        user("a", "a@example.org", json!({})), user("b", "b@example.org", json!("dark")),
        user("c", "c@example.org", json!([])),
    ]});
    let server = project.server();
    server.order(200, "application/json", page.to_string());
    server.order(
        200,
        "application/json",
        json!({ "total": 3, "users": [] }).to_string(),
    );
    let stack = project.stack();
    let found: Vec<_> = futures::StreamExt::collect(stack.accounts().stream()).await;
    let [Ok(first), Err(broken), Ok(last)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!((first.id.as_str(), last.id.as_str()), ("a", "c"));
    assert_eq!(broken.record(), Some("b"));
    assert!(broken.to_string().contains("prefs"), "{broken}");
}

#[tokio::test]
async fn a_walk_survives_the_deletion_of_its_last_users() {
    let project = project().await;
    let stack = project.stack();
    let mut ids = Vec::new();
    for number in 0..230 {
        let mut new = NewAccount::new(address(&format!("ada{number}")));
        new.id = Some(format!("u{number:03}").parse().unwrap());
        ids.push(stack.accounts().create(new).await.unwrap().id);
    }
    // The first page ends with these.
    let gone = (95..100).map(|number| format!("u{number:03}"));
    project.server().delete_behind_pages(gone);
    let found: Vec<_> = stack.accounts().stream().try_collect().await.unwrap();
    let unique: BTreeSet<_> = found.iter().map(|account| account.id.clone()).collect();
    assert_eq!(found.len(), 230, "each once");
    assert_eq!(unique, ids.into_iter().collect());
}

#[tokio::test]
async fn the_server_says_when_to_come_back() {
    let project = project().await;
    let stack = project.stack();
    let ada = stack.accounts().create(new_account("ada")).await.unwrap();
    project.server().throttle(1, 1);
    let before = Instant::now();
    stack.accounts().get(&ada.id).await.unwrap();
    assert!(
        before.elapsed() >= Duration::from_millis(500),
        "the window's end is waited for"
    );
    // A creation was not looked at, so it is sent again.
    project.server().throttle(1, 0);
    stack.accounts().create(new_account("bob")).await.unwrap();
    // Beyond the deadline, the host hears of it.
    project.server().throttle(1, 3_600);
    let refused = stack.accounts().get(&ada.id).await.unwrap_err();
    let ErrorKind::RateLimited { retry_after } = refused.kind() else {
        panic!("{refused}");
    };
    assert!(*retry_after > Duration::from_mins(50));
}

#[tokio::test]
async fn what_is_not_idempotent_is_not_sent_again() {
    let project = project().await;
    let stack = project.stack();
    let before = project.server().requests();
    project.server().order(503, "application/json", "{}");
    let refused = stack
        .accounts()
        .create(new_account("ada"))
        .await
        .unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::Unavailable { .. }),
        "{refused}"
    );
    assert_eq!(project.server().requests(), before + 1);
    project.server().order(503, "application/json", "{}");
    let missing = stack
        .accounts()
        .get_by_email(&address("ada"))
        .await
        .unwrap_err();
    assert!(missing.is_not_found(), "a read is sent again: {missing}");
}

#[tokio::test]
async fn a_key_without_scopes_is_told_which_ones() {
    let server = Appwrite::start().await;
    let config = AppwriteConfig::new(
        server.address(),
        Appwrite::PROJECT,
        Appwrite::LIMITED_KEY.into(),
    );
    let accounts = AppwriteAccounts::new(quick(config)).unwrap();
    let refused = accounts.check().await.unwrap_err();
    assert!(refused.to_string().contains("users.read"), "{refused}");
}

#[tokio::test]
async fn identities_are_listed_found_and_unlinked_without_their_tokens() {
    let project = project().await;
    let stack = project.stack();
    let ada = stack.accounts().create(new_account("ada")).await.unwrap();
    for (provider, uid) in [("google", "1067"), ("github", "77")] {
        let _ = project.server().add_identity(NewIdentity {
            user: ada.id.to_string(),
            provider: provider.to_owned(),
            uid: uid.to_owned(),
            email: "ada@gmail.example".to_owned(),
            access_token: "quokka".to_owned(),
        });
    }
    let identities = stack.identities();
    let found = identities.list(&ada.id).await.unwrap();
    assert_eq!(found.len(), 2);
    let all: Vec<_> = identities.stream().try_collect().await.unwrap();
    assert_eq!(all, found);
    let google = identities
        .get(&IdentityProvider::GOOGLE, "1067")
        .await
        .unwrap();
    assert_eq!(google, found[0]);
    assert!(!format!("{found:?}").contains("quokka"));
    assert_eq!(identities.create(google.clone()).await.unwrap(), google);
    identities
        .delete(&IdentityProvider::GOOGLE, "1067")
        .await
        .unwrap();
    let gone = identities.delete(&IdentityProvider::GOOGLE, "1067").await;
    assert!(gone.unwrap_err().is_not_found());
    // The address of an identity is taken for everybody else.
    let taken = stack
        .accounts()
        .create(NewAccount::new("ada@gmail.example".parse().unwrap()));
    let taken = taken.await.unwrap_err();
    assert!(matches!(taken.kind(), ErrorKind::AlreadyExists { field } if field == "email"));
}

#[tokio::test]
async fn a_call_that_is_dropped_goes_on_to_its_end() {
    let project = project().await;
    let stack = project.stack();
    let mut new = new_account("ada");
    new.labels = vec!["beta".to_owned()];
    // Dropped behind the first request.
    let call = stack.accounts().create(new);
    let _ = tokio::time::timeout(Duration::from_millis(1), call).await;
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        match stack.accounts().get_by_email(&address("ada")).await {
            Ok(ada) if ada.labels == ["beta"] => return,
            _ => {}
        }
    }
    panic!("the account was left half-made");
}

#[tokio::test]
async fn a_table_without_the_column_of_the_rest_is_named() {
    let project = project().await;
    let database = crate::project::DATABASE;
    let body = json!({
        "tableId": "plain", "name": "Plain", "columns": [
            { "key": "userId", "type": "string", "size": 36, "required": true },
            { "key": "theme", "type": "string", "size": 10, "required": false },
            { "key": "notifications", "type": "boolean", "required": false },
        ],
    });
    let path = ["tablesdb", database, "tables"];
    project
        .send(authorstack_http::Method::POST, &path, Some(&body))
        .await;
    let config = AppwriteConfig::new(&project.endpoint, &project.id, project.key.as_str().into());
    let accounts = AppwriteAccounts::new(quick(config).preferences_table("plain")).unwrap();
    let stack = authorstack_core::AuthorStack::builder()
        .accounts(&accounts)
        .build();
    let ada = stack.accounts().create(new_account("ada")).await.unwrap();
    let mut settings = AccountPreferences::empty(ada.id.clone());
    settings.theme = Some(Theme::Dark);
    stack.preferences().put(settings.clone()).await.unwrap();
    settings.extra.insert("font".to_owned(), json!("serif"));
    let refused = stack.preferences().put(settings).await.unwrap_err();
    assert!(refused.to_string().contains("no column extra"), "{refused}");
    // What was there is still there.
    let there = stack.preferences().get(&ada.id).await.unwrap();
    assert_eq!(there.theme, Some(Theme::Dark));
    accounts.prepare().await.unwrap();
    let mut settings = there.clone();
    settings.extra.insert("font".to_owned(), json!("serif"));
    let stored = stack.preferences().put(settings).await.unwrap();
    assert_eq!(stored.extra["font"], "serif");
}
