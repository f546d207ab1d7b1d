//! What a server says of itself when we connect, and which servers we refuse.

use authorstack_core::{Error, Result, shown};

use crate::error::{SETTING, cluster};

/// The oldest server: 6.2 has the commands of the queues, as BullMQ asks for it too.
const OLDEST: (u32, u32) = (6, 2);

/// Refuses a server that cannot keep what the traits promise. `info` is its answer to INFO; what it
/// leaves out is not judged, since services like Upstash tell little.
pub(crate) fn check(info: &str) -> Result<()> {
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    };
    if field("cluster_enabled") == Some("1") {
        return Err(cluster());
    }
    if matches!(field("role"), Some("slave" | "replica")) {
        return Err(Error::configuration(
            SETTING,
            "the server is a replica, which refuses writes and lags behind; use the address of its \
             primary",
        ));
    }
    if let Some(version) = field("redis_version")
        && let Some(found) = numbers(version)
        && found < OLDEST
    {
        return Err(Error::configuration(
            SETTING,
            format!("the server is Redis {}; use 6.2 or newer", shown(version)),
        ));
    }
    Ok(())
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    let major = parts.next()?.parse().ok()?;
    Some((
        major,
        parts.next().and_then(|part| part.parse().ok()).unwrap_or(0),
    ))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn servers_that_cannot_keep_the_promise_are_refused() {
        for (info, part) in [
            (
                "redis_version:7.0.15\r\ncluster_enabled:1\r\nrole:master\r\n",
                "Cluster",
            ),
            (
                "redis_version:7.0.15\r\nrole:slave\r\ncluster_enabled:0\r\n",
                "replica",
            ),
            ("redis_version:6.0.16\r\nrole:master\r\n", "6.2"),
            ("redis_version:5\r\n", "6.2"),
        ] {
            let error = check(info).map_err(|error| error.to_string()).err();
            let error = error.unwrap_or_default();
            assert!(
                error.starts_with("setting redis_url: ") && error.contains(part),
                "{error}"
            );
        }
    }

    #[test]
    fn other_servers_are_accepted() {
        for info in [
            "",
            "# Server\r\nredis_version:6.2.0\r\nrole:master\r\ncluster_enabled:0\r\n",
            "redis_version:10.1\r\n",
            "redis_version:unknown\r\n",
            "upstash_version:1.0\r\nredis_version:6.2.6\r\n",
        ] {
            assert!(check(info).is_ok(), "{info}");
        }
    }
}
