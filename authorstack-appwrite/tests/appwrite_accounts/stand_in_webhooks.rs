//! Webhooks, as the stand-in posts them.

use authorstack_appwrite::{Delivery, SeenDeliveries, Webhook, WebhookEvent};
use authorstack_core::{
    AccountPatch, AccountPreferences, ErrorKind, Prefs, Theme,
    testing::{
        FreshAccounts,
        accounts::{PASSWORD, new_account},
    },
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use crate::project::Project;

const KEY: &str = "a signature key";

/// A delivery as it came: signature, events, body.
type Posted = (String, String, Vec<u8>);

/// A host's server that takes deliveries.
async fn receiver() -> (String, mpsc::UnboundedReceiver<Posted>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks/appwrite", listener.local_addr().unwrap());
    let (sender, posted) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let (head, body) = loop {
                let mut part = [0; 4_096];
                let read = stream.read(&mut part).await.unwrap();
                request.extend_from_slice(&part[..read]);
                let text = String::from_utf8(request.clone()).unwrap();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = header(head, "Content-Length").parse::<usize>().unwrap();
                if body.len() >= length {
                    break (head.to_owned(), body.to_owned());
                }
            };
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            let signature = header(&head, "X-Appwrite-Webhook-Signature").to_owned();
            let events = header(&head, "X-Appwrite-Webhook-Events").to_owned();
            sender.send((signature, events, body.into_bytes())).unwrap();
        }
    });
    (url, posted)
}

fn header<'h>(head: &'h str, name: &str) -> &'h str {
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    headers
        .find_map(|(found, value)| (found == name).then_some(value))
        .unwrap()
}

async fn hooked() -> (Project, Webhook, mpsc::UnboundedReceiver<Posted>) {
    let project = Project::stand_in(|config| config).await;
    let (url, posted) = receiver().await;
    project.server().add_webhook(&url, KEY);
    let webhook = project.accounts.webhook(&url, &KEY.into()).unwrap();
    (project, webhook, posted)
}

async fn read(webhook: &Webhook, posted: &mut mpsc::UnboundedReceiver<Posted>) -> Delivery {
    let (signature, events, body) = posted.recv().await.unwrap();
    let read = webhook.read(&signature, &events, &body);
    read.unwrap_or_else(|error| panic!("{error}: {events}"))
}

#[tokio::test]
async fn each_event_has_its_type_and_none_shows_a_hash() {
    let (project, webhook, mut posted) = hooked().await;
    let stack = project.stack();
    let mut new = new_account("ada");
    // Dots in an id look like the ends of names.
    new.id = Some("a.update.b".parse().unwrap());
    new.email_verified = false;
    let ada = stack.accounts().create(new).await.unwrap();
    let created = read(&webhook, &mut posted).await;
    let WebhookEvent::AccountCreated(account) = &created.event else {
        panic!("{created:?}");
    };
    assert_eq!(**account, ada);
    assert!(created.key.is_some());
    assert!(!format!("{created:?}").contains("argon2"));

    let patch = AccountPatch {
        name: Some("Countess".to_owned()),
        ..AccountPatch::default()
    };
    stack.accounts().update(&ada.id, patch).await.unwrap();
    let changed = read(&webhook, &mut posted).await;
    let WebhookEvent::AccountChanged(account) = changed.event else {
        panic!("{changed:?}");
    };
    assert_eq!(account.name, "Countess");

    let patch = AccountPatch {
        prefs: Some(Prefs::try_from(json!({ "$id": "x", "theme": "dark" })).unwrap()),
        ..AccountPatch::default()
    };
    stack.accounts().update(&ada.id, patch).await.unwrap();
    let prefs = read(&webhook, &mut posted).await;
    let account_id = ada.id.clone();
    assert_eq!(prefs.event, WebhookEvent::PrefsChanged { account_id });
    assert_eq!(prefs.key, None);

    project
        .signed_in("ada@example.org", PASSWORD)
        .await
        .unwrap();
    let began = read(&webhook, &mut posted).await;
    let session = stack.sessions().list(&ada.id).await.unwrap().remove(0);
    let (account_id, session_id) = (ada.id.clone(), session.id.clone());
    assert_eq!(
        began.event,
        WebhookEvent::SessionBegan {
            account_id,
            session_id
        }
    );
    stack.sessions().revoke(&ada.id, &session.id).await.unwrap();
    let ended = read(&webhook, &mut posted).await;
    let (account_id, session_id) = (ada.id.clone(), session.id.clone());
    assert_eq!(
        ended.event,
        WebhookEvent::SessionEnded {
            account_id,
            session_id
        }
    );

    let mut settings = AccountPreferences::empty(ada.id.clone());
    settings.theme = Some(Theme::Dark);
    let stored = stack.preferences().put(settings).await.unwrap();
    let changed = read(&webhook, &mut posted).await;
    assert_eq!(
        changed.event,
        WebhookEvent::PreferencesChanged(Box::new(stored))
    );

    stack.accounts().delete(&ada.id).await.unwrap();
    let mut ends = Vec::new();
    for _ in 0..2 {
        ends.push(read(&webhook, &mut posted).await.event);
    }
    for expected in [
        WebhookEvent::AccountDeleted {
            account_id: ada.id.clone(),
        },
        WebhookEvent::PreferencesDeleted {
            account_id: ada.id.clone(),
        },
    ] {
        assert!(ends.contains(&expected), "{ends:?}");
    }
}

