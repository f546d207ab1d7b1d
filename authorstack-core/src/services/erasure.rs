use crate::{
    AuthId, AuthorStack, ErasedAnalytics, Error, ErrorKind, Id, Result, User, layers::Operation,
};

/// Erases a user everywhere: all that the stores of the stack hold of them.
///
/// [`UserRepository::delete`](crate::UserRepository::delete) erases the same, but for the account.
/// The service adds the account and the report, works on a stack without one of the parts, and may
/// be called again: a user who is gone already is no error.
///
/// It goes in this order, and each step may be repeated: the account with its sessions, so that the
/// user writes no more; the analytics; the user's documents, and the user last; the analytics that
/// were written in between. A call that broke off, by an error or because the host ended, is repeated
/// until it answers with a report. Then nothing of the user is left. The profile goes last since it
/// alone knows the account.
///
/// ```
/// use authorstack_core::{AuthorStack, NewUser, services::Erasure};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// let new = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// let ada = stack.users().create(new).await?.id;
///
/// let erasure = Erasure::new(&stack);
/// assert_eq!(erasure.run(ada).await?.user, Some(true));
/// assert_eq!(erasure.run(ada).await?.user, Some(false));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Erasure {
    stack: AuthorStack,
}

/// What one call of [`Erasure::run`] erased. After a call that broke off, the next one counts only
/// what was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ErasureReport {
    /// The analytics records; `None` if the stack holds no analytics.
    pub analytics: Option<ErasedAnalytics>,
    /// Whether the user was there, and was deleted with all their documents; `None` if the stack
    /// holds no documents.
    pub user: Option<bool>,
    /// The account; `None` if the stack holds no accounts, or the user was gone, and with them the
    /// account's id.
    pub account: Option<ErasedAccount>,
}

/// What was erased of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ErasedAccount {
    /// Whether it was there, and was deleted with its preferences.
    pub account: bool,
    /// How many open sessions were ended.
    pub sessions: u64,
    /// How many links to accounts of other services were removed.
    pub identities: u64,
}

impl Erasure {
    /// The service on this stack.
    #[must_use]
    pub fn new(stack: &AuthorStack) -> Self {
        let stack = stack.clone();
        Self { stack }
    }

    /// Erases a user.
    ///
    /// # Errors
    /// Unsupported if the stack has no store; Timeout or Unavailable of a store: repeat the call.
    pub async fn run(&self, user_id: Id<User>) -> Result<ErasureReport> {
        let erased = self.erase(user_id).await;
        erased.map_err(|error| {
            let error = error.in_operation(Operation::ErasureRun);
            error.for_record(user_id)
        })
    }

    /// Erases the owner of an account: the account, and the user with its id, if there is one. For an
    /// account without a profile, and for a user whose profile cannot be read.
    ///
    /// # Errors
    /// As of [`Erasure::run`].
    pub async fn run_for_account(&self, account_id: &AuthId) -> Result<ErasureReport> {
        let erased = self.erase_owner(account_id).await;
        erased.map_err(|error| {
            let error = error.in_operation(Operation::ErasureRun);
            error.for_record(account_id)
        })
    }

    async fn erase_owner(&self, account_id: &AuthId) -> Result<ErasureReport> {
        let account = self.erase_account(account_id).await?;
        let mut report = match held(self.stack.users().get_by_auth_id(account_id).await) {
            Ok(Some(user)) => self.erase_data(user.id).await?,
            Ok(None) => ErasureReport::default(),
            Err(error) if error.is_not_found() => ErasureReport {
                user: Some(false),
                ..ErasureReport::default()
            },
            Err(error) => return Err(error),
        };
        report.account = account;
        report.checked()
    }

    async fn erase(&self, user_id: Id<User>) -> Result<ErasureReport> {
        let account = match self.stack.users().get(user_id).await {
            Ok(user) => self.erase_account(&user.auth_id).await?,
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt { .. }) => {
                // Without its id, the account could never be found again.
                if self.holds_accounts().await? {
                    return Err(error);
                }
                None
            }
            Err(error) if error.is_not_found() => None,
            other => held(other)?.and(None),
        };
        let mut report = self.erase_data(user_id).await?;
        report.account = account;
        report.checked()
    }

    async fn holds_accounts(&self) -> Result<bool> {
        let nobody = AuthId::try_from("nobody")?;
        match held(self.stack.sessions().list(&nobody).await) {
            Ok(sessions) => Ok(sessions.is_some()),
            Err(_) => Ok(true),
        }
    }

    async fn erase_account(&self, id: &AuthId) -> Result<Option<ErasedAccount>> {
        let (sessions, identities) = (self.stack.sessions(), self.stack.identities());
        let Some(open) = held(sessions.list(id).await)? else {
            return Ok(None);
        };
        let linked = held(identities.list(id).await)?.unwrap_or_default();
        match sessions.revoke_all(id).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        let account = match self.stack.accounts().delete(id).await {
            Err(error) if error.is_not_found() => false,
            deleted => deleted.map(|()| true)?,
        };
        Ok(Some(ErasedAccount {
            account,
            sessions: open.len() as u64,
            identities: linked.len() as u64,
        }))
    }

    async fn erase_data(&self, user_id: Id<User>) -> Result<ErasureReport> {
        let erasure = self.stack.erasure();
        let mut analytics = held(erasure.erase_user(user_id).await)?;
        let user = match self.stack.users().delete(user_id).await {
            Err(error) if error.is_not_found() => Some(false),
            deleted => held(deleted)?.map(|()| true),
        };
        if let (Some(analytics), Some(_)) = (&mut analytics, user) {
            *analytics += erasure.erase_user(user_id).await?;
        }
        Ok(ErasureReport {
            analytics,
            user,
            account: None,
        })
    }
}

impl ErasureReport {
    /// The report, unless the stack has no store at all.
    fn checked(self) -> Result<Self> {
        if self == Self::default() {
            return Err(Error::unsupported(
                "this AuthorStack was built without a store; give its builder one",
            ));
        }
        Ok(self)
    }
}

/// None for a part that the stack does not have.
fn held<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported { .. }) => Ok(None),
        answer => answer.map(Some),
    }
}
