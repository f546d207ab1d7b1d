use serde_json::{Map, Value};

use crate::{
    AccountPreferences, AccountPreferencesPatch, AuthorStack, Change, Error, ErrorKind, Id,
    Preferences, Result, Theme, User, UserPatch, layers::Operation,
};

/// Keeps the settings of an account and those of its owner's profile in step: `theme` on both sides,
/// `notifications` of the account and `emailNotifications` of the profile.
///
/// A setting that was changed on one side since the last run is carried to the other one. If both
/// sides changed it, the newest wins. What only one side knows stays there. Running again changes
/// nothing.
///
/// To tell which side has changed, a run notes in the profile's settings what both sides had, under
/// [`PreferenceSync::NOTE`]. Without the note, at the first run or when an old app has dropped it,
/// a setting that both sides have and that differs is taken from the side that was changed last. The
/// profile's own date alone would not do: it moves with every credit that is spent.
#[derive(Debug, Clone)]
pub struct PreferenceSync {
    stack: AuthorStack,
}

/// What a run changed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PreferenceReport {
    /// The account's settings.
    pub account: AccountPreferences,
    /// The profile's settings.
    pub profile: Preferences,
    /// Whether the account's were changed.
    pub account_changed: bool,
    /// Whether the profile's were changed, apart from the note.
    pub profile_changed: bool,
}

/// The settings that both sides know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shared {
    theme: Option<Theme>,
    notifications: Option<bool>,
}

impl PreferenceSync {
    /// The unknown field of the profile's settings in which a run notes what both sides had.
    pub const NOTE: &'static str = "accountSync";

    const ROUNDS: usize = 8;

    /// The service on this stack.
    #[must_use]
    pub fn new(stack: &AuthorStack) -> Self {
        let stack = stack.clone();
        Self { stack }
    }

    /// Brings the settings of a user in step.
    ///
    /// # Errors
    /// NotFound when there is no such user or no account of theirs; Conflict when they change all the
    /// time; Timeout or Unavailable of a store: repeat the call.
    pub async fn run(&self, user_id: Id<User>) -> Result<PreferenceReport> {
        let synced = self.sync(user_id).await;
        synced.map_err(|error| {
            let error = error.in_operation(Operation::PreferencesSync);
            error.for_record(user_id)
        })
    }

    async fn sync(&self, user_id: Id<User>) -> Result<PreferenceReport> {
        let mut account_changed = false;
        for _ in 0..Self::ROUNDS {
            let user = self.stack.users().get(user_id).await?;
            let account = self.stack.preferences().get(&user.auth_id).await?;
            let merged = merged(&account, &user);
            // The account first: a run that breaks off here finds both sides equal the next time.
            let change = patch_of(&account, merged);
            let account = if change == AccountPreferencesPatch::default() {
                account
            } else {
                account_changed = true;
                let settings = self.stack.preferences();
                settings.update(&user.auth_id, change).await?
            };
            let mut profile = user.preferences.clone();
            (profile.theme, profile.email_notifications) = (merged.theme, merged.notifications);
            note(&mut profile, merged);
            let profile_changed = Shared::of(&user.preferences) != merged;
            if profile != user.preferences {
                let patch = UserPatch {
                    preferences: Some(profile.clone()),
                    expected_updated_at: Some(user.updated_at),
                    ..UserPatch::default()
                };
                match self.stack.users().update(user_id, patch).await {
                    Ok(_) => {}
                    Err(error) if matches!(error.kind(), ErrorKind::Conflict { .. }) => continue,
                    Err(error) => return Err(error),
                }
            }
            return Ok(PreferenceReport {
                account,
                profile,
                account_changed,
                profile_changed,
            });
        }
        Err(Error::new(ErrorKind::Conflict {
            reason: "the settings change all the time; try again later".into(),
        })
        .retryable(true))
    }
}

impl Shared {
    fn of(preferences: &Preferences) -> Self {
        Self {
            theme: preferences.theme,
            notifications: preferences.email_notifications,
        }
    }

