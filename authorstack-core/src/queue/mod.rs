//! Queues: work that runs later, again after a failure, or by the clock.
//!
//! A [`JobQueue`] keeps jobs, a [`Worker`] runs them. `authorstack-redis` has queues in the layout of
//! BullMQ, so that a Node app adds and runs the same jobs; [`MemoryQueue`] is for one process and
//! for tests.
//!
//! - [`NewJob`] is what is added: a name, JSON, and [`JobOptions`] such as a delay, a priority or
//!   the number of attempts. A [`Payload`] is the typed form of both; [`payloads`] has those of
//!   AuthorStack's own queues.
//! - [`Handlers`] maps each payload to the code that runs it. A job that fails is tried again as its
//!   [`Backoff`] says; one that panics fails with its message; one whose worker dies is run by
//!   another worker.
//! - [`Schedule`] adds a job by a cron pattern or in an interval.
//! - [`JobQueue::events`] is a stream of what happens.
//!
//! Every job is run at least once. It is run exactly once while workers renew their locks: a process
//! that is paused for longer than the [lock](WorkerOptions::lock) may find that another one has run
//! its job, and its own result is refused then.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use authorstack_core::queue::{
//!     Handlers, JobQueue, MemoryQueue, NewJob, QueueName, Worker, payloads::SendEmail,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> authorstack_core::Result<()> {
//! let queue: Arc<dyn JobQueue> = Arc::new(MemoryQueue::new(QueueName::NOTIFICATIONS));
//! let handlers = Handlers::new().on(|mail: SendEmail, _context| async move {
//!     println!("{} for {}", mail.template, mail.user_id);
//!     Ok(())
//! });
//! let worker = Worker::new(Arc::clone(&queue), handlers).concurrency(10).start().await?;
//!
//! let mail = SendEmail::new("66f2a1b3c4d5e6f708192a3b".parse()?, "weekly-digest");
//! queue.add(NewJob::of(&mail)?.attempts(5)).await?;
//! worker.shutdown(Duration::from_secs(10)).await?;
//! # Ok(())
//! # }
//! ```

mod event;
mod feed;
mod job;
mod job_id;
mod jobs;
mod memory;
mod name;
mod new_job;
mod options;
mod payload;
pub mod payloads;
mod schedule;
mod state;
mod trace;
mod worker;

pub use event::{EventId, JobEvent, QueueEvent};
pub use feed::{
    Exchanged, FeedOptions, Held, JobFeed, Outcome, Recovered, Refusal, Settlement, Taken, Wake,
};
pub use job::{Job, JobCounts};
pub use job_id::JobId;
pub use jobs::{JobQueue, JobRange};
pub use memory::MemoryQueue;
pub use name::QueueName;
pub use new_job::NewJob;
pub use options::{Backoff, BackoffKind, Deduplication, JobOptions, Keep, MAX_PRIORITY};
pub use payload::Payload;
pub use schedule::{Schedule, Scheduler, Timing};
pub use state::JobState;
pub use trace::{TracePropagation, current_trace};
pub use worker::{
    Handler, Handlers, JobContext, JobError, ShutdownReport, Worker, WorkerHandle, WorkerOptions,
};
