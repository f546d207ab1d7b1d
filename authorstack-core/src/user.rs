//! Users: who they are, their credits, preferences and connected platforms.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    AuthId, AuthProvider, Currency, Email, Error, Extra, Id, Page, PageRequest, Platform, Result,
    change::replace,
    extra, time,
    values::{check_text, closed_set},
};

/// An author's profile, synced from the authentication provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The id; on Supabase also the account's id in `auth.users`.
    pub id: Id<User>,
    /// The account's id at the authentication provider. Unique.
    pub auth_id: AuthId,
    /// Which provider that is.
    pub auth_provider: AuthProvider,
    /// The e-mail address. Unique, whatever its case.
    pub email: Email,
    /// The display name; may be empty.
    pub name: String,
    /// What the user has subscribed to.
    pub subscription_tier: SubscriptionTier,
    /// The balance of AI credits, never below zero.
    pub credits: i64,
    /// The user's settings.
    pub preferences: Preferences,
    /// The sales platforms that the user has connected, each once.
    pub connected_platforms: Vec<ConnectedPlatform>,
    /// When the profile was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed; later with every change.
    pub updated_at: DateTime<Utc>,
    /// What the document holds beyond the schema.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}

closed_set! {
    /// What a user has subscribed to.
    #[derive(Default)]
    SubscriptionTier, "subscriptionTier",
    /// Without payment.
    #[default]
    Free = "free",
    /// The first paid tier.
    Starter = "starter",
    /// For working authors.
    Professional = "professional",
    /// For publishers.
    Enterprise = "enterprise"
}

closed_set! {
    /// The colours of the user interface.
    Theme, "preferences.theme",
    /// Light colours.
    Light = "light",
    /// Dark colours.
    Dark = "dark",
    /// As the device says.
    System = "system"
}

/// A user's settings. A setting that was never made is `None`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preferences {
    /// Whether to send e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_notifications: Option<bool>,
    /// Whether to send the weekly digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly_digest: Option<bool>,
    /// The colours of the user interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theme: Option<Theme>,
    /// The time zone, by its IANA name, such as `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The currency that sums are shown in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// What the document holds beyond the schema.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A sales platform that a user has connected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectedPlatform {
    /// Which platform.
    pub platform: Platform,
    /// When it was connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected_at: Option<DateTime<Utc>>,
    /// When its sales were last synced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<DateTime<Utc>>,
    /// What the document holds beyond the schema.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A user to be created.
///
/// ```
/// use authorstack_core::{NewUser, SubscriptionTier};
///
/// let mut ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// ada.credits = 100;
/// assert_eq!(ada.subscription_tier, SubscriptionTier::Free);
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewUser {
    /// The account's id at the authentication provider.
    pub auth_id: AuthId,
    /// Which provider that is.
    pub auth_provider: AuthProvider,
    /// The e-mail address.
    pub email: Email,
    /// The display name.
    pub name: String,
    /// What the user has subscribed to.
    pub subscription_tier: SubscriptionTier,
    /// The first balance of AI credits; zero or more.
    pub credits: i64,
    /// The user's settings.
    pub preferences: Preferences,
    /// Fields beyond the schema.
    pub extra: Extra,
}

impl NewUser {
    /// A free user without credits, signed in by Appwrite.
    #[must_use]
    pub fn new(auth_id: AuthId, email: Email, name: impl Into<String>) -> Self {
        Self {
            auth_id,
            auth_provider: AuthProvider::APPWRITE,
            email,
            name: name.into(),
            subscription_tier: SubscriptionTier::default(),
            credits: 0,
            preferences: Preferences::default(),
            extra: Extra::new(),
        }
    }

    /// The record that a store will hold: checked, with a new id and the present moment.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when a field cannot be stored.
    pub fn into_user(self) -> Result<User> {
        let now = time::now();
        let user = User {
            id: Id::new(),
            auth_id: self.auth_id,
            auth_provider: self.auth_provider,
            email: self.email,
            name: self.name,
            subscription_tier: self.subscription_tier,
            credits: self.credits,
            preferences: self.preferences,
            connected_platforms: Vec::new(),
            created_at: now,
            updated_at: now,
            extra: self.extra,
        };
        user.check()?;
        Ok(user)
    }
}

impl User {
    /// The names of the fields in a stored document; `extra` may not use them.
    pub const FIELDS: &'static [&'static str] = &[
        "_id",
        "authId",
        "authProvider",
        "email",
        "name",
        "subscriptionTier",
        "credits",
        "preferences",
        "connectedPlatforms",
        "createdAt",
        "updatedAt",
    ];

    /// Checks what the field types do not: that every backend can hold the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        check_text("name", &self.name)?;
        if self.credits < 0 {
            return Err(Error::invalid(
                "credits",
                format!("{} is below zero", self.credits),
            ));
        }
        self.preferences.check()?;
        for (index, connected) in self.connected_platforms.iter().enumerate() {
            let within = format!("connectedPlatforms.{index}");
            check_extra(&within, &connected.extra, ConnectedPlatform::FIELDS)?;
        }
        check_extra("", &self.extra, Self::FIELDS)
    }
}

impl Preferences {
    /// The names of the fields in a stored document; `extra` may not use them.
    pub const FIELDS: &'static [&'static str] = &[
        "emailNotifications",
        "weeklyDigest",
        "theme",
        "timezone",
        "currency",
    ];

    pub(crate) fn check(&self) -> Result<()> {
        if let Some(timezone) = &self.timezone {
            check_text("preferences.timezone", timezone)?;
        }
        check_extra("preferences", &self.extra, Self::FIELDS)
    }
}

