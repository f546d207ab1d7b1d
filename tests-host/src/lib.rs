//! A host that uses `Decimal`, `bson` and `serde_json` in its own ways.

// What is linked is what a host links.
#[cfg(feature = "authorstack")]
pub use {authorstack_core, authorstack_mongo, authorstack_postgres, authorstack_redis, authorstack_supabase};
