//! Nothing that a call logs, answers or fails with shows a key, a password, a hash or a token.

use std::{
    fmt::{self, Write as _},
    io::{self, Write},
    sync::{Arc, Mutex},
};

use authorstack_core::{
    Authenticator, AuthorStack, Credential, NewAccount, Password, PasswordHash,
    layers::Traced,
    testing::{SignIn, accounts::address},
};
use futures::{StreamExt, TryStreamExt};
use tracing::instrument::WithSubscriber;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::project::{Project, on_project};

const PASSWORD: &str = "canary-password-7731";
const HASH: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

/// Everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

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
struct Said(String);

impl Said {
    fn add(&mut self, what: &(impl fmt::Debug + ?Sized)) {
        writeln!(self.0, "{what:?} {what:#?}").unwrap();
    }
}

#[tokio::test]
async fn nothing_shows_a_secret_at_trace_level() {
    let log = Log::default();
    let run = on_project(Project::new().await, async |project| {
        let accounts = &project.accounts;
        let stack = AuthorStack::builder()
            .accounts(accounts)
            .layer(Traced)
            .build();
        let mut said = Said::default();
        let mut secrets = vec![PASSWORD.to_owned(), HASH.to_owned(), project.key.clone()];
        secrets.push("nf65EOgLrQMR".to_owned());

        let mut new = NewAccount::new(address("ada"));
        new.credential = Credential::Password(Password::new(PASSWORD).unwrap());
        said.add(&new);
        let ada = stack.accounts().create(new.clone()).await.unwrap();
        said.add(&stack.accounts().create(new).await.unwrap_err());
        let token = project.sign_in(&address("ada"), PASSWORD).await.unwrap();
        secrets.push(token.expose().to_owned());
        said.add(&token);
        said.add(&stack.authenticator().authenticate(&token).await);
        said.add(&accounts.by_token().authenticate(&token).await);
        said.add(&stack.sessions().list(&ada.id).await);

        let mut new = NewAccount::new(address("bob"));
        new.credential = Credential::Hash(HASH.parse::<PasswordHash>().unwrap());
        said.add(&new);
        stack.accounts().create(new).await.unwrap();
        let exported: Vec<_> = stack.accounts().export().try_collect().await.unwrap();
        said.add(&exported);
        // Events of accounts hold hashes.
        let mut watch = stack.preferences().watch(ada.id.clone());
        said.add(&watch.next().await);
        let next = tokio::time::timeout(std::time::Duration::from_millis(500), watch.next());
        assert!(next.await.is_err(), "nothing has changed");
        stack.accounts().block(&ada.id).await.unwrap();
        said.add(&watch.next().await);
        stack.sessions().revoke_all(&ada.id).await.unwrap();
        said.add(&stack.authenticator().authenticate(&token).await);
        said.add(&stack);
        said.add(accounts);

        let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(logged.contains("accounts.create"), "the log has our spans");
        for secret in secrets {
            assert!(!said.0.contains(&secret), "{}", said.0);
            let line = logged.lines().find(|line| line.contains(&secret));
            assert_eq!(line, None);
        }
    });
    run.with_subscriber(subscriber_of(&log)).await;
}

fn subscriber_of(log: &Log) -> impl tracing::Subscriber + Send + Sync + use<> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("trace"))
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(log.clone())
        .finish()
}
