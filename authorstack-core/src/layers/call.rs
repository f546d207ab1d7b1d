use std::{any::Any, fmt, sync::Arc};

use async_trait::async_trait;
use futures::future::BoxFuture;

use super::{Access, Operation};
use crate::{Error, ErrorKind, Id, Result, Stores, User};

/// Code that runs around every call. It may observe a call, delay it, refuse it, repeat it, answer
/// it, or choose the store.
#[async_trait]
pub trait Layer: fmt::Debug + Send + Sync + 'static {
    /// Handles a call. `next` is the rest of the way to the store.
    ///
    /// A stream is one call, from its first record to its end. The future is polled while the host
    /// reads records, and dropped when the host drops the stream.
    ///
    /// # Errors
    /// The errors of the call, and the layer's own.
    async fn call(&self, call: &Call<'_>, next: Next<'_>) -> Result<Reply>;
}

/// A description of a call.
#[derive(Clone, Copy)]
pub struct Call<'c> {
    pub(super) operation: Operation,
    pub(super) store: &'static str,
    pub(super) user: Option<Id<User>>,
    pub(super) record: Option<&'c (dyn fmt::Display + Sync)>,
    pub(super) range: Option<&'c (dyn fmt::Display + Sync)>,
    pub(super) is_stream: bool,
}

impl Call<'_> {
    /// The operation.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// Whether the call may write.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.operation.access()
    }

    /// The name of the store that the stack was built on, such as `MongoDB`.
    #[must_use]
    pub const fn store(&self) -> &'static str {
        self.store
    }

    /// The user who acts or whose records are concerned, if the call names one.
    #[must_use]
    pub const fn user(&self) -> Option<Id<User>> {
        self.user
    }

    /// The record that is concerned, in the form that messages show, if the call names one.
    #[must_use]
    pub fn record(&self) -> Option<String> {
        self.record.map(ToString::to_string)
    }

    /// What the sums of this call are of, as a text that differs where the answers may: the days, the
    /// groups, the other parts of the filter. Only calls that are cached by it have one.
    #[must_use]
    pub fn range(&self) -> Option<String> {
        self.range.map(ToString::to_string)
    }

    /// Whether the call returns a stream.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Adds the operation and the record to an error. What the error names already stays.
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

/// The answer to a call, of any type.
pub struct Reply {
    value: Box<dyn Any + Send>,
    unreadable: u64,
}

impl Reply {
    /// Makes an answer. Its type must be the one that the operation returns; for a stream `()`, its
    /// end.
    #[must_use]
    pub fn new<T: Any + Send>(value: T) -> Self {
        Self {
            value: Box::new(value),
            unreadable: 0,
        }
    }

    /// Sets how many records the answer leaves out because they cannot be read.
    #[must_use]
    pub fn with_unreadable(mut self, count: u64) -> Self {
        self.unreadable = count;
        self
    }

    /// How many records the answer leaves out because they cannot be read; of a stream, how many
    /// came as errors.
    #[must_use]
    pub const fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// The answer, if it has this type.
    #[must_use]
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.value.downcast_ref()
    }

    /// The answer.
    ///
    /// # Errors
    /// Internal if a layer answered with a type other than the operation's.
    pub fn into<T: Any>(self) -> Result<T> {
        match self.value.downcast() {
            Ok(value) => Ok(*value),
            Err(_) => Err(Error::internal("a layer answered with the wrong type")),
        }
    }
}

impl fmt::Debug for Reply {
    /// Never shows the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply(…)")
    }
}

/// The end of a call's way: the store.
pub(super) trait Run: Sync {
    /// Makes the call on the stack's own store.
    fn run(&self) -> BoxFuture<'_, Result<Reply>>;

    /// Makes the call on other stores.
    fn run_on(&self, stores: &Stores) -> BoxFuture<'_, Result<Reply>>;
}

/// The rest of a call's way to the store.
#[derive(Clone, Copy)]
pub struct Next<'n> {
    pub(super) call: &'n Call<'n>,
    pub(super) layers: &'n [Arc<dyn Layer>],
    pub(super) run: &'n dyn Run,
}

impl<'n> Next<'n> {
    /// Makes the call. A layer may do so more than once, for example after an error. A stream that
    /// has given records cannot be repeated.
    ///
    /// # Errors
    /// The errors of the call.
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

    /// Makes the call on other stores, such as those of another stack, instead of going on to this
    /// one's.
    ///
    /// # Errors
    /// The errors of the call.
    #[must_use]
    pub fn run_on(&self, stores: &Stores) -> BoxFuture<'n, Result<Reply>> {
        self.run.run_on(stores)
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next")
            .field("call", self.call)
            .finish_non_exhaustive()
    }
}

/// The error of a part that a stack was built without.
pub(super) fn absent() -> Error {
    Error::new(ErrorKind::Unsupported {
        what: "this AuthorStack was built without a store for it; give its builder one".into(),
    })
}
