//! Nothing that a call logs, answers or fails with shows a key, a password, a hash or a token.

use authorstack_core::{
    Authenticator, AuthorStack, Credential, NewAccount, Password, PasswordHash,
    layers::Traced,
    secrecy::ExposeSecret,
    testing::{SignIn, accounts::address},
};
use futures::TryStreamExt;
use tests_standins::log::{Log, Said};
use tracing::instrument::WithSubscriber;

use crate::accounts::project::{Family, SECRET, on_project};

const PASSWORD: &str = "canary-password-7731";
const HASH: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

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

            assert!(
                log.text().contains("accounts.create"),
                "the log has our spans"
            );
            log.assert_without(&secrets, &said);
        })
        .with_subscriber(log.subscriber())
        .await;
    }
}
