//! What a worker says when it has stopped.

/// What became of the jobs when a worker stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Those that ended, in whatever way, since the worker was told to stop.
    pub ended: usize,
    /// Those that were put back in line.
    pub given_back: usize,
    /// Those that could neither be ended nor given back: they block their thread, or the store does
    /// not answer. Another worker gets them when their locks run out.
    pub left: usize,
}
