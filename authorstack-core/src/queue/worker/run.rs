//! The loop of a worker.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures::{
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{options::WorkerOptions, report::ShutdownReport, tasks::Tasks};
use crate::{
    Error, Result,
    queue::{
        feed::{Exchanged, JobFeed, Outcome, Settlement, Wake},
        jobs::JobQueue,
    },
    time,
};

/// The shortest and the longest pause after an error of the store.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// How long a stopping worker tries to tell the queue what became of its jobs.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// How long to wait for handlers that were told to end at their next await.
const LAST_AWAIT: Duration = Duration::from_millis(500);

/// With so many jobs at once, two exchanges may be on their way: the store works on one while the
/// worker runs what the other has brought.
const PIPELINED: usize = 16;

/// An exchange that has ended.
struct Landed {
    settled: Vec<Settlement>,
    room: usize,
    answer: Result<Exchanged>,
}

/// A worker at work. One task owns it: it takes, settles, renews locks and looks for lost workers.
/// Handlers run in tasks of their own. What ends while an exchange is on its way is settled by the
/// next one, so under load one round trip serves many jobs.
pub(super) struct Run {
    queue: Arc<dyn JobQueue>,
    feed: Arc<dyn JobFeed>,
    options: WorkerOptions,
    tasks: Tasks,
    closing: watch::Receiver<bool>,
    deadline: watch::Receiver<Option<Instant>>,
    /// What the queue does not know yet.
    settled: Vec<Settlement>,
    exchanges: FuturesUnordered<BoxFuture<'static, Landed>>,
    /// How many jobs they may bring.
    reserved: usize,
    /// Whether there may be jobs to take.
    ready: bool,
    /// When a delayed job is due.
    due: Option<DateTime<Utc>>,
    /// Until when the queue's rate limit lets nothing through.
    limited: Option<Instant>,
    /// The command that waits for jobs. It is kept until it ends: a wake-up must not be lost.
    wait: Option<BoxFuture<'static, Result<Wake>>>,
    /// Whether an answer was lost, and jobs with it.
    unsure: bool,
    failures: u32,
    /// Nothing is asked of the store before.
    pause: Option<Instant>,
    renew_at: Instant,
    recover_at: Instant,
}

impl Run {
    pub(super) fn new(
        queue: Arc<dyn JobQueue>,
        feed: Box<dyn JobFeed>,
        options: WorkerOptions,
        tasks: Tasks,
        closing: watch::Receiver<bool>,
        deadline: watch::Receiver<Option<Instant>>,
    ) -> Self {
        let now = Instant::now();
        Self {
            queue,
            feed: Arc::from(feed),
            renew_at: now + options.lock / 2,
            // A start is often a restart: what the last process left is found soon.
            recover_at: now,
            options,
            tasks,
            closing,
            deadline,
            settled: Vec::new(),
            exchanges: FuturesUnordered::new(),
            reserved: 0,
            ready: true,
            due: None,
            limited: None,
            wait: None,
            unsure: false,
            failures: 0,
            pause: None,
        }
    }

    pub(super) async fn until_closed(mut self) -> ShutdownReport {
        while !*self.closing.borrow() {
            self.collect();
            if self.is_due() {
                self.gather().await;
                self.depart().await;
            } else {
                self.rest().await;
            }
        }
        self.close().await
    }

    fn room(&self) -> usize {
        let used = self.tasks.len() + self.reserved;
        self.options.concurrency.saturating_sub(used)
    }

    /// How many jobs one exchange settles and takes at most.
    const fn batch(&self) -> usize {
        let all = self.options.concurrency;
        if all < PIPELINED {
            all
        } else {
            all.div_ceil(2)
        }
    }

    /// Takes note of the jobs that have ended.
    fn collect(&mut self) {
        while let Some(settlement) = self.tasks.try_next() {
            self.settled.push(settlement);
        }
    }

    /// Lets handlers end that are about to: the same command settles them. It goes on only while some
    /// do, so a job that has ended waits for none that takes its time.
    async fn gather(&mut self) {
        loop {
            let before = self.settled.len();
            tokio::task::yield_now().await;
            self.collect();
            if self.settled.len() == before || self.tasks.is_empty() {
                return;
            }
        }
    }

