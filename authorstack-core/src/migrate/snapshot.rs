use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use serde_json::Value;

use super::{
    BatchLimits, DigestOf, Digests, Kind, Original, Position, Problems, Record, RowSource, Scanned,
    ScannedBatch, Stranger,
};
use crate::{Id, Result};

/// Reads the records of a store as they are now, on either side of a migration.
#[async_trait]
pub trait Snapshot: std::fmt::Debug + Send + Sync {
    /// The store's name in messages, such as `MongoDB`.
    fn name(&self) -> &'static str;

    /// The kinds that the store holds.
    fn kinds(&self) -> &[Kind];

    /// Connects, and reports wrong settings, and what hinders the reading of these kinds.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), naming the setting.
    async fn check(&self, kinds: &[Kind]) -> Result<()>;

    /// What of the store does not move: collections and tables that the schema does not know, and
    /// those of these kinds that the store lacks.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn strangers(&self, kinds: &[Kind]) -> Result<Vec<Stranger>> {
        let _ = kinds;
        Ok(Vec::new())
    }

    /// Texts that tell the databases behind the store from all others, as far as it can say. If
    /// both sides of a migration have one in common, they are one database.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn databases(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// A text that tells where the records of a kind are from all other places, copies of them
    /// included, and that stays the same when the server restarts. A target remembers by it which
    /// records it took from here. `None` if the store cannot say.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn origin(&self, kind: Kind) -> Result<Option<String>> {
        let _ = kind;
        Ok(None)
    }

    /// How many records there are: exactly if that is cheap, else the store's estimate.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn count(&self, kind: Kind) -> Result<u64>;

    /// Streams all records after a position, in the order of their keys. What cannot be read as a
    /// record may come anywhere. No two records of a scan have the same key. An item of the stream
    /// is an error only if the store failed.
    ///
    /// Records that the store keeps within others (likes within posts) come one by one.
    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>>;

    /// Whether the records of a kind that are scanned or fetched have passed [`Record::check`]. Others
    /// are checked before they move.
    fn has_checked(&self, kind: Kind) -> bool {
        let _ = kind;
        false
    }

    /// Streams all records as [`Snapshot::scan`] does. Of those that can move as they are, it returns
    /// only the keys and the digests that the function makes; the others come whole. A store saves
    /// time and memory if it frees each record when its digest is made.
    fn digests(
        &self,
        kind: Kind,
        limits: BatchLimits,
        digest_of: DigestOf,
    ) -> BoxStream<'_, Result<Digests>> {
        let mut form = Vec::new();
        let digests = self.scan(kind, None, limits).map_ok(move |batch| {
            let mut digests = Digests::default();
            for scanned in batch.items {
                digests.add(scanned, &digest_of, &mut form);
            }
            digests
        });
        digests.boxed()
    }

    /// The existing records with these keys, as they are now, in any order.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>>;

    /// Those of these records that hold parts of this kind without a key, such as a comment whose id
    /// cannot be read: any of their parts may be the one that is sought. None where parts have rows of
    /// their own.
    ///
    /// # Errors
    /// Timeout or Unavailable of the store.
    async fn with_unkeyed_parts(
        &self,
        kind: Kind,
        wholes: &[Id<Record>],
    ) -> Result<Vec<Id<Record>>> {
        let _ = (kind, wholes);
        Ok(Vec::new())
    }

    /// Encodes a whole record as JSON for the rejects, in a form that [`Snapshot::decode`] reads.
    fn encode(&self, kind: Kind, original: &Original) -> Value;

    /// Reads the JSON of [`Snapshot::encode`], which may have been edited.
    ///
    /// # Errors
    /// Every problem that the record still has.
    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems>;

    /// As [`Snapshot::decode`], but values that make no sense are [set aside](crate::SET_ASIDE) as
    /// in a scan. Also returns what was set aside. A store that sets nothing aside needs no other
    /// than this one.
    ///
    /// # Errors
    /// Every problem that the record still has.
    fn decode_setting_aside(
        &self,
        kind: Kind,
        value: &Value,
    ) -> Result<(Record, Problems), Problems> {
        let record = self.decode(kind, value)?;
        Ok((record, Problems::default()))
    }

    /// Streams all records as [`Snapshot::scan`] does, but only their keys and the digests of the
    /// form in which the store holds them; what has no key of ours comes whole. `None` if the store
    /// has no such form.
    fn stored(&self, kind: Kind, limits: BatchLimits) -> Option<BoxStream<'_, Result<Digests>>> {
        let _ = (kind, limits);
        None
    }

    /// Writes the form in which the store would hold a record. A record whose stored form has the
    /// digest of a record in [`Snapshot::stored`] is equal to it. Returns `false` if the form is
    /// not known exactly.
    fn write_stored(&self, record: &Record, form: &mut Vec<u8>) -> bool {
        let _ = (record, form);
        false
    }

    /// The fast lane for a kind, if the store has one.
    fn rows(&self, kind: Kind) -> Option<&dyn RowSource> {
        let _ = kind;
        None
    }

    /// As [`Snapshot::rows`], but nothing is set aside: rows in which a value would be are among those
    /// that cannot move. A source that sets nothing aside in its rows needs no other than this one.
    fn strict_rows(&self, kind: Kind) -> Option<&dyn RowSource> {
        self.rows(kind)
    }
}
