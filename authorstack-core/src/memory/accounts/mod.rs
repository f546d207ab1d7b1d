//! Accounts in memory: tables, repositories, and signing in.

mod identities;
mod list;
mod moved;
mod passwords;
mod preferences;
mod sessions;
mod tables;

pub(super) use identities::MemoryIdentities;
pub(super) use list::MemoryAccounts;
pub(super) use preferences::MemoryPreferences;
pub(super) use sessions::{MemoryAuthenticator, MemorySessions};
pub(super) use tables::AccountTables;
