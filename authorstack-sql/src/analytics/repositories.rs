use std::sync::Arc;

use authorstack_core::Analytics;

use super::{
    aggregates::SqlAggregates, base::Base, dialect::Dialect, erasure::SqlErasure,
    forecasts::SqlForecasts, insights::SqlInsights, sales::SqlSales, sync_logs::SqlSyncLogs,
};
use crate::Pool;

/// The repositories of the analytics on these connections. Their statements are built here, once.
#[must_use]
pub fn analytics(pool: &Pool, dialect: Dialect) -> Analytics {
    let base = || Base {
        pool: pool.clone(),
        dialect,
    };
    Analytics {
        sales: Arc::new(SqlSales::new(base())),
        aggregates: Arc::new(SqlAggregates::new(base())),
        sync_logs: Arc::new(SqlSyncLogs::new(base())),
        insights: Arc::new(SqlInsights::new(base())),
        forecasts: Arc::new(SqlForecasts::new(base())),
        erasure: Arc::new(SqlErasure(base())),
    }
}
