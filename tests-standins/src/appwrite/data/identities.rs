use serde_json::{Value, json};

use crate::appwrite::times::{now, unique_id};

/// An account of another service, as OAuth makes it.
#[derive(Debug, Clone)]
pub struct NewIdentity {
    /// The account.
    pub user: String,
    /// The other service, such as `google`.
    pub provider: String,
    /// The id there.
    pub uid: String,
    /// The address there; may be empty.
    pub email: String,
    /// The token of the other service.
    pub access_token: String,
}

#[derive(Debug, Clone)]
pub(in crate::appwrite) struct Identity {
    pub(in crate::appwrite) id: String,
    created: String,
    pub(in crate::appwrite) is: NewIdentity,
}

impl Identity {
    pub(in crate::appwrite) fn new(is: NewIdentity) -> Self {
        Self {
            id: unique_id(),
            created: now(),
            is,
        }
    }

    pub(in crate::appwrite) fn json(&self) -> Value {
        let is = &self.is;
        let refresh = match is.access_token.as_str() {
            "" => String::new(),
            token => format!("refresh-{token}"),
        };
        json!({
            "$id": self.id,
            "$createdAt": self.created,
            "$updatedAt": self.created,
            "userId": is.user,
            "provider": is.provider,
            "providerUid": is.uid,
            "providerEmail": is.email,
            "providerAccessToken": is.access_token,
            "providerAccessTokenExpiry": "",
            "providerRefreshToken": refresh,
        })
    }
}
