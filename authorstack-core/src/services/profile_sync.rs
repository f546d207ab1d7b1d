use futures::StreamExt;

use crate::{
    Account, AuthId, AuthorStack, Error, ErrorKind, NewUser, Result, User, UserPatch,
    layers::Operation,
};

/// Keeps the profiles of users in step with their accounts.
///
/// An account's profile is the user with its id as `authId`. The service creates it where there is
/// none, and carries the account's e-mail address over when it has changed; the name only while the
/// profile has none, since users change it there. Running again changes nothing.
///
/// It never joins an account with the profile of another one: where the address belongs to somebody
/// else's profile, it answers AlreadyExists. Whoever could register an address would own the profile
/// otherwise.
///
/// ```
/// use authorstack_core::{AuthorStack, NewAccount, services::{ProfileChange, ProfileSync}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// let ada = stack.accounts().create(NewAccount::new("ada@example.org".parse()?)).await?;
///
/// let profiles = ProfileSync::new(&stack);
/// let (user, change) = profiles.run(&ada.id).await?;
/// assert_eq!((user.auth_id, change), (ada.id.clone(), ProfileChange::Created));
/// assert_eq!(profiles.run(&ada.id).await?.1, ProfileChange::Unchanged);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ProfileSync {
    stack: AuthorStack,
    unverified: Unverified,
}

/// What to do with an account whose address is not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unverified {
    /// As with others: apps that ask nobody to verify an address need this.
    #[default]
    Accept,
    /// It gets no profile, and its profile keeps the address that it has.
    Refuse,
}

/// What a run did to a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileChange {
    /// It was created.
    Created,
    /// It was changed.
    Updated,
    /// It was as it should be.
    Unchanged,
}

/// The result of [`ProfileSync::run_all`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProfileReport {
    /// How many profiles were created.
    pub created: u64,
    /// How many were changed.
    pub updated: u64,
    /// How many were as they should be.
    pub unchanged: u64,
    /// How many accounts have no profile, or one that differs, because something is wrong with them.
    pub refused: u64,
    /// The first of these, at most [`ProfileReport::NAMED`].
    pub named: Vec<RefusedProfile>,
}

impl ProfileReport {
    /// How many refused accounts are named.
    pub const NAMED: usize = 100;
}

/// An account without a profile in step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedProfile {
    /// The account; `None` if it could not be read.
    pub account_id: Option<AuthId>,
    /// The reason.
    pub reason: String,
}

impl ProfileSync {
    /// How often a change that crosses another one is looked at anew.
    const ROUNDS: usize = 8;

    /// The service on this stack.
    #[must_use]
    pub fn new(stack: &AuthorStack) -> Self {
        Self {
            stack: stack.clone(),
            unverified: Unverified::default(),
        }
    }

    /// Sets what to do with addresses that are not verified.
    #[must_use]
    pub fn unverified(mut self, unverified: Unverified) -> Self {
        self.unverified = unverified;
        self
    }

    /// Brings the profile of an account in step.
    ///
    /// # Errors
    /// NotFound when there is no such account; Invalid for `email` when it has no address, or none
    /// that is verified and [`Unverified::Refuse`] is set; AlreadyExists for `email` when the address
    /// is that of another profile; Conflict when account and profile change all the time.
    pub async fn run(&self, account_id: &AuthId) -> Result<(User, ProfileChange)> {
        let synced = async {
            let account = self.stack.accounts().get(account_id).await?;
            self.sync(account).await
        };
        synced.await.map_err(|error| {
            let error = error.in_operation(Operation::AccountsSyncProfile);
            error.for_record(account_id)
        })
    }

    /// Brings the profiles of all accounts in step, with constant memory. An account for which that
    /// cannot be done is named in the report, and the others are done.
    ///
    /// # Errors
    /// Unsupported, Timeout or Unavailable of a store. What was done stays done; run it again.
    pub async fn run_all(&self) -> Result<ProfileReport> {
        let all = self.sync_all().await;
        all.map_err(|error| error.in_operation(Operation::AccountsSyncProfile))
    }

