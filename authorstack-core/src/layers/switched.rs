use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use super::{
    Call, Layer, Next, Reply,
    under_way::{Mark, UnderWay},
};
use crate::{Result, Stores};

/// Changes the store behind a stack at run time. New calls go to the stack that was switched to
/// last; calls under way finish on the previous one. Clones are one switch.
///
/// ```
/// use authorstack_core::{AuthorStack, MemoryStore, NewUser, PageRequest, layers::Switched};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let switch = Switched::new();
/// let old = MemoryStore::new();
/// let stack = AuthorStack::builder().store(&old).layer(switch.clone()).build();
/// let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// stack.users().create(ada).await?;
///
/// let calls_before = switch.to(AuthorStack::memory());
/// calls_before.ended().await;
/// assert!(stack.users().list(PageRequest::first(1)).await?.items.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Switched {
    now: Arc<RwLock<Arc<Behind>>>,
}

/// A stack that calls go to.
#[derive(Debug, Default)]
struct Behind {
    /// None for the stack's own store.
    stores: Option<Stores>,
    calls: Arc<UnderWay>,
}

/// The calls that were under way when a [`Switched`] was switched.
#[derive(Debug)]
#[must_use = "the calls under way go on; wait for their end, or drop this to let them"]
pub struct Drain(Arc<Behind>);

impl Drain {
    /// Waits until all of them have ended.
    pub async fn ended(self) {
        self.0.calls.ended().await;
    }
}

impl Default for Switched {
    fn default() -> Self {
        Self::new()
    }
}

impl Switched {
    /// A switch that sends calls to the stack's own store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            now: Arc::new(RwLock::new(Arc::default())),
        }
    }

    /// Sends new calls to another stack. Returns the calls that are under way on the previous one.
    pub fn to(&self, stack: impl Into<Stores>) -> Drain {
        self.change(Some(stack.into()))
    }

    /// Sends new calls to the stack's own store again. Returns the calls that are under way on the
    /// previous one.
    pub fn back(&self) -> Drain {
        self.change(None)
    }

    /// The stack that calls go to, and the mark of a call under way. Both are taken under one lock,
    /// so a [`Drain`] made later waits for the call.
    fn enter(&self) -> (Arc<Behind>, Mark) {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&now), now.calls.enter())
    }

    fn change(&self, stores: Option<Stores>) -> Drain {
        let next = Arc::new(Behind {
            stores,
            calls: Arc::default(),
        });
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        Drain(std::mem::replace(&mut *now, next))
    }
}

#[async_trait]
impl Layer for Switched {
    async fn call(&self, _: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        let (behind, under_way) = self.enter();
        let reply = match &behind.stores {
            None => next.run().await,
            Some(stores) => next.run_on(stores).await,
        };
        drop(under_way);
        reply
    }
}
