//! The cases of [`UserRepository`](crate::UserRepository).

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use serde_json::json;

use super::{author, new_author};
use crate::{
    AuthProvider, AuthorStack, ConnectedPlatform, Error, ErrorKind, Id, NewBook, Order,
    PageRequest, Platform, Preferences, PublicUser, SubscriptionTier, Theme, User, UserPatch,
    UserRepositoryExt as _, layers::Operation,
};

/// Asserts that a call failed with a kind of error.
macro_rules! assert_kind {
    ($result:expr, $pattern:pat $(if $guard:expr)?) => {{
        let error = $result.expect_err("the call should have failed");
        assert!(
            matches!(error.kind(), $pattern $(if $guard)?),
            "unexpected error: {error:?}"
        );
    }};
}
pub(super) use assert_kind;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub async fn creates_and_gets(store: &AuthorStack) {
    let before = crate::time::now();
    let ada = author(store, "ada").await;
    assert_eq!(ada.name, "ada");
    assert_eq!(ada.subscription_tier, SubscriptionTier::Free);
    assert_eq!(ada.created_at, ada.updated_at);
    assert!(ada.created_at >= before && ada.created_at <= crate::time::now());
    assert_eq!(ada.created_at.timestamp_subsec_nanos() % 1_000_000, 0);
    assert_eq!(store.users().get(ada.id).await.unwrap(), ada);
}

pub async fn every_field_survives(store: &AuthorStack) {
    let mut new = new_author("grace");
    new.auth_provider = "keycloak".parse().unwrap();
    new.name = "Grâce 🦀 \"quoted\" \\ \n\t line".to_owned();
    new.subscription_tier = SubscriptionTier::Enterprise;
    new.credits = i64::MAX;
    new.preferences = Preferences {
        email_notifications: Some(true),
        weekly_digest: Some(false),
        theme: Some(Theme::System),
        timezone: Some("Pacific/Auckland".to_owned()),
        currency: Some("NZD".parse().unwrap()),
        extra: json!({"fontScale": 1.25}).as_object().unwrap().clone(),
    };
    new.extra = json!({
        "__v": 3,
        "legacy": {
            "ref": {"$oid": "6b0379ca3f6979be1a457c2c"},
            "when": {"$date": "2019-03-01T10:00:00Z"},
            "price": {"$numberDecimal": "1.10"},
            "blob": {"$binary": {"base64": "AAEC", "subType": "00"}},
            "deep": [[1, {"a": [null, true, -0.5]}]],
        },
        "small": 1e-7,
        "large": 9_007_199_254_740_993_i64,
        "whole": 5.0,
        "naïve": "ключ",
        "empty": {},
    })
    .as_object()
    .unwrap()
    .clone();
    let created = store.users().create(new.clone()).await.unwrap();
    let read = store.users().get(created.id).await.unwrap();
    assert_eq!(read, created);
    assert_eq!(read.auth_provider, new.auth_provider);
    assert_eq!(read.name, new.name);
    assert_eq!(read.subscription_tier, new.subscription_tier);
    assert_eq!(read.credits, new.credits);
    assert_eq!(read.preferences, new.preferences);
    assert_eq!(read.extra, new.extra);
}

pub async fn unknown_users_are_not_found(store: &AuthorStack) {
    let (users, id) = (store.users(), Id::<User>::new());
    author(store, "ada").await;
    assert_kind!(users.get(id).await, ErrorKind::NotFound);
    let nobody = "nobody@example.org".parse().unwrap();
    assert_kind!(users.get_by_email(&nobody).await, ErrorKind::NotFound);
    let nobody = "nobody".parse().unwrap();
    assert_kind!(users.get_by_auth_id(&nobody).await, ErrorKind::NotFound);
    assert_kind!(
        users.update(id, UserPatch::default()).await,
        ErrorKind::NotFound
    );
    assert_kind!(users.delete(id).await, ErrorKind::NotFound);
    assert_kind!(users.add_credits(id, 1).await, ErrorKind::NotFound);
    assert_kind!(users.spend_credits(id, 1).await, ErrorKind::NotFound);
    let (kdp, now) = (Platform::KDP, Utc::now());
    assert_kind!(
        users.connect_platform(id, kdp.clone(), now).await,
        ErrorKind::NotFound
    );
    assert_kind!(
        users.disconnect_platform(id, &kdp).await,
        ErrorKind::NotFound
    );
    let error = users.mark_synced(id, &kdp, now).await.unwrap_err();
    assert!(error.is_not_found() && !error.is_retryable());
    assert_eq!(error.record(), Some(id.to_string().as_str()), "{error:?}");
    assert_eq!(error.operation(), Some(Operation::UsersMarkSynced));
}

