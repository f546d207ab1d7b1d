//! Queues in BullMQ's layout.

mod calls;
mod events;
mod feed;
mod jobs;
mod keys;
mod options;
mod schedules;
mod scripts;

pub use calls::RedisQueue;
