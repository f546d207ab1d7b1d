use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use futures::{TryStreamExt, stream::BoxStream};

use super::{
    Counts, Destination, Kind, KindReport, Load, Original, Problem, Problems, Progress, Record,
    RefusedLine, Reject, RejectLine, Rejected, Report, Scanned, Snapshot, Step,
    destination::named,
    redact::{redact_line, redact_problems, restore},
    run::{check_sides_as_they_are, checked, from, origin, set_aside},
};
use crate::{Result, layers::Operation};

/// Loads rejects again, after their lines in the rejects file were fixed.
///
/// A line is loaded only if it is an open reject of the target: one of its kind, key and digest. A
/// line that a replay has settled changes nothing, and counts as unchanged. Every other line is
/// refused, and named in [`Report::refused`].
///
/// A line that loads settles its reject. One that does not load keeps its reject open, with the new
/// reasons: it still has problems, its record in the source has changed since it was rejected, or a
/// secret that was left out cannot be restored. Lines are loaded in their order, which is the order
/// of the kinds: users before their books.
///
/// # Errors
/// As for [`run`](fn@super::run), and errors of reading the lines. Lines before the failure are
/// settled.
pub async fn replay(
    source: Arc<dyn Snapshot>,
    target: &Destination,
    lines: BoxStream<'_, Result<RejectLine>>,
    progress: &dyn Progress,
) -> Result<Report> {
    /// How many refused lines are named.
    const LISTED: usize = 100;
    let _lock = target.lock().await?;
    check_sides_as_they_are(source.as_ref(), target, &[]).await?;

    let mut reports: Vec<KindReport> = Vec::new();
    let mut refused: Vec<RefusedLine> = Vec::new();
    let mut groups = Groups::new(lines);
    while let Some(group) = groups.next().await? {
        let (started, kind) = (Instant::now(), group[0].kind);
        if !reports.iter().any(|report| report.kind == kind) {
            progress.started(kind, 0, Counts::default());
            reports.push(KindReport {
                kind,
                counts: Counts::default(),
                differing: 0,
                set_aside: 0,
                seconds: 0.0,
            });
        }
        let done = load_group(source.as_ref(), target, kind, &group).await?;
        let room = LISTED - refused.len();
        refused.extend(done.refused.into_iter().take(room));
        for report in reports.iter_mut().filter(|report| report.kind == kind) {
            report.counts += done.counts;
            report.seconds += started.elapsed().as_secs_f64();
            progress.advanced(kind, report.counts);
        }
    }
    for report in &reports {
        progress.finished(report.kind, report.counts);
    }
    Ok(Report {
        refused,
        ..Report::of(reports)
    })
}

/// Lines that are loaded together: of one kind, each key once, and limited in size.
struct Groups<'l> {
    lines: BoxStream<'l, Result<RejectLine>>,
    /// The first line of the next group.
    held: Option<RejectLine>,
}

impl<'l> Groups<'l> {
    fn new(lines: BoxStream<'l, Result<RejectLine>>) -> Self {
        Self { lines, held: None }
    }

    /// The next group, never empty; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<RejectLine>>> {
        const MOST: usize = 500;
        const MOST_BYTES: usize = 4 << 20;
        let (mut group, mut bytes): (Vec<RejectLine>, usize) = (Vec::new(), 0);
        let mut keys: HashSet<String> = HashSet::new();
        while group.len() < MOST && bytes < MOST_BYTES {
            let line = match self.held.take() {
                Some(line) => line,
                None => match self.lines.try_next().await? {
                    Some(line) => line,
                    None => break,
                },
            };
            let is_other = group.first().is_some_and(|first| first.kind != line.kind);
            if is_other || !keys.insert(line.key.clone()) {
                self.held = Some(line);
                break;
            }
            bytes += line.record.to_string().len();
            group.push(line);
        }
        Ok((!group.is_empty()).then_some(group))
    }
}

/// What became of a group.
struct Done {
    counts: Counts,
    refused: Vec<RefusedLine>,
}

async fn load_group(
    source: &dyn Snapshot,
    target: &Destination,
    kind: Kind,
    lines: &[RejectLine],
) -> Result<Done> {
    let mut done = Done {
        counts: Counts::default(),
        refused: Vec::new(),
    };
    let open = open_lines(target, kind, lines, &mut done).await?;
    if open.is_empty() {
        return Ok(done);
    }
    let now = sources(source, kind, &open).await?;
    let (mut records, mut accepted, mut rejects) = (Vec::new(), Vec::new(), Vec::new());
    let mut aside_of = Vec::new();
    let mut taken = HashSet::new();
    for (line, rejected) in open {
        let record = match decoded(source, line, &rejected, now.get(&rejected.key)) {
            Ok((record, aside)) => match foreign(target, line, &record).await? {
                None if taken.insert(record.key()) => Ok((record, aside)),
                None => Err(another(kind)),
                Some(problem) => Err(problem),
            }
            .map_err(Problems::from),
            Err(problems) => Err(problems),
        };
        match record {
            Ok((record, aside)) => {
                if !aside.is_empty() {
                    aside_of.push((records.len(), set_aside(kind, &line.key, aside)));
                }
                records.push(record);
                accepted.push((line, rejected));
            }
            Err(problems) => rejects.push(reject(line, &rejected, problems)),
        }
    }
    let (accepted, replayed): (Vec<&RejectLine>, Vec<Rejected>) = accepted.into_iter().unzip();
    let make =
        |index: usize, problems: Problems| reject(accepted[index], &replayed[index], problems);
    let origin = origin(source, kind).await?;
    let load = Load {
        kind,
        records: &records,
        rejects: &rejects,
        set_aside: &aside_of,
        reject: &make,
        step: Step::Replay { rejects: &replayed },
        from: from(source, origin.as_deref()),
    };
    done.counts += target.load(&load).await?.counts;
    Ok(done)
}

