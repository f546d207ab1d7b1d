use std::collections::BTreeSet;

use chrono::NaiveDate;

use crate::{
    AuthorStack, Conversion, Days, Error, ErrorKind, Gap, Id, NewSale, NewSyncLog, Platform,
    RefreshReport, Result, SaleKey, SyncLog, SyncStatus, UpsertCounts, User,
    layers::Operation,
    records::sales::{check_new, listed, reported_twice},
};

/// Imports what a platform reports: writes the sales, refreshes the roll-ups of their days and logs
/// the run.
///
/// Running again with the same sales, at any time, changes none of them, and completes what an interrupted run left
/// undone: sales are upserted by their keys, and the roll-ups of all their days are refreshed.
/// Every run has a log of its own.
///
/// ```
/// use authorstack_core::{
///     AuthorStack, Conversion, Id, NewSale, NewUser, Platform, SaleKey, SalesChannel, SyncStatus,
///     services::SalesIngest,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// let new = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// let ada = stack.users().create(new).await?.id;
/// let date = "2024-03-01".parse().unwrap();
/// let book = Id::new();
/// let us: SalesChannel = "kdp:amazon.com".parse()?;
/// let de: SalesChannel = "kdp:amazon.de".parse()?;
/// let (us, de) = (SaleKey::new(book, us, date), SaleKey::new(book, de, date));
/// let sales = vec![
///     NewSale::new(us, "27.93".parse()?, "USD".parse()?),
///     NewSale::new(de, "10.10".parse()?, "EUR".parse()?),
/// ];
///
/// let ingest = SalesIngest::new(&stack);
/// let dollars = Conversion::into("USD".parse()?).rate("EUR".parse()?, "1.08".parse().unwrap())?;
/// let report = ingest.run(ada, &Platform::KDP, sales, &dollars).await?;
/// assert_eq!(report.log.status, SyncStatus::Success);
/// assert_eq!((report.counts.inserted, report.refreshed.written), (2, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SalesIngest {
    stack: AuthorStack,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestReport {
    /// What was written.
    pub counts: UpsertCounts,
    /// The sales that were refused; they were not written.
    pub rejected: Vec<RejectedSale>,
    /// What the refresh of the roll-ups did. Its `gaps` are days that could not be rolled up: a
    /// currency without a rate, a total that is too large. Their sales are written.
    pub refreshed: RefreshReport,
    /// The log of the run: success, partial if something was refused, or failed if everything was
    /// refused.
    pub log: SyncLog,
}

/// A sale that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedSale {
    /// The key of the sale.
    pub key: SaleKey,
    /// The reason, and how to fix it.
    pub reason: String,
}

/// What a run has done so far.
#[derive(Default)]
struct Progress {
    counts: UpsertCounts,
    taken: u64,
    days: BTreeSet<NaiveDate>,
    rejected: Vec<RejectedSale>,
}

impl SalesIngest {
    /// How many sales are written in one transaction.
    const BATCH: usize = 5_000;

    /// The service on this stack.
    #[must_use]
    pub fn new(stack: &AuthorStack) -> Self {
        let stack = stack.clone();
        Self { stack }
    }

    /// Imports sales of one platform, in any of its markets. A sale that cannot be written is refused and the others are
    /// written: a sale whose currency would change, all sales with a key that is reported more than
    /// once, a sale of another platform. Only the days of these sales are rolled up again; those that
    /// cannot be are in the report, and in the log.
    ///
    /// # Errors
    /// NotFound for an unknown user, where the stack holds users; a store's Timeout, Unavailable. Batches before the
    /// failure stay written. The run is logged if that is still possible.
    pub async fn run(
        &self,
        user_id: Id<User>,
        platform: &Platform,
        sales: Vec<NewSale>,
        conversion: &Conversion,
    ) -> Result<IngestReport> {
        let run = self.take_over(user_id, platform, sales, conversion).await;
        run.map_err(|error| error.in_operation(Operation::SalesIngest))
    }

    async fn take_over(
        &self,
        user_id: Id<User>,
        platform: &Platform,
        sales: Vec<NewSale>,
        conversion: &Conversion,
    ) -> Result<IngestReport> {
        let mut progress = Progress::default();
        let sales = sound(platform, sales, &mut progress.rejected);
        let written = self.write(user_id, &sales, &mut progress).await;
        let refreshed = self.refresh(user_id, &progress.days, conversion).await;
        let (refreshed, failure) = match (written, refreshed) {
            (Ok(()), Ok(report)) => (report, None),
            (Err(error), _) | (Ok(()), Err(error)) => (RefreshReport::default(), Some(error)),
        };
        let log = NewSyncLog {
            platform: platform.clone(),
            status: status(&progress, !refreshed.gaps.is_empty(), failure.is_some()),
            records_synced: i32::try_from(progress.taken).unwrap_or(i32::MAX),
            error_message: message(&progress.rejected, &refreshed.gaps, failure.as_ref()),
        };
        let logged = self.stack.sync_logs().create(user_id, log).await;
        match failure {
            Some(error) => Err(error),
            None => Ok(IngestReport {
                counts: progress.counts,
                rejected: progress.rejected,
                refreshed,
                log: logged?,
            }),
        }
    }

