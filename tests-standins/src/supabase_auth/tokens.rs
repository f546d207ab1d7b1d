//! Access tokens, signed by the legacy secret or by a signing key.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey,
    },
};
use serde_json::{Value, json};

use crate::node;

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
    Rsa {
        kid: String,
        pair: Box<rsa::KeyPair>,
    },
}

impl Signing {
    /// HS256 by this secret; no key is published.
    #[must_use]
    pub fn secret(secret: &str) -> Self {
        Self::secret_bytes(secret.as_bytes())
    }

    /// HS256 by a secret that is no text.
    #[must_use]
    pub fn secret_bytes(secret: &[u8]) -> Self {
        Self(Kind::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret)))
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

    /// RS256 by a new key of 2048 bits with this name, which is published. Node makes it.
    ///
    /// # Panics
    /// If there is no Node.
    #[allow(clippy::unwrap_used, reason = "a test without its server fails")]
    pub async fn rs256(kid: &str) -> Self {
        let document = node::rsa_key().await;
        Self(Kind::Rsa {
            kid: kid.to_owned(),
            pair: Box::new(rsa::KeyPair::from_pkcs8(&document).unwrap()),
        })
    }

    /// The key as it is published; none of a secret.
    #[must_use]
    pub fn published(&self) -> Option<Value> {
        match &self.0 {
            Kind::Secret(_) => None,
            Kind::P256 { kid, pair } => {
                let point = pair.public_key().as_ref();
                Some(json!({
                    "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid,
                    "key_ops": ["verify"], "ext": true,
                    "x": BASE64.encode(&point[1..33]), "y": BASE64.encode(&point[33..]),
                }))
            }
            Kind::Rsa { kid, pair } => {
                let public: rsa::PublicKeyComponents<Vec<u8>> = pair.public().into();
                Some(json!({
                    "kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid,
                    "key_ops": ["verify"], "ext": true,
                    "n": BASE64.encode(&public.n), "e": BASE64.encode(&public.e),
                }))
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
            Kind::Rsa { kid, .. } => json!({ "alg": "RS256", "typ": "JWT", "kid": kid }),
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
            Kind::Rsa { pair, .. } => {
                let mut signed = vec![0; pair.public().modulus_len()];
                let random = SystemRandom::new();
                let message = message.as_bytes();
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signed)
                    .unwrap();
                signed
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
            Kind::Rsa { pair, .. } => {
                let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public());
                key.verify(message.as_bytes(), &signature).is_ok()
            }
        };
        let (_, claims) = message.split_once('.')?;
        let claims = BASE64.decode(claims).ok()?;
        is_ours.then(|| serde_json::from_slice(&claims).ok())?
    }
}
