//! Tokens by an RSA key that the server publishes. A real server's key cannot be chosen, so these
//! tests always use a stand-in.

use std::time::Duration;

use authorstack_core::{
    Authenticator, BearerToken, Credential, ErrorKind, NewAccount, Password, Principal, Result,
    testing::{FreshAccounts, accounts::address},
};
use authorstack_http::{HttpClient, HttpSettings, Method};
use authorstack_supabase::{LocalAuthenticator, SupabaseAccounts, SupabaseAuthConfig};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use chrono::Utc;
use serde_json::{Value, json};
use tests_standins::supabase_auth::{Gateway, Signing, SupabaseAuth};

use crate::{
    accounts::project::{CLIENT, Family, Project, SECRET, SECRET_KEY, on_project},
    common::Via,
};

const PASSWORD: &str = "tide and time";

/// A server over the project's accounts that signs with this key.
async fn server(project: &Project, signing: Signing) -> SupabaseAuth {
    let gateway = Gateway {
        service_keys: vec![SECRET_KEY.to_owned()],
        public_keys: Vec::new(),
    };
    let database = match project.database() {
        Some(database) => database.url(Via::Direct),
        None => authorstack_core::testing::servers::supabase_db_url(),
    };
    SupabaseAuth::start(&database, signing, gateway).await
}

fn local(project: &Project, server: &SupabaseAuth, secret: Option<&str>) -> LocalAuthenticator {
    let config = SupabaseAuthConfig::new(server.address(), SECRET_KEY.into());
    let config = match secret {
        Some(secret) => config.jwt_secret(secret.into()),
        None => config,
    };
    SupabaseAccounts::new(&project.store, config)
        .unwrap()
        .local()
}

async fn account(project: &Project) -> authorstack_core::Account {
    let mut new = NewAccount::new(address("ada"));
    new.email_verified = true;
    new.credential = Credential::Password(Password::new(PASSWORD).unwrap());
    project.stack().accounts().create(new).await.unwrap()
}

/// A token of a sign-in at the server.
async fn token(server: &SupabaseAuth) -> BearerToken {
    let client = HttpClient::new(HttpSettings::new(&CLIENT, server.address()).unwrap()).unwrap();
    let request = client.request(Method::POST, &["token"]).unwrap();
    let request = request.query("grant_type", "password");
    let request = request.header("apikey", SECRET_KEY).unwrap();
    let body = json!({ "email": address("ada").as_str(), "password": PASSWORD });
    let said: Value = request
        .json(&body)
        .unwrap()
        .send()
        .await
        .unwrap()
        .json()
        .unwrap();
    BearerToken::new(said["access_token"].as_str().unwrap()).unwrap()
}

fn claims(server: &SupabaseAuth) -> Value {
    json!({
        "iss": server.address(), "aud": "authenticated", "exp": Utc::now().timestamp() + 60,
        "sub": "0b9f6c1e-7c86-4b64-a1ae-3f3b0e4f9d11",
    })
}

fn refused(found: Result<Principal>) -> bool {
    *found.unwrap_err().kind() == ErrorKind::Unauthenticated
}

#[tokio::test]
async fn a_token_by_the_published_key_is_good_and_by_another_one_is_not() {
    on_project(Family::New, async |project| {
        let ada = account(project).await;
        let server = server(project, Signing::rs256("rsa-1").await).await;
        let local = local(project, &server, None);
        let good = token(&server).await;
        let who = local.authenticate(&good).await.unwrap();
        assert_eq!(who.account_id, ada.id);
        assert!(who.session_id.is_some() && who.expires_at.is_some());

        let (message, signature) = good.expose().rsplit_once('.').unwrap();
        let (header, body) = message.split_once('.').unwrap();
        let said = claims(&server);
        let another = Signing::rs256("rsa-1").await;
        let odd = |alg: &str| json!({ "alg": alg, "typ": "JWT", "kid": "rsa-1" });
        for forged in [
            another.sign(&said),
            Signing::rs256("rsa-2").await.sign(&said),
            Signing::es256("rsa-1").sign(&said),
            // An elliptic key under the algorithm's name.
            Signing::es256("rsa-1").sign_as(&odd("RS256"), &said),
            another.sign_as(&odd("ES256"), &said),
            format!("{message}."),
            format!("{header}.{body}x.{signature}"),
            format!("{message}.{}", BASE64.encode([0; 256])),
        ] {
            let forged = BearerToken::new(forged).unwrap();
            assert!(refused(local.authenticate(&forged).await));
        }
        server.stop().await;
    })
    .await;
}

