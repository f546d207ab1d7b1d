//! The accounts of the demo: at Appwrite before the move, at Supabase Auth behind it.

use std::env;

use anyhow::{Context, Result, ensure};
use authorstack_appwrite::{AppwriteAccounts, AppwriteConfig};
use authorstack_core::{
    AccountRepository, AccountStore, AuthId, Authenticator, BearerToken, Credential, NewAccount,
    Password, PasswordHash, migrate::Kind,
};
use authorstack_examples::dataset::Dataset;
use authorstack_http::{HttpClient, HttpSettings, Method, Service};
use authorstack_supabase::{SupabaseAccounts, SupabaseAuthConfig, SupabaseConfig, SupabaseStore};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tests_standins::{
    appwrite::{Appwrite, NewIdentity},
    supabase_auth::{Gateway, Signing, SupabaseAuth},
};

/// The password of the account that signs in.
const PASSWORD: &str = "tide and time";
/// A hash that others have published, and one of a kind that cannot move.
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const MD5: &str = "ce757af9f9d0ee3045aa831d56f2978d";
/// Each tenth account has one of that kind.
const LOST: usize = 10;
const SERVICE_KEY: &str = "sb_secret_of_the_demo";

static CLIENT: Service = Service {
    name: "Supabase Auth",
    setting: "supabase_auth_url",
    example: "https://<ref>.supabase.co/auth/v1",
};

/// An Appwrite with the accounts of the sound users.
pub(crate) struct OldService {
    place: Place,
    service: std::sync::Arc<dyn AccountRepository>,
    /// Who signs in behind the move.
    pub(crate) email: String,
    ids: Vec<AuthId>,
    identities: u64,
}

/// Where it is.
struct Place {
    endpoint: String,
    project: String,
    key: String,
    stand_in: Option<Appwrite>,
}

impl Place {
    async fn find() -> Self {
        let given = |name: &str| {
            let value = env::var(format!("AUTHORSTACK_TEST_APPWRITE_{name}")).ok();
            value.filter(|value| !value.is_empty())
        };
        if let (Some(endpoint), Some(project), Some(key)) =
            (given("ENDPOINT"), given("PROJECT"), given("KEY"))
        {
            println!("Appwrite is the server that AUTHORSTACK_TEST_APPWRITE_ENDPOINT names");
            return Self {
                endpoint,
                project,
                key,
                stand_in: None,
            };
        }
        println!(
            "Appwrite is a stand-in inside this demo, which answers as version 1.9.0 does; \
             AUTHORSTACK_TEST_APPWRITE_ENDPOINT, …_PROJECT and …_KEY name a real one"
        );
        let stand_in = Appwrite::start().await;
        Self {
            endpoint: stand_in.address().to_owned(),
            project: Appwrite::PROJECT.to_owned(),
            key: Appwrite::KEY.to_owned(),
            stand_in: Some(stand_in),
        }
    }
}

impl OldService {
    /// Makes an account for each of the sound users, which are the first ones.
    pub(crate) async fn fill(data: &Dataset, users: usize) -> Result<Self> {
        let place = Place::find().await;
        let key = place.key.as_str().into();
        let config = AppwriteConfig::new(&place.endpoint, &place.project, key);
        let service = AppwriteAccounts::new(config)?.accounts().accounts;
        let documents = data.documents.get(&Kind::Users).into_iter().flatten();
        let mut news = Vec::new();
        for (number, user) in documents.take(users.max(1)).enumerate() {
            let mut new = NewAccount::new(user.get_str("email")?.parse()?);
            new.id = Some(user.get_str("authId")?.parse()?);
            user.get_str("name")?.clone_into(&mut new.name);
            new.email_verified = true;
            new.credential = match number {
                0 => Credential::Password(Password::new(PASSWORD)?),
                _ if number % LOST == 0 => Credential::Hash(PasswordHash::md5(MD5)?),
                _ => Credential::Hash(BCRYPT.parse()?),
            };
            news.push(new);
        }
        let first = news.first().context("there is no user")?;
        let email = first.email.as_ref().map(ToString::to_string);
        let made = stream::iter(news).map(|new| service.create(new));
        let made: Vec<_> = made.buffered(8).try_collect().await?;
        let ids: Vec<AuthId> = made.into_iter().map(|account| account.id).collect();
        // Only a sign-in at a provider links one; the stand-in does so when it is told to.
        let mut identities = 0;
        if let (Some(stand_in), Some(id)) = (&place.stand_in, ids.first()) {
            let _ = stand_in.add_identity(NewIdentity {
                user: id.to_string(),
                provider: "google".to_owned(),
                uid: "10987654321".to_owned(),
                email: String::new(),
                access_token: "a token that stays behind".to_owned(),
            });
            identities = 1;
        }
        println!(
            "in Appwrite: {} accounts with hashes of three kinds, {identities} linked with Google",
            ids.len()
        );
        Ok(Self {
            place,
            service,
            email: email.unwrap_or_default(),
            ids,
            identities,
        })
    }

