//! What the two authenticators see.

use authorstack_core::{
    Account, Authenticator, BearerToken, ErrorKind,
    testing::{
        FreshAccounts,
        accounts::{PASSWORD, new_account},
    },
};
use authorstack_http::Method;
use serde_json::json;

use crate::project::{Project, on_project};

async fn ada(project: &Project) -> Account {
    let stack = project.stack();
    stack.accounts().create(new_account("ada")).await.unwrap()
}

async fn jwt(project: &Project, account: &Account, session: Option<&str>) -> BearerToken {
    let body = match session {
        Some(id) => json!({ "sessionId": id }),
        None => json!({}),
    };
    let path = ["users", account.id.as_str(), "jwts"];
    let made = project.send(Method::POST, &path, Some(&body)).await;
    BearerToken::new(made["jwt"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_jwt_without_a_session_outlives_all_of_them_and_is_taken_as_a_token_alone() {
    on_project(Project::new().await, async |project| {
        let ada = ada(project).await;
        let (by_token, by_session) = (project.accounts.by_token(), project.accounts.by_session());
        let bare = jwt(project, &ada, None).await;
        project
            .stack()
            .sessions()
            .revoke_all(&ada.id)
            .await
            .unwrap();
        let who = by_token.authenticate(&bare).await.unwrap();
        assert_eq!((&who.account_id, &who.session_id), (&ada.id, &None));
        assert!(who.expires_at.is_some());
        let refused = by_session.authenticate(&bare).await.unwrap_err();
        assert_eq!(refused.kind(), &ErrorKind::Unauthenticated);
        // A block ends it for both.
        project.stack().accounts().block(&ada.id).await.unwrap();
        let refused = by_token.authenticate(&bare).await.unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::PermissionDenied { .. }));
    })
    .await;
}

#[tokio::test]
async fn a_jwt_of_a_session_dies_with_it() {
    on_project(Project::new().await, async |project| {
        let ada = ada(project).await;
        project
            .signed_in("ada@example.org", PASSWORD)
            .await
            .unwrap();
        let stack = project.stack();
        let session = stack.sessions().list(&ada.id).await.unwrap().remove(0);
        let token = jwt(project, &ada, Some(session.id.as_str())).await;
        let both: [&dyn Authenticator; 2] =
            [&project.accounts.by_token(), &project.accounts.by_session()];
        for authenticator in both {
            let who = authenticator.authenticate(&token).await.unwrap();
            assert_eq!(who.account_id, ada.id);
            assert_eq!(who.session_id.as_ref(), Some(&session.id));
        }
        stack.sessions().revoke(&ada.id, &session.id).await.unwrap();
        for authenticator in both {
            let refused = authenticator.authenticate(&token).await.unwrap_err();
            assert_eq!(refused.kind(), &ErrorKind::Unauthenticated);
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_that_needs_another_factor_signs_nobody_in() {
    on_project(Project::new().await, async |project| {
        let ada = ada(project).await;
        let path = ["users", ada.id.as_str(), "mfa"];
        project
            .send(Method::PATCH, &path, Some(&json!({ "mfa": true })))
            .await;
        let stack = project.stack();
        assert!(stack.accounts().get(&ada.id).await.unwrap().has_mfa);
        let secret = project
            .signed_in("ada@example.org", PASSWORD)
            .await
            .unwrap();
        let token = BearerToken::new(secret).unwrap();
        let refused = stack
            .authenticator()
            .authenticate(&token)
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), &ErrorKind::Unauthenticated);
    })
    .await;
}

#[tokio::test]
async fn an_owner_reads_and_changes_the_own_settings_alone() {
    on_project(Project::new().await, async |project| {
        use authorstack_core::{AccountPreferences, Theme};

        let ada = ada(project).await;
        let stack = project.stack();
        let bob = stack.accounts().create(new_account("bob")).await.unwrap();
        let mut settings = AccountPreferences::empty(ada.id.clone());
        settings.theme = Some(Theme::Dark);
        stack.preferences().put(settings).await.unwrap();
        let row = [
            "tablesdb",
            "as_test",
            "tables",
            "user_preferences",
            "rows",
            ada.id.as_str(),
        ];
        for (account, status) in [(&ada, None), (&bob, Some("row_not_found"))] {
            let token = jwt(project, account, None).await;
            let found = project
                .read_as("x-appwrite-jwt", token.expose(), &row)
                .await;
            assert_eq!(
                found.get("type").and_then(|it| it.as_str()),
                status,
                "{found}"
            );
        }
    })
    .await;
}
