//! An account in a migration: with the hash of its password, in a type that cannot print.

use secrecy::ExposeSecret;

use crate::{
    Account, Error, HashParameters, PasswordAlgorithm, PasswordHash, Result,
    fields::{Field, FieldReader, FieldValue, FieldWriter, Fields, Read, Scalar, Shape, Value},
    records::{
        check::check_fields,
        fields::{scalar_field, unexpected},
        json::json,
    },
};

/// An account with its password, as both sides of a migration know it.
///
/// Its id is that at the account service, also where it has moved from there: so both sides have the
/// same key. JSON has no hash, only what became of it and a digest.
#[derive(Debug, Clone, PartialEq)]
pub struct MovedAccount {
    /// What becomes of the password.
    pub password: MovedPassword,
    /// The account, by its id at the account service.
    pub account: Account,
}

impl MovedAccount {
    /// The account without what only one side knows: the id before an earlier move, and whether an
    /// address or number that it does not have is verified.
    #[must_use]
    pub fn new(mut account: Account, password: MovedPassword) -> Self {
        account.old_id = None;
        account.email_verified &= account.email.is_some();
        account.phone_verified &= account.phone.is_some();
        Self { password, account }
    }

    /// Checks that every backend can store the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_fields(self)?;
        if self.password.is_left_out() {
            return Err(Error::invalid(
                "passwordStatus",
                "names a hash that is not here: a rejects file never holds one, and the source has \
                 none for this account any more; write none, or run again",
            ));
        }
        self.account.check()
    }
}

/// What becomes of the password of an account. `Debug` shows no hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedPassword {
    /// `none`, `lost: md5`, or `kept: bcrypt` with a digest behind it.
    status: String,
    hash: Option<PasswordHash>,
}

const NONE: &str = "none";
const LOST: &str = "lost: ";
const KEPT: &str = "kept: ";

impl MovedPassword {
    /// The account has none.
    #[must_use]
    pub fn none() -> Self {
        Self {
            status: NONE.to_owned(),
            hash: None,
        }
    }

    /// The hash moves, and the password stays.
    #[must_use]
    pub fn kept(hash: PasswordHash) -> Self {
        let algorithm = hash.algorithm();
        let digest = digest(&hash).map_or_else(String::new, |digest| format!(" {digest}"));
        Self {
            status: format!("{KEPT}{algorithm}{digest}"),
            hash: Some(hash),
        }
    }

    /// The account has one, and the target cannot take its hash over: it needs a new one. The name is
    /// that of the algorithm, in small letters, digits and underscores.
    #[must_use]
    pub fn lost(algorithm: &str) -> Self {
        let name = if is_name(algorithm) {
            algorithm
        } else {
            "unknown"
        };
        Self {
            status: format!("{LOST}{name}"),
            hash: None,
        }
    }

    /// The hash that moves.
    #[must_use]
    pub const fn hash(&self) -> Option<&PasswordHash> {
        self.hash.as_ref()
    }

    /// The algorithm of a hash that does not move.
    #[must_use]
    pub fn lost_algorithm(&self) -> Option<&str> {
        self.status.strip_prefix(LOST)
    }

    /// The algorithm of the password, whether it moves or not; `None` if there is no password.
    #[must_use]
    pub fn algorithm(&self) -> Option<&str> {
        let kept = || self.status.strip_prefix(KEPT)?.split(' ').next();
        self.lost_algorithm().or_else(kept)
    }

    /// Whether it stands for a hash that is elsewhere, as a line of the rejects does.
    #[must_use]
    pub fn is_left_out(&self) -> bool {
        self.status.starts_with(KEPT) && self.hash.is_none()
    }

    /// The status without the digest, for rejects.
    pub(super) fn plain_status(status: &str) -> &str {
        let kept = status.strip_prefix(KEPT).and_then(|rest| rest.find(' '));
        kept.map_or(status, |space| &status[..KEPT.len() + space])
    }
}