    /// The settings of the tool for it.
    pub(crate) fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("AUTHORSTACK_APPWRITE_ENDPOINT", self.place.endpoint.clone()),
            ("AUTHORSTACK_APPWRITE_PROJECT", self.place.project.clone()),
            ("AUTHORSTACK_APPWRITE_KEY", self.place.key.clone()),
        ]
    }

    pub(crate) fn accounts(&self) -> u64 {
        self.ids.len() as u64
    }

    /// How many accounts and identities a move reads.
    pub(crate) fn records(&self) -> u64 {
        self.accounts() + self.identities
    }

    /// Deletes the accounts that the demo made.
    pub(crate) async fn remove(&self) -> Result<()> {
        for id in &self.ids {
            self.service.delete(id).await?;
        }
        Ok(())
    }
}

/// No hash that the demo knows may be in this text.
pub(crate) fn ensure_no_hash(text: &str) -> Result<()> {
    let has_one = [BCRYPT, MD5].iter().any(|hash| text.contains(hash));
    ensure!(!has_one, "a password hash of an account is in a file");
    Ok(())
}

/// The new project's Auth server.
pub(crate) struct NewService(SupabaseAuth);

impl NewService {
    pub(crate) async fn start(database: &str) -> Self {
        println!(
            "Supabase Auth is a stand-in inside this demo, over the tables of the demo's own \
             database; it looks at hashes as the real server does"
        );
        let gateway = Gateway {
            service_keys: vec![SERVICE_KEY.to_owned()],
            public_keys: Vec::new(),
        };
        Self(SupabaseAuth::start(database, Signing::es256("demo"), gateway).await)
    }

    /// The settings of the tool for it.
    pub(crate) fn settings(&self) -> [(&'static str, String); 2] {
        [
            ("AUTHORSTACK_SUPABASE_AUTH_URL", self.0.address().to_owned()),
            ("AUTHORSTACK_SUPABASE_SERVICE_KEY", SERVICE_KEY.to_owned()),
        ]
    }

    pub(crate) async fn stop(self) {
        self.0.stop().await;
    }

    /// Signs in as an app does: what the server answers, and the token.
    async fn sign_in(&self, email: &str, password: &str) -> Result<(u16, Value)> {
        let client = HttpClient::new(HttpSettings::new(&CLIENT, self.0.address())?)?;
        let request = client.request(Method::POST, &["token"])?;
        let request = request.query("grant_type", "password");
        let request = request.header("apikey", SERVICE_KEY)?;
        let body = json!({ "email": email, "password": password });
        let answer = request.json(&body)?.send().await?;
        Ok((answer.status().as_u16(), answer.json()?))
    }

    /// One who moved signs in with the password of the old service, and with no other one.
    pub(crate) async fn show_sign_in(&self, old: &OldService, database: &str) -> Result<()> {
        let email = &old.email;
        println!("\n{email} signs in to the new project:");
        let (status, said) = self.sign_in(email, "another password").await?;
        let code = said["error_code"].as_str().unwrap_or_default();
        println!("  with another password: {status} {code}");
        ensure!(
            (status, code) == (400, "invalid_credentials"),
            "a wrong password was not refused"
        );
        let (status, said) = self.sign_in(email, PASSWORD).await?;
        println!("  with the password that Appwrite had: {status}");
        ensure!(status == 200, "the old password was refused: {said}");
        let token = said["access_token"].as_str().context("there is no token")?;

        let store = SupabaseStore::connect(SupabaseConfig::new(database)).await?;
        let config = SupabaseAuthConfig::new(self.0.address(), SERVICE_KEY.into());
        let accounts = SupabaseAccounts::new(&store, config)?;
        let checked = accounts.checked();
        let who = checked.authenticate(&BearerToken::new(token)?).await?;
        let account = accounts.accounts().accounts.get(&who.account_id).await?;
        let stack = authorstack_core::AuthorStack::supabase(&store);
        let profile = stack.users().get_by_auth_id(&who.account_id).await?;
        let old_id = account.old_id.context("the old id is not kept")?;
        println!(
            "  the token is of account {}, which was {old_id} in Appwrite; its profile is {}",
            who.account_id, profile.name
        );
        ensure!(
            old.ids.first() == Some(&old_id),
            "the account is another one"
        );
        store.close().await;
        Ok(())
    }
}
