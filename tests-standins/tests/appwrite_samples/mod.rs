//! Samples of a real server, and what holds answers against them.

pub(crate) mod client;
pub(crate) mod realtime;
pub(crate) mod replay;