pub async fn found_by_account_and_by_email_whatever_its_case(store: &AuthorStack) {
    let users = store.users();
    let mut new = new_author("ada");
    new.email = "Ada.L@Example.ORG".parse().unwrap();
    let ada = users.create(new).await.unwrap();
    author(store, "grace").await;
    assert_eq!(ada.email.as_str(), "ada.l@example.org");
    let email = "ADA.l@example.org".parse().unwrap();
    assert_eq!(users.get_by_email(&email).await.unwrap(), ada);
    assert_eq!(users.get_by_auth_id(&ada.auth_id).await.unwrap(), ada);
}

pub async fn many_users_come_in_one_call(store: &AuthorStack) {
    let (ada, bob) = (author(store, "ada").await, author(store, "bob").await);
    let cy = author(store, "cy").await;
    let users = store.users();
    let (missing, ids) = (Id::new(), [cy.id, ada.id]);
    let found = users.get_many(&[ids[0], missing, ids[1], ids[0]]).await;
    assert_eq!(found.unwrap(), [ada.clone(), cy.clone()]);
    assert_eq!(users.get_many(&[]).await.unwrap(), [] as [User; 0]);
    assert_eq!(users.get_many(&[missing]).await.unwrap(), [] as [User; 0]);
    let most = PageRequest::MAX_LIMIT as usize;
    let mut many: Vec<Id<User>> = (1..most).map(|_| Id::new()).collect();
    many.push(bob.id);
    let found = users.get_many(&many).await.unwrap();
    assert_eq!(found.items, std::slice::from_ref(&bob));
    many.push(ada.id);
    let refused = users.get_many(&many).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "ids");
    let public = users.list_public(&[bob.id, ada.id]).await.unwrap();
    let expected = [ada, bob].map(|user| PublicUser {
        id: user.id,
        name: user.name,
    });
    assert_eq!(public, expected);
}

pub async fn a_taken_email_is_already_exists(store: &AuthorStack) {
    author(store, "ada").await;
    let mut other = new_author("other");
    other.email = "ADA@example.org".parse().unwrap();
    let refused = store.users().create(other).await;
    assert_kind!(refused, ErrorKind::AlreadyExists { field } if field == "email");
    assert_eq!(all(store, Order::OldestFirst, 200).await.len(), 1);
}

pub async fn a_taken_account_is_already_exists(store: &AuthorStack) {
    let ada = author(store, "ada").await;
    let mut other = new_author("other");
    other.auth_id = ada.auth_id;
    let refused = store.users().create(other).await;
    assert_kind!(refused, ErrorKind::AlreadyExists { field } if field == "authId");
}

pub async fn nul_is_invalid_and_writes_nothing(store: &AuthorStack) {
    let mut named = new_author("ada");
    named.name = "A\0da".to_owned();
    let mut with_extra = new_author("bob");
    with_extra.extra = json!({"notes": ["fine", {"deep": "\0"}]})
        .as_object()
        .unwrap()
        .clone();
    let mut with_key = new_author("cy");
    with_key.preferences.extra = json!({"a\0b": 1}).as_object().unwrap().clone();
    for (new, named) in [
        (named, "name"),
        (with_extra, "notes.1.deep"),
        (with_key, "preferences.a\\0b"),
    ] {
        let refused = store.users().create(new).await;
        assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == named);
    }
    assert_eq!(all(store, Order::OldestFirst, 200).await, []);
    let ada = author(store, "ada").await;
    let patch = UserPatch {
        name: Some("\0".to_owned()),
        ..UserPatch::default()
    };
    assert_kind!(
        store.users().update(ada.id, patch).await,
        ErrorKind::Invalid { .. }
    );
    assert_eq!(store.users().get(ada.id).await.unwrap(), ada);
}

pub async fn credits_below_zero_are_invalid(store: &AuthorStack) {
    let mut new = new_author("ada");
    new.credits = -1;
    let refused = store.users().create(new).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "credits");
}

