//! The scripts. Each one is the prelude and its own part.

use std::sync::LazyLock;

use authorstack_core::Result;
use redis::{FromRedisValue, Script, ToRedisArgs};

use super::keys::Keys;
use crate::store::RedisStore;

macro_rules! scripts {
    ($($name:ident: $file:literal,)+) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(
                include_str!("../scripts/queue/prelude.lua"),
                include_str!(concat!("../scripts/queue/", $file)),
            ))
        });)+
    };
}

scripts! {
    ADD: "add.lua",
    ADVANCE: "advance.lua",
    EXCHANGE: "exchange.lua",
    EXTEND: "extend.lua",
    GET: "get.lua",
    LIST: "list.lua",
    PAUSE: "pause.lua",
    PROGRESS: "progress.lua",
    REARM: "rearm.lua",
    RECLAIM: "reclaim.lua",
    RECOVER: "recover.lua",
    REMOVE: "remove.lua",
    RETRY: "retry.lua",
    SCHEDULE: "schedule.lua",
    SCHEDULES: "schedules.lua",
    UNSCHEDULE: "unschedule.lua",
}

/// For scripts without arguments.
pub(super) const NOTHING: &[&str] = &[];

/// Runs a script with a queue's keys.
pub(super) async fn run<T: FromRedisValue>(
    store: &RedisStore,
    keys: &Keys,
    script: &Script,
    arguments: impl ToRedisArgs,
) -> Result<T> {
    let mut call = script.prepare_invoke();
    for key in keys.all() {
        call.key(key);
    }
    call.arg(arguments);
    store.run_script(&call, keys.queue()).await
}

/// The time as scripts are given it: milliseconds, by this machine's clock, as in BullMQ.
pub(super) fn now() -> i64 {
    authorstack_core::time::now().timestamp_millis()
}
