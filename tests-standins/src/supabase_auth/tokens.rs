//! Access tokens, signed by the legacy secret or by a signing key.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        UnparsedPublicKey,
    },
};
use serde_json::{Value, json};

/// How a project signs its tokens.
#[derive(Debug)]
pub struct Signing(Kind);

#[derive(Debug)]
enum Kind {
    Secret(hmac::Key),
    P256 {
        kid: String,
        pair: Box<EcdsaKeyPair>,
    },
}

impl Signing {
    /// HS256 by this secret; no key is published.
    #[must_use]
    pub fn secret(secret: &str) -> Self {
        Self(Kind::Secret(hmac::Key::new(
            hmac::HMAC_SHA256,
            secret.as_bytes(),
        )))
    }

    /// ES256 by a new key with this name, which is published.
    ///
    /// # Panics
    /// If there is no randomness.
    #[must_use]
    #[allow(clippy::unwrap_used, reason = "a test without its server fails")]
    pub fn es256(kid: &str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self(Kind::P256 {
            kid: kid.to_owned(),
            pair: Box::new(pair),
        })
    }

    /// The published keys.
    #[must_use]
    pub fn published(&self) -> Value {
        match &self.0 {
            Kind::Secret(_) => json!({ "keys": [] }),
            Kind::P256 { kid, pair } => {
                let point = pair.public_key().as_ref();
                json!({ "keys": [{
                    "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid,
                    "key_ops": ["verify"], "ext": true,
                    "x": BASE64.encode(&point[1..33]), "y": BASE64.encode(&point[33..]),
                }] })
            }
        }
    }

    /// A token with these claims.
    ///
    /// # Panics
    /// If there is no randomness.
    #[must_use]
    #[allow(clippy::unwrap_used, reason = "a test without its server fails")]
    pub fn sign(&self, claims: &Value) -> String {
        let header = match &self.0 {
            Kind::Secret(_) => json!({ "alg": "HS256", "typ": "JWT" }),
            Kind::P256 { kid, .. } => json!({ "alg": "ES256", "typ": "JWT", "kid": kid }),
        };
        self.sign_as(&header, claims)
    }

    /// A token with this header, whatever it says.
    ///
    /// # Panics
    /// If there is no randomness.
    #[must_use]
    #[allow(clippy::unwrap_used, reason = "a test without its server fails")]
    pub fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let part = |json: &Value| BASE64.encode(json.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = match &self.0 {
            Kind::Secret(key) => hmac::sign(key, message.as_bytes()).as_ref().to_vec(),
            Kind::P256 { pair, .. } => {
                let signed = pair.sign(&SystemRandom::new(), message.as_bytes());
                signed.unwrap().as_ref().to_vec()
            }
        };
        format!("{message}.{}", BASE64.encode(signature))
    }

    /// The claims of a token that this project has signed.
    pub(super) fn read(&self, token: &str) -> Option<Value> {
        let (message, signature) = token.rsplit_once('.')?;
        let signature = BASE64.decode(signature).ok()?;
        let is_ours = match &self.0 {
            Kind::Secret(key) => hmac::verify(key, message.as_bytes(), &signature).is_ok(),
            Kind::P256 { pair, .. } => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key());
                key.verify(message.as_bytes(), &signature).is_ok()
            }
        };
        let (_, claims) = message.split_once('.')?;
        let claims = BASE64.decode(claims).ok()?;
        is_ours.then(|| serde_json::from_slice(&claims).ok())?
    }
}
