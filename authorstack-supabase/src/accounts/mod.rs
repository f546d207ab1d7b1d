//! Accounts in Supabase Auth.
//!
//! What concerns rows goes by SQL, in one statement each: the admin API can neither set dates nor
//! link identities nor list sessions, and knows hashes only of new accounts. Passwords in plain text
//! go through the admin API, since the server alone hashes them, by its own rules.

mod admin;
mod authenticators;
mod bundle;
mod claims;
mod config;
mod error;
mod identities;
mod keys;
mod list;
mod preferences;
mod providers;
mod resets;
mod sessions;
mod store;
mod write;

pub use authenticators::{CheckedAuthenticator, LocalAuthenticator};
pub use config::{AuthenticatorKind, SupabaseAuthConfig};
pub use providers::provider_settings;
pub use resets::{LostPassword, ResetsSent};
pub use store::SupabaseAccounts;
