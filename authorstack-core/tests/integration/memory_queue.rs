//! The suite of queues on the one in memory.

use std::sync::Arc;

use authorstack_core::queue::{JobQueue, MemoryQueue, QueueName};

async fn fresh() -> Arc<dyn JobQueue> {
    Arc::new(MemoryQueue::new(QueueName::DATA_SYNC))
}

authorstack_core::queue_conformance!(fresh);
