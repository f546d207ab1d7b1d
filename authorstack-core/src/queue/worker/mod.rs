//! The worker: takes jobs from a queue and runs handlers.

mod context;
mod failure;
mod handle;
mod handler;
mod handlers;
mod options;
mod report;
mod run;
mod tasks;

pub use context::JobContext;
pub use failure::JobError;
pub use handle::{Worker, WorkerHandle};
pub use handler::Handler;
pub use handlers::Handlers;
pub use options::WorkerOptions;
pub use report::ShutdownReport;