/// A digest that changes with the hash. None of a hash without a salt: passwords could be tried
/// against it.
fn digest(hash: &PasswordHash) -> Option<blake3::Hash> {
    if matches!(
        hash.algorithm(),
        PasswordAlgorithm::Sha | PasswordAlgorithm::Md5
    ) {
        return None;
    }
    let mut hasher = blake3::Hasher::new_derive_key("AuthorStack 2026 hashes of passwords");
    hasher.update(hash.hash().expose_secret().as_bytes());
    match hash.parameters() {
        HashParameters::FirebaseScrypt {
            salt,
            separator,
            signer_key,
            log_n,
            r,
            p,
        } => {
            for text in [salt, separator, signer_key] {
                hasher.update(b"$").update(text.expose_secret().as_bytes());
            }
            hasher.update(format!("${log_n}${r}${p}").as_bytes());
        }
        HashParameters::Scrypt {
            salt,
            n,
            r,
            p,
            length,
        } => {
            hasher.update(salt.expose_secret().as_bytes());
            hasher.update(format!("${n}${r}${p}${length}").as_bytes());
        }
        HashParameters::None | HashParameters::Version(_) => {}
    }
    Some(hasher.finalize())
}

fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=40).contains(&name.len()) && name.bytes().all(is_part)
}

impl Scalar for MovedPassword {
    const SHAPE: Shape = Shape::Text;

    fn value(&self) -> Value<'_> {
        Value::Text(&self.status)
    }

    fn of(value: Value<'_>) -> Result<Self> {
        let Value::Text(text) = value else {
            return unexpected("a text", value);
        };
        let kept = text.strip_prefix(KEPT).is_some_and(|rest| {
            let (name, digest) = rest.split_once(' ').unwrap_or((rest, "0"));
            is_name(name) && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        if text == NONE || text.strip_prefix(LOST).is_some_and(is_name) || kept {
            return Ok(Self {
                status: text.to_owned(),
                hash: None,
            });
        }
        Err(Error::invalid(
            "passwordStatus",
            "is none of: none, lost: and an algorithm, kept: and an algorithm; restore it",
        ))
    }
}

scalar_field!(MovedPassword);

/// What becomes of the password, then the fields of the account.
const FIELDS: &[Field; 1 + Account::FIELDS.len()] = &{
    let password = Field {
        name: "passwordStatus",
        column: Some("password_status"),
        shape: Shape::Text,
        required: false,
        vital: true,
        most: 200,
    };
    let mut fields = [password; 1 + Account::FIELDS.len()];
    let mut index = 0;
    while index < Account::FIELDS.len() {
        fields[1 + index] = Account::FIELDS[index];
        index += 1;
    }
    fields
};

json!(MovedAccount);

impl Fields for MovedAccount {
    const FIELDS: &'static [Field] = FIELDS;
    const HAS_EXTRA: bool = Account::HAS_EXTRA;

    fn write<W: FieldWriter>(&self, writer: &mut W) -> Result<()> {
        let Self { password, account } = self;
        password.write(&Self::FIELDS[0], writer)?;
        account.write(writer)
    }

    fn read<R: FieldReader>(reader: &mut R) -> Option<Self> {
        let password = FieldValue::read(&Self::FIELDS[0], reader);
        let account = Account::read(reader)?;
        let password = match password {
            Read::Value(password) => password,
            Read::Missing => MovedPassword::none(),
            Read::Refused => return None,
        };
        Some(Self { password, account })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str =
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    #[test]
    fn a_status_changes_with_the_hash_and_does_not_show_it() -> Result<()> {
        let kept = MovedPassword::kept(HASH.parse()?);
        let other = MovedPassword::kept(HASH.replace("nf65", "nf66").parse()?);
        assert_ne!(kept.status, other.status);
        assert_eq!(MovedPassword::plain_status(&kept.status), "kept: argon2");
        assert_eq!(kept.algorithm(), Some("argon2"));
        let shown = format!("{kept:?} {kept:#?}");
        assert!(
            !shown.contains("nf65") && !shown.contains("c29tZ"),
            "{shown}"
        );
        Ok(())
    }

    #[test]
    fn a_hash_without_a_salt_has_no_digest() -> Result<()> {
        let md5 = MovedPassword::kept(PasswordHash::md5(&"0f".repeat(16))?);
        assert_eq!(md5.status, "kept: md5");
        Ok(())
    }

    #[test]
    fn a_line_gets_its_hash_from_the_source_only() -> Result<()> {
        let read = MovedPassword::of(Value::Text("kept: argon2"))?;
        assert!(read.is_left_out());
        assert!(MovedPassword::of(Value::Text(HASH)).is_err());
        assert_eq!(
            MovedPassword::lost("MD5!").lost_algorithm(),
            Some("unknown")
        );
        Ok(())
    }
}
