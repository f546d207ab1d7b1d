//! The stand-in of Appwrite answers as a real server 1.9.0 has answered the same requests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed check of a test panics"
)]

mod appwrite_samples;

use appwrite_samples::{client::Server, realtime, replay::Replay};
use serde_json::{Value, json};
use tests_standins::appwrite::NewIdentity;

const HASHES: [&str; 11] = [
    "plain",
    "argon2",
    "bcrypt",
    "bcrypt2a",
    "md5",
    "sha512",
    "sha256",
    "shadefault",
    "scrypt",
    "scryptmod",
    "phpass",
];

async fn users() -> Replay {
    let replay = Replay::start().await;
    for name in HASHES {
        replay.same(&format!("create-{name}")).await;
    }
    for name in ["nopassword", "phone-only", "bare"] {
        replay.same(&format!("create-{name}")).await;
    }
    replay
}

#[tokio::test]
async fn users_are_made_listed_and_refused_alike() {
    let replay = users().await;
    for name in [
        "users-list-all",
        "users-select",
        "err-400-cursor",
        "err-400-email",
        "err-400-id",
        "err-400-id37",
        "err-400-json",
        "err-400-missing",
        "err-400-query",
        "err-400-queryattr",
        "err-400-querymethod",
        "err-401-badkey",
        "err-401-nokey",
        "err-404-route",
        "err-no-project",
        "err-project-404",
        "err-user-404",
        "err-user-409-id",
        "err-user-409-phone",
        "err-user-409-email",
        "err-patch-phone-409",
        "err-patch-email-409",
        "err-labels",
        "logs",
        "targets",
        "prefs",
    ] {
        replay.same(name).await;
    }
    let big = json!({ "prefs": { "x": "y".repeat(70_000) } });
    replay.same_with("err-prefs-big", big).await;
    let set = json!({ "password": "new-pass-1" });
    replay.send("PATCH", "/users/u-nopw/password", &set).await;
    replay.same("password-cleared").await;
    replay
        .send("DELETE", "/users/u-shadefault", &Value::Null)
        .await;
    replay.same("err-delete-404").await;
    replay
        .send("POST", "/users", &json!({ "userId": "u-f53975" }))
        .await;
    replay.same("mfa-factors").await;
}

#[tokio::test]
async fn a_sign_in_checks_each_hash_and_replaces_it() {
    let replay = users().await;
    for name in HASHES {
        let wrong = Replay::sample(&format!("signin-{name}"));
        let mut wrong = wrong["request"]["body"].clone();
        wrong["password"] = "another-one".into();
        let refused = replay
            .as_guest("POST", "/account/sessions/email", &wrong)
            .await;
        assert_eq!(refused.body["type"], "user_invalid_credentials", "{name}");
        replay.same(&format!("signin-{name}")).await;
        replay.same(&format!("after-signin-{name}")).await;
    }
    for name in ["nopassword", "short", "unknown", "wrong"] {
        replay.same(&format!("err-signin-{name}")).await;
    }
    replay.same("signin-with-key").await;
}

#[tokio::test]
async fn sessions_and_tokens_live_and_die_alike() {
    let replay = users().await;
    for _ in 0..2 {
        replay.same("signin-plain").await;
    }
    replay.same("sessions-list").await;
    let session = replay.same("session-create").await;
    let (secret, id) = (session["secret"].as_str().unwrap(), &session["$id"]);
    replay
        .same_as("account-get", "X-Appwrite-Session", secret)
        .await;
    replay.same("jwt").await;
    replay.same("err-jwt-invalid").await;
    let jwt = json!({ "sessionId": id });
    let jwt = replay.send("POST", "/users/u-plain/jwts", &jwt).await;
    let place = format!("/users/u-plain/sessions/{}", id.as_str().unwrap());
    replay.send("DELETE", &place, &Value::Null).await;
    let jwt = jwt["jwt"].as_str().unwrap();
    replay.same_as("err-jwt-dead", "X-Appwrite-JWT", jwt).await;
    replay.same("err-session-404").await;
    let block = json!({ "status": false });
    replay.send("PATCH", "/users/u-bcrypt/status", &block).await;
    replay.same("err-blocked").await;
    replay
        .send("PATCH", "/users/u-plain/mfa", &json!({ "mfa": true }))
        .await;
    let verified = json!({ "emailVerification": true });
    replay
        .send("PATCH", "/users/u-plain/verification", &verified)
        .await;
    let cookies = replay.answer("signin-mfa").await;
    let cookie = cookies.cookies.last().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    replay.same_as("err-mfa", "Cookie", cookie).await;
}

