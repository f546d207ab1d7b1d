//! What a plan says of accounts.

use authorstack_core::{
    migrate::{AccountsPlan, Examples},
    shown,
};
use authorstack_supabase::provider_settings;

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

/// The settings of the providers in use; none if none are.
pub(crate) fn provider_lines(plan: &AccountsPlan) -> Vec<String> {
    if plan.providers.is_empty() {
        return Vec::new();
    }
    let names = plan.providers.keys().map(String::as_str);
    let settings = provider_settings(names, None);
    settings
        .lines()
        .map(|line| shown(line).up_to(300).to_string())
        .collect()
}
