//! The cases of [`AccountRepository`](crate::AccountRepository).

use std::collections::BTreeSet;

use futures::{TryStreamExt, future::join_all};
use serde_json::json;

use super::{AccountStage, PASSWORD, address, argon2_hash, new_account, nobody};
use crate::{
    Account, AccountPatch, AccountPreferences, Change, Credential, ErrorKind, ExportedAccount,
    Identity, IdentityProvider, NewAccount, Password, Prefs, StoredPassword, Theme,
    testing::{clock_moved, users::assert_kind},
    time,
};

fn whole() -> NewAccount {
    let mut new = new_account("Ada.Lovelace");
    new.id = Some(nobody());
    new.name = "Ada \u{201c}Ü".to_owned();
    new.phone = Some("+4915112345678".parse().unwrap());
    new.phone_verified = true;
    new.labels = vec!["admin".to_owned(), "beta2".to_owned()];
    let prefs = json!({ "theme": "dark", "nested": { "list": [1, 2.5, null, "ü"] } });
    new.prefs = prefs.try_into().unwrap();
    new
}

pub async fn every_field_of_an_account_survives(stage: AccountStage<'_>) {
    let accounts = stage.store.accounts();
    let new = whole();
    let before = time::now();
    let made = accounts.create(new.clone()).await.unwrap();
    assert_eq!(Some(&made.id), new.id.as_ref());
    assert_eq!(made.email, new.email);
    assert!(made.email_verified && made.phone_verified);
    assert_eq!(made.phone, new.phone);
    assert_eq!(made.name, new.name);
    assert_eq!(made.labels, new.labels);
    assert_eq!(made.prefs, new.prefs);
    assert!(!made.is_blocked && !made.is_anonymous && !made.has_mfa);
    assert!(made.created_at >= before - chrono::TimeDelta::minutes(5));
    assert_eq!(made.last_seen_at, None);
    assert_eq!(accounts.get(&made.id).await.unwrap(), made);
}

pub async fn dates_of_the_past_are_kept_or_refused(stage: AccountStage<'_>) {
    let accounts = stage.store.accounts();
    let mut new = whole();
    new.old_id = Some("5f0c3b2e".parse().unwrap());
    new.has_mfa = true;
    new.created_at = Some("2021-02-03T04:05:06.789Z".parse().unwrap());
    new.last_seen_at = Some("2024-12-31T23:59:59.001Z".parse().unwrap());
    let made = accounts.create(new.clone()).await;
    if !stage.abilities.keeps_dates {
        assert_kind!(made, ErrorKind::Unsupported { .. });
        return;
    }
    let made = made.unwrap();
    assert_eq!(made.old_id, new.old_id);
    assert!(made.has_mfa);
    assert_eq!(Some(made.created_at), new.created_at);
    assert_eq!(made.last_seen_at, new.last_seen_at);
    assert_eq!(accounts.get(&made.id).await.unwrap(), made);
}

pub async fn an_account_needs_an_address(stage: AccountStage<'_>) {
    let accounts = stage.store.accounts();
    let mut new = new_account("ada");
    new.email = None;
    let refused = accounts.create(new.clone()).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "email");
    new.email_verified = false;
    new.phone = Some("+4915112345678".parse().unwrap());
    let by_phone = accounts.create(new).await.unwrap();
    assert_eq!(by_phone.email, None);
    assert!(!by_phone.phone_verified && !by_phone.is_anonymous);
}

pub async fn an_anonymous_account_needs_none(stage: AccountStage<'_>) {
    let accounts = stage.store.accounts();
    let made = accounts.create(NewAccount::anonymous()).await;
    if !stage.abilities.has_anonymous {
        assert_kind!(made, ErrorKind::Unsupported { .. });
        return;
    }
    let made = made.unwrap();
    assert!(made.is_anonymous && made.email.is_none() && made.phone.is_none());
    assert_eq!(accounts.get(&made.id).await.unwrap(), made);
}

