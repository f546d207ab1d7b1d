//! The keys of a project, and the two authenticators.

use authorstack_core::{
    Authenticator, BearerToken, Credential, ErrorKind, NewAccount, Password,
    testing::{FreshAccounts, SignIn, accounts::address},
};
use authorstack_supabase::{SupabaseAccounts, SupabaseAuthConfig};
use serde_json::json;
use tests_standins::supabase_auth::Signing;

use crate::accounts::project::{Family, PUBLIC_KEY, Project, SECRET, on_project};

const PASSWORD: &str = "tide and time";

async fn signed_in(project: &Project) -> (authorstack_core::Account, BearerToken) {
    let mut new = NewAccount::new(address("ada"));
    new.email_verified = true;
    new.credential = Credential::Password(Password::new(PASSWORD).unwrap());
    let ada = project.stack().accounts().create(new).await.unwrap();
    let token = project.sign_in(&address("ada"), PASSWORD).await.unwrap();
    (ada, token)
}

#[tokio::test]
async fn a_local_look_sees_the_token_and_a_check_sees_the_session() {
    for family in [Family::New, Family::Legacy] {
        on_project(family, async |project| {
            let (ada, token) = signed_in(project).await;
            let (local, checked) = (project.accounts.local(), project.accounts.checked());
            let who = local.authenticate(&token).await.unwrap();
            assert_eq!(who.account_id, ada.id);
            assert_eq!(checked.authenticate(&token).await.unwrap(), who);
            let sessions = project.stack();
            sessions.sessions().revoke_all(&ada.id).await.unwrap();
            assert_eq!(local.authenticate(&token).await.unwrap(), who);
            let over = checked.authenticate(&token).await.unwrap_err();
            assert_eq!(over.kind(), &ErrorKind::Unauthenticated);
        })
        .await;
    }
}

/// A token by another key, with the name of the project's, or with an algorithm of its own choice.
#[tokio::test]
async fn forged_tokens_are_refused() {
    for family in [Family::New, Family::Legacy] {
        on_project(family, async |project| {
            let (_, token) = signed_in(project).await;
            let (message, signature) = token.expose().rsplit_once('.').unwrap();
            let (header, claims) = message.split_once('.').unwrap();
            let mut forged = vec![
                format!("{message}."),
                format!("{header}.{claims}x.{signature}"),
                format!("eyJhbGciOiJub25lIn0.{claims}."),
            ];
            let said = json!({
                "iss": project.client.settings().base().as_str(), "aud": "authenticated",
                "exp": 4_102_444_800_i64, "sub": "0b9f6c1e-7c86-4b64-a1ae-3f3b0e4f9d11",
            });
            forged.push(Signing::es256("key-1").sign(&said));
            forged.push(Signing::es256("another").sign(&said));
            forged.push(Signing::secret("another-secret-of-thirty-two-bytes").sign(&said));
            // The secret of the old family must not sign for a project of the new one.
            let none = json!({ "alg": "none" });
            forged.push(Signing::secret(SECRET).sign_as(&none, &said));
            let es256 = json!({ "alg": "ES256", "kid": "key-1" });
            forged.push(Signing::secret(SECRET).sign_as(&es256, &said));
            if family == Family::New {
                forged.push(Signing::secret(SECRET).sign(&said));
            }
            for token in forged {
                let token = BearerToken::new(token).unwrap();
                let local = project.accounts.local().authenticate(&token).await;
                assert_eq!(local.unwrap_err().kind(), &ErrorKind::Unauthenticated);
                let checked = project.accounts.checked().authenticate(&token).await;
                assert_eq!(checked.unwrap_err().kind(), &ErrorKind::Unauthenticated);
            }
        })
        .await;
    }
}

#[tokio::test]
async fn published_keys_are_asked_for_once() {
    on_project(Family::New, async |project| {
        let (_, token) = signed_in(project).await;
        let local = project.accounts.local();
        for _ in 0..20 {
            local.authenticate(&token).await.unwrap();
            let unknown = Signing::es256("unknown").sign(&json!({}));
            let unknown = BearerToken::new(unknown).unwrap();
            local.authenticate(&unknown).await.unwrap_err();
        }
        if let Some(server) = project.stand_in() {
            assert_eq!(server.key_requests(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn a_wrong_key_is_named_and_not_shown() {
    on_project(Family::New, async |project| {
        let url = project.client.settings().base().as_str().to_owned();
        for key in ["sb_secret_quokka", "eyJh.quokka.x", PUBLIC_KEY, "quokka\n"] {
            let config = SupabaseAuthConfig::new(&url, key.into());
            let accounts = SupabaseAccounts::new(&project.store, config).unwrap();
            let refused = accounts.check().await.unwrap_err();
            let shown = format!("{refused} {refused:?} {accounts:?}");
            assert!(!shown.contains("quokka"), "{shown}");
            assert!(
                matches!(refused.kind(), ErrorKind::Configuration { .. }),
                "{refused}"
            );
        }
        project.accounts.check().await.unwrap();
        let empty = SupabaseAuthConfig::new(&url, " ".into());
        let refused = SupabaseAccounts::new(&project.store, empty).unwrap_err();
        assert!(refused.to_string().contains("supabase_service_key"));

        // An address without its path.
        let short = url.replace("/auth/v1", "");
        let config = SupabaseAuthConfig::new(short, project.key.as_str().into());
        let accounts = SupabaseAccounts::new(&project.store, config).unwrap();
        let refused = accounts.check().await.unwrap_err();
        assert!(
            refused.to_string().contains("supabase_auth_url"),
            "{refused}"
        );
    })
    .await;
}

#[tokio::test]
async fn ids_of_other_services_are_refused_or_not_found() {
    on_project(Family::New, async |project| {
        let stack = project.stack();
        let appwrite: authorstack_core::AuthId = "66f2a1".parse().unwrap();
        let mut new = NewAccount::new(address("ada"));
        new.id = Some(appwrite.clone());
        let refused = stack.accounts().create(new.clone()).await.unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Invalid { field, .. } if field == "id"));
        new.credential = Credential::Password(Password::new(PASSWORD).unwrap());
        let refused = stack.accounts().create(new.clone()).await.unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Invalid { field, .. } if field == "id"));
        assert!(
            stack
                .accounts()
                .get(&appwrite)
                .await
                .unwrap_err()
                .is_not_found()
        );
        assert_eq!(stack.sessions().list(&appwrite).await.unwrap(), []);

        // A pref with the name of a claim is kept apart from the claims.
        let prefs = json!({ "email": "mine", "name": "Mallory" })
            .try_into()
            .unwrap();
        (new.id, new.prefs) = (None, prefs);
        let made = stack.accounts().create(new).await.unwrap();
        assert_eq!(made.prefs.get("email"), Some(&json!("mine")));
        assert_eq!(made.name, "");
    })
    .await;
}
