//! The cases of [`IdentityRepository`](crate::IdentityRepository).

use futures::{TryStreamExt, future::join_all};
use serde_json::json;

use super::{AccountStage, nobody};
use crate::{
    Account, ErrorKind, Identity, IdentityProvider,
    testing::{clock_moved, users::assert_kind},
};

fn google(account: &Account, subject: &str) -> Identity {
    let mut identity = Identity::new(account.id.clone(), IdentityProvider::GOOGLE, subject);
    identity.email.clone_from(&account.email);
    identity.extra.insert("full_name".to_owned(), json!("Ada"));
    identity
}

/// Links, where the service can; otherwise checks that it says so.
async fn link(stage: AccountStage<'_>, identity: &Identity) -> Option<Identity> {
    let linked = stage.store.identities().create(identity.clone()).await;
    if stage.abilities.links_identities {
        return Some(linked.unwrap());
    }
    assert_kind!(linked, ErrorKind::Unsupported { .. });
    None
}

pub async fn an_identity_is_linked_once(stage: AccountStage<'_>) {
    let ada = stage.account("ada").await;
    assert_eq!(stage.store.identities().list(&ada.id).await.unwrap(), []);
    let mut identity = google(&ada, "1067");
    identity.last_used_at = Some("2024-12-31T23:59:59.001Z".parse().unwrap());
    let Some(linked) = link(stage, &identity).await else {
        return;
    };
    assert_eq!(linked, identity);
    clock_moved().await;
    let again = link(stage, &google(&ada, "1067")).await;
    assert_eq!(again, Some(linked.clone()));
    let found = stage.store.identities().list(&ada.id).await.unwrap();
    assert_eq!(found, [linked]);
}

pub async fn an_identity_of_another_account_is_taken(stage: AccountStage<'_>) {
    let (ada, bob) = (stage.account("ada").await, stage.account("bob").await);
    if link(stage, &google(&ada, "1067")).await.is_none() {
        return;
    }
    let taken = stage.store.identities().create(google(&bob, "1067")).await;
    assert_kind!(taken, ErrorKind::AlreadyExists { field } if field == "subject");
    // The same subject at another service is somebody else.
    let mut github = google(&bob, "1067");
    github.provider = IdentityProvider::GITHUB;
    link(stage, &github).await.unwrap();
}

pub async fn identities_need_their_account(stage: AccountStage<'_>) {
    let mut identity = google(&stage.account("ada").await, "1067");
    identity.subject = String::new();
    let refused = stage.store.identities().create(identity.clone()).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "subject");
    if stage.abilities.links_identities {
        identity.subject = "1067".to_owned();
        identity.account_id = nobody();
        let refused = stage.store.identities().create(identity).await;
        assert_kind!(refused, ErrorKind::NotFound);
    }
}

pub async fn identities_are_listed_found_and_unlinked(stage: AccountStage<'_>) {
    let (ada, bob) = (stage.account("ada").await, stage.account("bob").await);
    let identities = stage.store.identities();
    let Some(first) = link(stage, &google(&ada, "1067")).await else {
        return;
    };
    clock_moved().await;
    let mut github = google(&ada, "77");
    github.provider = "custom:pen-club".parse().unwrap();
    let second = link(stage, &github).await.unwrap();
    let other = link(stage, &google(&bob, "1068")).await.unwrap();

    let found = identities.list(&ada.id).await.unwrap();
    assert_eq!(found, [first.clone(), second.clone()]);
    let found = identities.get(&IdentityProvider::GOOGLE, "1068").await;
    assert_eq!(found.unwrap(), other);
    let mut all: Vec<Identity> = identities.stream().try_collect().await.unwrap();
    all.sort_by(|a, b| a.subject.cmp(&b.subject));
    assert_eq!(all, [first.clone(), other.clone(), second.clone()]);

    let (provider, subject) = (&first.provider, first.subject.as_str());
    identities.delete(provider, subject).await.unwrap();
    let gone = identities.get(provider, subject).await;
    assert_kind!(gone, ErrorKind::NotFound);
    let gone = identities.delete(provider, subject).await;
    assert_kind!(gone, ErrorKind::NotFound);
    assert_eq!(identities.list(&ada.id).await.unwrap(), [second]);
    assert_eq!(identities.list(&bob.id).await.unwrap(), [other]);
    assert_eq!(identities.list(&nobody()).await.unwrap(), []);
}

pub async fn identities_linked_at_once_are_one(stage: AccountStage<'_>) {
    let (ada, bob) = (stage.account("ada").await, stage.account("bob").await);
    if !stage.abilities.links_identities {
        link(stage, &google(&ada, "1067")).await;
        return;
    }
    let identities = stage.store.identities();
    let both = [&ada, &bob];
    let calls = (0..8).map(|n| identities.create(google(both[n % 2], "1067")));
    let ended = join_all(calls).await;
    let winner = identities.get(&IdentityProvider::GOOGLE, "1067").await;
    let winner = winner.unwrap();
    for (n, ended) in ended.into_iter().enumerate() {
        if both[n % 2].id == winner.account_id {
            assert_eq!(ended.unwrap(), winner);
        } else {
            assert_kind!(ended, ErrorKind::AlreadyExists { field } if field == "subject");
        }
    }
}
