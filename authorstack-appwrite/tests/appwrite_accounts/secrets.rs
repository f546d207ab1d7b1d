//! Nothing that a call logs, answers or fails with shows a key, a password, a hash or a token.

use authorstack_core::{
    Authenticator, AuthorStack, Credential, NewAccount, Password, PasswordHash,
    layers::Traced,
    testing::{SignIn, accounts::address},
};
use futures::{StreamExt, TryStreamExt};
use tests_standins::log::{Log, Said};
use tracing::instrument::WithSubscriber;

use crate::project::{Project, on_project};

const PASSWORD: &str = "canary-password-7731";
const HASH: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

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

        assert!(
            log.text().contains("accounts.create"),
            "the log has our spans"
        );
        log.assert_without(&secrets, &said);
    });
    run.with_subscriber(log.subscriber()).await;
}
