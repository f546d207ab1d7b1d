//! The suite of every backend.

use crate::common;

use common::Fresh;

async fn fresh() -> Fresh {
    Fresh::with_indexes().await
}

authorstack_core::conformance!(fresh);
