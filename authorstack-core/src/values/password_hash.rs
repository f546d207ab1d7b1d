//! Hashes of passwords, as one service stores them and another one takes them over.

use std::{fmt, str::FromStr};

use secrecy::{ExposeSecret, SecretString};

use crate::{Error, Result};

/// The algorithm of a [`PasswordHash`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PasswordAlgorithm {
    /// Argon2i or Argon2id, as a PHC string.
    Argon2,
    /// Bcrypt.
    Bcrypt,
    /// Firebase's scrypt, which Appwrite calls `scryptMod`.
    FirebaseScrypt,
    /// Plain scrypt.
    Scrypt,
    /// `PHPass`, of older apps in PHP.
    PhPass,
    /// A plain SHA digest.
    Sha,
    /// A plain MD5 digest.
    Md5,
}

impl PasswordAlgorithm {
    /// The name, such as `argon2`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Argon2 => "argon2",
            Self::Bcrypt => "bcrypt",
            Self::FirebaseScrypt => "firebase_scrypt",
            Self::Scrypt => "scrypt",
            Self::PhPass => "phpass",
            Self::Sha => "sha",
            Self::Md5 => "md5",
        }
    }
}

impl fmt::Display for PasswordAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a hash needs beside itself. `Debug` shows neither salts nor keys.
#[derive(Clone)]
#[non_exhaustive]
pub enum HashParameters {
    /// Nothing: the hash names its own parameters and its salt, or has none.
    None,
    /// Of Firebase's scrypt. Texts are padded base64.
    FirebaseScrypt {
        /// The salt of this account.
        salt: SecretString,
        /// The separator of the project; may be empty.
        separator: SecretString,
        /// The key of the project.
        signer_key: SecretString,
        /// The base-two logarithm of N.
        log_n: u8,
        /// The block size.
        r: u32,
        /// The parallelism.
        p: u32,
    },
    /// Of plain scrypt.
    Scrypt {
        /// The salt, as plain text.
        salt: SecretString,
        /// N, Appwrite's `costCpu`.
        n: u64,
        /// The block size, Appwrite's `costMemory`.
        r: u32,
        /// The parallelism.
        p: u32,
        /// The length of the hash in bytes.
        length: u32,
    },
    /// Of a plain digest: its version, such as `sha256`.
    Version(String),
}

impl fmt::Debug for HashParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::FirebaseScrypt { log_n, r, p, .. } => {
                write!(f, "FirebaseScrypt {{ log_n: {log_n}, r: {r}, p: {p}, … }}")
            }
            Self::Scrypt { n, r, p, .. } => write!(f, "Scrypt {{ n: {n}, r: {r}, p: {p}, … }}"),
            Self::Version(version) => write!(f, "Version({version:?})"),
        }
    }
}

/// A hash of a password, with all that checking a password against it takes. It has no `Display`,
/// no serde, and `Debug` shows its algorithm alone.
///
/// A value that exists has the form of its algorithm. Whether a service takes it over is another
/// question: see [`PasswordHash::for_supabase`].
///
/// ```
/// use authorstack_core::{PasswordAlgorithm, PasswordHash};
///
/// let hash: PasswordHash = "$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy".parse()?;
/// assert_eq!(hash.algorithm(), PasswordAlgorithm::Bcrypt);
/// assert_eq!(format!("{hash:?}"), "PasswordHash(bcrypt)");
/// assert!("not-a-hash".parse::<PasswordHash>().is_err());
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Clone)]
pub struct PasswordHash {
    algorithm: PasswordAlgorithm,
    hash: SecretString,
    parameters: HashParameters,
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({})", self.algorithm)
    }
}

/// The same hash with the same parameters: for tests, and for finding what changed. It tells
/// nothing of whether a password is right.
impl PartialEq for PasswordHash {
    fn eq(&self, other: &Self) -> bool {
        self.whole() == other.whole()
    }
}

impl Eq for PasswordHash {}

fn invalid<T>(reason: impl Into<String>) -> Result<T> {
    Err(Error::invalid("password", reason.into()))
}

impl PasswordHash {
    fn of(algorithm: PasswordAlgorithm, hash: &str, parameters: HashParameters) -> Self {
        let hash = hash.to_owned().into();
        Self {
            algorithm,
            hash,
            parameters,
        }
    }