pub async fn unknown_accounts_are_not_found(stage: AccountStage<'_>) {
    let (accounts, nobody) = (stage.store.accounts(), nobody());
    stage.account("ada").await;
    assert_kind!(accounts.get(&nobody).await, ErrorKind::NotFound);
    let by_email = accounts.get_by_email(&address("bob")).await;
    assert_kind!(by_email, ErrorKind::NotFound);
    let patch = AccountPatch {
        name: Some("Nobody".to_owned()),
        ..AccountPatch::default()
    };
    assert_kind!(accounts.update(&nobody, patch).await, ErrorKind::NotFound);
    let password = Credential::Password(Password::new(PASSWORD).unwrap());
    let set = accounts.set_credential(&nobody, password).await;
    assert_kind!(set, ErrorKind::NotFound);
    assert_kind!(accounts.block(&nobody).await, ErrorKind::NotFound);
    assert_kind!(accounts.unblock(&nobody).await, ErrorKind::NotFound);
    assert_kind!(accounts.delete(&nobody).await, ErrorKind::NotFound);
    let sessions = stage.store.sessions();
    assert_kind!(sessions.revoke_all(&nobody).await, ErrorKind::NotFound);
    assert_eq!(sessions.list(&nobody).await.unwrap(), []);
}

pub async fn an_address_is_found_in_any_case(stage: AccountStage<'_>) {
    let ada = stage.account("Ada.Lovelace").await;
    assert_eq!(ada.email, Some(address("ada.lovelace")));
    assert_eq!(stage.by("ADA.LOVELACE").await, ada);
}

pub async fn what_is_taken_is_refused(stage: AccountStage<'_>) {
    let accounts = stage.store.accounts();
    let ada = accounts.create(whole()).await.unwrap();
    let bob = stage.account("bob").await;

    let mut same_email = new_account("ADA.lovelace");
    let taken = accounts.create(same_email.clone()).await;
    assert_kind!(taken, ErrorKind::AlreadyExists { field } if field == "email");
    same_email.email = Some(address("carl"));
    same_email.phone.clone_from(&ada.phone);
    let taken = accounts.create(same_email.clone()).await;
    assert_kind!(taken, ErrorKind::AlreadyExists { field } if field == "phone");
    same_email.phone = None;
    same_email.id = Some(ada.id.clone());
    let taken = accounts.create(same_email).await;
    assert_kind!(taken, ErrorKind::AlreadyExists { field } if field == "id");

    let patch = AccountPatch {
        email: Change::Set(address("Ada.Lovelace")),
        name: Some("Robert".to_owned()),
        ..AccountPatch::default()
    };
    let taken = accounts.update(&bob.id, patch).await;
    assert_kind!(taken, ErrorKind::AlreadyExists { field } if field == "email");
    let patch = AccountPatch {
        phone: Change::Set("+4915112345678".parse().unwrap()),
        ..AccountPatch::default()
    };
    let taken = accounts.update(&bob.id, patch).await;
    assert_kind!(taken, ErrorKind::AlreadyExists { field } if field == "phone");
    assert_eq!(accounts.get(&bob.id).await.unwrap(), bob);
}

pub async fn of_accounts_created_at_once_with_one_address_one_is_there(stage: AccountStage<'_>) {
    let accounts = stage.store.accounts();
    let calls = (0..8).map(|_| accounts.create(new_account("ada")));
    let (made, refused): (Vec<_>, Vec<_>) =
        join_all(calls).await.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refused.len()), (1, 7));
    for refused in refused {
        assert_kind!(refused, ErrorKind::AlreadyExists { field } if field == "email");
    }
    assert_eq!(all(stage).await.len(), 1);
}