pub async fn extra_may_not_shadow_the_schema(store: &AuthorStack) {
    let mut new = new_author("ada");
    new.extra = json!({"credits": 1_000_000}).as_object().unwrap().clone();
    assert_kind!(store.users().create(new).await, ErrorKind::Invalid { .. });
}

async fn all(store: &AuthorStack, order: Order, limit: u32) -> Vec<User> {
    let mut found = Vec::new();
    let mut request = PageRequest::first(limit).order(order);
    loop {
        let page = store.users().list(request.clone()).await.unwrap();
        assert!(page.items.len() <= limit as usize);
        found.extend(page.items);
        match page.next {
            None => return found,
            Some(cursor) => request = request.after(cursor.to_string().parse().unwrap()),
        }
    }
}

pub async fn pages_walk_all_users_in_both_orders(store: &AuthorStack) {
    assert_eq!(all(store, Order::NewestFirst, 3).await, []);
    let mut users = Vec::new();
    for n in 0..7 {
        users.push(author(store, &format!("user{n}")).await);
    }
    for limit in [1, 3, 6, 7, 8, 200] {
        assert_eq!(all(store, Order::OldestFirst, limit).await, users);
        let mut newest = all(store, Order::NewestFirst, limit).await;
        newest.reverse();
        assert_eq!(newest, users);
    }
    let whole = store.users().list(PageRequest::first(7)).await.unwrap();
    assert_eq!(whole.next, None, "a full last page has no next");
}

pub async fn pages_stay_right_while_users_come_and_go(store: &AuthorStack) {
    let mut users = Vec::new();
    for n in 0..4 {
        users.push(author(store, &format!("user{n}")).await);
    }
    let first = store.users().list(PageRequest::first(2)).await.unwrap();
    assert_eq!(first.items, [users[3].clone(), users[2].clone()]);
    author(store, "newcomer").await;
    store.users().delete(users[2].id).await.unwrap();
    let request = PageRequest::first(2).after(first.next.unwrap());
    let second = store.users().list(request).await.unwrap();
    assert_eq!(second.items, [users[1].clone(), users[0].clone()]);
    assert_eq!(second.next, None);
}

pub async fn a_patch_changes_its_fields_only(store: &AuthorStack) {
    let users = store.users();
    let mut new = new_author("ada");
    new.credits = 7;
    new.extra = json!({"__v": 1}).as_object().unwrap().clone();
    let ada = users.create(new).await.unwrap();
    let now = at("2026-03-01T12:00:00.123Z");
    let ada = users
        .connect_platform(ada.id, Platform::KDP, now)
        .await
        .unwrap();

    let patch = UserPatch {
        name: Some("Ada L.".to_owned()),
        ..UserPatch::default()
    };
    let renamed = users.update(ada.id, patch).await.unwrap();
    assert!(renamed.updated_at > ada.updated_at);
    let expected = User {
        name: "Ada L.".to_owned(),
        updated_at: renamed.updated_at,
        ..ada.clone()
    };
    assert_eq!(renamed, expected);
    assert_eq!(users.get(ada.id).await.unwrap(), expected);

    let patch = UserPatch {
        auth_id: Some("0d6f".parse().unwrap()),
        auth_provider: Some(AuthProvider::SUPABASE),
        email: Some("lovelace@example.org".parse().unwrap()),
        subscription_tier: Some(SubscriptionTier::Professional),
        preferences: Some(Preferences {
            theme: Some(Theme::Dark),
            ..Preferences::default()
        }),
        expected_updated_at: Some(renamed.updated_at),
        name: None,
    };
    let moved = users.update(ada.id, patch).await.unwrap();
    assert_eq!(moved.auth_id.as_str(), "0d6f");
    assert_eq!(moved.auth_provider, AuthProvider::SUPABASE);
    assert_eq!(moved.email.as_str(), "lovelace@example.org");
    assert_eq!(moved.subscription_tier, SubscriptionTier::Professional);
    assert_eq!(moved.preferences.theme, Some(Theme::Dark));
    assert_eq!((moved.name.as_str(), moved.credits), ("Ada L.", 7));
    assert_eq!(
        (&moved.extra, &moved.connected_platforms),
        (&ada.extra, &ada.connected_platforms)
    );
    assert_eq!(users.get(ada.id).await.unwrap(), moved);
}

