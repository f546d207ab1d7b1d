//! Random operations on a store and on the in-memory model: every answer, error and page agrees.

mod community;
mod compare;
mod documents;

use std::{collections::VecDeque, env};

use chrono::{DateTime, TimeDelta, Utc};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde::Serialize;
use serde_json::{Value, json};

pub(super) use self::compare::said;
use self::compare::{Names, outcome};
use crate::{
    AuthorStack, Book, Boost, Checklist, Competitor, Cursor, Id, Order, Page, PageRequest, Post,
    Result, User,
};

/// The default number of operations.
const OPERATIONS: usize = 2_000;

/// Runs the same random operations on a store and on the in-memory model, and compares the answers.
///
/// `AUTHORSTACK_TEST_OPERATIONS` is the number of operations (2,000 by default).
/// `AUTHORSTACK_TEST_SEED` repeats a failed run, which prints its seed.
pub async fn agrees_with_the_model(store: &AuthorStack) {
    let (seed, operations) = settings(OPERATIONS);
    agrees(store, seed, operations).await;
}

/// The seed and the number of operations.
pub(super) fn settings(operations: usize) -> (u64, usize) {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let asked = number("AUTHORSTACK_TEST_OPERATIONS");
    let asked = asked.and_then(|count| usize::try_from(count).ok());
    let seed = number("AUTHORSTACK_TEST_SEED").unwrap_or_else(rand::random);
    (seed, asked.unwrap_or(operations))
}

/// Runs a number of operations with a given seed.
pub async fn agrees(store: &AuthorStack, seed: u64, operations: usize) {
    let model = AuthorStack::memory();
    let mut pair = Both {
        sides: [&model, store],
        names: [Names::default(), Names::default()],
        random: StdRng::seed_from_u64(seed),
        seed,
        done: 0,
        log: VecDeque::new(),
        users: Vec::new(),
        books: Vec::new(),
        checklists: Vec::new(),
        tasks: Vec::new(),
        posts: Vec::new(),
        comments: Vec::new(),
        follows: Vec::new(),
        boosts: Vec::new(),
        competitors: Vec::new(),
    };
    for _ in 0..3 {
        pair.create_user().await;
        pair.create_book().await;
    }
    for done in 0..operations {
        pair.done = done;
        pair.step().await;
    }
    pair.look_at_everything().await;
}

/// An id on both sides.
#[derive(Debug)]
struct Twin<T> {
    ids: [Id<T>; 2],
}

impl<T> Clone for Twin<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Twin<T> {}

impl<T> Twin<T> {
    /// An id that neither side has.
    fn unknown() -> Self {
        let id = Id::new();
        Self { ids: [id, id] }
    }

    fn of(values: &[Value; 2]) -> Self {
        let id = |value: &Value| value["id"].as_str().and_then(|id| id.parse().ok());
        let ids = values.each_ref().map(id);
        Self {
            ids: ids.map(|id| id.expect("a created record has an id")),
        }
    }

    fn on(self, side: usize) -> Id<T> {
        self.ids[side]
    }
}

/// A task or a comment, and what it is of.
#[derive(Debug, Clone)]
struct PartTwin<T> {
    of: Twin<T>,
    texts: [String; 2],
}

/// The model and the store, and the test's state.
struct Both<'s> {
    sides: [&'s AuthorStack; 2],
    names: [Names; 2],
    random: StdRng,
    seed: u64,
    done: usize,
    /// The last operations.
    log: VecDeque<String>,
    users: Vec<Twin<User>>,
    books: Vec<(Twin<User>, Twin<Book>)>,
    checklists: Vec<(Twin<User>, Twin<Checklist>)>,
    tasks: Vec<PartTwin<Checklist>>,
    posts: Vec<(Twin<User>, Twin<Post>)>,
    comments: Vec<PartTwin<Post>>,
    /// Who began to follow whom.
    follows: Vec<(Twin<User>, Twin<User>)>,
    boosts: Vec<(Twin<User>, Twin<Boost>)>,
    competitors: Vec<(Twin<User>, Twin<Competitor>)>,
}

/// Makes a call on both sides, compares the answers and returns them.
macro_rules! both {
    ($both:ident, $what:expr, |$store:ident, $side:ident| $call:expr) => {{
        let what: String = $what;
        let mut outcomes = Vec::new();
        for $side in 0..2 {
            let $store = $both.sides[$side];
            outcomes.push($crate::testing::random::compare::outcome($call.await));
        }
        $both.agree(&what, outcomes)
    }};
}
use both;

