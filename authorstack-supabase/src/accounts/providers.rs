//! Which providers a project signs in with, and the settings of those that it needs.

use std::{collections::BTreeSet, fmt::Write as _};

use authorstack_core::{Result, shown};
use serde_json::Value;

use super::store::SupabaseAccounts;

impl SupabaseAccounts {
    /// The providers that the project has switched on, by Supabase's names.
    ///
    /// # Errors
    /// Configuration, Timeout or Unavailable of the server.
    pub async fn enabled_providers(&self) -> Result<BTreeSet<String>> {
        self.inner().admin.enabled_providers().await
    }
}

/// The part of a project's `config.toml` that switches these providers on, with the redirect URL to
/// register with each. Ids and secrets of the apps are read from the environment. Without the
/// address of the Auth server there is a place for it.
///
/// ```
/// use authorstack_supabase::provider_settings;
///
/// let auth = "https://abc.supabase.co/auth/v1";
/// let settings = provider_settings(["google"], Some(auth));
/// assert!(settings.contains("[auth.external.google]"));
/// assert!(settings.contains("redirect_uri = \"https://abc.supabase.co/auth/v1/callback\""));
/// ```
#[must_use]
pub fn provider_settings<'p>(
    providers: impl IntoIterator<Item = &'p str>,
    auth_url: Option<&str>,
) -> String {
    let auth_url = auth_url.unwrap_or("https://<ref>.supabase.co/auth/v1");
    let callback = format!("{}/callback", auth_url.trim_end_matches('/'));
    let mut text = String::from(
        "# Use the apps of the old service: some providers give each app other ids of its people.\n",
    );
    let _ = writeln!(
        text,
        "# Register this redirect URL with each: {}",
        shown(&callback)
    );
    for name in providers {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_plain) {
            let _ = writeln!(
                text,
                "\n# {}: add it in the project's dashboard, among the custom providers",
                shown(name)
            );
            continue;
        }
        let upper = name.to_ascii_uppercase();
        let _ = write!(
            text,
            "\n[auth.external.{name}]\nenabled = true\n\
             client_id = \"env(SUPABASE_AUTH_EXTERNAL_{upper}_CLIENT_ID)\"\n\
             secret = \"env(SUPABASE_AUTH_EXTERNAL_{upper}_SECRET)\"\n\
             redirect_uri = {}\n",
            // A text of TOML, as of JSON.
            Value::from(callback.as_str())
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_name_stays_a_comment() {
        let names = ["google", "custom:okta", "a]\n[auth"];
        let settings = provider_settings(names, None);
        let sections: Vec<&str> = settings.lines().filter(|it| it.starts_with('[')).collect();
        assert_eq!(sections, ["[auth.external.google]"]);
        assert!(settings.contains("# custom:okta: add it"), "{settings}");
        assert!(settings.contains("https://<ref>.supabase.co/auth/v1/callback"));
    }
}