    /// An argon2 hash: a PHC string of argon2i or argon2id, version 19, without key id and data,
    /// with unpadded base64.
    ///
    /// # Errors
    /// Invalid for `password`, saying what of it has another form.
    pub fn argon2(hash: &str) -> Result<Self> {
        check_argon2(hash)?;
        Ok(Self::of(
            PasswordAlgorithm::Argon2,
            hash,
            HashParameters::None,
        ))
    }

    /// A bcrypt hash: `$2a$`, `$2b$` or `$2y$`, a cost from 04 to 31, 53 characters.
    ///
    /// # Errors
    /// Invalid for `password`, saying what of it has another form.
    pub fn bcrypt(hash: &str) -> Result<Self> {
        check_bcrypt(hash)?;
        Ok(Self::of(
            PasswordAlgorithm::Bcrypt,
            hash,
            HashParameters::None,
        ))
    }

    /// A hash of Firebase's scrypt. All texts are padded base64; the separator may be empty.
    ///
    /// # Errors
    /// Invalid for `password`, saying which of the parts has another form.
    pub fn firebase_scrypt(hash: &str, parameters: HashParameters) -> Result<Self> {
        let HashParameters::FirebaseScrypt {
            salt,
            separator,
            signer_key,
            log_n,
            r,
            p,
        } = &parameters
        else {
            return invalid("Firebase's scrypt needs its own parameters");
        };
        for (name, text) in [
            ("the hash", hash),
            ("the salt", salt.expose_secret()),
            ("the signer key", signer_key.expose_secret()),
        ] {
            if text.is_empty() || !is_base64(text) {
                return invalid(format!("{name} of Firebase's scrypt is no padded base64"));
            }
        }
        if !is_base64(separator.expose_secret()) {
            return invalid("the salt separator of Firebase's scrypt is no padded base64");
        }
        if !(1..=20).contains(log_n) || !(1..=64).contains(r) || !(1..=16).contains(p) {
            return invalid("the parameters n, r and p of Firebase's scrypt are out of range");
        }
        Ok(Self::of(
            PasswordAlgorithm::FirebaseScrypt,
            hash,
            parameters,
        ))
    }

    /// A hash of plain scrypt, in hex.
    ///
    /// # Errors
    /// Invalid for `password`, saying which of the parts has another form.
    pub fn scrypt(hash: &str, parameters: HashParameters) -> Result<Self> {
        let HashParameters::Scrypt {
            n, r, p, length, ..
        } = &parameters
        else {
            return invalid("scrypt needs its own parameters");
        };
        if *n < 2 || !n.is_power_of_two() || *r == 0 || *p == 0 {
            return invalid("the parameters N, r and p of scrypt are out of range");
        }
        let is_whole = usize::try_from(*length).is_ok_and(|length| hash.len() == 2 * length);
        if hash.is_empty() || !is_hex(hash) || !is_whole {
            return invalid("the hash of scrypt is no hex of its length");
        }
        Ok(Self::of(PasswordAlgorithm::Scrypt, hash, parameters))
    }

    /// A `PHPass` hash: `$P$` or `$H$` and 31 characters.
    ///
    /// # Errors
    /// Invalid for `password`.
    pub fn phpass(hash: &str) -> Result<Self> {
        let rest = hash
            .strip_prefix("$P$")
            .or_else(|| hash.strip_prefix("$H$"));
        match rest {
            Some(rest) if rest.len() == 31 && rest.bytes().all(is_crypt64) => Ok(Self::of(
                PasswordAlgorithm::PhPass,
                hash,
                HashParameters::None,
            )),
            _ => invalid("a PHPass hash is $P$ and 31 characters"),
        }
    }

