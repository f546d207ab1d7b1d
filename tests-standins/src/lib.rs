//! Stand-ins of services that cannot be installed here, for the tests: each holds what it is told, and
//! answers as the real one does. And the log in which tests look for secrets.

pub mod appwrite;
pub mod log;
pub mod node;
mod openapi;
pub mod supabase_auth;
