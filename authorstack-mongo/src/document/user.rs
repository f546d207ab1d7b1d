//! Users.

use authorstack_core::{
    AuthId, AuthProvider, ConnectedPlatform, Email, Extra, Id, Preferences, SubscriptionTier, User,
    migrate::Problems,
};
use chrono::{DateTime, Utc};

use super::{Parts, Reader, raw::Raw, require};
use crate::extended_json::Path;

/// Reads a user's document.
pub(crate) fn user(bytes: &[u8]) -> Result<User, Problems> {
    let mut reader = Reader::default();
    let mut user = UserParts::default();
    reader.fields(bytes, &Path::Root, User::FIELDS, &mut user);
    user.finish(reader.problems)
}

#[derive(Debug, Default)]
struct UserParts {
    id: Option<Id<User>>,
    auth_id: Option<AuthId>,
    auth_provider: Option<AuthProvider>,
    email: Option<Email>,
    name: Option<String>,
    subscription_tier: Option<SubscriptionTier>,
    credits: Option<i64>,
    preferences: Preferences,
    connected_platforms: Vec<ConnectedPlatform>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    extra: Extra,
}

impl Parts for UserParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "_id" => self.id = reader.id(path, value),
            "authId" => self.auth_id = reader.value(path, value),
            "authProvider" => self.auth_provider = reader.value(path, value),
            "email" => self.email = reader.value(path, value),
            "name" => self.name = reader.string(path, value),
            "subscriptionTier" => self.subscription_tier = reader.value(path, value),
            "credits" => self.credits = reader.count(path, value, i64::MAX),
            "preferences" => {
                let known = Preferences::FIELDS;
                reader.nested(path, value, known, &mut self.preferences);
            }
            "connectedPlatforms" => reader.items(path, value, |reader, path, item| {
                let mut parts = ConnectedParts::default();
                match item {
                    Raw::Document(bytes) => {
                        reader.fields(bytes, path, ConnectedPlatform::FIELDS, &mut parts);
                    }
                    other => {
                        reader.wrong_type(path, "an object", other);
                        return;
                    }
                }
                match parts.platform {
                    Some(platform) => self.connected_platforms.push(ConnectedPlatform {
                        platform,
                        connected_at: parts.connected_at,
                        last_sync: parts.last_sync,
                        extra: parts.extra,
                    }),
                    None => require(
                        &mut reader.problems,
                        &format!("{path}.platform"),
                        false,
                        "name the platform or remove the item",
                    ),
                }
            }),
            "createdAt" => self.created_at = reader.date(path, value),
            "updatedAt" => self.updated_at = reader.date(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl UserParts {
    fn finish(self, mut problems: Problems) -> Result<User, Problems> {
        require(
            &mut problems,
            "_id",
            self.id.is_some(),
            "a user needs an id",
        );
        require(
            &mut problems,
            "authId",
            self.auth_id.is_some(),
            "a user needs the id of an account",
        );
        require(
            &mut problems,
            "email",
            self.email.is_some(),
            "a user needs an e-mail address",
        );
        let (Some(id), Some(auth_id), Some(email), true) =
            (self.id, self.auth_id, self.email, problems.is_empty())
        else {
            return Err(problems);
        };
        let created_at = self.created_at.unwrap_or_else(|| id.created_at());
        Ok(User {
            id,
            auth_id,
            auth_provider: self.auth_provider.unwrap_or(AuthProvider::APPWRITE),
            email,
            name: self.name.unwrap_or_default(),
            subscription_tier: self.subscription_tier.unwrap_or_default(),
            credits: self.credits.unwrap_or_default(),
            preferences: self.preferences,
            connected_platforms: self.connected_platforms,
            created_at,
            updated_at: self.updated_at.unwrap_or(created_at),
            extra: self.extra,
        })
    }
}

impl Parts for Preferences {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "emailNotifications" => self.email_notifications = reader.bool(path, value),
            "weeklyDigest" => self.weekly_digest = reader.bool(path, value),
            "theme" => self.theme = reader.value(path, value),
            "timezone" => self.timezone = reader.string(path, value),
            "currency" => self.currency = reader.value(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

#[derive(Debug, Default)]
struct ConnectedParts {
    platform: Option<authorstack_core::Platform>,
    connected_at: Option<DateTime<Utc>>,
    last_sync: Option<DateTime<Utc>>,
    extra: Extra,
}

impl Parts for ConnectedParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "platform" => self.platform = reader.value(path, value),
            "connectedAt" => self.connected_at = reader.date(path, value),
            "lastSync" => self.last_sync = reader.date(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}
