//! Queues in BullMQ's layout.

mod events;
mod feed;
mod jobs;
mod keys;
mod options;
mod queue;
mod schedules;
mod scripts;

pub use queue::RedisQueue;
