//! The cases of [`SessionRepository`](crate::SessionRepository) and
//! [`Authenticator`](crate::Authenticator).

use super::AccountStage;
use crate::{
    BearerToken, ErrorKind,
    testing::{clock_moved, users::assert_kind},
    time,
};

pub async fn a_token_says_who_it_is(stage: AccountStage<'_>) {
    let (ada, bob) = (stage.account("ada").await, stage.account("bob").await);
    let (hers, his) = (stage.signed_in(&ada).await, stage.signed_in(&bob).await);
    for (token, account) in [(&hers, &ada), (&his, &bob)] {
        let who = stage.store.authenticator().authenticate(token).await;
        let who = who.unwrap();
        assert_eq!(who.account_id, account.id);
        assert!(who.expires_at.is_none_or(|end| end > time::now()));
        let sessions = stage.store.sessions().list(&account.id).await.unwrap();
        let [session] = &sessions[..] else {
            panic!("{sessions:?}");
        };
        assert_eq!(who.session_id.as_ref(), Some(&session.id));
        assert_eq!(session.account_id, account.id);
    }
}

pub async fn a_token_of_nobody_is_refused(stage: AccountStage<'_>) {
    let ada = stage.account("ada").await;
    let token = stage.signed_in(&ada).await;
    let half = &token.expose()[..token.expose().len() / 2];
    let other = format!("{}x", token.expose());
    for text in [
        "nonsense",
        "a.b.c",
        half,
        &other,
        "eyJhbGciOiJub25lIn0.e30.",
    ] {
        let token = BearerToken::new(text).unwrap();
        let refused = stage.store.authenticator().authenticate(&token).await;
        assert_kind!(refused, ErrorKind::Unauthenticated);
    }
}

pub async fn sessions_are_listed_the_newest_first(stage: AccountStage<'_>) {
    let (ada, bob) = (stage.account("ada").await, stage.account("bob").await);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let token = stage.signed_in(&ada).await;
        let who = stage.store.authenticator().authenticate(&token).await;
        ids.insert(0, who.unwrap().session_id.unwrap());
        clock_moved().await;
    }
    stage.signed_in(&bob).await;
    let found = stage.store.sessions().list(&ada.id).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|session| session.id).collect();
    assert_eq!(found, ids);
}

pub async fn a_session_that_was_revoked_is_over(stage: AccountStage<'_>) {
    let ada = stage.account("ada").await;
    let (sessions, authenticator) = (stage.store.sessions(), stage.store.authenticator());
    let (one, other) = (stage.signed_in(&ada).await, stage.signed_in(&ada).await);
    let id = authenticator.authenticate(&one).await.unwrap().session_id;
    let id = id.unwrap();
    sessions.revoke(&ada.id, &id).await.unwrap();
    let refused = authenticator.authenticate(&one).await;
    assert_kind!(refused, ErrorKind::Unauthenticated);
    assert_kind!(sessions.revoke(&ada.id, &id).await, ErrorKind::NotFound);
    authenticator.authenticate(&other).await.unwrap();
    assert_eq!(sessions.list(&ada.id).await.unwrap().len(), 1);
}

pub async fn sessions_of_others_are_not_found(stage: AccountStage<'_>) {
    let (ada, bob) = (stage.account("ada").await, stage.account("bob").await);
    let hers = stage.signed_in(&ada).await;
    let sessions = stage.store.sessions();
    let own = sessions.list(&ada.id).await.unwrap();
    let refused = sessions.revoke(&bob.id, &own[0].id).await;
    assert_kind!(refused, ErrorKind::NotFound);
    stage
        .store
        .authenticator()
        .authenticate(&hers)
        .await
        .unwrap();
    let unknown = "0b9f6c1e-7c86-4b64-a1ae-3f3b0e4f9d11".parse().unwrap();
    let refused = sessions.revoke(&ada.id, &unknown).await;
    assert_kind!(refused, ErrorKind::NotFound);
}

pub async fn all_sessions_end_at_once(stage: AccountStage<'_>) {
    let (ada, bob) = (stage.account("ada").await, stage.account("bob").await);
    let hers = [stage.signed_in(&ada).await, stage.signed_in(&ada).await];
    let his = stage.signed_in(&bob).await;
    let (sessions, authenticator) = (stage.store.sessions(), stage.store.authenticator());
    for _ in 0..2 {
        sessions.revoke_all(&ada.id).await.unwrap();
    }
    assert_eq!(sessions.list(&ada.id).await.unwrap(), []);
    for token in hers {
        let refused = authenticator.authenticate(&token).await;
        assert_kind!(refused, ErrorKind::Unauthenticated);
    }
    authenticator.authenticate(&his).await.unwrap();
    stage.signed_in(&ada).await;
}