pub async fn a_patch_to_a_taken_value_changes_nothing(store: &AuthorStack) {
    let ada = author(store, "ada").await;
    let bob = author(store, "bob").await;
    let email = UserPatch {
        email: Some(ada.email.clone()),
        ..UserPatch::default()
    };
    let refused = store.users().update(bob.id, email).await;
    assert_kind!(refused, ErrorKind::AlreadyExists { field } if field == "email");
    let account = UserPatch {
        auth_id: Some(ada.auth_id.clone()),
        ..UserPatch::default()
    };
    let refused = store.users().update(bob.id, account).await;
    assert_kind!(refused, ErrorKind::AlreadyExists { field } if field == "authId");
    assert_eq!(store.users().get(bob.id).await.unwrap(), bob);
    let own = UserPatch {
        email: Some(bob.email.clone()),
        ..UserPatch::default()
    };
    store
        .users()
        .update(bob.id, own)
        .await
        .expect("one's own address is free");
}

pub async fn an_outdated_patch_is_a_conflict(store: &AuthorStack) {
    let ada = author(store, "ada").await;
    let patch = UserPatch {
        name: Some("first".to_owned()),
        expected_updated_at: Some(ada.updated_at),
        ..UserPatch::default()
    };
    let first = store.users().update(ada.id, patch.clone()).await.unwrap();
    let second = store.users().update(ada.id, patch).await;
    assert_kind!(second, ErrorKind::Conflict { .. });
    assert_eq!(store.users().get(ada.id).await.unwrap(), first);
}

pub async fn of_patches_at_once_one_wins(store: &AuthorStack) {
    let ada = author(store, "ada").await;
    let users = store.users();
    let results = join_all((0..10).map(|n| {
        let patch = UserPatch {
            name: Some(format!("name {n}")),
            expected_updated_at: Some(ada.updated_at),
            ..UserPatch::default()
        };
        users.update(ada.id, patch)
    }))
    .await;
    let winners: Vec<&User> = results
        .iter()
        .filter_map(|result| result.as_ref().ok())
        .collect();
    assert_eq!(winners.len(), 1);
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(
            matches!(error.kind(), ErrorKind::Conflict { .. }),
            "{error:?}"
        );
    }
    assert_eq!(&users.get(ada.id).await.unwrap(), winners[0]);
}

pub async fn updated_at_moves_with_every_change(store: &AuthorStack) {
    let users = store.users();
    let mut last = author(store, "ada").await;
    let (id, kdp) = (last.id, Platform::KDP);
    for step in 0..6 {
        let next = match step {
            0 => users.add_credits(id, 10).await,
            1 => users.spend_credits(id, 1).await,
            2 => users.connect_platform(id, kdp.clone(), Utc::now()).await,
            3 => users.mark_synced(id, &kdp, Utc::now()).await,
            4 => users.disconnect_platform(id, &kdp).await,
            _ => users.update(id, UserPatch::default()).await,
        }
        .unwrap();
        assert!(next.updated_at > last.updated_at, "step {step}");
        assert_eq!(next.created_at, last.created_at);
        assert_eq!(users.get(id).await.unwrap(), next);
        last = next;
    }
}

pub async fn credits_add_and_spend(store: &AuthorStack) {
    let (users, ada) = (store.users(), author(store, "ada").await);
    let bob = author(store, "bob").await;
    assert_eq!(users.add_credits(ada.id, 100).await.unwrap().credits, 100);
    assert_eq!(users.spend_credits(ada.id, 30).await.unwrap().credits, 70);
    let refused = users.spend_credits(ada.id, 71).await;
    assert_kind!(
        refused,
        ErrorKind::InsufficientCredits {
            balance: 70,
            needed: 71
        }
    );
    assert_eq!(users.spend_credits(ada.id, 70).await.unwrap().credits, 0);
    assert_eq!(users.get(ada.id).await.unwrap().credits, 0);
    assert_eq!(
        users.get(bob.id).await.unwrap(),
        bob,
        "another user's balance stays"
    );
}

pub async fn credits_refuse_bad_amounts(store: &AuthorStack) {
    let (users, ada) = (store.users(), author(store, "ada").await);
    for amount in [0, -1, i64::MIN] {
        let refused = users.add_credits(ada.id, amount).await;
        assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "amount");
        let refused = users.spend_credits(ada.id, amount).await;
        assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "amount");
    }
    assert_eq!(users.get(ada.id).await.unwrap(), ada);
}

