//! The settings of accounts, as browsers may see and change them.

use authorstack_core::{
    Account, AccountPreferences, Theme,
    testing::{FreshAccounts, accounts::new_account, clock_moved},
};

use super::project::{Family, Project, on_project};
use crate::common::{as_account, as_role};

const DENIED: &str = "42501";

async fn account(project: &Project, name: &str) -> Account {
    let accounts = project.stack();
    accounts.accounts().create(new_account(name)).await.unwrap()
}

#[tokio::test]
async fn settings_are_their_owners() {
    on_project(Family::New, async |project| {
        let Some(database) = project.database() else {
            return;
        };
        let (ada, bob) = (account(project, "ada").await, account(project, "bob").await);
        let mut settings = AccountPreferences::empty(ada.id.clone());
        settings.theme = Some(Theme::Dark);
        project.stack().preferences().put(settings).await.unwrap();
        let (hers, his) = (ada.id.as_str(), bob.id.as_str());
        let add = |id: &str| {
            format!("insert into public.user_preferences (user_id, theme) values ('{id}', 'dark')")
        };
        let set = |set: &str| format!("update public.user_preferences set {set}");
        let select = "select user_id, theme, updated_at from public.user_preferences".to_owned();
        for (who, sql, expected) in [
            (hers, select.clone(), Ok(1)),
            (his, select.clone(), Ok(0)),
            (hers, set("theme = 'light'"), Ok(1)),
            (his, set("theme = 'light'"), Ok(0)),
            (his, add(his), Ok(1)),
            (his, add(hers), Err(DENIED)),
            (hers, set("theme = 'blue'"), Err("23514")),
            (hers, set("updated_at = now()"), Err(DENIED)),
            (hers, set("extra = '{}'"), Err(DENIED)),
            (
                hers,
                "delete from public.user_preferences".to_owned(),
                Err(DENIED),
            ),
        ] {
            let found = as_account(database, "authenticated", Some(who), &sql).await;
            let found = found.as_ref().map(|rows| *rows).map_err(String::as_str);
            assert_eq!(found, expected, "{sql}");
        }
        let anon = as_role(database, "anon", None, &select).await;
        assert_eq!(anon.unwrap_err(), DENIED);
        let all = as_role(database, "service_role", None, &select).await;
        assert_eq!(all, Ok(1));
    })
    .await;
}

/// A browser's change moves the moment by which a watch sees it.
#[tokio::test]
async fn what_a_browser_changes_is_seen_by_a_watch() {
    use futures::StreamExt;

    on_project(Family::New, async |project| {
        let Some(database) = project.database() else {
            return;
        };
        let ada = account(project, "ada").await;
        let stack = project.stack();
        let mut settings = AccountPreferences::empty(ada.id.clone());
        settings.theme = Some(Theme::Dark);
        let stored = stack.preferences().put(settings).await.unwrap();
        let mut watch = stack.preferences().watch(ada.id.clone());
        assert_eq!(watch.next().await.unwrap().unwrap(), stored);
        clock_moved().await;
        database
            .execute(&format!(
                "begin; set local role authenticated; \
                 set local request.jwt.claims = '{{\"sub\":\"{}\"}}'; \
                 update public.user_preferences set theme = 'light'; commit",
                ada.id
            ))
            .await;
        let seen = watch.next().await.unwrap().unwrap();
        assert_eq!(seen.theme, Some(Theme::Light));
        assert!(seen.updated_at > stored.updated_at);
    })
    .await;
}
