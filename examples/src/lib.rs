//! What the demo, the benchmarks and the tests share: a data set as an old app leaves it, and
//! databases for one use.

pub mod dataset;
pub mod scratch;
