//! The cases of the services that use accounts. The stack also holds users.

use serde_json::json;

use super::{AccountStage, address, new_account, nobody};
use crate::{
    Account, AccountPatch, AccountPreferences, AccountPreferencesPatch, Change, ErrorKind, Id,
    Identity, IdentityProvider, NewAccount, NewBook, NewUser, Preferences, Theme, User, UserPatch,
    services::{
        Erasure, PreferenceSync, ProfileChange, ProfileReport, ProfileSync, RefusedProfile,
        Unverified,
    },
    testing::{clock_moved, users::assert_kind},
};

async fn profile(stage: AccountStage<'_>, account: &Account) -> User {
    let (user, _) = ProfileSync::new(stage.store)
        .run(&account.id)
        .await
        .unwrap();
    user
}

async fn move_to(stage: AccountStage<'_>, account: &Account, name: &str) -> Account {
    let patch = AccountPatch {
        email: Change::Set(address(name)),
        ..AccountPatch::default()
    };
    let accounts = stage.store.accounts();
    accounts.update(&account.id, patch).await.unwrap()
}

/// What the first run finds to do.
fn first_change(stage: AccountStage<'_>) -> ProfileChange {
    if stage.abilities.makes_profiles {
        ProfileChange::Unchanged
    } else {
        ProfileChange::Created
    }
}

pub async fn a_profile_follows_its_account(stage: AccountStage<'_>) {
    let (ada, profiles) = (stage.account("ada").await, ProfileSync::new(stage.store));
    let (user, change) = profiles.run(&ada.id).await.unwrap();
    assert_eq!(change, first_change(stage));
    assert_eq!((&user.auth_id, &user.email), (&ada.id, &address("ada")));
    assert_eq!(
        (&user.name, &user.auth_provider),
        (&ada.name, &ada.provider)
    );
    let (same, change) = profiles.run(&ada.id).await.unwrap();
    assert_eq!((&same, change), (&user, ProfileChange::Unchanged));

    // The name is the profile's own; the address is the account's.
    let patch = UserPatch {
        name: Some("Countess".to_owned()),
        ..UserPatch::default()
    };
    stage.store.users().update(user.id, patch).await.unwrap();
    move_to(stage, &ada, "Countess").await;
    let (moved, change) = profiles.run(&ada.id).await.unwrap();
    assert_eq!(change, ProfileChange::Updated);
    assert_eq!((moved.id, &moved.email), (user.id, &address("countess")));
    assert_eq!(moved.name, "Countess");
    assert_eq!(profiles.run(&ada.id).await.unwrap().0, moved);

    let careful = profiles.clone().unverified(Unverified::Refuse);
    move_to(stage, &ada, "unproved").await;
    let refused = careful.run(&ada.id).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "email");
    assert_kind!(profiles.run(&nobody()).await, ErrorKind::NotFound);
}

pub async fn a_profile_needs_an_address(stage: AccountStage<'_>) {
    let mut new = new_account("ada");
    (new.email, new.email_verified) = (None, false);
    new.phone = Some("+4915112345678".parse().unwrap());
    let ada = stage.store.accounts().create(new).await.unwrap();
    let refused = ProfileSync::new(stage.store).run(&ada.id).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "email");
}

pub async fn a_profile_is_made_once(stage: AccountStage<'_>) {
    let ada = stage.account("ada").await;
    let profiles = ProfileSync::new(stage.store);
    let calls = (0..8).map(|_| profiles.run(&ada.id));
    let ended = futures::future::join_all(calls).await;
    let ended: Vec<_> = ended.into_iter().map(Result::unwrap).collect();
    let created = ended.iter().filter(|(_, it)| *it == ProfileChange::Created);
    let expected = usize::from(!stage.abilities.makes_profiles);
    assert_eq!(created.count(), expected);
    assert!(ended.iter().all(|(user, _)| user.id == ended[0].0.id));
}

pub async fn a_profile_never_takes_another_ones_address(stage: AccountStage<'_>) {
    let (ada, bob) = (stage.account("ada").await, stage.account("bob").await);
    let profiles = ProfileSync::new(stage.store);
    let hers = profile(stage, &ada).await;
    let his = profile(stage, &bob).await;
    // Her account has left the address, her profile not yet.
    move_to(stage, &ada, "countess").await;
    move_to(stage, &bob, "ada").await;
    let refused = profiles.run(&bob.id).await;
    assert_kind!(refused, ErrorKind::AlreadyExists { field } if field == "email");
    assert_eq!(stage.store.users().get(his.id).await.unwrap(), his);
    assert_eq!(profiles.run(&ada.id).await.unwrap().0.id, hers.id);
    let (his, _) = profiles.run(&bob.id).await.unwrap();
    assert_eq!(his.email, address("ada"));

    let squatter = NewUser::new("somebody".parse().unwrap(), address("carl"), "Carl");
    stage.store.users().create(squatter).await.unwrap();
    let carl = stage.account("carl").await;
    let refused = profiles.run(&carl.id).await;
    assert_kind!(refused, ErrorKind::AlreadyExists { field } if field == "email");
}

