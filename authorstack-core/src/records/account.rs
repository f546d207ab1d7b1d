//! Accounts: who can sign in, and with what.

use chrono::{DateTime, Utc};

use super::{
    change::Change,
    check::{check_fields, check_patch},
    fields::{Patch, fields, patch},
    json::{json, patch_json},
};
use crate::{
    AuthId, AuthProvider, Email, Error, Extra, Password, PasswordHash, Phone, Prefs, Result,
    limits, time,
};

/// An account at the authentication provider. The profile of its owner is a
/// [`User`](crate::User), found by `auth_id`.
///
/// It holds no secret: passwords are written by [`Credential`] and read by
/// [`AccountRepository::export`](crate::AccountRepository::export) alone.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Account {
    /// The id at the provider.
    pub id: AuthId,
    /// The provider.
    pub provider: AuthProvider,
    /// The e-mail address. Unique, whatever its case.
    pub email: Option<Email>,
    /// Whether the owner has proved that the address is theirs.
    pub email_verified: bool,
    /// The phone number. Unique.
    pub phone: Option<Phone>,
    /// Whether the owner has proved that the number is theirs.
    pub phone_verified: bool,
    /// The display name; may be empty.
    pub name: String,
    /// What the host has marked the account with, such as a role. The owner cannot change it.
    pub labels: Vec<String>,
    /// What the owner's client keeps there. The owner can change it, so it gives no
    /// rights.
    pub prefs: Prefs,
    /// Whether a second factor is asked for. Where a service lost the factors, it is still set, so
    /// that a host can demand new ones.
    pub has_mfa: bool,
    /// Whether it was made without any way to sign in again.
    pub is_anonymous: bool,
    /// Whether signing in is refused.
    pub is_blocked: bool,
    /// The id that the account had at the provider before a move.
    pub old_id: Option<AuthId>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed, as far as the service says.
    pub updated_at: DateTime<Utc>,
    /// When it was last used, as far as the service says; `None` for never.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// Fields that AuthorStack does not know.
    pub extra: Extra,
}

impl Account {
    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_fields(self)?;
        check_labels(&self.labels)?;
        if self.email.is_none() && self.phone.is_none() && !self.is_anonymous {
            return Err(Error::invalid(
                "email",
                "is missing, and so is the phone number; an account needs one of them",
            ));
        }
        Ok(())
    }
}

fn check_labels(labels: &[String]) -> Result<()> {
    match labels.iter().find(|label| label.trim().is_empty()) {
        None => Ok(()),
        Some(_) => Err(Error::invalid("labels", "have an empty one; remove it")),
    }
}

json!(Account);

fields! {
    Account, extra: extra;
    id: "id" required("an account needs an id"),
    provider: "authProvider" vital("whose account it is") or(AuthProvider::APPWRITE),
    email: "email",
    email_verified: "emailVerified" or(false),
    phone: "phone",
    phone_verified: "phoneVerified" or(false),
    name: "name" or(String::new()),
    labels: "labels",
    prefs: "prefs" most(limits::JSON) or(Prefs::default()),
    has_mfa: "hasMfa" or(false),
    is_anonymous: "isAnonymous" or(false),
    is_blocked: "isBlocked" vital("who may sign in") or(false),
    old_id: "oldId",
    created_at: "createdAt" required("say when the account was created"),
    updated_at: "updatedAt" or(created_at),
    last_seen_at: "lastSeenAt",
}

/// What an account signs in with, beside OAuth.
#[derive(Debug, Clone, Default)]
pub enum Credential {
    /// No password: by OAuth or a link alone.
    #[default]
    None,
    /// A password. The service makes the hash.
    Password(Password),
    /// The hash of a password, from another service.
    Hash(PasswordHash),
}

/// The password of an account that is exported.
#[derive(Debug, Clone, PartialEq)]
pub enum StoredPassword {
    /// There is none.
    None,
    /// Its hash.
    Hash(PasswordHash),
    /// Something that is no hash of a known form.
    Unknown {
        /// What is wrong with it, without the value.
        problem: String,
    },
}

/// An account with the hash of its password, for a move to another service.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportedAccount {
    /// The account.
    pub account: Account,
    /// Its password.
    pub password: StoredPassword,
}

