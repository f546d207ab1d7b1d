//! Users: who they are, their credits, preferences and connected platforms.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    check::{check_fields, check_patch},
    fields::{Patch, Shape, fields, part_fields, part_lists, patch, text_scalars},
    json::{input_json, json, patch_json},
};
use crate::{
    AuthId, AuthProvider, Currency, Email, Error, Extra, Id, Platform, Result, time,
    values::closed_set,
};

/// An author's profile, synced from the authentication provider.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The id. It is not that of the account: `auth_id` is.
    pub id: Id<User>,
    /// The account's id at the authentication provider. Unique.
    pub auth_id: AuthId,
    /// The authentication provider.
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
    /// Fields of the document that the schema does not know.
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
    /// As set on the device.
    System = "system"
}

/// A user's settings. A setting that was never chosen is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Preferences {
    /// Whether to send e-mail.
    pub email_notifications: Option<bool>,
    /// Whether to send the weekly digest.
    pub weekly_digest: Option<bool>,
    /// The colours of the user interface.
    pub theme: Option<Theme>,
    /// The time zone, by its IANA name, such as `Europe/Berlin`.
    pub timezone: Option<String>,
    /// The currency that sums are shown in.
    pub currency: Option<Currency>,
    /// Fields of the document that the schema does not know.
    pub extra: Extra,
}

/// A sales platform that a user has connected.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectedPlatform {
    /// The platform.
    pub platform: Platform,
    /// When it was connected.
    pub connected_at: Option<DateTime<Utc>>,
    /// When its sales were last synced.
    pub last_sync: Option<DateTime<Utc>>,
    /// Fields of the document that the schema does not know.
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
    /// The authentication provider.
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
    /// Fields that the schema does not know.
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

    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        self.clone().into_user().check()
    }

    /// The record to store, with a new id and the current time.
    #[must_use]
    pub fn into_user(self) -> User {
        let Self {
            auth_id,
            auth_provider,
            email,
            name,
            subscription_tier,
            credits,
            preferences,
            extra,
        } = self;
        let now = time::now();
        User {
            id: Id::new(),
            auth_id,
            auth_provider,
            email,
            name,
            subscription_tier,
            credits,
            preferences,
            connected_platforms: Vec::new(),
            created_at: now,
            updated_at: now,
            extra,
        }
    }
}

impl User {
    /// Checks what the field types cannot: every backend can store the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        if self.credits < 0 {
            return Err(Error::invalid(
                "credits",
                format!("{} is below zero; correct it", self.credits),
            ));
        }
        check_fields(self)
    }
}

/// What everyone may see of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicUser {
    /// The id.
    pub id: Id<User>,
    /// The display name.
    pub name: String,
}

impl From<User> for PublicUser {
    fn from(user: User) -> Self {
        let User { id, name, .. } = user;
        Self { id, name }
    }
}

text_scalars!(Shape::Text, SubscriptionTier, Theme);
part_fields!(Preferences);
part_lists!(ConnectedPlatform);

json!(User, Preferences, ConnectedPlatform);

input_json! {
    NewUser, extra: extra;
    auth_id: "authId" required("a user needs the id of an account"),
    auth_provider: "authProvider" or(AuthProvider::APPWRITE),
    email: "email" required("a user needs an e-mail address"),
    name: "name" or(String::new()),
    subscription_tier: "subscriptionTier" or(SubscriptionTier::default()),
    credits: "credits" or(0),
    preferences: "preferences",
}

fields! {
    User, extra: extra;
    id: "_id" required("a user needs an id"),
    auth_id: "authId" required("a user needs the id of an account"),
    auth_provider: "authProvider" vital("whose account it is") or(AuthProvider::APPWRITE),
    email: "email" required("a user needs an e-mail address"),
    name: "name" or(String::new()),
    subscription_tier: "subscriptionTier" or(SubscriptionTier::default()),
    credits: "credits" shape(Shape::COUNT) vital("they were paid") or(0),
    preferences: "preferences",
    connected_platforms: "connectedPlatforms",
    created_at: "createdAt" or(id.created_at()),
    updated_at: "updatedAt" or(created_at),
}

fields! {
    Preferences, extra: extra;
    email_notifications: "emailNotifications",
    weekly_digest: "weeklyDigest",
    theme: "theme",
    timezone: "timezone",
    currency: "currency" shape(Shape::Text),
}

fields! {
    ConnectedPlatform, extra: extra;
    platform: "platform" required("name the platform"),
    connected_at: "connectedAt",
    last_sync: "lastSync",
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
    /// New settings; they replace all old ones.
    pub preferences: Option<Preferences>,
    /// If set, the call returns Conflict unless the user was last changed at this time.
    pub expected_updated_at: Option<DateTime<Utc>>,
}

impl UserPatch {
    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_patch(self)
    }

    /// Applies the patch to a user in memory, and moves `updated_at` forward.
    pub fn apply(self, user: &mut User) {
        self.apply_to(user);
        user.updated_at = time::next_update(user.updated_at);
    }
}

patch! {
    UserPatch, User, beside: [expected_updated_at];
    auth_id,
    auth_provider,
    email,
    name,
    subscription_tier,
    preferences,
}

patch_json!(UserPatch);

/// Checks an amount of credits.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is not above zero.
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