impl ConnectedPlatform {
    /// The names of the fields in a stored document; `extra` may not use them.
    pub const FIELDS: &'static [&'static str] = &["platform", "connectedAt", "lastSync"];
}

/// Checks unknown fields: none that the schema knows, no NUL. `within` is the path of the document
/// that holds them, empty for a record's own.
pub(crate) fn check_extra(within: &str, extra: &Extra, known: &[&str]) -> Result<()> {
    let path = |name: &str| match within {
        "" => name.to_owned(),
        within => format!("{within}.{name}"),
    };
    if let Some(name) = known.iter().find(|name| extra.contains_key(**name)) {
        let reason = "stands among the unknown fields and is one of the schema's; set that instead";
        return Err(Error::invalid(path(name), reason));
    }
    match extra::find_nul(extra) {
        None => Ok(()),
        Some(found) => Err(Error::invalid(
            path(&found),
            "holds a NUL character, which PostgreSQL cannot store; remove it",
        )),
    }
}

/// Changes of a user's profile. Credits and platforms change through their own calls.
///
/// ```
/// use authorstack_core::UserPatch;
///
/// let patch = UserPatch { name: Some("Ada L.".to_owned()), ..UserPatch::default() };
/// # let _ = patch;
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UserPatch {
    /// A new account id, after the account moved to another provider.
    pub auth_id: Option<AuthId>,
    /// The provider of the account.
    pub auth_provider: Option<AuthProvider>,
    /// A new e-mail address.
    pub email: Option<Email>,
    /// A new display name.
    pub name: Option<String>,
    /// A new subscription.
    pub subscription_tier: Option<SubscriptionTier>,
    /// New settings, as a whole.
    pub preferences: Option<Preferences>,
    /// When set, the user must have been last changed then, or the call answers Conflict.
    pub expected_updated_at: Option<DateTime<Utc>>,
}

impl UserPatch {
    /// Checks what the field types do not.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        if let Some(name) = &self.name {
            check_text("name", name)?;
        }
        self.preferences.as_ref().map_or(Ok(()), Preferences::check)
    }
}

/// What a host does with users.
///
/// Every call that changes a user answers with the user as it is then, and moves `updated_at`
/// forward.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait UserRepository: std::fmt::Debug + Send + Sync {
    /// Creates a user.
    ///
    /// # Errors
    /// AlreadyExists for `authId` or `email`; Invalid; a store's Timeout or Unavailable, as for
    /// every call.
    async fn create(&self, user: NewUser) -> Result<User>;

    /// The user with this id.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, id: Id<User>) -> Result<User>;

    /// The user of this account.
    ///
    /// # Errors
    /// NotFound.
    async fn get_by_auth_id(&self, auth_id: &AuthId) -> Result<User>;

    /// The user with this e-mail address, whatever its case.
    ///
    /// # Errors
    /// NotFound.
    async fn get_by_email(&self, email: &Email) -> Result<User>;

    /// A page of all users.
    ///
    /// # Errors
    /// Only a store's.
    async fn list(&self, page: PageRequest) -> Result<Page<User>>;

    /// Changes the fields that the patch names.
    ///
    /// # Errors
    /// NotFound; AlreadyExists for `authId` or `email`; Conflict when `expected_updated_at` no
    /// longer holds; Invalid.
    async fn update(&self, id: Id<User>, patch: UserPatch) -> Result<User>;

    /// Deletes the user and all that is theirs.
    ///
    /// # Errors
    /// NotFound.
    async fn delete(&self, id: Id<User>) -> Result<()>;

    /// Adds credits, atomically.
    ///
    /// # Errors
    /// NotFound; Invalid when `amount` is not above zero or the balance would overflow.
    async fn add_credits(&self, id: Id<User>, amount: i64) -> Result<User>;

    /// Spends credits, atomically: never below zero.
    ///
    /// # Errors
    /// NotFound; InsufficientCredits; Invalid when `amount` is not above zero.
    async fn spend_credits(&self, id: Id<User>, amount: i64) -> Result<User>;

    /// Connects a platform at a moment; a platform that is connected already is connected anew
    /// and keeps its last sync.
    ///
    /// # Errors
    /// NotFound.
    async fn connect_platform(
        &self,
        id: Id<User>,
        platform: Platform,
        at: DateTime<Utc>,
    ) -> Result<User>;

    /// Disconnects a platform; one that is not connected is no error.
    ///
    /// # Errors
    /// NotFound.
    async fn disconnect_platform(&self, id: Id<User>, platform: &Platform) -> Result<User>;

    /// Notes that a platform was synced at a moment. An earlier moment than the one noted changes
    /// nothing.
    ///
    /// # Errors
    /// NotFound, also when the platform is not connected.
    async fn mark_synced(
        &self,
        id: Id<User>,
        platform: &Platform,
        at: DateTime<Utc>,
    ) -> Result<User>;
}

/// Checks an amount of credits.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when it is not above zero.
pub fn check_credits(amount: i64) -> Result<()> {
    if amount > 0 {
        Ok(())
    } else {
        Err(Error::invalid(
            "amount",
            format!("{amount} credits; the amount must be above zero"),
        ))
    }
}

impl UserPatch {
    /// Does it to a user in memory; `updated_at` moves forward.
    pub fn apply(self, user: &mut User) {
        replace(&mut user.auth_id, self.auth_id);
        replace(&mut user.auth_provider, self.auth_provider);
        replace(&mut user.email, self.email);
        replace(&mut user.name, self.name);
        replace(&mut user.subscription_tier, self.subscription_tier);
        replace(&mut user.preferences, self.preferences);
        user.updated_at = time::next_update(user.updated_at);
    }
}