/// An account to be created.
///
/// ```
/// use authorstack_core::{Credential, NewAccount, Password};
///
/// let mut ada = NewAccount::new("ada@example.org".parse()?);
/// ada.credential = Credential::Password(Password::new("tide and time")?);
/// assert!(!format!("{ada:?}").contains("tide"));
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct NewAccount {
    /// The id; `None` to let the service choose one. Supabase Auth takes UUIDs only.
    pub id: Option<AuthId>,
    /// The e-mail address.
    pub email: Option<Email>,
    /// Whether it is verified already.
    pub email_verified: bool,
    /// The phone number.
    pub phone: Option<Phone>,
    /// Whether it is verified already.
    pub phone_verified: bool,
    /// The display name.
    pub name: String,
    /// What the host marks the account with.
    pub labels: Vec<String>,
    /// What the owner's client keeps there.
    pub prefs: Prefs,
    /// Whether a second factor was asked for elsewhere.
    pub has_mfa: bool,
    /// Whether it has no way to sign in again.
    pub is_anonymous: bool,
    /// What it signs in with.
    pub credential: Credential,
    /// Its id before a move.
    pub old_id: Option<AuthId>,
    /// When it was created elsewhere; `None` for now. Appwrite sets its own.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was last used elsewhere. Appwrite sets its own.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// Fields that AuthorStack does not know.
    pub extra: Extra,
}

impl NewAccount {
    /// An account with this address, not verified, without a password.
    #[must_use]
    pub fn new(email: Email) -> Self {
        Self {
            email: Some(email),
            is_anonymous: false,
            ..Self::anonymous()
        }
    }

    /// An account without any way to sign in again.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            id: None,
            email: None,
            email_verified: false,
            phone: None,
            phone_verified: false,
            name: String::new(),
            labels: Vec::new(),
            prefs: Prefs::default(),
            has_mfa: false,
            is_anonymous: true,
            credential: Credential::None,
            old_id: None,
            created_at: None,
            last_seen_at: None,
            extra: Extra::new(),
        }
    }

    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        let any = AuthId::try_from("new")?;
        self.clone()
            .into_account(any, AuthProvider::APPWRITE)
            .check()
    }

    /// The record, with the current time where none is given. The credential is left out.
    #[must_use]
    pub fn into_account(self, id: AuthId, provider: AuthProvider) -> Account {
        let created_at = self.created_at.map_or_else(time::now, time::to_millis);
        Account {
            id: self.id.unwrap_or(id),
            provider,
            email: self.email,
            email_verified: self.email_verified,
            phone: self.phone,
            phone_verified: self.phone_verified,
            name: self.name,
            labels: self.labels,
            prefs: self.prefs,
            has_mfa: self.has_mfa,
            is_anonymous: self.is_anonymous,
            is_blocked: false,
            old_id: self.old_id,
            created_at,
            updated_at: time::now(),
            last_seen_at: self.last_seen_at.map(time::to_millis),
            extra: self.extra,
        }
    }
}

/// Changes of an account. What it signs in with changes by
/// [`AccountRepository::set_credential`](crate::AccountRepository::set_credential).
///
/// A new address or number counts as not verified, unless the patch says that it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AccountPatch {
    /// A new e-mail address.
    pub email: Change<Email>,
    /// Whether it is verified.
    pub email_verified: Option<bool>,
    /// A new phone number.
    pub phone: Change<Phone>,
    /// Whether it is verified.
    pub phone_verified: Option<bool>,
    /// A new display name.
    pub name: Option<String>,
    /// New labels; they replace all old ones.
    pub labels: Option<Vec<String>>,
    /// New prefs; they replace all old ones.
    pub prefs: Option<Prefs>,
}

impl AccountPatch {
    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_patch(self)?;
        self.labels.as_deref().map_or(Ok(()), check_labels)
    }

    /// Applies the patch to an account in memory, and moves `updated_at` forward.
    pub fn apply(self, account: &mut Account) {
        let (email, phone) = (account.email.clone(), account.phone.clone());
        let (email_verified, phone_verified) = (self.email_verified, self.phone_verified);
        self.apply_to(account);
        if account.email != email {
            account.email_verified = email_verified.unwrap_or(false);
        }
        if account.phone != phone {
            account.phone_verified = phone_verified.unwrap_or(false);
        }
        account.updated_at = time::next_update(account.updated_at);
    }
}

patch! {
    AccountPatch, Account;
    email,
    email_verified,
    phone,
    phone_verified,
    name,
    labels,
    prefs,
}

patch_json!(AccountPatch);
