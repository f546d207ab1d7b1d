//! `Traced`: one span a call, without a value of a record.

use std::{
    collections::BTreeMap,
    fmt::{Debug, Write},
    sync::{Arc, Mutex, Once},
};

use authorstack_core::{
    AuthorStack, Id, MemoryStore,
    layers::{Operation, Traced},
};
use futures::{StreamExt, TryStreamExt};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id as SpanId, Record},
    subscriber::{DefaultGuard, set_default, set_global_default},
};

use crate::layers::{
    calls::{MARK, make_every_call},
    common::{Gate, Streaming, all_sales, new_user, on, on_memory, once},
};

/// A span that a [`Listener`] has heard of.
#[derive(Debug, Clone)]
struct Span {
    name: &'static str,
    level: Level,
    fields: BTreeMap<&'static str, String>,
    entered: usize,
    left: usize,
    is_closed: bool,
    handles: usize,
}

impl Visit for Span {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let shown = self.fields.entry(field.name()).or_default();
        // A field that is recorded twice has both values here.
        write!(shown, "{value:?}").unwrap();
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.entry(field.name()).or_default().push_str(value);
    }
}

/// Keeps all spans.
#[derive(Debug, Clone, Default)]
struct Listener {
    spans: Arc<Mutex<Vec<Span>>>,
    events: Arc<Mutex<usize>>,
}

impl Listener {
    /// Listens to what this thread does.
    fn here() -> (Self, DefaultGuard) {
        let listener = Self::default();
        let guard = set_default(listener.clone());
        (listener, guard)
    }

    fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    /// The one span, which is that of this call.
    fn only(&self, operation: Operation) -> Span {
        let spans = self.spans();
        assert_eq!(spans.len(), 1, "{spans:?}");
        assert_eq!(spans[0].fields["operation"], operation.name());
        spans[0].clone()
    }

    fn with(&self, id: &SpanId, change: impl FnOnce(&mut Span)) {
        let index = usize::try_from(id.into_u64()).unwrap() - 1;
        change(&mut self.spans.lock().unwrap()[index]);
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> SpanId {
        let metadata = attributes.metadata();
        let mut span = Span {
            name: metadata.name(),
            level: *metadata.level(),
            fields: BTreeMap::new(),
            entered: 0,
            left: 0,
            is_closed: false,
            handles: 1,
        };
        attributes.record(&mut span);
        let mut spans = self.spans.lock().unwrap();
        spans.push(span);
        SpanId::from_u64(spans.len() as u64)
    }

    fn record(&self, id: &SpanId, values: &Record<'_>) {
        self.with(id, |span| {
            assert!(!span.is_closed, "{span:?}");
            values.record(span);
        });
    }

    fn record_follows_from(&self, _: &SpanId, _: &SpanId) {}

    fn event(&self, _: &Event<'_>) {
        *self.events.lock().unwrap() += 1;
    }

    fn enter(&self, id: &SpanId) {
        self.with(id, |span| span.entered += 1);
    }

    fn exit(&self, id: &SpanId) {
        self.with(id, |span| span.left += 1);
    }

    fn clone_span(&self, id: &SpanId) -> SpanId {
        self.with(id, |span| span.handles += 1);
        id.clone()
    }

    fn try_close(&self, id: SpanId) -> bool {
        let mut closed = false;
        self.with(&id, |span| {
            span.handles -= 1;
            span.is_closed = span.handles == 0;
            closed = span.is_closed;
        });
        closed
    }
}

/// Takes all spans and forgets them.
struct Forgetful;

impl Subscriber for Forgetful {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> SpanId {
        SpanId::from_u64(1)
    }
    fn record(&self, _: &SpanId, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &SpanId, _: &SpanId) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &SpanId) {}
    fn exit(&self, _: &SpanId) {}
}

/// Has spans made in all threads, so that the conformance suite runs with them.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| set_global_default(Forgetful).unwrap());
}

/// Checks the span of a call that has ended.
fn check(span: &Span, operation: Operation, store: &str, outcome: &str) {
    assert_eq!(span.name, "authorstack.call");
    assert_eq!(span.level, Level::DEBUG);
    let names: Vec<&str> = span.fields.keys().copied().collect();
    assert_eq!(names, ["duration_ms", "operation", "outcome", "store"]);
    assert_eq!(span.fields["operation"], operation.name());
    assert_eq!(span.fields["store"], store);
    assert_eq!(span.fields["outcome"], outcome);
    let duration: f64 = span.fields["duration_ms"].parse().unwrap();
    assert!((0.0..60_000.0).contains(&duration), "{duration}");
    assert!(span.entered > 0 && span.entered == span.left, "{span:?}");
    assert!(span.is_closed, "{span:?}");
}