pub async fn a_patch_changes_its_fields_only_in_accounts(stage: AccountStage<'_>) {
    let accounts = stage.store.accounts();
    let ada = accounts.create(whole()).await.unwrap();
    clock_moved().await;
    let other = Prefs::try_from(json!({ "other": true })).unwrap();
    let patch = AccountPatch {
        name: Some("Countess".to_owned()),
        labels: Some(vec!["vip".to_owned()]),
        prefs: Some(other.clone()),
        phone: Change::Clear,
        ..AccountPatch::default()
    };
    let changed = accounts.update(&ada.id, patch).await.unwrap();
    assert!(changed.updated_at > ada.updated_at);
    let expected = Account {
        name: "Countess".to_owned(),
        labels: vec!["vip".to_owned()],
        prefs: other,
        phone: None,
        phone_verified: false,
        updated_at: changed.updated_at,
        ..ada.clone()
    };
    assert_eq!(changed, expected);
    assert_eq!(accounts.get(&ada.id).await.unwrap(), expected);
    // The password stays.
    stage.signed_in(&ada).await;
}

pub async fn a_new_address_is_not_verified_unless_said(stage: AccountStage<'_>) {
    let accounts = stage.store.accounts();
    let ada = accounts.create(whole()).await.unwrap();
    let patch = AccountPatch {
        email: Change::Set(address("Countess")),
        ..AccountPatch::default()
    };
    let changed = accounts.update(&ada.id, patch).await.unwrap();
    assert_eq!(changed.email, Some(address("countess")));
    assert!(!changed.email_verified && changed.phone_verified);
    assert_eq!(stage.by("countess").await, changed);
    let old = accounts.get_by_email(&address("ada.lovelace")).await;
    assert_kind!(old, ErrorKind::NotFound);

    let patch = AccountPatch {
        email: Change::Set(address("ada")),
        email_verified: Some(true),
        phone: Change::Set("+4915187654321".parse().unwrap()),
        ..AccountPatch::default()
    };
    let changed = accounts.update(&ada.id, patch.clone()).await.unwrap();
    assert!(changed.email_verified && !changed.phone_verified);
    // The same address again is no new one.
    let patch = AccountPatch {
        email_verified: None,
        ..patch
    };
    let same = accounts.update(&ada.id, patch).await.unwrap();
    assert!(same.email_verified);
    let patch = AccountPatch {
        phone_verified: Some(true),
        ..AccountPatch::default()
    };
    assert!(
        accounts
            .update(&ada.id, patch)
            .await
            .unwrap()
            .phone_verified
    );
}

pub async fn the_last_address_stays(stage: AccountStage<'_>) {
    let accounts = stage.store.accounts();
    let ada = stage.account("ada").await;
    let patch = AccountPatch {
        email: Change::Clear,
        ..AccountPatch::default()
    };
    let refused = accounts.update(&ada.id, patch).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "email");
    assert_eq!(accounts.get(&ada.id).await.unwrap(), ada);
}

async fn all(stage: AccountStage<'_>) -> Vec<Account> {
    let accounts = stage.store.accounts().stream();
    accounts.try_collect().await.unwrap()
}

async fn exported(stage: AccountStage<'_>) -> Vec<ExportedAccount> {
    let accounts = stage.store.accounts().export();
    accounts.try_collect().await.unwrap()
}

pub async fn a_stream_has_each_account_once(stage: AccountStage<'_>) {
    assert_eq!(all(stage).await, []);
    let mut made = BTreeSet::new();
    for number in 0..30 {
        let mut new = NewAccount::new(address(&format!("ada{number}")));
        new.labels = vec![format!("n{number}")];
        let account = stage.store.accounts().create(new).await.unwrap();
        made.insert(account.id);
    }
    let found = all(stage).await;
    assert_eq!(found.len(), 30);
    let ids: BTreeSet<_> = found.iter().map(|account| account.id.clone()).collect();
    assert_eq!(ids, made);
    let exported = exported(stage).await;
    let accounts: Vec<_> = exported.into_iter().map(|it| it.account).collect();
    assert_eq!(accounts, found);
}

pub async fn a_password_signs_in_and_a_wrong_one_does_not(stage: AccountStage<'_>) {
    let ada = stage.account("ada").await;
    stage.signed_in(&ada).await;
    for (name, password) in [
        ("ada", "time and tide"),
        ("ada", "tide and tim"),
        ("bob", PASSWORD),
    ] {
        let refused = stage.client.sign_in(&address(name), password).await;
        assert_kind!(refused, ErrorKind::Unauthenticated);
    }
    let seen = stage.by("ada").await.last_seen_at;
    assert!(seen.is_some());
}