#[tokio::test]
async fn only_the_whole_body_at_the_right_address_has_the_signature() {
    let (project, webhook, mut posted) = hooked().await;
    let stack = project.stack();
    stack.accounts().create(new_account("ada")).await.unwrap();
    let (signature, events, body) = posted.recv().await.unwrap();
    webhook.verify(&signature, &body).unwrap();
    let mut longer = body.clone();
    longer.push(b' ');
    let elsewhere = project
        .accounts
        .webhook("http://127.0.0.1:1/other", &KEY.into())
        .unwrap();
    let (url, _) = receiver().await;
    let other_key = project.accounts.webhook(url, &"another".into()).unwrap();
    for refused in [
        webhook.read(&signature, &events, &longer),
        webhook.read(&signature, &events, &body[1..]),
        webhook.read("", &events, &body),
        webhook.read("nonsense", &events, &body),
        webhook.read(&signature[..20], &events, &body),
        elsewhere.read(&signature, &events, &body),
        other_key.read(&signature, &events, &body),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), &ErrorKind::Unauthenticated);
        assert!(!format!("{refused:?}").contains(KEY));
    }
    assert!(!format!("{webhook:?}").contains(KEY));
    let empty = project.accounts.webhook("http://127.0.0.1:1/", &"".into());
    assert!(
        empty
            .unwrap_err()
            .to_string()
            .contains("appwrite_webhook_key")
    );
}

#[tokio::test]
async fn a_repeated_delivery_is_recognised() {
    let (project, webhook, mut posted) = hooked().await;
    let stack = project.stack();
    let ada = stack.accounts().create(new_account("ada")).await.unwrap();
    let (signature, events, body) = posted.recv().await.unwrap();
    let seen = SeenDeliveries::new(100);
    let key = |delivery: Delivery| delivery.key.unwrap();
    let first = key(webhook.read(&signature, &events, &body).unwrap());
    assert!(seen.is_new(&first));
    let again = key(webhook.read(&signature, &events, &body).unwrap());
    assert!(!seen.is_new(&again));
    // The end of an account has the body of the change before.
    stack.accounts().delete(&ada.id).await.unwrap();
    loop {
        let delivery = read(&webhook, &mut posted).await;
        let is_end = matches!(delivery.event, WebhookEvent::AccountDeleted { .. });
        assert!(seen.is_new(&key(delivery)));
        if is_end {
            break;
        }
    }
}
