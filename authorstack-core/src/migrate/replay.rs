use std::{sync::Arc, time::Instant};

use futures::{TryStreamExt, stream::BoxStream};

use super::{
    Counts, Destination, Kind, KindReport, Load, Original, Problem, Problems, Progress, Record,
    Reject, RejectLine, Report, Snapshot, Step,
    destination::named,
    redact::{is_redacted, redact, restore},
    run::{check_sides_as_they_are, checked},
};
use crate::{Result, layers::Operation};

/// Loads rejects again, after their lines in the rejects file were fixed.
///
/// A line that loads settles its reject. One that does not load keeps its reject open, with the new
/// reasons. Lines are loaded in their order, which is the order of the kinds: users before their
/// books.
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
    let _lock = target.lock().await?;
    check_sides_as_they_are(source.as_ref(), target, &[]).await?;

    let mut reports: Vec<KindReport> = Vec::new();
    let mut groups = Groups::new(lines);
    while let Some(group) = groups.next().await? {
        let (started, kind) = (Instant::now(), group[0].kind);
        if !reports.iter().any(|report| report.kind == kind) {
            progress.started(kind, 0, Counts::default());
            reports.push(KindReport {
                kind,
                counts: Counts::default(),
                differing: 0,
                seconds: 0.0,
            });
        }
        let counts = load_group(source.as_ref(), target, kind, &group).await?;
        for report in reports.iter_mut().filter(|report| report.kind == kind) {
            report.counts += counts;
            report.seconds += started.elapsed().as_secs_f64();
            progress.advanced(kind, report.counts);
        }
    }
    for report in &reports {
        progress.finished(report.kind, report.counts);
    }
    Ok(Report::of(reports))
}

/// Lines that are loaded together: of one kind, and limited in size.
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
        while group.len() < MOST && bytes < MOST_BYTES {
            let line = match self.held.take() {
                Some(line) => line,
                None => match self.lines.try_next().await? {
                    Some(line) => line,
                    None => break,
                },
            };
            if group.first().is_some_and(|first| first.kind != line.kind) {
                self.held = Some(line);
                break;
            }
            bytes += line.record.to_string().len();
            group.push(line);
        }
        Ok((!group.is_empty()).then_some(group))
    }
}

async fn load_group(
    source: &dyn Snapshot,
    target: &Destination,
    kind: Kind,
    lines: &[RejectLine],
) -> Result<Counts> {
    let (mut records, mut accepted, mut rejects) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        match decoded(source, line).await? {
            Ok(record) => {
                records.push(record);
                accepted.push(line);
            }
            Err(problems) => rejects.push(reject(line, problems)),
        }
    }
    let keys: Vec<String> = accepted.iter().map(|line| line.key.clone()).collect();
    let make = |index: usize, problems: Problems| reject(accepted[index], problems);
    let load = Load {
        kind,
        records: &records,
        rejects: &rejects,
        reject: &make,
        step: Step::Replay { keys: &keys },
    };
    Ok(target.load(&load).await?.counts)
}

/// The record of a line, with the secrets restored.
async fn decoded(source: &dyn Snapshot, line: &RejectLine) -> Result<Result<Record, Problems>> {
    let mut value = line.record.clone();
    if is_redacted(&value) {
        let key = std::slice::from_ref(&line.key);
        let found = named(Operation::Fetch, source.fetch(line.kind, key)).await?;
        let Some(found) = found.into_iter().next() else {
            let problem = "is no longer in the source, which has the secrets that this line \
                           leaves out; remove the fields marked $leftOut from the line";
            return Ok(Err(Problem::new("_id", problem).into()));
        };
        let original = found.original.bytes(found.outcome.as_ref().ok());
        let original = source.encode(line.kind, &Original::Bytes(original));
        restore(&mut value, &original);
    }
    Ok(checked(source.decode(line.kind, &value)).map_err(|(_, problems)| problems))
}

fn reject(line: &RejectLine, problems: Problems) -> Reject {
    let mut record = line.record.clone();
    redact(&mut record);
    let digest = blake3::Hash::from_hex(&line.source_digest);
    Reject {
        kind: line.kind,
        key: line.key.clone(),
        problems,
        record: record.to_string(),
        source_digest: digest.map_or([0; 32], |digest| *digest.as_bytes()),
    }
}
