//! Passwords in memory: hashed and checked by argon2, as a service does it.

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::{
        PasswordHash as Phc, SaltString,
        rand_core::{OsRng, RngCore},
    },
};
use secrecy::ExposeSecret;

use crate::{BearerToken, Credential, Error, Password, PasswordAlgorithm, PasswordHash, Result};

/// Little memory and one round: this store is for tests and first steps, and its hashes never leave
/// the process unless they are exported.
const MEMORY_KIB: u32 = 1_024;

/// What an account's password is stored as.
pub(super) fn stored(credential: &Credential) -> Result<Option<PasswordHash>> {
    match credential {
        Credential::None => Ok(None),
        Credential::Hash(hash) => Ok(Some(hash.clone())),
        Credential::Password(password) => hash(password).map(Some),
    }
}

fn hash(password: &Password) -> Result<PasswordHash> {
    let failed = |error: &dyn std::fmt::Display| Error::internal(format!("argon2: {error}"));
    let params = Params::new(MEMORY_KIB, 1, 1, None).map_err(|error| failed(&error))?;
    let salt = SaltString::generate(&mut OsRng);
    let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.expose().as_bytes(), &salt)
        .map_err(|error| failed(&error))?;
    PasswordHash::argon2(&hash.to_string())
}

/// Checks a password.
pub(super) fn check(password: &str, hash: &PasswordHash) -> Result<()> {
    if hash.algorithm() != PasswordAlgorithm::Argon2 {
        return Err(Error::unsupported(format!(
            "the store in memory checks argon2 hashes alone, and this one is {}",
            hash.algorithm()
        )));
    }
    let hash = hash.hash().expose_secret();
    let phc = Phc::new(hash).map_err(|_| Error::unauthenticated())?;
    let checked = Argon2::default().verify_password(password.as_bytes(), &phc);
    checked.map_err(|_| Error::unauthenticated())
}

/// A new token, and what of it is stored.
pub(super) fn new_token() -> Result<(BearerToken, blake3::Hash)> {
    let mut bytes = [0; 32];
    OsRng.fill_bytes(&mut bytes);
    let token = BearerToken::new(blake3::Hash::from_bytes(bytes).to_hex().to_string())?;
    let digest = digest(&token);
    Ok((token, digest))
}

pub(super) fn digest(token: &BearerToken) -> blake3::Hash {
    blake3::hash(token.expose().as_bytes())
}
