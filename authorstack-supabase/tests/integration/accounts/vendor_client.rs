//! The vendor's own client, `@supabase/auth-js`, over the same accounts as our crate.

use authorstack_core::testing::{FreshAccounts, accounts::address};
use serde_json::{Value, json};
use tests_standins::node;

use super::{
    hashes::vectors,
    moves::{moved, old_service},
    project::{Family, Project, on_project},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/auth-js/run.js");

/// Runs a step at the project.
async fn auth_js(project: &Project, step: &str, mut input: Value) -> Value {
    let url = project.client.settings().base().as_str();
    input["url"] = url.trim_end_matches('/').into();
    input["key"] = project.key.as_str().into();
    node::run("@supabase/auth-js", SCRIPT, step, &input).await
}

fn login(name: &str, password: &str) -> Value {
    json!({ "email": address(name).as_str(), "password": password })
}

fn refused(status: u16, code: &str) -> Value {
    json!({ "status": status, "code": code })
}

#[tokio::test]
async fn whoever_moved_signs_in_by_the_vendors_client() {
    for family in [Family::New, Family::Legacy] {
        on_project(family, async |project| {
            moved(&old_service().await, project).await;
            let accounts = vectors().into_iter();
            let accounts: Vec<Value> = accounts
                .map(|(name, _, password)| login(name, password))
                .collect();
            let seen = auth_js(project, "sign_in", json!({ "accounts": accounts })).await;
            let stack = project.stack();
            for (seen, (name, ..)) in seen.as_array().unwrap().iter().zip(vectors()) {
                let ours = stack.accounts().get_by_email(&address(name)).await.unwrap();
                assert_eq!(seen["wrong"], refused(400, "invalid_credentials"), "{name}");
                assert_eq!(seen["email"], address(name).as_str());
                assert_eq!(seen["id"], ours.id.as_str());
                assert_eq!(seen["of"], ours.id.as_str());
                assert_eq!(seen["old_id"], format!("66f2.{name}"));
                let sessions = stack.sessions().list(&ours.id).await.unwrap();
                assert_eq!(sessions.len(), 1, "{name}");
                assert_eq!(seen["session"], sessions[0].id.as_str(), "{name}");
            }
            assert_eq!(seen.as_array().unwrap().len(), vectors().len());
            for (name, password, expected) in [
                ("blocked", "U*U", refused(400, "user_banned")),
                ("unverified", "U*U", refused(400, "email_not_confirmed")),
                (
                    "md5",
                    "whatever it was",
                    refused(400, "invalid_credentials"),
                ),
                ("nobody", "whatever", refused(400, "invalid_credentials")),
            ] {
                let found = auth_js(project, "refusal", login(name, password)).await;
                assert_eq!(found, expected, "{name}");
            }
        })
        .await;
    }
}

#[tokio::test]
async fn sessions_end_alike_for_both_clients() {
    on_project(Family::New, async |project| {
        moved(&old_service().await, project).await;
        let ada = login("bcrypt2b", "U*U");
        let gone = json!({ "user": null, "name": "AuthSessionMissingError" });
        let said = auth_js(project, "sessions", ada.clone()).await;
        assert_eq!(
            said,
            json!({
                "unknown": "refresh_token_not_found", "ended": "refresh_token_not_found",
                "one": [gone, null], "others": [null, gone, gone], "all": [gone, gone],
            })
        );
        let stack = project.stack();
        let id = stack.accounts().get_by_email(&address("bcrypt2b")).await;
        let id = id.unwrap().id;
        assert_eq!(stack.sessions().list(&id).await.unwrap(), []);

        let mut thrice = ada;
        thrice["times"] = 3.into();
        let tokens = auth_js(project, "tokens", thrice).await;
        let sessions = stack.sessions().list(&id).await.unwrap();
        assert_eq!(sessions.len(), 3);
        stack.sessions().revoke(&id, &sessions[0].id).await.unwrap();
        let problems = auth_js(project, "problems", json!({ "tokens": tokens })).await;
        let ended = problems.as_array().unwrap().iter();
        assert_eq!(ended.filter(|it| **it == gone).count(), 1, "{problems}");
        stack.sessions().revoke_all(&id).await.unwrap();
        let problems = auth_js(project, "problems", json!({ "tokens": tokens })).await;
        assert_eq!(problems, json!([gone, gone, gone]));
    })
    .await;
}

#[tokio::test]
async fn what_the_vendors_client_administers_our_crate_reads() {
    on_project(Family::New, async |project| {
        let names = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus"];
        let accounts: Vec<Value> = names
            .iter()
            .map(|name| login(name, "tide and time"))
            .collect();
        // Published by others: see `hashes`.
        let hash = json!({
            "email": "hashed@example.org", "password": "password",
            "hash": "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        });
        let input = json!({ "accounts": accounts, "hash": hash });
        let said = auth_js(project, "admin", input).await;
        for (part, expected) in [
            ("twice", refused(422, "email_exists")),
            ("weak", refused(422, "weak_password")),
            ("nobody", refused(400, "validation_failed")),
            ("old", refused(400, "invalid_credentials")),
            ("banned", refused(400, "user_banned")),
            ("gone", refused(404, "user_not_found")),
            ("pages", json!(3)),
            ("total", json!(8)),
            ("plan", json!("paid")),
            ("email", json!("renamed@example.org")),
        ] {
            assert_eq!(said[part], expected, "{part}");
        }
        assert_eq!(said["user_metadata"]["size"], 12);
        assert_eq!(said["user_metadata"].get("font"), None);

        let stack = project.stack();
        let listed = stack.accounts().stream();
        let listed: Vec<_> = futures::TryStreamExt::try_collect(listed).await.unwrap();
        assert_eq!(listed.len(), 7);
        let ids = said["ids"].as_array().unwrap();
        let mut once = ids.iter().map(Value::to_string).collect::<Vec<_>>();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), 8);
        for account in &listed {
            let account: &authorstack_core::Account = account;
            assert!(ids.contains(&json!(account.id.as_str())), "{}", account.id);
        }
        let id = said["id"].as_str().unwrap().parse().unwrap();
        let ada = stack.accounts().get(&id).await.unwrap();
        assert_eq!(ada.email, Some(address("renamed")));
        assert!(ada.email_verified && !ada.is_blocked);
        assert_eq!(ada.prefs.get("size"), Some(&json!(12)));
        assert_eq!(ada.prefs.get("font"), None);
    })
    .await;
}