    /// A plain SHA digest in hex, and its version, such as `sha256`.
    ///
    /// # Errors
    /// Invalid for `password`.
    pub fn sha(hash: &str, version: &str) -> Result<Self> {
        let is_version = !version.is_empty()
            && version.len() <= 20
            && version
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'/'));
        if hash.is_empty() || !is_hex(hash) || !is_version {
            return invalid("a SHA digest is hex, with a version such as sha256");
        }
        let version = HashParameters::Version(version.to_owned());
        Ok(Self::of(PasswordAlgorithm::Sha, hash, version))
    }

    /// A plain MD5 digest: 32 hex digits.
    ///
    /// # Errors
    /// Invalid for `password`.
    pub fn md5(hash: &str) -> Result<Self> {
        if hash.len() != 32 || !is_hex(hash) {
            return invalid("an MD5 digest is 32 hex digits");
        }
        Ok(Self::of(PasswordAlgorithm::Md5, hash, HashParameters::None))
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> PasswordAlgorithm {
        self.algorithm
    }

    /// The hash itself.
    #[must_use]
    pub const fn hash(&self) -> &SecretString {
        &self.hash
    }

    /// What the hash needs beside itself.
    #[must_use]
    pub const fn parameters(&self) -> &HashParameters {
        &self.parameters
    }

    /// The hash as Supabase Auth stores it, if it takes it: argon2i and argon2id with at most 1 GiB,
    /// 20 rounds and 16 lanes, bcrypt, Firebase's scrypt. The account then keeps its password.
    ///
    /// # Errors
    /// Unsupported, with the reason: the account needs a link to set a new password.
    pub fn for_supabase(&self) -> Result<SecretString> {
        let refuse = |reason: &str| {
            Err(Error::unsupported(format!(
                "Supabase Auth takes no {} hash {reason}; send the account a link to set a new \
                 password",
                self.algorithm
            )))
        };
        let hash = self.hash.expose_secret();
        let text = match (self.algorithm, &self.parameters) {
            (PasswordAlgorithm::Argon2, _) => {
                let (memory, rounds, lanes) = argon2_costs(hash)?;
                if memory > 1_048_576 || rounds > 20 || lanes > 16 {
                    return refuse("that costs more than 1 GiB, 20 rounds or 16 lanes");
                }
                hash.to_owned()
            }
            (PasswordAlgorithm::Bcrypt, _) => hash.to_owned(),
            (
                PasswordAlgorithm::FirebaseScrypt,
                HashParameters::FirebaseScrypt {
                    salt,
                    separator,
                    signer_key,
                    log_n,
                    r,
                    p,
                },
            ) => {
                let separator = match separator.expose_secret() {
                    "" => String::new(),
                    separator => format!(",ss={separator}"),
                };
                let (key, salt) = (signer_key.expose_secret(), salt.expose_secret());
                format!("$fbscrypt$v=1,n={log_n},r={r},p={p}{separator},sk={key}${salt}${hash}")
            }
            _ => return refuse("of this algorithm"),
        };
        // The column is a varchar(255).
        if text.len() > 255 {
            return refuse("of more than 255 characters");
        }
        Ok(text.into())
    }

    fn whole(&self) -> (PasswordAlgorithm, &str, Vec<String>) {
        let parameters = match &self.parameters {
            HashParameters::None => Vec::new(),
            HashParameters::Version(version) => vec![version.clone()],
            HashParameters::Scrypt {
                salt,
                n,
                r,
                p,
                length,
            } => {
                vec![
                    salt.expose_secret().to_owned(),
                    format!("{n} {r} {p} {length}"),
                ]
            }
            HashParameters::FirebaseScrypt {
                salt,
                separator,
                signer_key,
                log_n,
                r,
                p,
            } => {
                let texts = [salt, separator, signer_key].map(|it| it.expose_secret().to_owned());
                let numbers = format!("{log_n} {r} {p}");
                texts.into_iter().chain([numbers]).collect()
            }
        };
        (self.algorithm, self.hash.expose_secret(), parameters)
    }
}

/// Reads a hash that names its own algorithm: argon2, bcrypt, `PHPass`, and Firebase's scrypt in the
/// form in which Supabase Auth stores it.
impl FromStr for PasswordHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.starts_with("$argon2") {
            Self::argon2(text)
        } else if text.starts_with("$2") {
            Self::bcrypt(text)
        } else if text.starts_with("$P$") || text.starts_with("$H$") {
            Self::phpass(text)
        } else if let Some(rest) = text.strip_prefix("$fbscrypt$") {
            read_firebase(rest)
        } else {
            invalid("is no hash of a known algorithm")
        }
    }
}

