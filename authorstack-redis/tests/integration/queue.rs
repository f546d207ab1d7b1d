//! The suite of queues on Redis.

use crate::common;

use std::sync::Arc;

use authorstack_core::queue::{JobQueue, QueueName};

async fn fresh() -> Arc<dyn JobQueue> {
    let (store, _) = common::fresh().await;
    Arc::new(store.queue(QueueName::DATA_SYNC))
}

authorstack_core::queue_conformance!(fresh);
