//! The settings of an account, which the clients of its owner follow.

use chrono::{DateTime, Utc};

use super::{
    change::Change,
    check::{check_fields, check_patch},
    fields::{Patch, fields, patch},
    json::{json, patch_json},
};
use crate::{AuthId, Extra, Result, Theme, time};

/// The settings of an account, as `user_preferences` holds them. A setting that was never chosen is
/// `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountPreferences {
    /// The account.
    pub account_id: AuthId,
    /// The colours of the user interface.
    pub theme: Option<Theme>,
    /// Whether to send e-mail.
    pub notifications: Option<bool>,
    /// When they were last stored; `None` if they never were. The store sets it.
    pub updated_at: Option<DateTime<Utc>>,
    /// Fields that the schema does not know.
    pub extra: Extra,
}

impl AccountPreferences {
    /// Those of an account that has never chosen any.
    #[must_use]
    pub fn empty(account_id: AuthId) -> Self {
        Self {
            account_id,
            theme: None,
            notifications: None,
            updated_at: None,
            extra: Extra::new(),
        }
    }

    /// Checks that every backend can store them.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_fields(self)
    }
}

json!(AccountPreferences);

fields! {
    AccountPreferences, extra: extra;
    account_id: "userId" column("user_id") required("say whose settings they are"),
    theme: "theme",
    notifications: "notifications",
    updated_at: "updatedAt",
}

/// Changes of the settings of an account; the others stay.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AccountPreferencesPatch {
    /// The colours of the user interface.
    pub theme: Change<Theme>,
    /// Whether to send e-mail.
    pub notifications: Change<bool>,
}

impl AccountPreferencesPatch {
    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_patch(self)
    }

    /// Applies the patch to settings in memory, and moves `updated_at` forward.
    pub fn apply(self, preferences: &mut AccountPreferences) {
        self.apply_to(preferences);
        let before = preferences.updated_at;
        preferences.updated_at = Some(before.map_or_else(time::now, time::next_update));
    }
}

patch! {
    AccountPreferencesPatch, AccountPreferences;
    theme,
    notifications,
}

patch_json!(AccountPreferencesPatch);