fn read_firebase(text: &str) -> Result<PasswordHash> {
    const FORM: &str =
        "a hash of Firebase's scrypt is $fbscrypt$v=1,n=…,r=…,p=…,ss=…,sk=…$salt$hash";
    let parts: Vec<&str> = text.split('$').collect();
    let [settings, salt, hash] = parts[..] else {
        return invalid(FORM);
    };
    let setting = |name: &str| {
        let mut settings = settings.split(',').filter_map(|it| it.split_once('='));
        settings.find_map(|(found, value)| (found == name).then_some(value))
    };
    let number = |name| setting(name).and_then(|it: &str| it.parse::<u32>().ok());
    let (Some(1), Some(n), Some(r), Some(p)) = (number("v"), number("n"), number("r"), number("p"))
    else {
        return invalid(FORM);
    };
    let parameters = HashParameters::FirebaseScrypt {
        salt: salt.to_owned().into(),
        separator: setting("ss").unwrap_or_default().to_owned().into(),
        signer_key: setting("sk").unwrap_or_default().to_owned().into(),
        log_n: u8::try_from(n).unwrap_or(u8::MAX),
        r,
        p,
    };
    PasswordHash::firebase_scrypt(hash, parameters)
}

/// Memory in KiB, rounds and lanes of an argon2 hash.
fn argon2_costs(hash: &str) -> Result<(u32, u32, u32)> {
    let settings = hash.split('$').nth(3).unwrap_or_default();
    let mut costs = [0; 3];
    let mut parts = settings.split(',');
    for (cost, name) in costs.iter_mut().zip(["m=", "t=", "p="]) {
        let number = parts.next().and_then(|part| part.strip_prefix(name));
        let number = number.filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
        *cost = match number.and_then(|it| it.parse().ok()) {
            Some(number) => number,
            None => return invalid("the parameters of an argon2 hash are m=…,t=…,p=…"),
        };
    }
    if parts.next().is_some() {
        return invalid("an argon2 hash with a key id or data cannot be carried over");
    }
    let [memory, rounds, lanes] = costs;
    // The algorithm itself asks for these.
    if rounds == 0 || lanes == 0 || u64::from(memory) < 8 * u64::from(lanes) {
        return invalid("the parameters of the argon2 hash are below the algorithm's own limits");
    }
    Ok((memory, rounds, lanes))
}

fn check_argon2(hash: &str) -> Result<()> {
    let parts: Vec<&str> = hash.split('$').collect();
    let ["", kind, version, _, salt, digest] = parts[..] else {
        return invalid("an argon2 hash is $argon2id$v=19$m=…,t=…,p=…$salt$hash");
    };
    if !matches!(kind, "argon2i" | "argon2id") {
        return invalid("of argon2, only argon2i and argon2id can be carried over");
    }
    if version != "v=19" {
        return invalid("of argon2, only version 19 can be carried over");
    }
    argon2_costs(hash)?;
    let is_sound = |text: &str, least: usize| bytes_of_unpadded(text).is_some_and(|n| n >= least);
    if !is_sound(salt, 8) || !is_sound(digest, 4) {
        return invalid("the salt or the hash of argon2 is no unpadded base64, or too short");
    }
    Ok(())
}

fn check_bcrypt(hash: &str) -> Result<()> {
    let parts: Vec<&str> = hash.split('$').collect();
    let ["", version, cost, rest] = parts[..] else {
        return invalid("a bcrypt hash is $2b$, a cost of two digits, $ and 53 characters");
    };
    if !matches!(version, "2a" | "2b" | "2y") {
        return invalid("of bcrypt, only versions 2a, 2b and 2y can be carried over");
    }
    let number: Option<u32> = cost.parse().ok();
    if cost.len() != 2 || !number.is_some_and(|cost| (4..=31).contains(&cost)) {
        return invalid("the cost of a bcrypt hash has two digits, from 04 to 31");
    }
    if rest.len() != 53 || !rest.bytes().all(is_crypt64) {
        return invalid("a bcrypt hash ends with 53 characters of its own base64");
    }
    Ok(())
}

fn is_crypt64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/')
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_base64_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// Whether it is padded base64; an empty text is.
fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    text.len().is_multiple_of(4) && padding <= 2 && bytes_of_unpadded(digits).is_some()
}

/// How many bytes an unpadded base64 text has.
fn bytes_of_unpadded(text: &str) -> Option<usize> {
    // The bits beyond the last byte must be zero: some decoders refuse others.
    let zero_bits = match text.len() % 4 {
        0 => 0,
        2 => 4,
        3 => 2,
        _ => return None,
    };
    let last = text.bytes().last().map_or(0, digit);
    let is_whole = last & ((1 << zero_bits) - 1) == 0;
    (is_whole && text.bytes().all(is_base64_digit)).then_some(text.len() * 3 / 4)
}

fn digit(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    }
}

#[cfg(test)]
mod tests;
