//! Queues in memory: for one process, and the model for those in a store.

mod add;
mod feed;
mod finish;
mod queue;
mod scheduling;
mod shared;
mod state;

pub use queue::MemoryQueue;
