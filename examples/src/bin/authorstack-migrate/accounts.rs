//! What a plan says of accounts.

use std::collections::BTreeSet;

use authorstack_core::{
    Result,
    migrate::{AccountsPlan, Examples},
    shown,
};
use authorstack_supabase::{SupabaseAccounts, SupabaseStore, provider_settings};

use crate::{cli::Options, settings};

/// What becomes of the accounts, a line each.
pub(crate) fn lines(plan: &AccountsPlan, details: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for count in &plan.passwords {
        let name = shown(&count.algorithm);
        lines.push(if count.kept {
            format!("{name}: {} keep their password", count.accounts)
        } else {
            format!(
                "{name}: {} need a new password (`send-resets`), unless they sign in to the old \
                 service once before the move: it then hashes the password anew, in a form that moves",
                count.accounts
            )
        });
    }
    let mut add = |count: u64, what: &str| {
        if count > 0 {
            lines.push(format!("{count} {what}"));
        }
    };
    add(
        plan.without_password,
        "have no password: a provider or a link alone",
    );
    add(
        plan.with_mfa,
        "have a second factor, which stays behind: they are marked, ask for a new one",
    );
    add(plan.blocked, "are blocked, and stay so");
    add(
        plan.anonymous,
        "are anonymous: nobody can sign in to them again",
    );
    for (examples, what) in [
        (
            &plan.without_profile,
            "have no profile: they move, and get one like new accounts",
        ),
        (
            &plan.profiles_without_account,
            "profiles have no account: their owners cannot sign in",
        ),
    ] {
        if examples.count > 0 {
            lines.push(with_examples(examples, what, details));
        }
    }
    lines.push("Sessions do not move: everybody signs in once more".to_owned());
    lines
}

fn with_examples(examples: &Examples, what: &str, details: bool) -> String {
    let count = examples.count;
    if !details {
        return format!("{count} {what}");
    }
    let first = examples
        .first
        .iter()
        .map(|key| shown(key).up_to(120).to_string());
    let first: Vec<String> = first.collect();
    let more = if examples.count > first.len() as u64 {
        ", …"
    } else {
        ""
    };
    format!("{count} {what}: {}{more}", first.join(", "))
}

/// The providers of the project.
#[derive(Debug)]
pub(crate) struct Project {
    auth_url: String,
    enabled: BTreeSet<String>,
}

impl Project {
    /// Asks the project which providers it has switched on, if its Auth server is given.
    pub(crate) async fn ask(options: &Options) -> Result<Option<Self>> {
        let Some(access) = settings::project_if_given(options).await? else {
            return Ok(None);
        };
        let store = SupabaseStore::connect(access.database).await?;
        let accounts = SupabaseAccounts::new(&store, access.auth)?;
        Ok(Some(Self {
            auth_url: access.auth_url,
            enabled: accounts.enabled_providers().await?,
        }))
    }
}

/// The providers in use that are not switched on. A project does not tell of custom ones.
pub(crate) fn not_enabled<'p>(plan: &'p AccountsPlan, project: &Project) -> Vec<&'p str> {
    let in_use = plan.providers_in_use().into_iter();
    let missing = in_use.filter(|name| !name.contains(':') && !project.enabled.contains(*name));
    missing.collect()
}

/// The providers in use, and the settings of those that are not known to be switched on; nothing if
/// none are in use. All of it may be put into a config.toml.
pub(crate) fn provider_lines(plan: &AccountsPlan, project: Option<&Project>) -> Vec<String> {
    let in_use = plan.providers_in_use();
    if in_use.is_empty() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    let wanted = if let Some(project) = project {
        let missing = not_enabled(plan, project);
        for name in &in_use {
            lines.push(if name.contains(':') {
                format!(
                    "# {}: look in the project, which does not tell",
                    shown(name)
                )
            } else if missing.contains(name) {
                format!(
                    "# {}: NOT switched on; who signs in with it alone cannot, until it is",
                    shown(name)
                )
            } else {
                format!("# {}: switched on", shown(name))
            });
        }
        let custom = in_use.iter().copied().filter(|name| name.contains(':'));
        missing.into_iter().chain(custom).collect()
    } else {
        lines.push(
            "# Which of them are switched on is not known: set --supabase-auth-url and \
             --supabase-service-key"
                .to_owned(),
        );
        Vec::from_iter(in_use)
    };
    if wanted.is_empty() {
        return lines;
    }
    let settings = provider_settings(wanted, project.map(|project| project.auth_url.as_str()));
    let settings = settings.lines();
    lines.extend(settings.map(|line| shown(line).up_to(300).to_string()));
    lines
}
