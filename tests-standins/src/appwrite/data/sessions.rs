use chrono::{Days, Utc};
use serde_json::{Value, json};

use crate::appwrite::times::{now, stamp, unique_id};

/// A session.
#[derive(Debug, Clone)]
pub(in crate::appwrite) struct Session {
    pub(in crate::appwrite) id: String,
    pub(in crate::appwrite) user: String,
    /// `email` or `server`.
    pub(in crate::appwrite) provider: &'static str,
    pub(in crate::appwrite) factors: Vec<&'static str>,
    /// The hex SHA-256 of the inner secret.
    pub(in crate::appwrite) digest: String,
    created: String,
    expire: String,
    uid: String,
    client: String,
}

impl Session {
    pub(in crate::appwrite) fn new(
        user: &str,
        provider: &'static str,
        uid: &str,
        digest: String,
        client: &str,
    ) -> Self {
        let end = Utc::now().checked_add_days(Days::new(365));
        Self {
            id: unique_id(),
            user: user.to_owned(),
            provider,
            factors: vec![if provider == "email" {
                "password"
            } else {
                "server"
            }],
            digest,
            created: now(),
            expire: end.map(stamp).unwrap_or_default(),
            uid: uid.to_owned(),
            client: client.to_owned(),
        }
    }

    /// The session with what is shown as its secret.
    pub(in crate::appwrite) fn json(&self, secret: &str, is_current: bool) -> Value {
        let (name, version) = self.client.split_once('/').unwrap_or((&self.client, ""));
        let version = version.split(' ').next().unwrap_or_default();
        json!({
            "$id": self.id,
            "$createdAt": self.created,
            "$updatedAt": self.created,
            "userId": self.user,
            "expire": self.expire,
            "provider": self.provider,
            "providerUid": self.uid,
            "providerAccessToken": "",
            "providerAccessTokenExpiry": "",
            "providerRefreshToken": "",
            "ip": "127.0.0.1",
            "osCode": "", "osName": "", "osVersion": "",
            "clientType": "library", "clientCode": "",
            "clientName": name, "clientVersion": version,
            "clientEngine": "", "clientEngineVersion": "",
            "deviceName": "", "deviceBrand": "", "deviceModel": "",
            "countryCode": "--", "countryName": "Unknown",
            "current": is_current,
            "factors": self.factors,
            "secret": secret,
            "mfaUpdatedAt": "",
        })
    }
}