/// A token says by which algorithm it is to be checked; the key decides.
#[tokio::test]
async fn the_public_key_is_no_secret_to_sign_with() {
    on_project(Family::New, async |project| {
        let signing = Signing::rs256("rsa-1").await;
        let published = signing.published().unwrap();
        let server = server(project, signing).await;
        let said = claims(&server);
        let modulus = BASE64.decode(published["n"].as_str().unwrap()).unwrap();
        let exponent = BASE64.decode(published["e"].as_str().unwrap()).unwrap();
        let whole = published.to_string();
        let pem = pem(&modulus, &exponent);
        for secret in [None, Some(SECRET)] {
            let local = local(project, &server, secret);
            for key in [
                whole.as_bytes(),
                published["n"].as_str().unwrap().as_bytes(),
                &modulus,
                pem.as_bytes(),
                b"",
            ] {
                let signing = Signing::secret_bytes(key);
                for header in [
                    json!({ "alg": "HS256", "typ": "JWT", "kid": "rsa-1" }),
                    json!({ "alg": "RS256", "typ": "JWT", "kid": "rsa-1" }),
                    json!({ "alg": "HS256", "typ": "JWT" }),
                    json!({ "alg": "none", "kid": "rsa-1" }),
                ] {
                    let forged = BearerToken::new(signing.sign_as(&header, &said)).unwrap();
                    assert!(refused(local.authenticate(&forged).await), "{header}");
                }
            }
        }
        server.stop().await;
    })
    .await;
}

/// A public key as most libraries hand it out: `SubjectPublicKeyInfo` in PEM.
fn pem(modulus: &[u8], exponent: &[u8]) -> String {
    fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap();
        let mut out = vec![tag];
        match length {
            0..128 => out.push(u8::try_from(length).unwrap()),
            _ => out.extend([0x82, length.to_be_bytes()[0], length.to_be_bytes()[1]]),
        }
        out.extend(content);
        out
    }
    // The sign of both numbers is positive.
    let number = |bytes: &[u8]| tagged(2, &[&[0], bytes].concat());
    let key = tagged(0x30, &[number(modulus), number(exponent)].concat());
    let algorithm = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    let bits = tagged(3, &[&[0], &key[..]].concat());
    let info = tagged(0x30, &[tagged(0x30, &algorithm), bits].concat());
    let text = base64::prelude::BASE64_STANDARD.encode(info);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    )
}

#[tokio::test]
async fn a_new_key_is_found_and_the_old_one_is_good_while_it_is_published() {
    on_project(Family::New, async |project| {
        account(project).await;
        let server = server(project, Signing::rs256("rsa-1").await).await;
        let known = local(project, &server, None);
        let old = token(&server).await;
        known.authenticate(&old).await.unwrap();

        server.rotate(Signing::rs256("rsa-2").await, true);
        let new = token(&server).await;
        // One that begins now sees both at once; the other one asks again after a while.
        let fresh = local(project, &server, None);
        fresh.authenticate(&new).await.unwrap();
        fresh.authenticate(&old).await.unwrap();
        let seen = async {
            while known.authenticate(&new).await.is_err() {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), seen)
            .await
            .unwrap();
        known.authenticate(&old).await.unwrap();
        // Once for the first key, once for the second, and once by the one that began later.
        assert_eq!(server.key_requests(), 3);

        // Another kind of key, and the old ones are withdrawn.
        server.rotate(Signing::es256("p256-3"), false);
        let last = token(&server).await;
        let fresh = local(project, &server, None);
        fresh.authenticate(&last).await.unwrap();
        for withdrawn in [&old, &new] {
            assert!(refused(fresh.authenticate(withdrawn).await));
        }
        server.stop().await;
    })
    .await;
}
