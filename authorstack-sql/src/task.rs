//! Tasks that end when nobody waits for their result.

use authorstack_core::Result;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::{sync::mpsc, task::JoinHandle};

/// A task that ends when this is dropped.
#[derive(Debug)]
pub struct Aborting<T>(JoinHandle<T>);

impl<T> Aborting<T> {
    /// Ends this task when the value is dropped.
    #[must_use]
    pub const fn of(task: JoinHandle<T>) -> Self {
        Self(task)
    }
}

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The stream of what a task sends; the task ends with the stream.
pub fn spawned<T, F>(
    run: impl FnOnce(mpsc::Sender<Result<T>>) -> F + Send + 'static,
) -> BoxStream<'static, Result<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    stream::once(async move {
        let (sender, receiver) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            if let Err(error) = run(sender.clone()).await {
                // This fails only if the receiver is gone.
                let _ = sender.send(Err(error)).await;
            }
        });
        stream::unfold(
            (receiver, Aborting::of(task)),
            async |(mut receiver, task)| {
                let item = receiver.recv().await?;
                Some((item, (receiver, task)))
            },
        )
    })
    .flatten()
    .boxed()
}