pub async fn credits_overflow_is_invalid(store: &AuthorStack) {
    let (users, ada) = (store.users(), author(store, "ada").await);
    let rich = users.add_credits(ada.id, i64::MAX).await.unwrap();
    assert_eq!(rich.credits, i64::MAX);
    let refused = users.add_credits(ada.id, 1).await;
    assert_kind!(refused, ErrorKind::Invalid { field, .. } if field == "amount");
    assert_eq!(users.get(ada.id).await.unwrap(), rich);
}

pub async fn spending_at_once_never_goes_below_zero(store: &AuthorStack) {
    let (users, ada) = (store.users(), author(store, "ada").await);
    users.add_credits(ada.id, 50).await.unwrap();
    let results = join_all((0..100).map(|_| users.spend_credits(ada.id, 1))).await;
    let is_refusal = |error: &Error| {
        matches!(
            error.kind(),
            ErrorKind::InsufficientCredits {
                balance: 0..,
                needed: 1
            }
        )
    };
    let spent = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(spent, 50);
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(is_refusal(error), "{error:?}");
    }
    assert_eq!(users.get(ada.id).await.unwrap().credits, 0);
}

pub async fn adding_at_once_loses_nothing(store: &AuthorStack) {
    let (users, ada) = (store.users(), author(store, "ada").await);
    for result in join_all((1..=50).map(|n| users.add_credits(ada.id, n))).await {
        result.unwrap();
    }
    assert_eq!(users.get(ada.id).await.unwrap().credits, 50 * 51 / 2);
}

pub async fn platforms_connect_sync_and_disconnect(store: &AuthorStack) {
    let (users, ada) = (store.users(), author(store, "ada").await);
    let (first, later) = (at("2026-01-01T00:00:00Z"), at("2026-02-01T08:30:00.250Z"));
    let kdp = Platform::KDP;
    let connected = |platform, connected_at, last_sync| ConnectedPlatform {
        platform,
        connected_at: Some(connected_at),
        last_sync,
        extra: serde_json::Map::new(),
    };

    let user = users
        .connect_platform(ada.id, kdp.clone(), first)
        .await
        .unwrap();
    assert_eq!(
        user.connected_platforms,
        [connected(kdp.clone(), first, None)]
    );
    let user = users.mark_synced(ada.id, &kdp, later).await.unwrap();
    assert_eq!(
        user.connected_platforms,
        [connected(kdp.clone(), first, Some(later))]
    );
    let user = users.mark_synced(ada.id, &kdp, first).await.unwrap();
    assert_eq!(
        user.connected_platforms[0].last_sync,
        Some(later),
        "an earlier sync is old news"
    );

    let lulu: Platform = "lulu.com $weird \"name\"".parse().unwrap();
    users
        .connect_platform(ada.id, lulu.clone(), later)
        .await
        .unwrap();
    let user = users
        .connect_platform(ada.id, kdp.clone(), later)
        .await
        .unwrap();
    let both = [
        connected(kdp.clone(), later, Some(later)),
        connected(lulu.clone(), later, None),
    ];
    assert_eq!(
        user.connected_platforms, both,
        "connecting anew keeps the place and the sync"
    );

    let user = users.disconnect_platform(ada.id, &kdp).await.unwrap();
    assert_eq!(user.connected_platforms, [connected(lulu, later, None)]);
    let again = users.disconnect_platform(ada.id, &kdp).await.unwrap();
    assert_eq!(again.connected_platforms, user.connected_platforms);
    assert_kind!(
        users.mark_synced(ada.id, &kdp, later).await,
        ErrorKind::NotFound
    );
    assert_eq!(users.get(ada.id).await.unwrap(), again);
}

pub async fn platforms_connected_at_once_are_all_kept(store: &AuthorStack) {
    let (users, ada) = (store.users(), author(store, "ada").await);
    let names = (0..10).map(|n| format!("platform-{n}").parse::<Platform>().unwrap());
    let names: Vec<Platform> = names.collect();
    let calls = names
        .iter()
        .map(|name| users.connect_platform(ada.id, name.clone(), Utc::now()));
    for result in join_all(calls).await {
        result.unwrap();
    }
    let user = users.get(ada.id).await.unwrap();
    let mut kept: Vec<_> = user
        .connected_platforms
        .into_iter()
        .map(|c| c.platform)
        .collect();
    kept.sort();
    assert_eq!(kept, names);
}

