use async_trait::async_trait;

use super::{Call, Layer, Next, Reply};
use crate::Result;

/// Gives errors their context: the operation, and the record where the call names one. It stands
/// before every store, so a host need not add it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Named;

#[async_trait]
impl Layer for Named {
    async fn call(&self, call: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        next.run().await.map_err(|error| call.named(error))
    }
}
