use std::{any::Any, fmt, sync::Arc};

use async_trait::async_trait;
use futures::future::BoxFuture;

use super::{Access, Operation};
use crate::{AuthorStack, Error, Id, Result, User};

/// Something that every call passes through. It may look, delay, refuse, repeat, or choose the
/// store behind it.
#[async_trait]
pub trait Layer: fmt::Debug + Send + Sync + 'static {
    /// Handles a call: `next` is the rest of the way to the store.
    ///
    /// A call that streams is one call, from its first record to its end: the future is polled
    /// while the host takes records, and dropped when the host drops the stream.
    ///
    /// # Errors
    /// Those of the call, or the layer's own.
    async fn call(&self, call: &Call<'_>, next: Next<'_>) -> Result<Reply>;
}

/// What is called.
#[derive(Clone, Copy)]
pub struct Call<'c> {
    pub(super) operation: Operation,
    pub(super) store: &'static str,
    pub(super) user: Option<Id<User>>,
    pub(super) record: Option<&'c (dyn fmt::Display + Sync)>,
    pub(super) is_stream: bool,
}

impl Call<'_> {
    /// The operation.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// Whether it may write.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.operation.access()
    }

    /// The store that the stack was built on, by name, such as `MongoDB`.
    #[must_use]
    pub const fn store(&self) -> &'static str {
        self.store
    }

    /// The user whose records it is about, or who acts, where the call says so.
    #[must_use]
    pub const fn user(&self) -> Option<Id<User>> {
        self.user
    }

    /// The record that it is about, in the form that messages show, where the call names one.
    #[must_use]
    pub fn record(&self) -> Option<String> {
        self.record.map(ToString::to_string)
    }

    /// Whether the answer is a stream.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// The error with the operation and the record; what it names already stays.
    #[must_use]
    pub fn named(&self, error: Error) -> Error {
        let error = error.in_operation(self.operation);
        match self.record {
            Some(record) => error.for_record(record),
            None => error,
        }
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &self.operation.name())
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// The answer to a call, whatever its type.
pub struct Reply(Box<dyn Any + Send>);

impl Reply {
    /// An answer of a layer's own: of the type that the operation answers with.
    #[must_use]
    pub fn new<T: Any + Send>(value: T) -> Self {
        Self(Box::new(value))
    }

    /// The answer, where it is of this type.
    #[must_use]
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }

    /// The answer.
    ///
    /// # Errors
    /// Internal when a layer has answered with another type than the operation's.
    pub fn into<T: Any>(self) -> Result<T> {
        match self.0.downcast() {
            Ok(value) => Ok(*value),
            Err(_) => Err(Error::internal("a layer answered with another type")),
        }
    }
}

impl fmt::Debug for Reply {
    /// Never the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply(…)")
    }
}

/// The store at the end of the way.
pub(super) trait Run: Sync {
    /// Makes the call on the stack's own store.
    fn run(&self) -> BoxFuture<'_, Result<Reply>>;

    /// Makes it on another.
    fn run_on(&self, stack: &AuthorStack) -> BoxFuture<'_, Result<Reply>>;
}

/// The rest of a call's way to the store.
#[derive(Clone, Copy)]
pub struct Next<'n> {
    pub(super) call: &'n Call<'n>,
    pub(super) layers: &'n [Arc<dyn Layer>],
    pub(super) run: &'n dyn Run,
}

impl<'n> Next<'n> {
    /// Makes the call. It may be made again: after an error, say. A stream that has given records
    /// cannot be made again.
    ///
    /// # Errors
    /// Those of the call.
    #[must_use]
    pub fn run(&self) -> BoxFuture<'n, Result<Reply>> {
        match self.layers.split_first() {
            None => self.run.run(),
            Some((layer, rest)) => layer.call(
                self.call,
                Next {
                    layers: rest,
                    ..*self
                },
            ),
        }
    }

    /// Makes the call on another stack, instead of the rest of this way.
    ///
    /// # Errors
    /// Those of the call.
    #[must_use]
    pub fn run_on(&self, stack: &AuthorStack) -> BoxFuture<'n, Result<Reply>> {
        self.run.run_on(stack)
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next")
            .field("call", self.call)
            .finish_non_exhaustive()
    }
}