    async fn sync_all(&self) -> Result<ProfileReport> {
        let mut report = ProfileReport::default();
        let mut accounts = self.stack.accounts().stream();
        while let Some(account) = accounts.next().await {
            let (account_id, synced) = match account {
                Ok(account) => (Some(account.id.clone()), self.sync(account).await),
                Err(error) => (None, Err(error)),
            };
            match synced {
                Ok((_, ProfileChange::Created)) => report.created += 1,
                Ok((_, ProfileChange::Updated)) => report.updated += 1,
                Ok((_, ProfileChange::Unchanged)) => report.unchanged += 1,
                Err(error) if is_of_the_account(&error) => {
                    report.refused += 1;
                    if report.named.len() < ProfileReport::NAMED {
                        let reason = error.kind().to_string();
                        report.named.push(RefusedProfile { account_id, reason });
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(report)
    }

    async fn sync(&self, account: Account) -> Result<(User, ProfileChange)> {
        let (mut account, mut done) = (account, ProfileChange::Unchanged);
        for _ in 0..Self::ROUNDS {
            let found = match self.stack.users().get_by_auth_id(&account.id).await {
                Ok(user) => self.update(user, &account).await,
                Err(error) if error.is_not_found() => self.create(&account).await,
                Err(error) => Err(error),
            };
            let Some((user, change)) = found? else {
                continue;
            };
            match change {
                ProfileChange::Unchanged => return Ok((user, done)),
                // Created and then changed is created.
                ProfileChange::Updated if done == ProfileChange::Created => {}
                change => done = change,
            }
            // It may have changed while its profile was written, and another run may have written
            // that before this one.
            account = self.stack.accounts().get(&account.id).await?;
        }
        Err(Error::new(ErrorKind::Conflict {
            reason: "the account and its profile change all the time; try again later".into(),
        })
        .retryable(true))
    }

    fn address(&self, account: &Account) -> Result<crate::Email> {
        let refuse = |problem: &'static str| Err(Error::invalid("email", problem));
        match &account.email {
            None => refuse("the account has none, and a profile needs one"),
            Some(_) if self.unverified == Unverified::Refuse && !account.email_verified => {
                refuse("the account's is not verified")
            }
            Some(email) => Ok(email.clone()),
        }
    }

    /// `None` if somebody else was there first.
    async fn create(&self, account: &Account) -> Result<Option<(User, ProfileChange)>> {
        let mut new = NewUser::new(
            account.id.clone(),
            self.address(account)?,
            account.name.clone(),
        );
        new.auth_provider = account.provider.clone();
        match self.stack.users().create(new).await {
            Ok(user) => Ok(Some((user, ProfileChange::Created))),
            Err(error) if is_taken(&error, "authId") => Ok(None),
            // Of two unique fields, a store names one: another run may have made this very profile.
            Err(error) if is_taken(&error, "email") => {
                match self.stack.users().get_by_auth_id(&account.id).await {
                    Ok(_) => Ok(None),
                    Err(_) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// `None` if it was changed meanwhile.
    async fn update(&self, user: User, account: &Account) -> Result<Option<(User, ProfileChange)>> {
        let email = self.address(account)?;
        let takes_name = user.name.is_empty() && !account.name.is_empty();
        let patch = UserPatch {
            email: (user.email != email).then_some(email),
            name: takes_name.then(|| account.name.clone()),
            auth_provider: (user.auth_provider != account.provider)
                .then(|| account.provider.clone()),
            ..UserPatch::default()
        };
        if patch == UserPatch::default() {
            return Ok(Some((user, ProfileChange::Unchanged)));
        }
        let patch = UserPatch {
            expected_updated_at: Some(user.updated_at),
            ..patch
        };
        match self.stack.users().update(user.id, patch).await {
            Ok(user) => Ok(Some((user, ProfileChange::Updated))),
            Err(error) if matches!(error.kind(), ErrorKind::Conflict { .. }) => Ok(None),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn is_taken(error: &Error, name: &str) -> bool {
    matches!(error.kind(), ErrorKind::AlreadyExists { field } if field == name)
}

/// Whether something is wrong with one account, rather than with a store.
fn is_of_the_account(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Invalid { .. }
            | ErrorKind::AlreadyExists { .. }
            | ErrorKind::Corrupt { .. }
            | ErrorKind::Conflict { .. }
            // It was deleted meanwhile.
            | ErrorKind::NotFound
    )
}
