//! Nothing that a call logs, answers or fails with shows a key, a password, a hash or a token.

use std::{
    fmt::{self, Write as _},
    io::{self, Write},
    sync::{Arc, Mutex},
};

use authorstack_core::{
    Authenticator, AuthorStack, Credential, NewAccount, Password, PasswordHash,
    layers::Traced,
    secrecy::ExposeSecret,
    testing::{SignIn, accounts::address},
};
use futures::TryStreamExt;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::accounts::project::{Family, SECRET, on_project};

const PASSWORD: &str = "canary-password-7731";
const HASH: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

/// Everything that is logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// What was answered, as a careless host would log it.
#[derive(Default)]
pub(crate) struct Said(pub(crate) String);

impl Said {
    pub(crate) fn add(&mut self, what: &(impl fmt::Debug + ?Sized)) {
        writeln!(self.0, "{what:?} {what:#?}").unwrap();
    }
}

#[tokio::test]
async fn nothing_shows_a_secret_at_trace_level() {
    let log = Log::default();
    for family in [Family::New, Family::Legacy] {
        on_project(family, async |project| {
            let accounts = &project.accounts;
            let stack = AuthorStack::builder()
                .store(&project.store)
                .accounts(accounts)
                .layer(Traced)
                .build();
            let mut said = Said::default();
            let mut secrets = vec![PASSWORD.to_owned(), HASH.to_owned(), SECRET.to_owned()];
            secrets.push("nf65EOgLrQMR".to_owned());
            secrets.push(project.key.clone());

            let mut new = NewAccount::new(address("ada"));
            new.email_verified = true;
            new.credential = Credential::Password(Password::new(PASSWORD).unwrap());
            said.add(&new);
            let ada = stack.accounts().create(new.clone()).await.unwrap();
            said.add(&stack.accounts().create(new).await.unwrap_err());
            let token = project.sign_in(&address("ada"), PASSWORD).await.unwrap();
            secrets.push(token.expose().to_owned());
            said.add(&token);
            said.add(&stack.authenticator().authenticate(&token).await);
            said.add(&accounts.local().authenticate(&token).await);
            said.add(&project.sign_in(&address("ada"), "canary-wrong").await);

            let mut new = NewAccount::new(address("bob"));
            new.credential = Credential::Hash(HASH.parse::<PasswordHash>().unwrap());
            said.add(&new);
            stack.accounts().create(new).await.unwrap();
            let exported: Vec<_> = stack.accounts().export().try_collect().await.unwrap();
            said.add(&exported);
            let hash = HASH.parse::<PasswordHash>().unwrap();
            assert_eq!(hash.for_supabase().unwrap().expose_secret(), HASH);
            let set = stack
                .accounts()
                .set_credential(&ada.id, Credential::Hash(hash));
            said.add(&set.await);
            said.add(&stack.sessions().list(&ada.id).await);
            said.add(&stack);
            // The database is gone: errors of the connection.
            accounts.check().await.unwrap();
            project.store.close().await;
            said.add(&stack.accounts().get(&ada.id).await.unwrap_err());
            said.add(accounts);

            let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            assert!(logged.contains("accounts.create"), "the log has our spans");
            for secret in secrets {
                assert!(!said.0.contains(&secret), "{}", said.0);
                let line = logged.lines().find(|line| line.contains(&secret));
                assert_eq!(line, None);
            }
        })
        .with_subscriber(subscriber_of(&log))
        .await;
    }
}

pub(crate) fn subscriber_of(log: &Log) -> impl tracing::Subscriber + Send + Sync + use<> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("trace"))
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(log.clone())
        .finish()
}