#[tokio::test]
async fn identities_are_alike() {
    let replay = users().await;
    let mut last = String::new();
    for (user, provider, uid, email, token) in [
        ("u-plain", "google", "g-123", "plain@gmail.example", "at-1"),
        ("u-plain", "github", "42", "plain@example.org", "at-2"),
        ("u-phone", "apple", "000123.abc", "", ""),
        ("u-bare", "discord", "77", "", ""),
    ] {
        last = replay.server.stand_in.add_identity(NewIdentity {
            user: user.to_owned(),
            provider: provider.to_owned(),
            uid: uid.to_owned(),
            email: email.to_owned(),
            access_token: token.to_owned(),
        });
    }
    replay.same("identities-list").await;
    replay.same("err-user-409-identity-email").await;
    replay.same("err-patch-email-identity").await;
    let place = format!("/users/identities/{last}");
    replay.send("DELETE", &place, &Value::Null).await;
    replay.same("err-identity-404").await;
}

#[tokio::test]
async fn rows_and_documents_are_alike() {
    let replay = Replay::start().await;
    for name in [
        "tablesdb-create",
        "table-create",
        "row-create",
        "row-get",
        "rows-list",
        "document-get",
        "documents-list",
        "row-put",
        "err-db-404",
        "err-table-404",
        "err-row-400",
        "err-row-404",
        "err-row-cursor",
        "err-row-query",
        "err-row-unknown-col",
        "err-row-missing-data",
        "err-document-404",
    ] {
        replay.same(name).await;
    }
    let rows = |count: usize, letter: &str| {
        let row = |n: usize| json!({ "$id": format!("{letter}{n}"), "n": n });
        json!({ "rows": (0..count).map(row).collect::<Vec<_>>() })
    };
    replay.same_with("rows-bulk", rows(100, "b")).await;
    replay.same_with("err-bulk-101", rows(101, "c")).await;
    let dup = json!({ "rowId": "dup1f53975", "data": { "n": 1 } });
    replay
        .send("POST", "/tablesdb/d1/tables/t1/rows", &dup)
        .await;
    for name in [
        "err-row-409",
        "err-document-409",
        "err-row-missing-payload",
        "err-row-guest",
    ] {
        replay.same(name).await;
    }
    for id in ["ts1", "ts653746"] {
        let at = "2020-01-01T00:00:00.000+00:00";
        let data = json!({ "n": 1, "$createdAt": at, "$updatedAt": at });
        let row = json!({ "rowId": id, "data": data });
        replay
            .send("POST", "/tablesdb/d1/tables/t1/rows", &row)
            .await;
    }
    replay.same("rows-select").await;
    replay.same("column-create").await;
}

#[tokio::test]
async fn every_sample_is_replayed() {
    let source = include_str!("appwrite.rs");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/appwrite/samples");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let Some(name) = name.strip_suffix(".json") else {
            continue;
        };
        let (first, rest) = name.split_once('-').unwrap_or((name, ""));
        let quoted = |text: &str| source.contains(&format!("\"{text}\""));
        let is_built = quoted(rest) || quoted(name.rsplit('-').next().unwrap());
        let is_replayed =
            quoted(name) || (matches!(first, "create" | "signin" | "after" | "err") && is_built);
        assert!(is_replayed, "{name}");
    }
}

#[tokio::test]
async fn realtime_says_the_same() {
    realtime::same_messages(&Server::start().await).await;
}