pub async fn all_profiles_are_synced_and_refusals_named(stage: AccountStage<'_>) {
    let profiles = ProfileSync::new(stage.store);
    assert_eq!(profiles.run_all().await.unwrap(), ProfileReport::default());
    let ada = stage.account("ada").await;
    for name in ["bob", "carl"] {
        stage.account(name).await;
    }
    let mut new = NewAccount::new(address("x"));
    new.email = None;
    new.phone = Some("+4915112345678".parse().unwrap());
    let phone = stage.store.accounts().create(new).await.unwrap();
    profile(stage, &ada).await;
    move_to(stage, &ada, "countess").await;
    let report = profiles.run_all().await.unwrap();
    let counts = (
        report.created,
        report.updated,
        report.unchanged,
        report.refused,
    );
    let new = if stage.abilities.makes_profiles { 0 } else { 2 };
    assert_eq!(counts, (new, 1, 2 - new, 1));
    let [RefusedProfile { account_id, reason }] = &report.named[..] else {
        panic!("{report:?}");
    };
    assert_eq!(account_id.as_ref(), Some(&phone.id));
    assert!(reason.starts_with("email: "), "{reason}");
    let again = profiles.run_all().await.unwrap();
    assert_eq!((again.unchanged, again.refused), (3, 1));
}

/// A user with a profile, whose settings are in step.
async fn in_step(stage: AccountStage<'_>) -> User {
    let ada = stage.account("ada").await;
    let user = profile(stage, &ada).await;
    let mut settings = AccountPreferences::empty(ada.id.clone());
    settings.theme = Some(Theme::Light);
    settings.extra.insert("language".to_owned(), json!("de"));
    stage.store.preferences().put(settings).await.unwrap();
    let report = sync(stage, user.id).await;
    assert_eq!(report, (true, false, Some(Theme::Light)));
    stage.store.users().get(user.id).await.unwrap()
}

/// Whether the profile and the account were changed, and the theme that both have.
async fn sync(stage: AccountStage<'_>, user: Id<User>) -> (bool, bool, Option<Theme>) {
    let service = PreferenceSync::new(stage.store);
    let report = service.run(user).await.unwrap();
    let there = stage.store.users().get(user).await.unwrap();
    assert_eq!(there.preferences, report.profile);
    let account = stage.store.preferences().get(&there.auth_id).await;
    assert_eq!(account.unwrap(), report.account);
    assert_eq!(report.profile.theme, report.account.theme);
    assert_eq!(
        report.profile.email_notifications,
        report.account.notifications
    );
    let again = service.run(user).await.unwrap();
    assert!(!again.account_changed && !again.profile_changed);
    assert_eq!(stage.store.users().get(user).await.unwrap(), there);
    (
        report.profile_changed,
        report.account_changed,
        report.profile.theme,
    )
}

async fn set_account(stage: AccountStage<'_>, user: &User, theme: Change<Theme>) {
    let patch = AccountPreferencesPatch {
        theme,
        ..AccountPreferencesPatch::default()
    };
    let settings = stage.store.preferences();
    settings.update(&user.auth_id, patch).await.unwrap();
    clock_moved().await;
}

async fn set_profile(stage: AccountStage<'_>, user: &User, theme: Option<Theme>) {
    let user = stage.store.users().get(user.id).await.unwrap();
    let patch = UserPatch {
        preferences: Some(Preferences {
            theme,
            ..user.preferences
        }),
        ..UserPatch::default()
    };
    stage.store.users().update(user.id, patch).await.unwrap();
    clock_moved().await;
}

pub async fn settings_go_both_ways(stage: AccountStage<'_>) {
    let user = in_step(stage).await;
    set_profile(stage, &user, Some(Theme::Dark)).await;
    assert_eq!(sync(stage, user.id).await, (false, true, Some(Theme::Dark)));
    set_account(stage, &user, Change::Set(Theme::System)).await;
    assert_eq!(
        sync(stage, user.id).await,
        (true, false, Some(Theme::System))
    );
    set_account(stage, &user, Change::Clear).await;
    assert_eq!(sync(stage, user.id).await, (true, false, None));
    let unknown = PreferenceSync::new(stage.store).run(Id::new()).await;
    assert_kind!(unknown, ErrorKind::NotFound);
}