    fn noted(preferences: &Preferences) -> Option<Self> {
        let note = preferences.extra.get(PreferenceSync::NOTE)?.as_object()?;
        let theme = note.get("theme").and_then(Value::as_str);
        Some(Self {
            theme: theme.and_then(|theme| theme.parse().ok()),
            notifications: note.get("notifications").and_then(Value::as_bool),
        })
    }
}

fn merged(account: &AccountPreferences, user: &User) -> Shared {
    let noted = Shared::noted(&user.preferences);
    let profile = Shared::of(&user.preferences);
    // Settings that were never stored have no date, and are older than all others.
    let account_is_newer = account.updated_at > Some(user.updated_at);
    Shared {
        theme: choose(
            account.theme,
            profile.theme,
            noted.map_or(Noted::Nothing, |noted| Noted::Both(noted.theme)),
            account_is_newer,
        ),
        notifications: choose(
            account.notifications,
            profile.notifications,
            noted.map_or(Noted::Nothing, |noted| Noted::Both(noted.notifications)),
            account_is_newer,
        ),
    }
}

/// What the last run has noted of a setting.
#[derive(Debug, Clone, Copy)]
enum Noted<T> {
    /// There is no note.
    Nothing,
    /// Both sides had this.
    Both(Option<T>),
}

/// The value that both sides get.
fn choose<T: PartialEq + Copy>(
    account: Option<T>,
    profile: Option<T>,
    noted: Noted<T>,
    account_is_newer: bool,
) -> Option<T> {
    match (account, profile, noted) {
        (account, profile, Noted::Both(noted)) if account == noted => profile,
        (account, profile, Noted::Both(noted)) if profile == noted => account,
        (account, None, Noted::Nothing) => account,
        (None, profile, Noted::Nothing) => profile,
        (account, profile, _) => {
            if account_is_newer {
                account
            } else {
                profile
            }
        }
    }
}

fn patch_of(account: &AccountPreferences, merged: Shared) -> AccountPreferencesPatch {
    AccountPreferencesPatch {
        theme: change(account.theme, merged.theme),
        notifications: change(account.notifications, merged.notifications),
    }
}

fn change<T: PartialEq + Copy>(now: Option<T>, wanted: Option<T>) -> Change<T> {
    match wanted {
        wanted if wanted == now => Change::Keep,
        Some(wanted) => Change::Set(wanted),
        None => Change::Clear,
    }
}

/// Notes what both sides have. Of settings that nobody has chosen, there is no note.
fn note(profile: &mut Preferences, shared: Shared) {
    let mut note = Map::new();
    if let Some(theme) = shared.theme {
        note.insert("theme".to_owned(), theme.as_str().into());
    }
    if let Some(notifications) = shared.notifications {
        note.insert("notifications".to_owned(), notifications.into());
    }
    if !note.is_empty() || profile.extra.contains_key(PreferenceSync::NOTE) {
        let name = PreferenceSync::NOTE.to_owned();
        profile.extra.insert(name, note.into());
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Noted::{Both, Nothing},
        choose,
    };

    #[test]
    fn the_side_that_changed_wins() {
        // account, profile, noted, whether the account is newer, both
        let cases = [
            (Some(1), Some(1), Nothing, false, Some(1)),
            (Some(1), None, Nothing, false, Some(1)),
            (None, Some(2), Nothing, true, Some(2)),
            (None, None, Nothing, true, None),
            (Some(1), Some(2), Nothing, true, Some(1)),
            (Some(1), Some(2), Nothing, false, Some(2)),
            (Some(1), Some(2), Both(Some(1)), true, Some(2)),
            (Some(1), Some(2), Both(Some(2)), false, Some(1)),
            (None, Some(2), Both(Some(2)), false, None),
            (Some(1), None, Both(Some(1)), true, None),
            (Some(1), Some(2), Both(Some(3)), true, Some(1)),
            (Some(1), Some(2), Both(Some(3)), false, Some(2)),
            (Some(1), Some(2), Both(None), false, Some(2)),
            (Some(1), None, Both(None), false, Some(1)),
        ];
        for case in cases {
            let (account, profile, noted, is_newer, both) = case;
            assert_eq!(choose(account, profile, noted, is_newer), both, "{case:?}");
        }
    }
}
