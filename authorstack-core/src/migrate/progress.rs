use super::{Counts, Kind};

/// Is told how far a command has come. Calls are short and must not block.
pub trait Progress: Send + Sync {
    /// A kind starts, or resumes with what was counted before.
    fn started(&self, kind: Kind, total: u64, counted: Counts);

    /// A kind has come this far, all runs of the pass counted.
    fn advanced(&self, kind: Kind, counted: Counts);

    /// All records of a kind are loaded; indexes are being built.
    fn finishing(&self, kind: Kind);

    /// A kind is done.
    fn finished(&self, kind: Kind, counted: Counts);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _: Kind, _: u64, _: Counts) {}
    fn advanced(&self, _: Kind, _: Counts) {}
    fn finishing(&self, _: Kind) {}
    fn finished(&self, _: Kind, _: Counts) {}
}
