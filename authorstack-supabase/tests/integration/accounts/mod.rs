//! Accounts in Supabase Auth: its stand-in, or a real one that the settings name.
//!
//! A real server is used when `AUTHORSTACK_TEST_SUPABASE_AUTH_URL`, `…_SERVICE_KEY` and `…_DB_URL`
//! name one. **All its accounts are deleted**: it must be one for tests alone. With `…_JWT_SECRET` the
//! local authenticator checks HS256.

mod canary;
mod conformance;
mod hashes;
mod keys;
mod mfa;
mod moves;
mod project;
mod rs256;
mod secrets;
mod settings;
mod vendor_client;
