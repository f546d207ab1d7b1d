//! The keys that tokens are signed with: those that the server publishes (JWKS), and the older
//! secret.

use std::{
    collections::HashMap,
    fmt,
    time::{Duration, Instant},
};

use authorstack_core::{
    Error, Result,
    secrecy::{ExposeSecret, SecretString},
};
use authorstack_http::{Answer, HttpClient, Method};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use ring::{hmac, signature};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::claims::Parts;

/// How long published keys are good when the server does not say.
const UNSAID: Duration = Duration::from_mins(10);
/// They are asked for at most so often, however many tokens name keys that nobody knows.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_hours(1);

/// A key. It says by which algorithm it signs; a token never does.
#[derive(Clone)]
enum Key {
    /// ES256.
    P256(Vec<u8>),
    /// RS256.
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl Key {
    const fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Rsa { .. } => "RS256",
        }
    }

    fn has_signed(&self, token: &Parts<'_>) -> bool {
        if token.header.alg != self.algorithm() {
            return false;
        }
        let (message, signed) = (token.signed.as_bytes(), &token.signature);
        let checked = match self {
            Self::P256(point) => {
                let key =
                    signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point);
                key.verify(message, signed)
            }
            Self::Rsa { n, e } => {
                let key = signature::RsaPublicKeyComponents { n, e };
                key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signed)
            }
        };
        checked.is_ok()
    }
}

/// A published key, as JSON has it.
#[derive(Deserialize)]
struct Published {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Published {
    /// The key, if it is of a kind that we know.
    fn key(&self) -> Option<Key> {
        if self
            .purpose
            .as_deref()
            .is_some_and(|purpose| purpose != "sig")
        {
            return None;
        }
        let bytes = |text: &Option<String>| BASE64.decode(text.as_ref()?).ok();
        let key = match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
                (x.len() == 32 && y.len() == 32).then(|| Key::P256([vec![4], x, y].concat()))?
            }
            ("RSA", _) => Key::Rsa {
                n: bytes(&self.n)?,
                e: bytes(&self.e)?,
            },
            _ => return None,
        };
        let fits = self.alg.as_deref().is_none_or(|alg| alg == key.algorithm());
        fits.then_some(key)
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// The keys of a server: asked for when they are needed, and again when they are old or a token
/// names one that is not among them.
pub(super) struct Keys {
    client: HttpClient,
    secret: Option<hmac::Key>,
    published: Mutex<Fetched>,
}

/// Shows no secret.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Fetched {
    keys: HashMap<String, Key>,
    /// When they were last asked for, with what result, and until when they are good.
    asked: Option<Instant>,
    good_until: Option<Instant>,
}

impl Keys {
    pub(super) fn new(client: HttpClient, secret: Option<&SecretString>) -> Self {
        let key = |secret: &SecretString| {
            hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes())
        };
        Self {
            client,
            secret: secret.map(key),
            published: Mutex::default(),
        }
    }

    /// Checks the signature of a token.
    ///
    /// # Errors
    /// Unauthenticated if no key has signed it; Timeout or Unavailable if the keys cannot be had.
    pub(super) async fn check(&self, token: &Parts<'_>) -> Result<()> {
        if self.secret_has_signed(token) {
            return Ok(());
        }
        // Tokens that the old secret signs may have no key's name; the others have one.
        let name = token.header.kid.as_deref();
        let name = name.ok_or_else(Error::unauthenticated)?;
        match self.named(name).await? {
            Some(key) if key.has_signed(token) => Ok(()),
            _ => Err(Error::unauthenticated()),
        }
    }

    fn secret_has_signed(&self, token: &Parts<'_>) -> bool {
        let Some(secret) = &self.secret else {
            return false;
        };
        token.header.alg == "HS256"
            && hmac::verify(secret, token.signed.as_bytes(), &token.signature).is_ok()
    }

    async fn named(&self, name: &str) -> Result<Option<Key>> {
        // One asks, and the others wait for what it learns.
        let mut fetched = self.published.lock().await;
        let now = Instant::now();
        let is_good = fetched.good_until.is_some_and(|end| now < end);
        if let Some(key) = fetched.keys.get(name).filter(|_| is_good) {
            return Ok(Some(key.clone()));
        }
        let was_asked = fetched.asked.is_some_and(|asked| now < asked + SHORTEST);
        if was_asked {
            return Ok(fetched.keys.get(name).cloned());
        }
        fetched.asked = Some(now);
        match self.fetch().await {
            Ok((keys, lifetime)) => {
                fetched.keys = keys;
                fetched.good_until = Some(now + lifetime);
            }
            // A key that was published an hour ago is better than nobody being let in.
            Err(error) => {
                let is_known = fetched.keys.contains_key(name)
                    && fetched.good_until.is_some_and(|end| now < end + LONGEST);
                if !is_known {
                    fetched.asked = None;
                    return Err(error);
                }
                tracing::warn!(%error, "the keys of Supabase Auth could not be read again");
            }
        }
        Ok(fetched.keys.get(name).cloned())
    }

    async fn fetch(&self) -> Result<(HashMap<String, Key>, Duration)> {
        let path = [".well-known", "jwks.json"];
        let answer = self.client.request(Method::GET, &path)?.send().await?;
        if !answer.status().is_success() {
            return Err(Error::unavailable(format!(
                "Supabase Auth answered {} instead of its keys",
                answer.status()
            )));
        }
        let set: KeySet = answer.json()?;
        let keys = set.keys.into_iter().filter_map(|key| {
            // One of a kind that we do not know hides none of the others.
            let key: Published = serde_json::from_value(key).ok()?;
            Some((key.kid.clone()?, key.key()?))
        });
        Ok((keys.collect(), lifetime(&answer)))
    }
}

/// How long the answer may be kept.
fn lifetime(answer: &Answer) -> Duration {
    let control = answer.header("cache-control").unwrap_or_default();
    let mut parts = control.split(',').map(str::trim);
    let seconds = parts.find_map(|part| part.strip_prefix("max-age=")?.parse().ok());
    let said = seconds.map_or(UNSAID, Duration::from_secs);
    said.clamp(SHORTEST, LONGEST)
}
