use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;

use super::{Access, Call, Layer, Next, Reply, under_way::UnderWay};
use crate::{Error, ErrorKind, Result};

/// Refuses writes while it is closed, with the retryable error [`ErrorKind::Moving`]. Use it while
/// the data moves to another store. Reads go through. Clones are one fence.
///
/// ```
/// use authorstack_core::{AuthorStack, ErrorKind, MemoryStore, NewUser, layers::Fenced};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let fence = Fenced::new();
/// let store = MemoryStore::new();
/// let stack = AuthorStack::builder().store(&store).layer(fence.clone()).build();
/// fence.close().await;
/// let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// let refused = stack.users().create(ada.clone()).await.unwrap_err();
/// assert!(refused.is_retryable() && *refused.kind() == ErrorKind::Moving);
/// fence.open();
/// stack.users().create(ada).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Fenced {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    is_closed: AtomicBool,
    writes: Arc<UnderWay>,
}

impl Fenced {
    /// An open fence.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses all writes from now on, and waits until the writes under way have ended. If this
    /// future is dropped earlier, the fence stays closed.
    pub async fn close(&self) {
        self.shared.is_closed.store(true, Ordering::SeqCst);
        self.shared.writes.ended().await;
    }

    /// Lets writes through again.
    pub fn open(&self) {
        self.shared.is_closed.store(false, Ordering::SeqCst);
    }

    /// Whether writes are refused.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed.load(Ordering::SeqCst)
    }

    fn check(&self) -> Result<()> {
        if self.is_closed() {
            Err(Error::new(ErrorKind::Moving))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Layer for Fenced {
    async fn call(&self, call: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        match call.access() {
            Access::Read => next.run().await,
            Access::Write => {
                self.check()?;
                let under_way = self.shared.writes.enter();
                // It may have been closed meanwhile: then either this write sees that, or
                // `close` sees this write.
                self.check()?;
                let reply = next.run().await;
                drop(under_way);
                reply
            }
        }
    }
}