pub async fn a_hash_keeps_its_password(stage: AccountStage<'_>) {
    let mut new = new_account("ada");
    new.credential = Credential::Hash(argon2_hash());
    let ada = stage.store.accounts().create(new).await.unwrap();
    let refused = stage.client.sign_in(&address("ada"), "time and tide").await;
    assert_kind!(refused, ErrorKind::Unauthenticated);
    stage.signed_in(&ada).await;
}

pub async fn an_export_has_the_hashes(stage: AccountStage<'_>) {
    let accounts = stage.store.accounts();
    let mut hashed = new_account("ada");
    hashed.credential = Credential::Hash(argon2_hash());
    let ada = accounts.create(hashed).await.unwrap();
    let mut bare = new_account("bob");
    bare.credential = Credential::None;
    let bob = accounts.create(bare).await.unwrap();
    for exported in exported(stage).await {
        if exported.account.id == ada.id {
            assert_eq!(exported.account, ada);
            assert_eq!(exported.password, StoredPassword::Hash(argon2_hash()));
        } else {
            assert_eq!(exported.account, bob);
            assert_eq!(exported.password, StoredPassword::None);
        }
    }
}

pub async fn without_a_password_nobody_signs_in(stage: AccountStage<'_>) {
    let mut new = new_account("ada");
    new.credential = Credential::None;
    stage.store.accounts().create(new).await.unwrap();
    for password in ["", PASSWORD] {
        let refused = stage.client.sign_in(&address("ada"), password).await;
        assert_kind!(refused, ErrorKind::Unauthenticated);
    }
}

pub async fn a_new_password_ends_the_old_one_and_the_sessions(stage: AccountStage<'_>) {
    let ada = stage.account("ada").await;
    let token = stage.signed_in(&ada).await;
    let new = Credential::Password(Password::new("another one").unwrap());
    let accounts = stage.store.accounts();
    accounts.set_credential(&ada.id, new).await.unwrap();
    assert_eq!(stage.store.sessions().list(&ada.id).await.unwrap(), []);
    let refused = stage.store.authenticator().authenticate(&token).await;
    assert_kind!(refused, ErrorKind::Unauthenticated);
    let refused = stage.client.sign_in(&address("ada"), PASSWORD).await;
    assert_kind!(refused, ErrorKind::Unauthenticated);
    let signed_in = stage.client.sign_in(&address("ada"), "another one").await;
    signed_in.unwrap();
}

pub async fn a_hash_takes_the_place_of_a_password(stage: AccountStage<'_>) {
    let mut new = new_account("ada");
    new.credential = Credential::Password(Password::new("another one").unwrap());
    let ada = stage.store.accounts().create(new).await.unwrap();
    let accounts = stage.store.accounts();
    let hash = Credential::Hash(argon2_hash());
    let set = accounts.set_credential(&ada.id, hash).await;
    if !stage.abilities.replaces_hashes {
        assert_kind!(set, ErrorKind::Unsupported { .. });
        return;
    }
    set.unwrap();
    let refused = stage.client.sign_in(&address("ada"), "another one").await;
    assert_kind!(refused, ErrorKind::Unauthenticated);
    stage.signed_in(&ada).await;
    let none = accounts.set_credential(&ada.id, Credential::None).await;
    none.unwrap();
    let refused = stage.client.sign_in(&address("ada"), PASSWORD).await;
    assert_kind!(refused, ErrorKind::Unauthenticated);
}

