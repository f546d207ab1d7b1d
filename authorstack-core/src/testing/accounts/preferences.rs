//! The cases of [`PreferencesRepository`](crate::PreferencesRepository).

use futures::{StreamExt, future::join_all};
use serde_json::json;

use super::{AccountStage, nobody};
use crate::{
    Account, AccountPreferences, AccountPreferencesPatch, Change, ErrorKind, Theme,
    testing::users::assert_kind,
};

fn dark(account: &Account) -> AccountPreferences {
    let mut settings = AccountPreferences::empty(account.id.clone());
    settings.theme = Some(Theme::Dark);
    settings
}

pub async fn nobody_has_chosen_anything_at_first(stage: AccountStage<'_>) {
    let settings = stage.store.preferences();
    for id in [stage.account("ada").await.id, nobody()] {
        let found = settings.get(&id).await.unwrap();
        assert_eq!(found, AccountPreferences::empty(id));
    }
}

pub async fn every_field_of_the_settings_survives(stage: AccountStage<'_>) {
    let (ada, bob) = (stage.account("ada").await, stage.account("bob").await);
    let mut new = dark(&ada);
    new.notifications = Some(false);
    new.extra
        .insert("language".to_owned(), json!({ "of": ["de", "ü"], "n": 2 }));
    let settings = stage.store.preferences();
    let stored = settings.put(new.clone()).await.unwrap();
    assert!(stored.updated_at.is_some());
    new.updated_at = stored.updated_at;
    assert_eq!(stored, new);
    assert_eq!(settings.get(&ada.id).await.unwrap(), stored);
    let his = settings.get(&bob.id).await.unwrap();
    assert_eq!(his, AccountPreferences::empty(bob.id));
}

pub async fn settings_are_replaced_as_a_whole(stage: AccountStage<'_>) {
    let ada = stage.account("ada").await;
    let settings = stage.store.preferences();
    let first = settings.put(dark(&ada)).await.unwrap();
    let mut other = AccountPreferences::empty(ada.id.clone());
    other.notifications = Some(true);
    let second = settings.put(other).await.unwrap();
    assert_eq!((second.theme, second.notifications), (None, Some(true)));
    assert!(second.updated_at > first.updated_at);
    assert_eq!(settings.get(&ada.id).await.unwrap(), second);
}

pub async fn a_patch_changes_its_settings_only(stage: AccountStage<'_>) {
    let ada = stage.account("ada").await;
    let settings = stage.store.preferences();
    let quiet = AccountPreferencesPatch {
        notifications: Change::Set(false),
        ..AccountPreferencesPatch::default()
    };
    // Also where nothing was stored.
    let first = settings.update(&ada.id, quiet.clone()).await.unwrap();
    assert_eq!((first.theme, first.notifications), (None, Some(false)));
    assert!(first.updated_at.is_some());
    let mut whole = dark(&ada);
    whole.extra.insert("language".to_owned(), json!("de"));
    let second = settings.put(whole).await.unwrap();
    let third = settings.update(&ada.id, quiet).await.unwrap();
    assert!(third.updated_at > second.updated_at);
    let expected = AccountPreferences {
        notifications: Some(false),
        updated_at: third.updated_at,
        ..second
    };
    assert_eq!(third, expected);
    let cleared = AccountPreferencesPatch {
        theme: Change::Clear,
        ..AccountPreferencesPatch::default()
    };
    let fourth = settings.update(&ada.id, cleared.clone()).await.unwrap();
    assert_eq!((fourth.theme, fourth.notifications), (None, Some(false)));
    assert_eq!(fourth.extra, third.extra);
    assert_eq!(settings.get(&ada.id).await.unwrap(), fourth);
    let refused = settings.update(&nobody(), cleared).await;
    assert_kind!(refused, ErrorKind::NotFound);
}

pub async fn settings_need_their_account(stage: AccountStage<'_>) {
    let settings = stage.store.preferences();
    let refused = settings.put(AccountPreferences::empty(nobody())).await;
    assert_kind!(refused, ErrorKind::NotFound);
    let mut broken = dark(&stage.account("ada").await);
    broken.extra.insert("a".to_owned(), json!("\0"));
    let refused = settings.put(broken).await;
    assert_kind!(refused, ErrorKind::Invalid { .. });
}

pub async fn settings_stored_at_once_move_forward(stage: AccountStage<'_>) {
    let ada = stage.account("ada").await;
    let settings = stage.store.preferences();
    let calls = (0..8).map(|_| settings.put(dark(&ada)));
    let ended = join_all(calls).await.into_iter();
    let mut moments: Vec<_> = ended.map(|put| put.unwrap().updated_at).collect();
    moments.sort_unstable();
    let last = settings.get(&ada.id).await.unwrap().updated_at;
    assert_eq!(moments.last(), Some(&last));
    moments.dedup();
    assert_eq!(moments.len(), 8);
}

pub async fn a_watch_begins_with_what_is_there_and_sees_changes(stage: AccountStage<'_>) {
    let ada = stage.account("ada").await;
    let settings = stage.store.preferences();
    let mut watch = settings.watch(ada.id.clone());
    let first = watch.next().await.unwrap().unwrap();
    assert_eq!(first, AccountPreferences::empty(ada.id.clone()));
    let stored = settings.put(dark(&ada)).await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap(), stored);
    for round in 0..5 {
        let mut next = dark(&ada);
        next.notifications = Some(round % 2 == 0);
        settings.put(next).await.unwrap();
    }
    // Some may be left out, the last one never.
    let last = settings.get(&ada.id).await.unwrap();
    loop {
        let seen = watch.next().await.unwrap().unwrap();
        if seen == last {
            break;
        }
    }
    let mut later = settings.watch(ada.id);
    assert_eq!(later.next().await.unwrap().unwrap(), last);
}

pub async fn a_watch_sees_no_changes_of_others(stage: AccountStage<'_>) {
    let (ada, bob) = (stage.account("ada").await, stage.account("bob").await);
    let settings = stage.store.preferences();
    let mut watch = settings.watch(ada.id.clone());
    watch.next().await.unwrap().unwrap();
    settings.put(dark(&bob)).await.unwrap();
    let own = settings.put(dark(&ada)).await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap(), own);
}

pub async fn a_watch_ends_with_the_account(stage: AccountStage<'_>) {
    let ada = stage.account("ada").await;
    let bob = stage.account("bob").await;
    let (accounts, settings) = (stage.store.accounts(), stage.store.preferences());
    let mut hers = settings.watch(ada.id.clone());
    let mut his = settings.watch(bob.id.clone());
    hers.next().await.unwrap().unwrap();
    his.next().await.unwrap().unwrap();
    accounts.delete(&ada.id).await.unwrap();
    assert_kind!(hers.next().await.unwrap(), ErrorKind::NotFound);
    assert!(hers.next().await.is_none());
    accounts.block(&bob.id).await.unwrap();
    assert_kind!(
        his.next().await.unwrap(),
        ErrorKind::PermissionDenied { .. }
    );
    assert!(his.next().await.is_none());
    let mut unknown = settings.watch(nobody());
    assert_kind!(unknown.next().await.unwrap(), ErrorKind::NotFound);
}
