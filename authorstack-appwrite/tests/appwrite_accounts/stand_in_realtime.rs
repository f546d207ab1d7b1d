//! Watching by Realtime: what breaks, and what must end.

use std::time::{Duration, Instant};

use authorstack_appwrite::AppwriteConfig;
use authorstack_core::{
    Account, AccountPreferences, AccountPreferencesPatch, AuthorStack, ErrorKind, Result, Theme,
    testing::{FreshAccounts, accounts::new_account},
};
use futures::{StreamExt, stream::BoxStream};
use tests_standins::appwrite::Appwrite;

use crate::project::Project;

type Watch = BoxStream<'static, Result<AccountPreferences>>;

/// A project where only Realtime is quick.
fn slow(config: AppwriteConfig) -> AppwriteConfig {
    let hour = Duration::from_hours(1);
    config.poll_interval(hour).check_interval(hour)
}

async fn watched(
    config: fn(AppwriteConfig) -> AppwriteConfig,
) -> (Project, AuthorStack, Account, Watch) {
    let project = Project::stand_in(config).await;
    let stack = project.stack();
    let ada = stack.accounts().create(new_account("ada")).await.unwrap();
    let mut watch = stack.preferences().watch(ada.id.clone());
    watch.next().await.unwrap().unwrap();
    (project, stack, ada, watch)
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The next item of a watch that is asked for while something else goes on.
fn following(
    mut watch: Watch,
) -> tokio::task::JoinHandle<(Option<Result<AccountPreferences>>, Watch)> {
    tokio::spawn(async move {
        let next = tokio::time::timeout(Duration::from_secs(20), watch.next()).await;
        (next.unwrap(), watch)
    })
}

async fn set(stack: &AuthorStack, account: &Account, theme: Theme) -> AccountPreferences {
    let patch = AccountPreferencesPatch {
        theme: theme.into(),
        ..AccountPreferencesPatch::default()
    };
    stack
        .preferences()
        .update(&account.id, patch)
        .await
        .unwrap()
}

async fn connected(server: &Appwrite) {
    until("a connection is open", || server.connections() == 1).await;
    // What was missed before it was open is read now.
    tokio::time::sleep(Duration::from_millis(200)).await;
}

#[tokio::test]
async fn a_change_is_told_at_once_and_not_asked_for() {
    let (project, stack, ada, watch) = watched(slow).await;
    let next = following(watch);
    connected(project.server()).await;
    let stored = set(&stack, &ada, Theme::Dark).await;
    let (seen, _watch) = next.await.unwrap();
    assert_eq!(seen.unwrap().unwrap(), stored);
}

#[tokio::test]
async fn a_broken_connection_is_opened_anew_and_nothing_is_missed() {
    let (project, stack, ada, watch) = watched(slow).await;
    let next = following(watch);
    let server = project.server();
    connected(server).await;
    server.set_realtime(false);
    server.break_connections();
    until("the connection is broken", || server.connections() == 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Nobody is told of this.
    let stored = set(&stack, &ada, Theme::Dark).await;
    server.set_realtime(true);
    let (seen, watch) = next.await.unwrap();
    assert_eq!(seen.unwrap().unwrap(), stored);
    let next = following(watch);
    connected(server).await;
    let stored = set(&stack, &ada, Theme::Light).await;
    assert_eq!(next.await.unwrap().0.unwrap().unwrap(), stored);
}

#[tokio::test]
async fn without_realtime_changes_are_asked_for() {
    let (project, stack, ada, watch) = watched(|config| config).await;
    project.server().set_realtime(false);
    project.server().break_connections();
    let next = following(watch);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let stored = set(&stack, &ada, Theme::Dark).await;
    assert_eq!(next.await.unwrap().0.unwrap().unwrap(), stored);
}

#[tokio::test]
async fn a_blocked_account_is_told_nothing_and_its_connection_is_closed() {
    let (project, stack, ada, watch) = watched(slow).await;
    let next = following(watch);
    connected(project.server()).await;
    stack.accounts().block(&ada.id).await.unwrap();
    let (ended, mut watch) = next.await.unwrap();
    let error = ended.unwrap().unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::PermissionDenied { .. }),
        "{error}"
    );
    // The server would go on.
    until("the connection is closed", || {
        project.server().connections() == 0
    })
    .await;
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn a_deleted_account_ends_its_watch_and_its_connection() {
    let (project, stack, ada, watch) = watched(slow).await;
    let next = following(watch);
    connected(project.server()).await;
    stack.accounts().delete(&ada.id).await.unwrap();
    let (ended, mut watch) = next.await.unwrap();
    assert!(ended.unwrap().unwrap_err().is_not_found());
    until("the connection is closed", || {
        project.server().connections() == 0
    })
    .await;
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn a_dropped_watch_closes_its_connection() {
    let (project, _stack, _ada, watch) = watched(slow).await;
    let next = following(watch);
    connected(project.server()).await;
    next.abort();
    let _ = next.await;
    until("the connection is closed", || {
        project.server().connections() == 0
    })
    .await;
}

#[tokio::test]
async fn heartbeats_keep_a_silent_connection_open() {
    let beat = |config: AppwriteConfig| slow(config).heartbeat(Duration::from_millis(100));
    let (project, stack, ada, watch) = watched(beat).await;
    let next = following(watch);
    let server = project.server();
    connected(server).await;
    let before = server.requests();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.connections(), 1);
    assert_eq!(server.requests(), before, "it was not opened anew");
    let stored = set(&stack, &ada, Theme::Dark).await;
    assert_eq!(next.await.unwrap().0.unwrap().unwrap(), stored);
}
