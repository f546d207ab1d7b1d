//! Passwords, checked against the forms of hashes that Supabase Auth knows.

use aes::{
    Aes256,
    cipher::{KeyIvInit, StreamCipher},
};
use argon2::{Argon2, PasswordVerifier, password_hash::PasswordHash};
use base64::{Engine, prelude::BASE64_STANDARD as BASE64};

/// Whether a password is that of a stored hash; `None` for a hash of a form that the server does not
/// take.
#[must_use]
pub fn is_right(password: &str, hash: &str) -> Option<bool> {
    if hash.starts_with("$argon2id$v=19$") || hash.starts_with("$argon2i$v=19$") {
        let parsed = PasswordHash::new(hash).ok()?;
        let checked = Argon2::default().verify_password(password.as_bytes(), &parsed);
        return Some(checked.is_ok());
    }
    if let Some(rest) = hash.strip_prefix("$fbscrypt$") {
        return firebase(password, rest);
    }
    hash.starts_with("$2")
        .then(|| bcrypt::verify(password, hash).ok())
        .flatten()
}

/// Firebase's scrypt: the signer key, encrypted with a key that scrypt makes of the password, must
/// be the hash.
fn firebase(password: &str, rest: &str) -> Option<bool> {
    let mut parts = rest.split('$');
    let (settings, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let setting = |name: &str| {
        let mut all = settings.split(',').filter_map(|it| it.split_once('='));
        all.find_map(|(found, value)| (found == name).then_some(value))
    };
    if setting("v")? != "1" {
        return None;
    }
    let number = |name: &str| setting(name)?.parse::<u32>().ok();
    let log_n = u8::try_from(number("n")?).ok()?;
    let mut salted = BASE64.decode(salt).ok()?;
    salted.extend(BASE64.decode(setting("ss").unwrap_or_default()).ok()?);
    let params = scrypt::Params::new(log_n, number("r")?, number("p")?, 32).ok()?;
    let mut key = [0; 32];
    scrypt::scrypt(password.as_bytes(), &salted, &params, &mut key).ok()?;
    let mut signer = BASE64.decode(setting("sk")?).ok()?;
    ctr::Ctr128BE::<Aes256>::new(&key.into(), &[0; 16].into()).apply_keystream(&mut signer);
    Some(signer == BASE64.decode(hash).ok()?)
}

/// The hash of a new password, at the server's own cost. It takes no password of more than 72 bytes.
pub(super) fn hash(password: &str) -> Option<String> {
    if password.len() > 72 {
        return None;
    }
    // The server's cost is 10; 4 saves the tests' time, and is hashed anew at a sign-in as there.
    bcrypt::hash_with_result(password, 4)
        .ok()
        .map(|hash| hash.format_for_version(bcrypt::Version::TwoA))
}

/// Whether a hash is replaced at a successful sign-in.
pub(super) fn is_outdated(hash: &str) -> bool {
    let cost = hash
        .split('$')
        .nth(2)
        .and_then(|cost| cost.parse::<u32>().ok());
    hash.starts_with("$2") && cost.is_some_and(|cost| cost > 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIREBASE: &str = "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";

    #[test]
    fn published_vectors_are_right() {
        assert_eq!(is_right("user1password", FIREBASE), Some(true));
        assert_eq!(is_right("user2password", FIREBASE), Some(false));
        let bcrypt = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        assert_eq!(is_right("U*U", bcrypt), Some(true));
        assert_eq!(is_right("U*V", bcrypt), Some(false));
        for unknown in [
            "",
            "abc",
            "$P$Br387rwferoKN7uwHZqNMu98q3U8RO.",
            "$argon2d$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
        ] {
            assert_eq!(is_right("abc", unknown), None);
        }
    }
}
