use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound::{Excluded, Unbounded},
};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::appwrite::times::{now, stamp, unique_id};

/// An account.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(in crate::appwrite) struct User {
    pub(in crate::appwrite) id: String,
    pub(in crate::appwrite) created: String,
    pub(in crate::appwrite) updated: String,
    pub(in crate::appwrite) registration: String,
    pub(in crate::appwrite) name: String,
    pub(in crate::appwrite) email: String,
    pub(in crate::appwrite) phone: String,
    pub(in crate::appwrite) email_verified: bool,
    pub(in crate::appwrite) phone_verified: bool,
    /// `None` for one that was never set, empty for one that was taken away.
    pub(in crate::appwrite) password: Option<String>,
    pub(in crate::appwrite) hash: String,
    pub(in crate::appwrite) options: Value,
    pub(in crate::appwrite) password_update: String,
    pub(in crate::appwrite) is_active: bool,
    pub(in crate::appwrite) labels: Vec<String>,
    pub(in crate::appwrite) prefs: Map<String, Value>,
    pub(in crate::appwrite) has_mfa: bool,
    pub(in crate::appwrite) accessed: Option<DateTime<Utc>>,
    pub(in crate::appwrite) targets: Vec<Value>,
}

impl User {
    /// Whether a second factor can be shown.
    pub(in crate::appwrite) fn has_factor(&self) -> bool {
        self.has_email_factor() || self.has_phone_factor()
    }

    pub(in crate::appwrite) fn has_email_factor(&self) -> bool {
        !self.email.is_empty() && self.email_verified
    }

    pub(in crate::appwrite) fn has_phone_factor(&self) -> bool {
        !self.phone.is_empty() && self.phone_verified
    }

    /// As a key sees it.
    pub(in crate::appwrite) fn json(&self) -> Value {
        let mut json = self.account();
        json["password"] = json!(self.password);
        json["hash"] = self.hash.as_str().into();
        json["hashOptions"] = self.options.clone();
        json
    }

    /// As its owner sees it.
    pub(in crate::appwrite) fn account(&self) -> Value {
        json!({
            "$id": self.id,
            "$createdAt": self.created,
            "$updatedAt": self.updated,
            "name": self.name,
            "registration": self.registration,
            "status": self.is_active,
            "labels": self.labels,
            "passwordUpdate": self.password_update,
            "email": self.email,
            "phone": self.phone,
            "emailVerification": self.email_verified,
            "phoneVerification": self.phone_verified,
            "mfa": self.has_mfa,
            "prefs": self.prefs,
            "targets": self.targets,
            "accessedAt": self.accessed.map(stamp).unwrap_or_default(),
            "impersonator": false,
            "impersonatorUserId": null,
        })
    }

    /// Follows a change of the address or the number.
    fn set_target(&mut self, kind: &str, identifier: &str) {
        let place = self
            .targets
            .iter()
            .position(|it| it["providerType"] == kind);
        match (place, identifier.is_empty()) {
            (Some(place), true) => drop(self.targets.remove(place)),
            (Some(place), false) => self.targets[place]["identifier"] = identifier.into(),
            (None, true) => {}
            (None, false) => self.targets.push(json!({
                "$id": unique_id(), "$createdAt": now(), "$updatedAt": now(), "name": "",
                "userId": self.id, "providerId": null, "providerType": kind,
                "identifier": identifier, "expired": false,
            })),
        }
    }
}

/// The accounts, in the order of their making, found by what is unique.
#[derive(Debug, Default)]
pub(in crate::appwrite) struct Users {
    by_number: BTreeMap<u64, User>,
    by_id: HashMap<String, u64>,
    by_email: HashMap<String, u64>,
    by_phone: HashMap<String, u64>,
    last: u64,
}

impl Users {
    pub(in crate::appwrite) fn get(&self, id: &str) -> Option<&User> {
        self.by_number.get(self.by_id.get(id)?)
    }

    pub(in crate::appwrite) fn get_mut(&mut self, id: &str) -> Option<&mut User> {
        self.by_number.get_mut(self.by_id.get(id)?)
    }

    pub(in crate::appwrite) fn by_email(&self, email: &str) -> Option<&User> {
        self.by_number.get(self.by_email.get(email)?)
    }

    pub(in crate::appwrite) fn by_phone(&self, phone: &str) -> Option<&User> {
        self.by_number.get(self.by_phone.get(phone)?)
    }

    /// Adds an account whose unique values are free.
    pub(in crate::appwrite) fn add(&mut self, mut user: User) {
        self.last += 1;
        let (email, phone) = (user.email.clone(), user.phone.clone());
        user.set_target("email", &email);
        user.set_target("sms", &phone);
        self.by_id.insert(user.id.clone(), self.last);
        if !email.is_empty() {
            self.by_email.insert(email, self.last);
        }
        if !phone.is_empty() {
            self.by_phone.insert(phone, self.last);
        }
        self.by_number.insert(self.last, user);
    }

    pub(in crate::appwrite) fn remove(&mut self, id: &str) -> Option<User> {
        let number = self.by_id.remove(id)?;
        let user = self.by_number.remove(&number)?;
        self.by_email.remove(&user.email);
        self.by_phone.remove(&user.phone);
        Some(user)
    }

    pub(in crate::appwrite) fn set_email(&mut self, id: &str, email: &str) {
        let Some(&number) = self.by_id.get(id) else {
            return;
        };
        if let Some(user) = self.by_number.get_mut(&number) {
            self.by_email.remove(&user.email);
            email.clone_into(&mut user.email);
            user.email_verified = false;
            user.set_target("email", email);
        }
        if !email.is_empty() {
            self.by_email.insert(email.to_owned(), number);
        }
    }

    pub(in crate::appwrite) fn set_phone(&mut self, id: &str, phone: &str) {
        let Some(&number) = self.by_id.get(id) else {
            return;
        };
        if let Some(user) = self.by_number.get_mut(&number) {
            self.by_phone.remove(&user.phone);
            phone.clone_into(&mut user.phone);
            user.phone_verified = false;
            user.set_target("sms", phone);
        }
        if !phone.is_empty() {
            self.by_phone.insert(phone.to_owned(), number);
        }
    }

    /// The accounts behind this one, or all; `None` if there is none of this id.
    pub(in crate::appwrite) fn behind(
        &self,
        id: Option<&str>,
    ) -> Option<impl Iterator<Item = &User>> {
        let after = match id {
            Some(id) => Excluded(*self.by_id.get(id)?),
            None => Unbounded,
        };
        Some(
            self.by_number
                .range((after, Unbounded))
                .map(|(_, user)| user),
        )
    }

    pub(in crate::appwrite) fn len(&self) -> usize {
        self.by_number.len()
    }
}