pub async fn one_platform_connected_at_once_is_kept_once(store: &AuthorStack) {
    let (users, ada) = (store.users(), author(store, "ada").await);
    let now = at("2026-01-01T00:00:00Z");
    let calls = (0..10)
        .map(|n| users.connect_platform(ada.id, Platform::GUMROAD, now + TimeDelta::seconds(n)));
    for result in join_all(calls).await {
        result.unwrap();
    }
    assert_eq!(
        users.get(ada.id).await.unwrap().connected_platforms.len(),
        1
    );
}

pub async fn deleting_removes_the_books_too(store: &AuthorStack) {
    let (ada, bob) = (author(store, "ada").await, author(store, "bob").await);
    let books = store.books();
    let hers = books.create(ada.id, NewBook::new("Hers")).await.unwrap();
    let his = books.create(bob.id, NewBook::new("His")).await.unwrap();
    store.users().delete(ada.id).await.unwrap();
    assert_kind!(store.users().get(ada.id).await, ErrorKind::NotFound);
    assert_kind!(books.get(ada.id, hers.id).await, ErrorKind::NotFound);
    assert_eq!(books.get(bob.id, his.id).await.unwrap(), his);
    assert_kind!(store.users().delete(ada.id).await, ErrorKind::NotFound);
    author(store, "ada").await;
}

pub async fn deleting_removes_all_that_is_theirs(store: &AuthorStack) {
    use crate::{ChecklistFilter, Feed, NewBoost, NewChecklist, NewCompetitor, NewPost};

    let (ada, bob) = (author(store, "ada").await.id, author(store, "bob").await.id);
    let community = store.community();
    let mut posts = Vec::new();
    for user in [ada, bob] {
        store.users().add_credits(user, 100).await.unwrap();
        let book = store
            .books()
            .create(user, NewBook::new("Tide"))
            .await
            .unwrap()
            .id;
        let checklist = NewChecklist::empty(book, "Launch");
        store.checklists().create(user, checklist).await.unwrap();
        let boost = NewBoost::new(book, 7, 10);
        store.boosts().purchase(user, boost).await.unwrap();
        let rival = NewCompetitor::new("B08N5WRWNW".parse().unwrap());
        store.competitors().create(user, rival).await.unwrap();
        let post = community
            .create(user, NewPost::new("Out now"))
            .await
            .unwrap();
        posts.push(post.id);
    }
    for post in &posts {
        for user in [ada, bob] {
            community.like(user, *post).await.unwrap();
            let comment = community.comment(user, *post, "Bravo".to_owned());
            comment.await.unwrap();
        }
    }
    store.follows().follow(ada, bob).await.unwrap();
    store.follows().follow(bob, ada).await.unwrap();

    store.users().delete(ada).await.unwrap();
    assert_kind!(store.users().delete(ada).await, ErrorKind::NotFound);
    assert_kind!(community.get(bob, posts[0]).await, ErrorKind::NotFound);
    let left = community.get(bob, posts[1]).await.unwrap();
    assert_eq!(
        (left.like_count, left.comment_count, left.liked),
        (1, 1, true)
    );
    let page = PageRequest::default;
    let likers = community.likers(bob, posts[1], page()).await.unwrap();
    assert_eq!(likers.items, [bob]);
    let comments = community.comments(bob, posts[1], page()).await.unwrap();
    assert!(
        comments
            .items
            .iter()
            .all(|comment| comment.author_id == bob)
    );
    let feed = community.feed(bob, Feed::Everyone, page()).await.unwrap();
    assert_eq!(feed.items.len(), 1);
    let counts = store.follows().counts(bob).await.unwrap();
    assert_eq!((counts.followers, counts.following), (0, 0));
    for (user, left) in [(ada, 0), (bob, 1)] {
        let checklists = store.checklists();
        let checklists = checklists
            .list(user, ChecklistFilter::default(), page())
            .await;
        assert_eq!(checklists.unwrap().items.len(), left);
        let boosts = store.boosts().list(user, page()).await.unwrap();
        assert_eq!(boosts.items.len(), left);
        let rivals = store.competitors().list(user, page()).await.unwrap();
        assert_eq!(rivals.items.len(), left);
    }
}
