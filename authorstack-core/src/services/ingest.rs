use std::collections::BTreeSet;

use chrono::NaiveDate;

use crate::{
    AuthorStack, Conversion, Days, Error, ErrorKind, Id, NewSale, NewSyncLog, Platform,
    RefreshCounts, Result, SaleKey, SyncLog, SyncStatus, UpsertCounts, User, layers::Operation,
    values::days::check_day,
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
///     AuthorStack, Conversion, Id, NewSale, NewUser, Platform, SaleKey, SyncStatus,
///     services::SalesIngest,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// let new = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// let ada = stack.users().create(new).await?.id;
/// let date = "2024-03-01".parse().unwrap();
/// let key = SaleKey { book_id: Id::new(), platform: Platform::KDP, date };
/// let sales = vec![NewSale::new(key, "27.93".parse()?, "USD".parse()?)];
///
/// let ingest = SalesIngest::new(&stack);
/// let dollars = Conversion::into("USD".parse()?);
/// let report = ingest.run(ada, &Platform::KDP, sales, &dollars).await?;
/// assert_eq!(report.log.status, SyncStatus::Success);
/// assert_eq!((report.counts.inserted, report.refreshed.written), (1, 1));
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
    /// What the refresh of the roll-ups did.
    pub refreshed: RefreshCounts,
    /// Why roll-ups were not refreshed: a currency without a rate, a total that is too large. The
    /// sales are written. Refresh these days again once the problem is fixed.
    pub not_refreshed: Option<String>,
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

    /// Imports sales of one platform. A sale that cannot be written is refused and the others are
    /// written: a sale whose currency would change, all sales with a key that is reported more than
    /// once, a sale of another platform.
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
        let (refreshed, not_refreshed, failure) = match (written, refreshed) {
            (Ok(()), Ok(counts)) => (counts, None, None),
            (Ok(()), Err(error)) if is_refusal(&error) => {
                (RefreshCounts::default(), Some(error.to_string()), None)
            }
            (Err(error), _) | (Ok(()), Err(error)) => (RefreshCounts::default(), None, Some(error)),
        };
        let log = NewSyncLog {
            platform: platform.clone(),
            status: status(&progress, not_refreshed.is_some(), failure.is_some()),
            records_synced: i32::try_from(progress.taken).unwrap_or(i32::MAX),
            error_message: message(
                &progress.rejected,
                not_refreshed.as_deref(),
                failure.as_ref(),
            ),
        };
        let logged = self.stack.sync_logs().append(user_id, log).await;
        match failure {
            Some(error) => Err(error),
            None => Ok(IngestReport {
                counts: progress.counts,
                rejected: progress.rejected,
                refreshed,
                not_refreshed,
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
    ) -> Result<RefreshCounts> {
        let mut counts = RefreshCounts::default();
        for stretch in stretches(days) {
            counts += self
                .stack
                .aggregates()
                .refresh(user_id, stretch, conversion)
                .await?;
        }
        Ok(counts)
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
        match same {
            [sale] if sale.key.platform != *platform => {
                refuse(sale, format!("is of another platform than {platform}"));
            }
            [sale] => match check_day("date", sale.key.date) {
                Ok(()) => sound.push(sale.clone()),
                Err(error) => refuse(sale, error.kind().to_string()),
            },
            same => {
                let reason = "is reported more than once; add them up, or leave the outdated out";
                for sale in same {
                    refuse(sale, reason.to_owned());
                }
            }
        }
    }
    sound
}

/// The days as a few ranges, so that an old sale does not cause a refresh of all years since.
fn stretches(days: &BTreeSet<NaiveDate>) -> Vec<Days> {
    const GAP: i64 = 31;
    let mut found: Vec<(NaiveDate, NaiveDate)> = Vec::new();
    for day in days {
        match found.last_mut() {
            Some((_, last)) if (*day - *last).num_days() <= GAP => *last = *day,
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
fn message(
    rejected: &[RejectedSale],
    not_refreshed: Option<&str>,
    failure: Option<&Error>,
) -> Option<String> {
    const NAMED: usize = 5;
    let mut parts: Vec<String> = Vec::new();
    parts.extend(failure.map(ToString::to_string));
    parts.extend(not_refreshed.map(|reason| format!("roll-ups not refreshed: {reason}")));
    if !rejected.is_empty() {
        parts.push(format!("{} refused", rejected.len()));
    }
    let named = rejected.iter().take(NAMED);
    parts.extend(named.map(|sale| format!("{}: {}", sale.key, sale.reason)));
    (!parts.is_empty()).then(|| parts.join("; "))
}
