use async_trait::async_trait;

use super::{Call, Layer, Next, Reply};
use crate::Result;

/// Adds context to errors: the operation, and the record if the call names one. Every stack has it
/// as its innermost layer, so a host need not add it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Named;

#[async_trait]
impl Layer for Named {
    async fn call(&self, call: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        next.run().await.map_err(|error| call.named(error))
    }
}