#[tokio::test]
async fn every_call_is_one_span_without_a_value_of_a_record() {
    let (listener, guard) = Listener::here();
    let store = MemoryStore::new();
    let stack = on(&store).layer(Traced).build();
    let made = make_every_call(&stack, Some(&store)).await;
    let spans = listener.spans();
    assert_eq!(made.len(), spans.len());
    for (made, span) in made.iter().zip(&spans) {
        // A watch has no end but that.
        let is_watch = made.operation == Operation::PreferencesWatch;
        let outcome = if is_watch { "dropped" } else { "ok" };
        check(span, made.operation, "memory", outcome);
    }
    assert!(!format!("{spans:?}").contains(MARK));
    assert_eq!(*listener.events.lock().unwrap(), 0);
    drop(guard);
}

#[tokio::test]
async fn the_outcome_of_an_error_is_its_kind() {
    let stack = on_memory().layer(Traced).build();
    let (listener, _guard) = Listener::here();
    let users = stack.users();
    let new = || new_user(&format!("{MARK}-ada"));
    let id = users.create(new()).await.unwrap().id;
    users.create(new()).await.unwrap_err();
    users.get(Id::new()).await.unwrap_err();
    users.spend_credits(id, 5).await.unwrap_err();
    users.spend_credits(id, -5).await.unwrap_err();
    let empty = AuthorStack::builder().layer(Traced).build();
    empty.users().get(id).await.unwrap_err();
    let spans = listener.spans();
    let outcomes = [
        (Operation::UsersCreate, "memory", "ok"),
        (Operation::UsersCreate, "memory", "already_exists"),
        (Operation::UsersGet, "memory", "not_found"),
        (
            Operation::UsersSpendCredits,
            "memory",
            "insufficient_credits",
        ),
        (Operation::UsersSpendCredits, "memory", "invalid"),
        (Operation::UsersGet, "none", "unsupported"),
    ];
    assert_eq!(spans.len(), outcomes.len());
    for (span, (operation, store, outcome)) in spans.iter().zip(outcomes) {
        check(span, operation, store, outcome);
    }
    assert!(!format!("{spans:?}").contains(MARK));
}

#[tokio::test]
async fn a_call_that_is_dropped_says_so() {
    let gate = Gate::new();
    let stack = on_memory().layer(Traced).layer(gate.clone()).build();
    let (listener, _guard) = Listener::here();
    let mut call = stack.users().get(Id::new());
    assert!(once(&mut call).await.is_none());
    let span = listener.only(Operation::UsersGet);
    assert!(
        !span.fields.contains_key("outcome") && !span.is_closed,
        "{span:?}"
    );
    drop(call);
    check(
        &listener.only(Operation::UsersGet),
        Operation::UsersGet,
        "memory",
        "dropped",
    );

    // What was never begun was no call.
    drop(stack.users().get(Id::new()));
    assert_eq!(listener.spans().len(), 1);
}

#[tokio::test]
async fn a_stream_is_one_span_to_its_end() {
    let store = Streaming::up_to(100);
    let stack = AuthorStack::builder()
        .analytics(&store)
        .layer(Traced)
        .build();
    let (listener, _guard) = Listener::here();
    let mut sales = stack.sales().stream(Id::new(), all_sales());
    assert!(listener.spans().is_empty());
    assert!(sales.next().await.unwrap().is_ok());
    let span = listener.only(Operation::SalesStream);
    assert!(!span.fields.contains_key("outcome"), "{span:?}");
    let rest: Vec<_> = sales.by_ref().try_collect().await.unwrap();
    assert_eq!(rest.len(), 99);
    let span = listener.only(Operation::SalesStream);
    check(&span, Operation::SalesStream, "streaming", "ok");
    drop(sales);
    let span = listener.only(Operation::SalesStream);
    check(&span, Operation::SalesStream, "streaming", "ok");
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_how() {
    let store = Streaming::failing_after(2);
    let stack = AuthorStack::builder()
        .analytics(&store)
        .layer(Traced)
        .build();
    let (listener, _guard) = Listener::here();
    let sales = stack.sales().stream(Id::new(), all_sales());
    assert_eq!(sales.count().await, 3);
    let span = listener.only(Operation::SalesStream);
    check(&span, Operation::SalesStream, "streaming", "unavailable");
}

#[tokio::test]
async fn a_stream_that_is_dropped_midway_says_so() {
    let store = Streaming::up_to(100);
    let stack = AuthorStack::builder()
        .analytics(&store)
        .layer(Traced)
        .build();
    let (listener, _guard) = Listener::here();
    let mut sales = stack.sales().stream(Id::new(), all_sales());
    assert!(sales.next().await.unwrap().is_ok());
    drop(sales);
    let span = listener.only(Operation::SalesStream);
    check(&span, Operation::SalesStream, "streaming", "dropped");
}

/// A subscriber that is not interested costs no span, and changes no answer.
#[tokio::test]
async fn without_interest_there_is_no_span() {
    let guard = set_default(tracing::subscriber::NoSubscriber::default());
    let stack = AuthorStack::builder().store(&MemoryStore::new());
    let stack = stack.layer(Traced).build();
    let user = stack.users().create(new_user("ada")).await.unwrap();
    assert_eq!(stack.users().get(user.id).await.unwrap(), user);
    drop(guard);
}
