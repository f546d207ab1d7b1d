//! Hashes of passwords, as Appwrite stores them and takes them over.

use authorstack_core::{
    Error, HashParameters, PasswordAlgorithm, PasswordHash, Result, StoredPassword,
    secrecy::{ExposeSecret, SecretString},
};
use serde_json::{Map, Value};

use crate::fields::Fields;

/// The versions of SHA that Appwrite knows.
const SHA: [&str; 11] = [
    "sha1",
    "sha224",
    "sha256",
    "sha384",
    "sha512/224",
    "sha512/256",
    "sha512",
    "sha3-224",
    "sha3-256",
    "sha3-384",
    "sha3-512",
];

/// The password of a user. What `hash` says of a user without one is of no meaning.
pub(crate) fn stored(user: Fields<'_>) -> StoredPassword {
    let read = || -> Result<Option<PasswordHash>> {
        let Some(hash) = user.text("password")? else {
            return Ok(None);
        };
        let none = Value::Null;
        let options = Fields(user.0.get("hashOptions").unwrap_or(&none));
        read(hash, user.text("hash")?.unwrap_or_default(), options).map(Some)
    };
    match read() {
        Ok(None) => StoredPassword::None,
        Ok(Some(hash)) => StoredPassword::Hash(hash),
        Err(error) => StoredPassword::Unknown {
            problem: error.kind().to_string(),
        },
    }
}

fn read(hash: &str, algorithm: &str, options: Fields<'_>) -> Result<PasswordHash> {
    let secret = |name: &str| -> Result<SecretString> {
        let text = options.text(name)?.unwrap_or_default();
        Ok(text.to_owned().into())
    };
    let number = |name: &str| -> Result<u64> { Ok(options.number(name)?.unwrap_or_default()) };
    let small = |name: &str| -> Result<u32> { Ok(u32::try_from(number(name)?).unwrap_or(0)) };
    match algorithm {
        // The options are always the defaults; the hash names its own.
        "argon2" => PasswordHash::argon2(hash),
        "bcrypt" => PasswordHash::bcrypt(hash),
        "phpass" => PasswordHash::phpass(hash),
        "md5" => PasswordHash::md5(hash),
        "sha" => PasswordHash::sha(hash, options.text("version")?.unwrap_or("sha256")),
        "scrypt" => {
            let parameters = HashParameters::Scrypt {
                salt: secret("salt")?,
                n: number("costCpu")?,
                r: small("costMemory")?,
                p: small("costParallel")?,
                length: small("length")?,
            };
            PasswordHash::scrypt(hash, parameters)
        }
        "scryptMod" => {
            let parameters = HashParameters::FirebaseScrypt {
                salt: secret("salt")?,
                separator: secret("saltSeparator")?,
                signer_key: secret("signerKey")?,
                log_n: 14,
                r: 8,
                p: 1,
            };
            PasswordHash::firebase_scrypt(hash, parameters)
        }
        _ => Err(Error::invalid(
            "password",
            "is hashed by an algorithm that AuthorStack does not know",
        )),
    }
}

/// The endpoint that takes a hash over, and its part of the body.
pub(crate) fn import(hash: &PasswordHash) -> Result<(&'static str, Map<String, Value>)> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("password", hash.hash().expose_secret().into());
    let endpoint = match (hash.algorithm(), hash.parameters()) {
        (PasswordAlgorithm::Argon2, _) => "argon2",
        (PasswordAlgorithm::Bcrypt, _) => "bcrypt",
        (PasswordAlgorithm::PhPass, _) => "phpass",
        (PasswordAlgorithm::Md5, _) => "md5",
        (PasswordAlgorithm::Sha, HashParameters::Version(version))
            if SHA.contains(&version.as_str()) =>
        {
            put("passwordVersion", version.as_str().into());
            "sha"
        }
        (
            PasswordAlgorithm::Scrypt,
            HashParameters::Scrypt {
                salt,
                n,
                r,
                p,
                length,
            },
        ) => {
            put("passwordSalt", salt.expose_secret().into());
            put("passwordCpu", (*n).into());
            put("passwordMemory", (*r).into());
            put("passwordParallel", (*p).into());
            put("passwordLength", (*length).into());
            "scrypt"
        }
        (
            PasswordAlgorithm::FirebaseScrypt,
            HashParameters::FirebaseScrypt {
                salt,
                separator,
                signer_key,
                log_n: 14,
                r: 8,
                p: 1,
            },
        ) => {
            put("passwordSalt", salt.expose_secret().into());
            put("passwordSaltSeparator", separator.expose_secret().into());
            put("passwordSignerKey", signer_key.expose_secret().into());
            "scrypt-modified"
        }
        (algorithm, _) => {
            return Err(Error::unsupported(format!(
                "Appwrite takes no {algorithm} hash with these parameters; send the account a link \
                 to set a new password"
            )));
        }
    };
    Ok((endpoint, body))
}
