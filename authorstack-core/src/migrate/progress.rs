use super::{Counts, Kind};

/// Receives the progress of a command. Its methods must return quickly and must not block.
pub trait Progress: Send + Sync {
    /// A kind starts, or resumes with the counts of earlier runs.
    fn started(&self, kind: Kind, total: u64, counted: Counts);

    /// The counts of a kind so far, over all runs of the pass.
    fn advanced(&self, kind: Kind, counted: Counts);

    /// All records of a kind are loaded; indexes are being built.
    fn finishing(&self, kind: Kind);

    /// A kind is done.
    fn finished(&self, kind: Kind, counted: Counts);
}

/// Ignores all progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _: Kind, _: u64, _: Counts) {}
    fn advanced(&self, _: Kind, _: Counts) {}
    fn finishing(&self, _: Kind) {}
    fn finished(&self, _: Kind, _: Counts) {}
}
