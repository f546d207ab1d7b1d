//! Clearing the cache, as at a cutover.

use authorstack_core::Result;
use redis::cmd;

use crate::store::RedisStore;

/// What the keys of the cache begin with. Rate limits and queues begin otherwise.
const CACHED: [&str; 4] = [
    "authorstack:user:",
    "authorstack:book:",
    "authorstack:sales:",
    "authorstack:dashboard:",
];

impl RedisStore {
    /// Removes everything that the cache holds, and returns how many keys that were. Queues, rate
    /// limits and the keys of other apps stay.
    ///
    /// Use it when the data was changed past the stacks, as by a migration. It walks over all keys of
    /// the database by SCAN, a thousand at a time, and removes what it finds by UNLINK. Reads that are
    /// under way keep nothing that they have read before.
    ///
    /// # Errors
    /// Errors of the server. What was removed stays removed; call it again.
    pub async fn flush_cache(&self) -> Result<u64> {
        let pattern = format!("{}authorstack:*", escaped(&self.key("")));
        let ours = CACHED.map(|name| self.key(name));
        let (mut cursor, mut removed) = (0_u64, 0);
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern);
            scan.arg("COUNT").arg(1_000);
            let (next, keys): (u64, Vec<Vec<u8>>) = self.run(&scan, &pattern).await?;
            let is_cached =
                |key: &Vec<u8>| ours.iter().any(|name| key.starts_with(name.as_bytes()));
            let cached: Vec<Vec<u8>> = keys.into_iter().filter(is_cached).collect();
            if !cached.is_empty() {
                removed += self.run::<u64>(cmd("UNLINK").arg(cached), &pattern).await?;
            }
            if next == 0 {
                return Ok(removed);
            }
            cursor = next;
        }
    }
}

/// A text as a pattern that matches itself.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