impl Both<'_> {
    /// Compares both outcomes; fails if they differ. Returns both answers if there are no errors.
    fn agree(&mut self, what: &str, outcomes: Vec<Result<Value, Value>>) -> Option<[Value; 2]> {
        const REMEMBERED: usize = 25;
        if self.log.len() == REMEMBERED {
            self.log.pop_front();
        }
        self.log.push_back(format!("{}: {what}", self.done));
        let mut shown = Vec::new();
        for (names, outcome) in self.names.iter_mut().zip(&outcomes) {
            shown.push(match outcome {
                Ok(value) => json!({ "answer": names.translate(value) }),
                Err(error) => json!({ "error": error }),
            });
        }
        if shown[0] != shown[1] {
            let log: Vec<&str> = self.log.iter().map(String::as_str).collect();
            panic!(
                "the store differs from the model at operation {}\nmodel: {}\nstore: {}\nthe last \
                 operations:\n{}\nrepeat it with AUTHORSTACK_TEST_SEED={}",
                self.done,
                shown[0],
                shown[1],
                log.join("\n"),
                self.seed
            );
        }
        let values: Vec<Value> = outcomes.into_iter().filter_map(Result::ok).collect();
        values.try_into().ok()
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn number(&mut self, below: u32) -> u32 {
        self.random.random_range(0..below)
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        from.choose(&mut self.random).cloned()
    }

    /// One of the users; now and then one that does not exist.
    fn user(&mut self) -> Twin<User> {
        let users = self.users.clone();
        match self.pick(&users) {
            Some(user) if !self.chance(3) => user,
            _ => Twin::unknown(),
        }
    }

    /// An owner and a record of theirs; now and then the wrong owner, or an unknown record.
    fn owned<T>(&mut self, from: &[(Twin<User>, Twin<T>)]) -> (Twin<User>, Twin<T>) {
        let (owner, record) = match self.pick(from) {
            Some(found) if !self.chance(4) => found,
            _ => (self.user(), Twin::unknown()),
        };
        if self.chance(6) {
            (self.user(), record)
        } else {
            (owner, record)
        }
    }

    /// One of few moments, so that they meet.
    fn moment(&mut self) -> DateTime<Utc> {
        let day = i64::from(self.number(12));
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default();
        start + TimeDelta::days(day) + TimeDelta::milliseconds(i64::from(self.number(3)))
    }

    fn text(&mut self) -> String {
        let texts = [
            "Harbour",
            "$set",
            "{\"a\": 1}",
            "Ärger\u{2028}",
            "",
            " ",
            "a\0b",
            "'; drop table",
            "$$ROOT",
            "Salt & paper",
            "Long road",
            "Glass",
        ];
        let texts = texts.map(str::to_owned);
        self.pick(&texts).unwrap_or_default()
    }

    fn request(&mut self) -> PageRequest {
        let limit = self.number(5) + 1;
        let order = if self.chance(50) {
            Order::NewestFirst
        } else {
            Order::OldestFirst
        };
        PageRequest::first(limit).order(order)
    }

    /// A cursor of a list that is ordered otherwise.
    fn foreign(&mut self, by_moment: bool) -> Option<Cursor> {
        self.chance(3).then(|| {
            if by_moment {
                Cursor::behind(Id::<()>::new())
            } else {
                Cursor::behind_moment(DateTime::UNIX_EPOCH, "x")
            }
        })
    }

    async fn step(&mut self) {
        match self.number(100) {
            0..2 => self.create_user().await,
            2..16 => self.step_with_users().await,
            16..26 => self.step_with_books().await,
            26..48 => self.step_with_checklists().await,
            48..54 => self.step_with_follows().await,
            54..76 => self.step_with_posts().await,
            76..87 => self.step_with_boosts().await,
            _ => self.step_with_competitors().await,
        }
    }
}

/// A page of one side, and the request for the next.
fn turn<T: Serialize>(
    page: Result<Page<T>>,
    request: &PageRequest,
) -> (Result<Value, Value>, Option<PageRequest>) {
    let next = page.as_ref().ok().and_then(|page| page.next.clone());
    let next = next.map(|cursor| request.clone().after(cursor));
    let shown = page.map(|page| json!({ "items": page.items, "more": page.next.is_some() }));
    (outcome(shown), next)
}

/// Walks a list on both sides, each with its own cursors, for some pages.
macro_rules! walk {
    ($both:ident, $what:expr, $by_moment:expr, |$store:ident, $side:ident, $request:ident| $call:expr) => {{
        let what: String = $what;
        let first = $both.request();
        let first = match $both.foreign($by_moment) {
            Some(cursor) => first.after(cursor),
            None => first,
        };
        let mut requests = [first.clone(), first];
        for page in 0..4 {
            let (mut outcomes, mut next) = (Vec::new(), Vec::new());
            for $side in 0..2 {
                let $store = $both.sides[$side];
                let $request = requests[$side].clone();
                let (outcome, request) =
                    $crate::testing::random::turn($call.await, &requests[$side]);
                outcomes.push(outcome);
                next.push(request);
            }
            $both.agree(&format!("{what}, page {page}"), outcomes);
            match next.as_slice() {
                [Some(model), Some(store)] => requests = [model.clone(), store.clone()],
                _ => break,
            }
        }
    }};
}
use walk;
