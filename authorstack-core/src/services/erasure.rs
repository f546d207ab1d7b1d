use crate::{AuthorStack, ErasedAnalytics, Error, ErrorKind, Id, Result, User, layers::Operation};

/// Erases a user everywhere: all that the stores of the stack hold of them.
///
/// [`UserRepository::delete`](crate::UserRepository::delete) erases the same. The service adds the
/// report, works on a stack without one of the parts, and may be called again: a user who is gone
/// already is no error.
///
/// It goes in this order, and each step may be repeated: the analytics; the user's documents, and
/// the user last; the analytics that were written in between. A call that broke off, by an error or
/// because the host ended, is repeated until it answers with a report. Then nothing of the user is
/// left.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErasureReport {
    /// The analytics records; `None` if the stack holds no analytics.
    pub analytics: Option<ErasedAnalytics>,
    /// Whether the user was there, and was deleted with all their documents; `None` if the stack
    /// holds no documents.
    pub user: Option<bool>,
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

    async fn erase(&self, user_id: Id<User>) -> Result<ErasureReport> {
        let erasure = self.stack.erasure();
        let mut analytics = held(erasure.erase_user(user_id).await)?;
        let user = match self.stack.users().delete(user_id).await {
            Err(error) if error.is_not_found() => Some(false),
            deleted => held(deleted)?.map(|()| true),
        };
        if let (Some(analytics), Some(_)) = (&mut analytics, user) {
            *analytics += erasure.erase_user(user_id).await?;
        }
        if analytics.is_none() && user.is_none() {
            return Err(Error::new(ErrorKind::Unsupported {
                what: "this AuthorStack was built without a store; give its builder one".into(),
            }));
        }
        Ok(ErasureReport { analytics, user })
    }
}

/// None for a part that the stack does not have.
fn held<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported { .. }) => Ok(None),
        answer => answer.map(Some),
    }
}