    /// Writes batch by batch. A refused batch is split in half and tried again, until each invalid
    /// sale is found.
    async fn write(
        &self,
        user_id: Id<User>,
        sales: &[NewSale],
        progress: &mut Progress,
    ) -> Result<()> {
        let mut waiting: Vec<&[NewSale]> = sales.chunks(Self::BATCH).rev().collect();
        while let Some(batch) = waiting.pop() {
            match self.stack.sales().upsert(user_id, batch).await {
                Ok(counts) => {
                    progress.counts += counts;
                    progress.taken += batch.len() as u64;
                    progress.days.extend(batch.iter().map(|sale| sale.key.date));
                }
                Err(error) if is_refusal(&error) => {
                    if let [sale] = batch {
                        progress.rejected.push(RejectedSale {
                            key: sale.key.clone(),
                            reason: error.kind().to_string(),
                        });
                    } else {
                        let (first, second) = batch.split_at(batch.len() / 2);
                        waiting.extend([second, first]);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn refresh(
        &self,
        user_id: Id<User>,
        days: &BTreeSet<NaiveDate>,
        conversion: &Conversion,
    ) -> Result<RefreshReport> {
        let mut report = RefreshReport::default();
        for stretch in stretches(days) {
            report += self
                .stack
                .aggregates()
                .refresh(user_id, stretch, conversion)
                .await?;
        }
        Ok(report)
    }
}

/// Whether the store refused the data, rather than failing itself.
fn is_refusal(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Invalid { .. } => true,
        ErrorKind::Conflict { .. } => !error.is_retryable(),
        _ => false,
    }
}

/// The sales that can be in a batch; the others are refused.
fn sound(
    platform: &Platform,
    sales: Vec<NewSale>,
    rejected: &mut Vec<RejectedSale>,
) -> Vec<NewSale> {
    let mut sales = sales;
    sales.sort_by(|a, b| a.key.cmp(&b.key));
    let mut refuse = |sale: &NewSale, reason: String| {
        let key = sale.key.clone();
        rejected.push(RejectedSale { key, reason });
    };
    let mut sound = Vec::with_capacity(sales.len());
    // It is unknown which of two reports of one key is right, so none is taken.
    for same in sales.chunk_by(|a, b| a.key == b.key) {
        let all: Vec<&NewSale> = same.iter().collect();
        if let Some(reason) = reported_twice(&all) {
            for sale in same {
                refuse(sale, reason.clone());
            }
            continue;
        }
        for sale in same {
            match check_new(sale) {
                Err(error) => refuse(sale, error.kind().to_string()),
                Ok(()) if !sale.key.channel.is_of(platform) => {
                    refuse(sale, format!("is of another platform than {platform}"));
                }
                Ok(()) => sound.push(sale.clone()),
            }
        }
    }
    sound
}

/// The days as ranges without other days: refreshing a day without the rates that it needs would
/// cost it a roll-up that is still right.
fn stretches(days: &BTreeSet<NaiveDate>) -> Vec<Days> {
    let mut found: Vec<(NaiveDate, NaiveDate)> = Vec::new();
    for day in days {
        match found.last_mut() {
            Some((_, last)) if last.succ_opt() == Some(*day) => *last = *day,
            _ => found.push((*day, *day)),
        }
    }
    let stretches = found.into_iter();
    stretches
        .filter_map(|(first, last)| Days::new(first, last).ok())
        .collect()
}

fn status(progress: &Progress, stale: bool, broke_off: bool) -> SyncStatus {
    let nothing = progress.taken == 0;
    match (nothing, broke_off || stale || !progress.rejected.is_empty()) {
        (_, false) => SyncStatus::Success,
        (true, true) => SyncStatus::Failed,
        (false, true) => SyncStatus::Partial,
    }
}

/// The message of the log. It contains no secret, because errors contain none.
fn message(rejected: &[RejectedSale], gaps: &[Gap], failure: Option<&Error>) -> Option<String> {
    const NAMED: usize = 5;
    let mut parts: Vec<String> = Vec::new();
    parts.extend(failure.map(ToString::to_string));
    if !gaps.is_empty() {
        parts.push(format!("days not rolled up: {}", listed(gaps)));
    }
    if !rejected.is_empty() {
        parts.push(format!("{} refused", rejected.len()));
    }
    let named = rejected.iter().take(NAMED);
    parts.extend(named.map(|sale| format!("{}: {}", sale.key, sale.reason)));
    (!parts.is_empty()).then(|| parts.join("; "))
}
