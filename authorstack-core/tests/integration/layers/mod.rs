//! The shipped layers: each passes the conformance suite on the in-memory store, and each keeps
//! its own promise.

#![allow(
    clippy::incompatible_msrv,
    reason = "tests are built with the workspace's Rust, not with core's oldest"
)]

mod cached;
mod calls;
mod common;
mod conformance;
mod custom;
mod fenced;
mod limited;
#[cfg(feature = "metrics")]
mod metered;
mod named;
mod streams;
mod switched;
mod traced;
