//! Scans a collection for digests: answers of the server are decoded in parallel.

use std::{collections::VecDeque, time::Duration};

use authorstack_core::{
    Error, Result,
    migrate::{DigestOf, Digests, Kind},
};
use futures::Stream;
use mongodb::raw_batch_cursor::RawBatch;
use tokio::task::JoinSet;

use super::scan::{AHEAD_AFTER, Scan, damaged, documents, whole};
use crate::{
    document,
    raw::{Elements, Raw},
};

/// How many answers are decoded in parallel.
const DECODERS: usize = 2;

/// The digests of the documents of a scan. Answers are decoded in parallel, and their digests come in
/// order.
pub(super) struct Decoding<'s> {
    scan: Scan<'s>,
    /// The answers under way, each in a task that ends with its set.
    answers: VecDeque<JoinSet<Result<Digests>>>,
    /// The bytes of the last answer.
    bytes: usize,
    is_read: bool,
}

impl<'s> Decoding<'s> {
    pub(super) fn of(scan: Scan<'s>) -> Self {
        Self {
            scan,
            answers: VecDeque::new(),
            bytes: 0,
            is_read: false,
        }
    }

    pub(super) fn digests(self) -> impl Stream<Item = Result<Digests>> + Send + 's {
        futures::stream::unfold(Some(self), async |decoding| {
            let mut decoding = decoding?;
            match decoding.next().await {
                Ok(None) => None,
                Ok(Some(digests)) => Some((Ok(digests), Some(decoding))),
                Err(error) => Some((Err(error.for_record(decoding.scan.kind)), None)),
            }
        })
    }

    /// Large answers are decoded one by one, to hold one of them in memory.
    fn has_room(&self) -> bool {
        let most = if self.bytes > AHEAD_AFTER {
            1
        } else {
            DECODERS
        };
        !self.is_read && self.answers.len() < most
    }

    async fn next(&mut self) -> Result<Option<Digests>> {
        while self.has_room() {
            let Some(answer) = self.scan.whole_answer().await? else {
                self.is_read = true;
                break;
            };
            self.bytes = answer.as_raw_document().as_bytes().len();
            let (kind, deadline) = (self.scan.kind, self.scan.store.deadline);
            let digest_of = self.scan.digest_of.clone();
            let mut task = JoinSet::new();
            task.spawn(async move { digests(kind, &answer, digest_of.as_ref(), deadline) });
            self.answers.push_back(task);
        }
        let Some(mut first) = self.answers.pop_front() else {
            return Ok(None);
        };
        match first.join_next().await {
            Some(Ok(digests)) => digests.map(Some),
            Some(Err(error)) => {
                Err(Error::internal("the task that decodes failed").with_source(error))
            }
            None => Ok(None),
        }
    }
}

/// The digests of an answer's documents. No record stays in memory longer than its digest takes.
fn digests(
    kind: Kind,
    answer: &RawBatch,
    digest_of: Option<&DigestOf>,
    deadline: Duration,
) -> Result<Digests> {
    let (mut found, mut form) = (Digests::default(), Vec::new());
    for element in Elements::new(documents(answer, deadline)?) {
        let Ok((_, Raw::Document(bytes))) = element else {
            return Err(damaged());
        };
        let (outcome, set_aside) = document::record_setting_aside(kind, bytes);
        match (digest_of, outcome) {
            (Some(digest_of), Ok(record)) => {
                let digest = digest_of(&record, &mut form);
                found.entries.push((record.key(), digest));
            }
            (_, outcome) => found.others.push(whole(bytes, outcome, set_aside)),
        }
    }
    Ok(found)
}