    /// Whether there is something to ask of the store now.
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        if self.pause.is_some_and(|until| until > now) {
            return false;
        }
        if self.limited.is_some_and(|until| until <= now) {
            self.limited = None;
            self.ready = true;
        }
        if self.due.is_some_and(|due| due <= time::now()) {
            self.due = None;
            self.ready = true;
        }
        if self.unsure {
            // What another exchange takes at the moment is not lost.
            return self.exchanges.is_empty();
        }
        let room = if self.may_take() { self.room() } else { 0 };
        if self.exchanges.is_empty() {
            return !self.settled.is_empty() || room > 0;
        }
        // The next one waits until it is worth a round trip.
        let worth = self.batch().div_ceil(2);
        let more = self.options.concurrency >= PIPELINED && self.exchanges.len() < 2;
        more && (self.settled.len() >= worth || room >= worth)
    }

    const fn may_take(&self) -> bool {
        self.ready && self.limited.is_none()
    }

    /// Begins to settle and to take.
    async fn depart(&mut self) {
        if self.unsure {
            match self.feed.reclaim(&self.held_or_settled()).await {
                Ok(0) => self.unsure = false,
                Ok(back) => {
                    self.unsure = false;
                    tracing::info!(queue = %self.queue.name(), jobs = back, "jobs whose answer was lost are back in line");
                }
                Err(error) => return self.failed("reclaim", &error),
            }
        }
        let settled: Vec<Settlement> = self
            .settled
            .drain(..self.settled.len().min(self.batch()))
            .collect();
        let room = if self.limited.is_none() {
            self.room().min(self.batch())
        } else {
            0
        };
        self.reserved += room;
        let feed = Arc::clone(&self.feed);
        self.exchanges.push(Box::pin(async move {
            let answer = feed.exchange(&settled, room).await;
            Landed {
                settled,
                room,
                answer,
            }
        }));
    }

    fn landed(&mut self, landed: Landed) {
        let Landed {
            settled,
            room,
            answer,
        } = landed;
        self.reserved = self.reserved.saturating_sub(room);
        match answer {
            Ok(exchanged) => self.exchanged(exchanged, room),
            Err(error) => {
                // The store may have done it all: settling again is refused, what was taken is
                // looked for.
                self.unsure = true;
                self.settled.splice(..0, settled);
                self.failed("exchange", &error);
            }
        }
    }

    fn held_or_settled(&self) -> Vec<crate::queue::feed::Held> {
        let mut held = self.tasks.held();
        held.extend(self.settled.iter().map(|it| it.held.clone()));
        held
    }

    fn exchanged(&mut self, exchanged: Exchanged, room: usize) {
        self.well();
        for (id, refusal) in &exchanged.refused {
            tracing::warn!(queue = %self.queue.name(), job = %id, ?refusal, "the queue refused the result of a job");
        }
        for id in &exchanged.broken {
            tracing::error!(queue = %self.queue.name(), job = %id, "the key of a job holds no job; it was taken out of the line");
        }
        if room > 0 {
            self.ready = exchanged.taken.len() == room;
            self.due = exchanged.next;
            self.limited = exchanged.limited.map(|wait| Instant::now() + wait);
        }
        for taken in exchanged.taken {
            self.tasks.start(taken);
        }
    }

    /// Waits until something happens.
    async fn rest(&mut self) {
        self.listen();
        let pause = self.pause.filter(|until| *until > Instant::now());
        let alarm = [
            pause,
            self.limited,
            self.due.map(|due| Instant::now() + until(due)),
            (!self.tasks.is_empty()).then_some(self.renew_at),
            Some(self.recover_at),
        ];
        let alarm = alarm.into_iter().flatten().min().unwrap_or(self.recover_at);
        let mut closing = self.closing.clone();
        tokio::select! {
            biased;
            () = async { drop(closing.wait_for(|closing| *closing).await) } => {}
            Some(landed) = self.exchanges.next() => self.landed(landed),
            settlement = self.tasks.next() => self.settled.push(settlement),
            wake = Self::woken(&mut self.wait) => self.wake(wake).await,
            () = sleep_until(alarm) => self.alarm().await,
        }
    }

    /// Begins to wait for a job, if one could be taken.
    fn listen(&mut self) {
        if self.wait.is_none()
            && self.pause.is_none()
            && self.limited.is_none()
            && !self.ready
            && self.exchanges.is_empty()
            && self.room() > 0
        {
            let longest = match self.due {
                Some(due) => self.options.block.min(until(due)),
                None => self.options.block,
            };
            self.wait = Some(self.feed.wait(longest.max(Duration::from_millis(10))));
        }
    }

    async fn woken(wait: &mut Option<BoxFuture<'static, Result<Wake>>>) -> Result<Wake> {
        match wait {
            None => std::future::pending().await,
            Some(running) => {
                let wake = running.await;
                *wait = None;
                wake
            }
        }
    }

    async fn wake(&mut self, wake: Result<Wake>) {
        match wake {
            Ok(Wake::Now | Wake::At(_)) if self.room() == 0 => {
                // Another worker may have room.
                self.ready = true;
                if let Err(error) = self.feed.rearm().await {
                    self.failed("rearm", &error);
                }
            }
            Ok(Wake::Now) => self.ready = true,
            Ok(Wake::At(due)) => {
                self.due = Some(self.due.map_or(due, |known| known.min(due)));
            }
            Ok(Wake::Nothing) => {}
            Err(error) => {
                // What came while the connection was broken woke nobody.
                self.ready = true;
                self.failed("wait", &error);
            }
        }
    }

    /// Renews locks, and looks for lost workers.
    async fn alarm(&mut self) {
        let now = Instant::now();
        if self.pause.is_some_and(|until| until <= now) {
            self.pause = None;
        }
        if self.renew_at <= now {
            self.renew_at = now + self.options.lock / 2;
            self.renew().await;
        }
        if self.recover_at <= now && self.pause.is_none() {
            self.recover().await;
        }
    }

    async fn renew(&mut self) {
        let held = self.tasks.held();
        if held.is_empty() {
            return;
        }
        match self.feed.extend(&held).await {
            Ok(lost) => {
                for id in lost {
                    tracing::warn!(queue = %self.queue.name(), job = %id, "the lock of a job is lost; its handler is ended");
                    self.tasks.forget(&id);
                }
            }
            Err(error) => {
                // Sooner than usual, while the lock lasts.
                self.renew_at = Instant::now() + self.options.lock / 10;
                self.failed("extend", &error);
            }
        }
    }

    async fn recover(&mut self) {
        let every = self.options.stalled_interval;
        match self.feed.recover(every).await {
            Ok(found) => {
                for id in &found.stalled {
                    tracing::warn!(queue = %self.queue.name(), job = %id, "the worker of a job was lost; the job is back in line");
                }
                if !found.stalled.is_empty() {
                    self.ready = true;
                }
                let next = if found.active || !self.tasks.is_empty() {
                    every
                } else {
                    self.options.idle_interval
                };
                self.recover_at = Instant::now() + next;
            }
            Err(error) => {
                self.recover_at = Instant::now() + every;
                self.failed("recover", &error);
            }
        }
    }

    fn well(&mut self) {
        self.failures = 0;
        self.pause = None;
    }

    /// Logs an error of the store, and leaves it alone for a while.
    fn failed(&mut self, what: &str, error: &Error) {
        let (shortest, longest) = PAUSES;
        let pause = shortest
            .saturating_mul(1 << self.failures.min(10))
            .min(longest);
        self.failures = self.failures.saturating_add(1);
        self.pause = Some(Instant::now() + pause);
        tracing::warn!(queue = %self.queue.name(), what, %error, "the queue's store failed; trying again");
    }

    /// Ends what runs, tells the queue, and wakes another worker.
    async fn close(mut self) -> ShutdownReport {
        // Its connection ends with it. What it may have been woken by, `rearm` says again.
        self.wait = None;
        while let Some(landed) = self.exchanges.next().await {
            self.landed(landed);
        }
        let mut report = ShutdownReport::default();
        let deadline = self.deadline.borrow().unwrap_or_else(Instant::now);
        while !self.tasks.is_empty() {
            tokio::select! {
                settlement = self.tasks.next() => {
                    report.ended += 1;
                    self.settled.push(settlement);
                }
                () = sleep_until(self.renew_at) => {
                    self.renew_at = Instant::now() + self.options.lock / 2;
                    self.renew().await;
                }
                () = sleep_until(deadline) => break,
            }
            while let Some(settlement) = self.tasks.try_next() {
                report.ended += 1;
                self.settled.push(settlement);
            }
            self.settle_last(deadline.max(Instant::now() + LAST_WORDS))
                .await;
        }
        self.tasks.abort();
        let patience = Instant::now() + LAST_AWAIT;
        while !self.tasks.is_empty() {
            match timeout(LAST_AWAIT, self.tasks.next()).await {
                Ok(settlement) => {
                    match settlement.outcome {
                        Outcome::GivenBack => report.given_back += 1,
                        _ => report.ended += 1,
                    }
                    self.settled.push(settlement);
                }
                Err(_) => break,
            }
            if Instant::now() > patience {
                break;
            }
        }
        self.settle_last(Instant::now() + LAST_WORDS).await;
        report.left = self.tasks.len() + self.settled.len();
        report.given_back = report.given_back.saturating_sub(self.settled.len());
        if self.unsure
            && let Err(error) = self.feed.reclaim(&self.held_or_settled()).await
        {
            tracing::warn!(queue = %self.queue.name(), %error, "jobs whose answer was lost wait until their locks run out");
        }
        if let Err(error) = self.feed.rearm().await {
            tracing::warn!(queue = %self.queue.name(), %error, "a stopping worker could not wake another one");
        }
        report
    }

    /// Tells the queue what has ended, as long as there is time.
    async fn settle_last(&mut self, deadline: Instant) {
        while !self.settled.is_empty() && Instant::now() < deadline {
            if let Some(until) = self.pause.take() {
                sleep(until.saturating_duration_since(Instant::now())).await;
            }
            let settled = std::mem::take(&mut self.settled);
            let answer = self.feed.exchange(&settled, 0).await;
            self.landed(Landed {
                settled,
                room: 0,
                answer,
            });
        }
    }
}

/// How long it is until then.
fn until(due: DateTime<Utc>) -> Duration {
    (due - time::now()).to_std().unwrap_or_default()
}
