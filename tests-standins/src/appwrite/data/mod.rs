//! What the stand-in holds.

pub(super) mod identities;
pub(super) mod sessions;
pub(super) mod tables;
pub(super) mod users;