/// The lines that are open rejects of the target. The others are counted: settled ones as
/// unchanged, all others as refused.
async fn open_lines<'l>(
    target: &Destination,
    kind: Kind,
    lines: &'l [RejectLine],
    done: &mut Done,
) -> Result<Vec<(&'l RejectLine, Rejected)>> {
    let keys: Vec<String> = lines.iter().map(|line| line.key.clone()).collect();
    let known = target.settled(kind, &keys).await?.into_iter();
    let known: HashMap<String, _> = known.map(|it| (it.key.clone(), it)).collect();
    let mut open = Vec::new();
    for line in lines {
        let digest = blake3::Hash::from_hex(&line.source_digest);
        let digest = digest.ok().map(|digest| *digest.as_bytes());
        let reason = match known.get(&line.key) {
            None => {
                "is no reject of this target: it was never rejected, or a later run has moved it; \
                 remove the line, or run again and fix the line that the run writes"
            }
            Some(kept) if digest != Some(kept.source_digest) => {
                "is not the record that was rejected: its source_digest is another; leave that as \
                 it is, or run again and fix the line that the run writes"
            }
            Some(kept) if kept.replayed_as.is_some() => {
                done.counts += Counts {
                    read: 1,
                    unchanged: 1,
                    ..Counts::default()
                };
                continue;
            }
            Some(kept) => {
                let rejected = Rejected {
                    key: line.key.clone(),
                    source_digest: kept.source_digest,
                };
                open.push((line, rejected));
                continue;
            }
        };
        done.counts += Counts {
            read: 1,
            rejected: 1,
            ..Counts::default()
        };
        done.refused.push(RefusedLine {
            kind,
            key: line.key.clone(),
            reason: reason.to_owned(),
        });
    }
    Ok(open)
}

/// The source's present records of the lines, by key.
async fn sources(
    source: &dyn Snapshot,
    kind: Kind,
    open: &[(&RejectLine, Rejected)],
) -> Result<HashMap<String, Scanned>> {
    let keys: Vec<String> = open.iter().map(|(line, _)| line.key.clone()).collect();
    let found = named(Operation::Fetch, source.fetch(kind, &keys)).await?;
    Ok(found.into_iter().map(|it| (it.key.clone(), it)).collect())
}

/// The record of a line, with the secrets restored.
fn decoded(
    source: &dyn Snapshot,
    line: &RejectLine,
    rejected: &Rejected,
    now: Option<&Scanned>,
) -> Result<(Record, Problems), Problems> {
    let Some(now) = now else {
        let problem = "is no longer in the source; run again, and the reject goes";
        return Err(Problem::new("_id", problem).into());
    };
    // The line is a correction of another record than the source has now.
    if now.original_digest() != rejected.source_digest {
        let problem = "has changed in the source since it was rejected; run again, then fix the \
                       line that the run writes";
        return Err(Problem::new("_id", problem).into());
    }
    let original = now.original.bytes(now.outcome.as_ref().ok());
    let original = source.encode(line.kind, &Original::Bytes(original));
    let mut value = line.record.clone();
    restore(&mut value, &original)?;
    let (record, set_aside) = source.decode_setting_aside(line.kind, &value)?;
    let record = with_secrets_of(record, now.outcome.as_ref().ok());
    let record = checked(Ok(record)).map_err(|(_, problems)| problems)?;
    Ok((record, set_aside))
}

/// Takes over the hash that JSON does not hold from the source's present record.
fn with_secrets_of(mut record: Record, source: Option<&Record>) -> Record {
    if let (Record::Account(moved), Some(Record::Account(source))) = (&mut record, source)
        && moved.password.is_left_out()
        && moved.password.algorithm() == source.password.algorithm()
    {
        moved.password = source.password.clone();
    }
    record
}

/// The problem of a line that was given another key, if a record of the target has that key.
async fn foreign(
    target: &Destination,
    line: &RejectLine,
    record: &Record,
) -> Result<Option<Problem>> {
    let key = record.key();
    if key.to_string() == line.key {
        return Ok(None);
    }
    let found = target.fetch(line.kind, std::slice::from_ref(&key)).await?;
    // An equal record is from a replay that broke off.
    let is_other = found.iter().any(|it| it.outcome.as_ref() != Ok(record));
    Ok(is_other.then(|| another(line.kind)))
}

fn another(kind: Kind) -> Problem {
    let one = kind.one();
    Problem::new("_id", format!("is that of another {one}; choose another"))
}

fn reject(line: &RejectLine, rejected: &Rejected, mut problems: Problems) -> Reject {
    let mut record = line.record.clone();
    redact_line(&mut record);
    redact_problems(&mut problems);
    Reject {
        kind: line.kind,
        key: line.key.clone(),
        problems,
        record: record.to_string(),
        source_digest: rejected.source_digest,
    }
}