pub async fn a_blocked_account_is_refused_until_it_is_unblocked(stage: AccountStage<'_>) {
    let accounts = stage.store.accounts();
    let ada = stage.account("ada").await;
    let token = stage.signed_in(&ada).await;
    for _ in 0..2 {
        assert!(accounts.block(&ada.id).await.unwrap().is_blocked);
    }
    assert!(accounts.get(&ada.id).await.unwrap().is_blocked);
    let refused = stage.client.sign_in(&address("ada"), PASSWORD).await;
    assert_kind!(refused, ErrorKind::PermissionDenied { .. });
    let refused = stage.client.sign_in(&address("ada"), "time and tide").await;
    assert!(refused.is_err());
    let refused = stage.store.authenticator().authenticate(&token).await;
    assert_kind!(refused, ErrorKind::PermissionDenied { .. });
    for _ in 0..2 {
        assert!(!accounts.unblock(&ada.id).await.unwrap().is_blocked);
    }
    stage.signed_in(&ada).await;
}

pub async fn deleting_takes_all_that_belongs_to_the_account(stage: AccountStage<'_>) {
    let store = stage.store;
    let ada = stage.account("ada").await;
    let bob = stage.account("bob").await;
    let (hers, his) = (stage.signed_in(&ada).await, stage.signed_in(&bob).await);
    for account in [&ada, &bob] {
        let mut settings = AccountPreferences::empty(account.id.clone());
        settings.theme = Some(Theme::Dark);
        store.preferences().put(settings).await.unwrap();
        if stage.abilities.links_identities {
            let subject = account.id.as_str();
            let google = Identity::new(account.id.clone(), IdentityProvider::GOOGLE, subject);
            store.identities().create(google).await.unwrap();
        }
    }
    store.accounts().delete(&ada.id).await.unwrap();
    assert_kind!(store.accounts().get(&ada.id).await, ErrorKind::NotFound);
    let refused = store.authenticator().authenticate(&hers).await;
    assert_kind!(refused, ErrorKind::Unauthenticated);
    assert_eq!(store.sessions().list(&ada.id).await.unwrap(), []);
    assert_eq!(store.identities().list(&ada.id).await.unwrap(), []);
    let settings = store.preferences().get(&ada.id).await.unwrap();
    assert_eq!(settings, AccountPreferences::empty(ada.id));
    // All of it is free again, and nothing of another account is gone.
    stage.account("ada").await;
    let who = store.authenticator().authenticate(&his).await.unwrap();
    assert_eq!(who.account_id, bob.id);
    let settings = store.preferences().get(&bob.id).await.unwrap();
    assert_eq!(settings.theme, Some(Theme::Dark));
}

pub async fn an_account_is_deleted_once(stage: AccountStage<'_>) {
    let accounts = stage.store.accounts();
    let ada = stage.account("ada").await;
    let calls = (0..6).map(|_| accounts.delete(&ada.id));
    let ended = join_all(calls).await;
    assert_eq!(ended.iter().filter(|it| it.is_ok()).count(), 1, "{ended:?}");
    for refused in ended.into_iter().filter(Result::is_err) {
        assert_kind!(refused, ErrorKind::NotFound);
    }
}

pub async fn no_secret_is_shown(stage: AccountStage<'_>) {
    let accounts = stage.store.accounts();
    let ada = stage.account("ada").await;
    let token = stage.signed_in(&ada).await;
    let refused = accounts.create(new_account("ada")).await.unwrap_err();
    let hash = Credential::Hash(argon2_hash());
    let unknown = accounts.set_credential(&nobody(), hash.clone()).await;
    let wrong = stage.client.sign_in(&address("ada"), "time and tide").await;
    stage.store.sessions().revoke_all(&ada.id).await.unwrap();
    let over = stage.store.authenticator().authenticate(&token).await;
    let shown = format!(
        "{refused:?} {refused} {unknown:?} {hash:?} {wrong:?} {over:?} {token:?} {:?} {:?}",
        exported(stage).await,
        stage.store,
    );
    for secret in [
        PASSWORD,
        "time and tide",
        "c2FsdHNhbHRzYWx0",
        token.expose(),
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

impl AccountStage<'_> {
    pub(super) async fn by(&self, name: &str) -> Account {
        let found = self.store.accounts().get_by_email(&address(name)).await;
        found.unwrap()
    }
}
