//! The names of the services that accounts are linked with, and where the id of an account there is
//! the same for every app.

use super::Problem;
use crate::{IdentityProvider, shown};

/// What becomes of a provider in a move to Supabase Auth.
enum Carried {
    /// The subject carries, under this name.
    As(&'static str),
    /// It carries under a name of the project's own choice.
    Custom,
    /// The subject is another one for each app.
    OtherSubject(&'static str),
}

/// Appwrite's name, then what Supabase Auth makes of it. What is not listed has no provider there.
const PROVIDERS: &[(&str, Carried)] = &[
    ("apple", Carried::As("apple")),
    ("auth0", Carried::Custom),
    ("authentik", Carried::Custom),
    ("azure", Carried::OtherSubject("azure")),
    ("bitbucket", Carried::As("bitbucket")),
    ("discord", Carried::As("discord")),
    ("facebook", Carried::As("facebook")),
    ("figma", Carried::As("figma")),
    ("github", Carried::As("github")),
    ("gitlab", Carried::As("gitlab")),
    ("google", Carried::As("google")),
    ("linkedin", Carried::As("linkedin_oidc")),
    ("linkedin_oidc", Carried::As("linkedin_oidc")),
    ("microsoft", Carried::OtherSubject("azure")),
    ("notion", Carried::As("notion")),
    ("oidc", Carried::Custom),
    ("okta", Carried::Custom),
    ("slack", Carried::As("slack_oidc")),
    ("slack_oidc", Carried::As("slack_oidc")),
    ("spotify", Carried::As("spotify")),
    ("twitch", Carried::As("twitch")),
    ("x", Carried::As("x")),
    ("zoom", Carried::As("zoom")),
];

fn find(name: &str) -> Option<&'static Carried> {
    let mut all = PROVIDERS.iter();
    all.find(|(of, _)| *of == name).map(|(_, carried)| carried)
}

/// The provider's name on Supabase.
pub(super) fn named_on_supabase(provider: &IdentityProvider) -> IdentityProvider {
    let name = provider.as_str();
    let named = match find(name) {
        Some(Carried::As(other) | Carried::OtherSubject(other)) => other.parse(),
        Some(Carried::Custom) => format!("custom:{name}").parse(),
        None => return provider.clone(),
    };
    named.unwrap_or_else(|_| provider.clone())
}

/// Whether the people of a provider are linked anew, by their verified addresses.
pub(super) fn is_linked_anew(provider: &IdentityProvider) -> bool {
    matches!(find(provider.as_str()), Some(Carried::OtherSubject(_)))
}

/// Why an identity of this provider cannot move to Supabase Auth, if it cannot.
pub(super) fn refused_on_supabase(provider: &IdentityProvider) -> Option<Problem> {
    let name = provider.as_str();
    let problem = match find(name) {
        Some(Carried::As(_) | Carried::Custom) => return None,
        None if name.starts_with("custom:") => return None,
        Some(Carried::OtherSubject(_)) => {
            "is Microsoft, which gives each app other ids of its people: this one means nothing to \
             Supabase Auth. Who has a verified e-mail address is linked by it at the next sign-in; \
             nothing is to be done here"
                .to_owned()
        }
        None => format!(
            "is {}, which Supabase Auth has no provider for: the account signs in by its password \
             or by a link to its address",
            shown(name)
        ),
    };
    Some(Problem::new("provider", problem))
}

/// The names that a provider may have at the account service, its own first.
pub(super) fn names_at_source(provider: &IdentityProvider) -> Vec<IdentityProvider> {
    let mut names = vec![provider.clone()];
    for (name, _) in PROVIDERS {
        if let Ok(other) = name.parse::<IdentityProvider>()
            && other != *provider
            && named_on_supabase(&other) == *provider
        {
            names.push(other);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;

    #[test]
    fn names_are_supabases_and_microsoft_stays_behind() -> Result<()> {
        for (from, to) in [
            ("google", "google"),
            ("linkedin", "linkedin_oidc"),
            ("slack", "slack_oidc"),
            ("okta", "custom:okta"),
            ("custom:okta", "custom:okta"),
        ] {
            let named = named_on_supabase(&from.parse()?);
            assert_eq!(named.as_str(), to);
            assert_eq!(refused_on_supabase(&from.parse()?), None, "{from}");
            assert!(names_at_source(&named).contains(&from.parse()?), "{from}");
        }
        for refused in ["microsoft", "azure", "dropbox", "a\u{1b}[2J"] {
            let Ok(provider) = refused.parse() else {
                continue;
            };
            let problem = refused_on_supabase(&provider);
            assert!(
                problem.is_some_and(|it| it.field == "provider"),
                "{refused}"
            );
        }
        Ok(())
    }
}
