use std::collections::HashSet;

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};

use crate::memory::store::{MemoryStore, Records};
use crate::{
    Error, ErrorKind, Result,
    migrate::{ChangeBatch, Changes, Position, RecordChange, Scanned},
};

/// How many changes make a batch.
const BATCH: usize = 1_000;

impl Records {
    /// The first changes after a number, with the records as they are now; `None` if there are none
    /// yet.
    fn changes_behind(&self, after: u64) -> Result<Option<ChangeBatch>> {
        let first = self.feed.changes.front().map(|(number, ..)| *number);
        let is_known = self.feed.is_followed
            && after <= self.feed.last
            && first.is_none_or(|first| first <= after + 1);
        if !is_known {
            return Err(Error::new(ErrorKind::Conflict {
                reason: "the store no longer knows this position; start again with a new snapshot"
                    .into(),
            }));
        }
        let behind = self.feed.changes.iter();
        let behind = behind.skip_while(|(number, ..)| *number <= after);
        let mut seen = HashSet::new();
        let (mut changes, mut position) = (Vec::new(), after);
        for (number, kind, key) in behind.take(BATCH) {
            position = *number;
            if !seen.insert((*kind, key)) {
                continue;
            }
            changes.push(match self.record(key, *kind) {
                Some(record) => RecordChange::Upsert {
                    kind: *kind,
                    scanned: Box::new(Scanned::of(record)),
                },
                None => RecordChange::Removal {
                    kind: *kind,
                    key: key.clone(),
                },
            });
        }
        Ok((!changes.is_empty()).then(|| ChangeBatch {
            changes,
            position: Position(position.to_string()),
        }))
    }
}

#[async_trait]
impl Changes for MemoryStore {
    async fn position(&self) -> Result<Position> {
        let mut records = self.lock();
        records.feed.is_followed = true;
        Ok(Position(records.feed.last.to_string()))
    }

    fn follow(&self, after: Position) -> BoxStream<'_, Result<ChangeBatch>> {
        let Ok(after) = after.0.parse::<u64>() else {
            let error = Error::invalid("position", "is not a position of this store");
            return stream::iter([Err(error)]).boxed();
        };
        let following = stream::unfold(Some(after), move |after| async move {
            let after = after?;
            loop {
                // Registered before the check, so that no change in between is missed.
                let changed = self.shared.changed.notified();
                let found = self.lock().changes_behind(after);
                match found {
                    Err(error) => return Some((Err(error), None)),
                    Ok(Some(batch)) => {
                        let next = batch.position.0.parse().ok();
                        return Some((Ok(batch), next));
                    }
                    Ok(None) => changed.await,
                }
            }
        });
        following.boxed()
    }
}
