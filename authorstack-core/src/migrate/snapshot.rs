use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

use super::{
    BatchLimits, Kind, Original, Position, Problems, Record, RowSource, Scanned, ScannedBatch,
};
use crate::Result;

/// The records of a store as they are now: what either side of a migration is read by.
#[async_trait]
pub trait Snapshot: std::fmt::Debug + Send + Sync {
    /// The store's name in messages, such as `MongoDB`.
    fn name(&self) -> &'static str;

    /// The kinds that the store holds.
    fn kinds(&self) -> &[Kind];

    /// Connects, and says what is wrong with the settings if anything is.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), naming the setting.
    async fn check(&self) -> Result<()>;

    /// How many records there are: exact where that is cheap, else the store's estimate.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn count(&self, kind: Kind) -> Result<u64>;

    /// Streams all records behind a position, in the order of their keys; what is no record may
    /// come anywhere. No two records of a scan have one key. An item of the stream is an error
    /// only when the store failed.
    ///
    /// Records that the store keeps within others (likes within posts) come one by one, however
    /// many there are.
    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>>;

    /// The records with these keys as they are now, those that exist, in any order.
    ///
    /// # Errors
    /// The store's Timeout or Unavailable.
    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>>;

    /// A record whole as JSON for the rejects, in a form that [`Snapshot::decode`] reads.
    fn encode(&self, kind: Kind, original: &Original) -> Value;

    /// Reads what [`Snapshot::encode`] made, perhaps edited since.
    ///
    /// # Errors
    /// Every problem that the record still has.
    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems>;

    /// The fast lane for a kind, where the store has one.
    fn rows(&self, kind: Kind) -> Option<&dyn RowSource> {
        let _ = kind;
        None
    }
}
