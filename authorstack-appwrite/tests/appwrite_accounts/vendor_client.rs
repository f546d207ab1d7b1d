//! The vendor's own client, `node-appwrite`, at the same project as our crate.

use authorstack_core::{
    AccountPreferences, Credential, Email, ExportedAccount, NewAccount, Password,
    PasswordAlgorithm, StoredPassword, Theme,
    testing::{FreshAccounts, accounts::address},
};
use futures::TryStreamExt;
use serde_json::{Map, Value, json};
use tests_standins::{appwrite::NewIdentity, node};

use crate::{
    hashes::vectors,
    project::{DATABASE, Project, on_project},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node-appwrite/run.js");
const PASSWORD: &str = "tide and time";

/// Runs a step at the project.
async fn node_appwrite(project: &Project, step: &str, mut input: Value) -> Value {
    input["endpoint"] = project.endpoint.as_str().into();
    input["project"] = project.id.as_str().into();
    input["key"] = project.key.as_str().into();
    node::run("node-appwrite", SCRIPT, step, &input).await
}

/// A hash of the vectors as the client is given it.
fn with_hash(name: &str) -> Value {
    const SEPARATOR: &str = "Bw==";
    let (algorithm, password, more) = match name {
        "argon2" => (
            "argon2",
            "$argon2id$v=19$m=19456,t=2,p=1$NnJyaVhldGF5dUZGRDVESQ$TOqUMHZVpR67IuFg7rQQiUgOrGI3cibUEdb0kioCCiQ",
            json!({}),
        ),
        "bcrypt" => (
            "bcrypt",
            "$2y$12$mj02DkHd.tnrKuUHz.zasu.kGYyzoLM1PhkUaLd6M2CvjG1RM0yi6",
            json!({}),
        ),
        "firebase" => (
            "scryptMod",
            "UlM7JiXRcQhzAGlaonpSqNSLIz475WMddOgLjej5De9vxTy48K6WtqlEzrRFeK4t0COfMhWCb8wuMHgxOFCHFQ==",
            json!({
                "passwordSalt": "UxLMreBr6tYyjQ==", "passwordSaltSeparator": SEPARATOR,
                "passwordSignerKey": "XyEKE9RcTDeLEsL/RjwPDBv/RqDl8fb3gpYEOQaPihbxf1ZAtSOHCjuAAa7Q3oHpCYhXSN9tizHgVOwn6krflQ==",
            }),
        ),
        "scrypt" => (
            "scrypt",
            "5d44508e456d85ed56ccabc6eb98f01bb59a09545637555547928f68684b96a2d3945c9415696c728c43e6d65f604d39fe8f124a486ed66309d16d1256ea2d31",
            json!({
                "passwordSalt": "salty", "passwordCpu": 16_384, "passwordMemory": 8,
                "passwordParallel": 1, "passwordLength": 64,
            }),
        ),
        "phpass" => ("phpass", "$P$Br387rwferoKN7uwHZqNMu98q3U8RO.", json!({})),
        "sha" => (
            "sha",
            "3bc282c8da791ac47afce19f77c065ebb8e875a634e7ce9b5f71f58c73b8a5f2",
            json!({ "passwordVersion": "sha256" }),
        ),
        _ => ("md5", "ce757af9f9d0ee3045aa831d56f2978d", json!({})),
    };
    let mut account = Map::new();
    account.insert("algorithm".to_owned(), algorithm.into());
    account.insert("userId".to_owned(), format!("u.{name}").into());
    account.insert("email".to_owned(), address(name).as_str().into());
    account.insert("password".to_owned(), password.into());
    account.insert("name".to_owned(), name.into());
    account.extend(more.as_object().cloned().unwrap_or_default());
    account.into()
}

async fn exported(project: &Project) -> Vec<ExportedAccount> {
    let stack = project.stack();
    stack.accounts().export().try_collect().await.unwrap()
}

#[tokio::test]
async fn each_hash_that_the_vendors_client_brings_is_read_and_signs_in() {
    on_project(Project::new().await, async |project| {
        let accounts: Vec<Value> = vectors().iter().map(|(name, ..)| with_hash(name)).collect();
        let made = node_appwrite(project, "create", json!({ "accounts": accounts })).await;
        let before = exported(project).await;
        assert_eq!(before.len(), vectors().len());
        for (made, (name, hash, _)) in made.as_array().unwrap().iter().zip(vectors()) {
            let algorithm = with_hash(name)["algorithm"].clone();
            let expected = json!({
                "id": format!("u.{name}"), "email": address(name).as_str(), "hash": algorithm,
            });
            assert_eq!(*made, expected);
            let of = |it: &&ExportedAccount| it.account.email == Some(address(name));
            let found = before.iter().find(of).unwrap();
            assert_eq!(found.account.id.as_str(), format!("u.{name}"));
            assert_eq!(found.account.name, name);
            assert_eq!(found.password, StoredPassword::Hash(hash), "{name}");
        }
        let logins = vectors().into_iter();
        let logins: Vec<Value> = logins
            .map(|(name, _, password)| {
                json!({
                    "userId": format!("u.{name}"), "email": address(name).as_str(),
                    "password": password,
                })
            })
            .collect();
        let seen = node_appwrite(project, "sign_in", json!({ "accounts": logins })).await;
        for (seen, (name, ..)) in seen.as_array().unwrap().iter().zip(vectors()) {
            let expected = json!({
                "wrong": "401 user_invalid_credentials", "id": format!("u.{name}"),
                "hash": "argon2",
            });
            assert_eq!(*seen, expected, "{name}");
        }
        assert_eq!(seen.as_array().unwrap().len(), vectors().len());
        for account in exported(project).await {
            let StoredPassword::Hash(hash) = account.password else {
                panic!("{account:?}");
            };
            assert_eq!(hash.algorithm(), PasswordAlgorithm::Argon2);
        }

        let emails = [address("md5"), address("sha"), address("nobody")];
        let emails = emails.each_ref().map(Email::as_str);
        let listed = node_appwrite(project, "list", json!({ "emails": emails })).await;
        let ids: Vec<String> = vectors()
            .iter()
            .map(|(name, ..)| format!("u.{name}"))
            .collect();
        let expected = json!({
            "pages": 3, "ids": ids, "found": emails[..2], "total": 2, "first": "u.md5",
            "uncounted": 0,
        });
        assert_eq!(listed, expected);
    })
    .await;
}

#[tokio::test]
async fn what_the_vendors_client_changes_our_crate_reads() {
    on_project(Project::new().await, async |project| {
        let ada = json!({
            "userId": "ada.l", "email": address("ada").as_str(), "password": PASSWORD,
        });
        let said = node_appwrite(project, "change", ada).await;
        let expected = json!({
            "old": "401 user_invalid_credentials", "blocked": "403 user_blocked",
            "labels": ["editor", "beta"], "prefs": { "font": "sans" },
        });
        assert_eq!(said, expected);
        let stack = project.stack();
        let id = "ada.l".parse().unwrap();
        let read = stack.accounts().get(&id).await.unwrap();
        assert_eq!(read.email, Some(address("renamed")));
        assert_eq!(read.phone.as_ref().unwrap().to_string(), "+4915112345678");
        assert!(read.email_verified && read.phone_verified && read.is_blocked);
        assert_eq!(read.name, "Ada L.");
        assert_eq!(read.labels, ["editor", "beta"]);
        assert_eq!(read.prefs.get("font"), Some(&json!("sans")));

        // And the other way round.
        stack.accounts().unblock(&id).await.unwrap();
        let login = json!({ "email": "renamed@example.org", "password": "another password" });
        let signed = node_appwrite(project, "sign", login).await;
        assert_eq!(signed["id"], "ada.l");
    })
    .await;
}

#[tokio::test]
async fn sessions_end_alike_for_both_clients() {
    on_project(Project::new().await, async |project| {
        let stack = project.stack();
        let mut new = NewAccount::new(address("ada"));
        new.id = Some("ada.l".parse().unwrap());
        new.credential = Credential::Password(Password::new(PASSWORD).unwrap());
        let ada = stack.accounts().create(new).await.unwrap();
        let login = json!({
            "userId": "ada.l", "email": address("ada").as_str(), "password": PASSWORD,
        });
        let said = node_appwrite(project, "sessions", login.clone()).await;
        let gone = "401 general_unauthorized_scope";
        let expected = json!({
            "listed": 2, "token": "401 general_unauthorized_scope", "one": [gone, "not refused"],
            "all": gone, "ended": gone, "left": 0,
        });
        assert_eq!(said, expected);
        for _ in 0..2 {
            node_appwrite(project, "sign", login.clone()).await;
        }
        assert_eq!(stack.sessions().list(&ada.id).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn identities_are_listed_and_unlinked() {
    on_project(Project::new().await, async |project| {
        let stack = project.stack();
        let mut new = NewAccount::new(address("ada"));
        new.id = Some("ada.l".parse().unwrap());
        let ada = stack.accounts().create(new).await.unwrap();
        // Only a sign-in at a provider links one; the stand-in does so when it is told to.
        let mut expected = Vec::new();
        if let Some(server) = project.stand_in_server() {
            for (provider, uid) in [("github", "42"), ("google", "g-123")] {
                let _ = server.add_identity(NewIdentity {
                    user: "ada.l".to_owned(),
                    provider: provider.to_owned(),
                    uid: uid.to_owned(),
                    email: String::new(),
                    access_token: "at-quokka".to_owned(),
                });
                expected.push(format!("{provider} {uid}"));
            }
        }
        let ours = stack.identities().list(&ada.id).await.unwrap();
        assert_eq!(ours.len(), expected.len());
        let said = node_appwrite(project, "identities", json!({ "userId": "ada.l" })).await;
        assert_eq!(said, json!({ "seen": expected, "left": 0 }));
        assert_eq!(stack.identities().list(&ada.id).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn rows_of_both_clients_are_the_same_settings() {
    on_project(Project::new().await, async |project| {
        let stack = project.stack();
        let owners = ["ada", "bob", "cyd", "dan"];
        let mut secrets = Vec::new();
        for name in owners {
            let mut new = NewAccount::new(address(name));
            new.id = Some(name.parse().unwrap());
            new.credential = Credential::Password(Password::new(PASSWORD).unwrap());
            stack.accounts().create(new).await.unwrap();
            let login = json!({ "email": address(name).as_str(), "password": PASSWORD });
            let signed = node_appwrite(project, "sign", login).await;
            secrets.push(signed["secret"].clone());
        }
        let mut settings = AccountPreferences::empty("dan".parse().unwrap());
        settings.theme = Some(Theme::Dark);
        stack.preferences().put(settings).await.unwrap();
        let table = json!({ "databaseId": DATABASE, "tableId": "user_preferences" });
        let mut input = table.clone();
        input["owners"] = json!(["ada", "bob", "cyd"]);
        let said = node_appwrite(project, "rows", input).await;
        let expected = json!({ "ids": ["dan", "ada", "bob", "cyd"], "gone": "404 row_not_found" });
        assert_eq!(said, expected);
        for (name, theme, notifications) in [
            ("ada", Some(Theme::Light), Some(true)),
            ("bob", Some(Theme::System), Some(true)),
            ("cyd", None, None),
        ] {
            let read = stack
                .preferences()
                .get(&name.parse().unwrap())
                .await
                .unwrap();
            assert_eq!(
                (read.theme, read.notifications),
                (theme, notifications),
                "{name}"
            );
        }
        // What our crate writes is its owner's.
        let mut input = table;
        input["rowId"] = "dan".into();
        input["secrets"] = json!([secrets[3], secrets[0]]);
        let seen = node_appwrite(project, "row_as", input).await;
        assert_eq!(seen, json!(["dark", "404 row_not_found"]));
    })
    .await;
}

#[tokio::test]
async fn errors_have_the_types_that_our_crate_reads() {
    on_project(Project::new().await, async |project| {
        let stack = project.stack();
        let mut new = NewAccount::new(address("ada"));
        new.id = Some("ada.l".parse().unwrap());
        stack.accounts().create(new).await.unwrap();
        let input = json!({
            "databaseId": DATABASE, "tableId": "user_preferences", "userId": "ada.l",
            "email": address("ada").as_str(),
        });
        let said = node_appwrite(project, "errors", input).await;
        let expected = json!({
            "unknown_user": "404 user_not_found", "same_id": "409 user_already_exists",
            "same_email": "409 user_email_already_exists",
            "bad_id": "400 general_argument_invalid",
            "short_password": "400 general_argument_invalid",
            "bad_label": "400 general_argument_invalid",
            "bad_query": "400 general_argument_invalid",
            "bad_attribute": "400 general_argument_invalid",
            "bad_cursor": "400 general_cursor_not_found",
            "unknown_session": "404 user_session_not_found",
            "unknown_identity": "404 user_identity_not_found",
            "unknown_row": "404 row_not_found", "unknown_table": "404 table_not_found",
            "unknown_database": "404 database_not_found",
            "bad_row": "400 row_invalid_structure", "unknown_column": "400 row_invalid_structure",
            "row_query": "400 general_query_invalid",
            "guest": "401 general_unauthorized_scope", "no_key": "401 general_unauthorized_scope",
            "wrong_key": "401 user_unauthorized", "wrong_project": "404 project_not_found",
            "same_row": "409 row_already_exists",
        });
        assert_eq!(said, expected);
    })
    .await;
}
