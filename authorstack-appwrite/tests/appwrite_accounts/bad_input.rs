//! Bad settings and bad values: each is named, with the way out, and nothing is half-written.

use authorstack_appwrite::{AppwriteAccounts, AppwriteConfig};
use authorstack_core::{
    AccountPatch, Change, ErrorKind, NewAccount, Prefs,
    testing::{
        FreshAccounts,
        accounts::{address, new_account},
    },
};
use futures::TryStreamExt;
use serde_json::json;

use crate::project::{Project, on_project, quick};

#[tokio::test]
async fn a_bad_setting_is_named_and_no_key_is_shown() {
    on_project(Project::new().await, async |project| {
        let (endpoint, id, key) = (&project.endpoint, &project.id, &project.key);
        let short = endpoint.trim_end_matches("/v1").to_owned();
        for (endpoint, project_id, key, setting) in [
            (endpoint, id.as_str(), "quokka", "appwrite_api_key"),
            (endpoint, id, "quokka\n", "appwrite_api_key"),
            (endpoint, id, " ", "appwrite_api_key"),
            (endpoint, id, "sb_secret_quokka", "appwrite_api_key"),
            (endpoint, "no-such-project", key, "appwrite_project_id"),
            (endpoint, "no project", key, "appwrite_project_id"),
            (&short, id, key, "appwrite_endpoint"),
            (
                &"http://example.org/v1".to_owned(),
                id,
                key,
                "appwrite_endpoint",
            ),
            (&"nonsense".to_owned(), id, key, "appwrite_endpoint"),
        ] {
            let config = AppwriteConfig::new(endpoint, project_id, key.into());
            let refused = match AppwriteAccounts::new(quick(config)) {
                Ok(accounts) => accounts.check().await.unwrap_err(),
                Err(refused) => refused,
            };
            let shown = format!("{refused} {refused:?}");
            let named = match refused.kind() {
                ErrorKind::Configuration { setting, .. } => setting.as_ref(),
                kind => panic!("{kind:?}"),
            };
            // A key that cannot be in a header is refused by the client.
            let is_named = named == setting || (key.ends_with('\n') && !shown.contains("quokka"));
            assert!(is_named, "{shown}");
            assert!(!shown.contains("quokka"), "{shown}");
        }
        project.accounts.check().await.unwrap();
        let config = AppwriteConfig::new(endpoint, id, key.as_str().into());
        let elsewhere = AppwriteAccounts::new(quick(config).preferences_table("no_such_table"));
        let refused = elsewhere.unwrap().check().await.unwrap_err();
        assert!(
            refused.to_string().contains("appwrite_preferences_table"),
            "{refused}"
        );
    })
    .await;
}

#[tokio::test]
async fn ids_have_36_characters_at_most() {
    on_project(Project::new().await, async |project| {
        let stack = project.stack();
        let mut new = new_account("ada");
        new.id = Some(format!("a.b-c_{}", "9".repeat(30)).parse().unwrap());
        let made = stack.accounts().create(new).await.unwrap();
        assert_eq!(made.id.as_str().len(), 36);
        assert_eq!(stack.accounts().get(&made.id).await.unwrap(), made);
        for id in [
            "a".repeat(37),
            "-a".to_owned(),
            "a b".to_owned(),
            "../users".to_owned(),
        ] {
            let mut new = new_account("bob");
            new.id = Some(id.parse().unwrap());
            let refused = stack.accounts().create(new).await.unwrap_err();
            let ErrorKind::Invalid { field, .. } = refused.kind() else {
                panic!("{refused}");
            };
            assert_eq!(field, "id");
            let id = id.parse().unwrap();
            assert!(stack.accounts().get(&id).await.unwrap_err().is_not_found());
            assert!(
                stack
                    .accounts()
                    .delete(&id)
                    .await
                    .unwrap_err()
                    .is_not_found()
            );
            assert_eq!(stack.sessions().list(&id).await.unwrap(), []);
        }
        // Without one, the id is made.
        let made = stack.accounts().create(new_account("bob")).await.unwrap();
        assert_eq!(made.id.as_str().len(), 20);
    })
    .await;
}

#[tokio::test]
async fn values_that_appwrite_does_not_take_are_named_before_anything_is_sent() {
    on_project(Project::new().await, async |project| {
        let accounts = project.stack();
        let accounts = accounts.accounts();
        let with = |change: fn(&mut NewAccount)| {
            let mut new = new_account("ada");
            change(&mut new);
            new
        };
        for (new, expected) in [
            (with(|new| new.name = "x".repeat(129)), "name"),
            (with(|new| new.labels = vec!["a-b".to_owned()]), "labels"),
            (with(|new| new.labels = vec!["x".repeat(37)]), "labels"),
            (
                with(|new| {
                    new.prefs = Prefs::try_from(json!({ "x": "ü".repeat(11_000) })).unwrap();
                }),
                "prefs",
            ),
        ] {
            let refused = accounts.create(new).await.unwrap_err();
            let ErrorKind::Invalid { field, .. } = refused.kind() else {
                panic!("{refused}");
            };
            assert_eq!(field, expected);
        }
        assert!(
            accounts
                .get_by_email(&address("ada"))
                .await
                .unwrap_err()
                .is_not_found()
        );
    })
    .await;
}

#[tokio::test]
async fn an_account_that_cannot_be_finished_is_not_left_behind() {
    on_project(Project::new().await, async |project| {
        let stack = project.stack();
        let mut bob = new_account("bob");
        bob.phone = Some("+4915112345678".parse().unwrap());
        stack.accounts().create(bob).await.unwrap();
        // The number is set after the hash, and is taken.
        let mut ada = NewAccount::new(address("ada"));
        ada.phone = Some("+4915112345678".parse().unwrap());
        let hash = authorstack_core::testing::accounts::argon2_hash();
        ada.credential = authorstack_core::Credential::Hash(hash);
        let refused = stack.accounts().create(ada).await.unwrap_err();
        assert!(refused.to_string().contains("phone"), "{refused}");
        let left = stack.accounts().get_by_email(&address("ada")).await;
        assert!(left.unwrap_err().is_not_found());
    })
    .await;
}

#[tokio::test]
async fn a_change_that_is_refused_half_way_is_taken_back() {
    on_project(Project::new().await, async |project| {
        let stack = project.stack();
        let mut bob = new_account("bob");
        bob.phone = Some("+4915112345678".parse().unwrap());
        stack.accounts().create(bob).await.unwrap();
        let ada = stack.accounts().create(new_account("ada")).await.unwrap();
        let patch = AccountPatch {
            email: Change::Set(address("countess")),
            phone: Change::Set("+4915112345678".parse().unwrap()),
            ..AccountPatch::default()
        };
        let refused = stack.accounts().update(&ada.id, patch).await.unwrap_err();
        assert!(refused.to_string().contains("phone"), "{refused}");
        let now = stack.accounts().get(&ada.id).await.unwrap();
        assert_eq!((now.email, now.email_verified), (ada.email, true));
    })
    .await;
}

#[tokio::test]
async fn a_user_without_address_and_number_is_read_and_lost_nowhere() {
    on_project(Project::new().await, async |project| {
        let body = json!({ "userId": "bare" });
        project
            .send(authorstack_http::Method::POST, &["users"], Some(&body))
            .await;
        let stack = project.stack();
        let all: Vec<_> = stack.accounts().stream().try_collect().await.unwrap();
        assert_eq!(all.len(), 1);
        assert!(all[0].is_anonymous);
        all[0].check().unwrap();
    })
    .await;
}