pub async fn the_newest_setting_wins(stage: AccountStage<'_>) {
    let user = in_step(stage).await;
    set_account(stage, &user, Change::Set(Theme::System)).await;
    set_profile(stage, &user, Some(Theme::Dark)).await;
    assert_eq!(sync(stage, user.id).await, (false, true, Some(Theme::Dark)));
    set_profile(stage, &user, Some(Theme::Light)).await;
    set_account(stage, &user, Change::Set(Theme::System)).await;
    assert_eq!(
        sync(stage, user.id).await,
        (true, false, Some(Theme::System))
    );
}

pub async fn other_changes_of_the_profile_are_no_newer_setting(stage: AccountStage<'_>) {
    let user = in_step(stage).await;
    set_account(stage, &user, Change::Set(Theme::Dark)).await;
    // The profile is newer now, its settings are not.
    stage.store.users().add_credits(user.id, 5).await.unwrap();
    assert_eq!(sync(stage, user.id).await, (true, false, Some(Theme::Dark)));
}

pub async fn what_one_side_knows_is_kept(stage: AccountStage<'_>) {
    let user = in_step(stage).await;
    let mut profile = user.preferences.clone();
    profile.weekly_digest = Some(true);
    profile.email_notifications = Some(false);
    profile.timezone = Some("Europe/Berlin".to_owned());
    profile.extra.insert("font".to_owned(), json!("serif"));
    let patch = UserPatch {
        preferences: Some(profile.clone()),
        ..UserPatch::default()
    };
    stage.store.users().update(user.id, patch).await.unwrap();
    assert_eq!(
        sync(stage, user.id).await,
        (false, true, Some(Theme::Light))
    );
    let account = stage.store.preferences().get(&user.auth_id).await.unwrap();
    assert_eq!(account.notifications, Some(false));
    assert_eq!(account.extra["language"], "de");
    assert_eq!(account.extra.len(), 1);
    let there = stage.store.users().get(user.id).await.unwrap().preferences;
    assert_eq!(
        (there.weekly_digest, &there.timezone),
        (Some(true), &profile.timezone)
    );
    assert_eq!(there.extra["font"], "serif");
}

pub async fn a_user_is_erased_everywhere(stage: AccountStage<'_>) {
    let store = stage.store;
    let ada = stage.account("ada").await;
    let user = profile(stage, &ada).await;
    store
        .books()
        .create(user.id, NewBook::new("Tide"))
        .await
        .unwrap();
    let bob = stage.account("bob").await;
    profile(stage, &bob).await;
    let tokens = [stage.signed_in(&ada).await, stage.signed_in(&ada).await];
    let mut identities = 0;
    if stage.abilities.links_identities {
        let google = Identity::new(ada.id.clone(), IdentityProvider::GOOGLE, "1067");
        store.identities().create(google).await.unwrap();
        identities = 1;
    }
    let erasure = Erasure::new(store);
    let report = erasure.run(user.id).await.unwrap();
    let account = report.account.unwrap();
    assert!(account.account);
    assert_eq!((account.sessions, account.identities), (2, identities));
    assert_eq!(report.user, Some(true));
    assert_kind!(store.accounts().get(&ada.id).await, ErrorKind::NotFound);
    assert_kind!(store.users().get(user.id).await, ErrorKind::NotFound);
    for token in tokens {
        let refused = store.authenticator().authenticate(&token).await;
        assert_kind!(refused, ErrorKind::Unauthenticated);
    }
    let again = erasure.run(user.id).await.unwrap();
    assert_eq!((again.user, again.account), (Some(false), None));
    stage.by("bob").await;
}

pub async fn an_erasure_of_an_account_without_a_profile(stage: AccountStage<'_>) {
    let store = stage.store;
    let ada = stage.account("ada").await;
    let mut new = new_account("bob");
    new.email_verified = false;
    let bob = store.accounts().create(new).await.unwrap();
    let hers = profile(stage, &ada).await;
    let erasure = Erasure::new(store);
    let report = erasure.run_for_account(&bob.id).await.unwrap();
    assert_eq!(report.user, Some(false));
    assert!(report.account.unwrap().account);
    assert_kind!(store.accounts().get(&bob.id).await, ErrorKind::NotFound);

    // A run that broke off behind the account goes on from the profile.
    store.accounts().delete(&ada.id).await.unwrap();
    let report = erasure.run(hers.id).await.unwrap();
    assert_eq!(report.user, Some(true));
    assert!(!report.account.unwrap().account);
    let report = erasure.run_for_account(&ada.id).await.unwrap();
    assert_eq!(report.user, Some(false));
    assert!(!report.account.unwrap().account);
}
