//! What the demo, the benchmarks and the tests share: a data set as an old app leaves it,
//! databases for one use, and the tool as a program.

pub mod dataset;
pub mod legacy;
pub mod scratch;
pub mod tool;
