use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Instant,
};

use futures::StreamExt;
use serde::Serialize;

use super::{
    BatchLimits, Counts, Kind, KindReport, Problem, Problems, Progress, Record, Scanned, Source,
    Status, Target,
    run::{START, checked, levels},
};
use crate::{Id, Result, User};

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Blocked, incomplete when records would be rejected, else complete.
    pub status: Status,
    /// Kind by kind: `written` is what would move into an empty target.
    pub kinds: Vec<KindPlan>,
    /// Users who cannot all move, since they share an account or an e-mail address.
    pub collisions: Vec<Collision>,
    /// The schema migrations that a run would apply first.
    pub schema_migrations: Vec<String>,
    /// What keeps a run from starting, and how to clear it.
    pub blockers: Vec<String>,
    /// What else to know of the target.
    pub notes: Vec<String>,
}

/// What a run would do with one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindPlan {
    /// The counts.
    #[serde(flatten)]
    pub report: KindReport,
    /// How many records would be rejected for each field.
    pub rejected_fields: BTreeMap<String, u64>,
    /// The first rejects.
    pub examples: Vec<PlannedReject>,
}

/// A record that a run would reject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedReject {
    /// Its key in the source.
    pub key: String,
    /// Why it would be rejected.
    pub reason: String,
}

/// Two users with one value of a unique field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Collision {
    /// The field.
    pub field: &'static str,
    /// The value, as both would store it.
    pub value: String,
    /// The user who would move.
    pub first: Id<User>,
    /// The user who would be rejected.
    pub second: Id<User>,
}

/// Reads the whole source and looks at the target, and moves nothing.
///
/// # Errors
/// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for wrong settings; a store's
/// Timeout or Unavailable.
pub async fn plan(
    source: Arc<dyn Source>,
    target: Arc<dyn Target>,
    kinds: &[Kind],
    progress: &dyn Progress,
) -> Result<Plan> {
    source.check().await?;
    let state = target.inspect().await?;
    let mut plans = Vec::new();
    let mut users = Users::default();
    for kind in levels(kinds).into_iter().flatten() {
        plans.push(
            plan_kind(
                source.as_ref(),
                target.as_ref(),
                kind,
                &mut users,
                kinds,
                progress,
            )
            .await?,
        );
    }
    let rejected = plans.iter().any(|plan| plan.report.counts.rejected > 0);
    let status = if !state.blockers.is_empty() {
        Status::Blocked
    } else if rejected {
        Status::Incomplete
    } else {
        Status::Complete
    };
    Ok(Plan {
        status,
        kinds: plans,
        collisions: users.collisions,
        schema_migrations: state.pending_migrations,
        blockers: state.blockers,
        notes: state.notes,
    })
}

/// The users that would move. Values of unique fields are kept as hashes of 64 bits.
#[derive(Default)]
struct Users {
    ids: HashSet<Id<User>>,
    emails: HashMap<u64, Id<User>>,
    accounts: HashMap<u64, Id<User>>,
    hasher: RandomState,
    collisions: Vec<Collision>,
}

impl Users {
    fn admit(&mut self, user: &User) -> Result<(), Problem> {
        let (email, account) = (user.email.as_str(), user.auth_id.as_str());
        let email_hash = self.hasher.hash_one(email);
        let account_hash = self.hasher.hash_one(account);
        let holders = [
            ("email", email, self.emails.get(&email_hash)),
            ("authId", account, self.accounts.get(&account_hash)),
        ];
        for (field, value, holder) in holders {
            if let Some(first) = holder {
                let problem = format!("{value:?} is also that of user {first}, who moves first");
                self.collisions.push(Collision {
                    field,
                    value: value.to_owned(),
                    first: *first,
                    second: user.id,
                });
                return Err(Problem::new(field, problem));
            }
        }
        self.emails.insert(email_hash, user.id);
        self.accounts.insert(account_hash, user.id);
        self.ids.insert(user.id);
        Ok(())
    }
}

async fn plan_kind(
    source: &dyn Source,
    target: &dyn Target,
    kind: Kind,
    users: &mut Users,
    kinds: &[Kind],
    progress: &dyn Progress,
) -> Result<KindPlan> {
    const EXAMPLES: usize = 20;
    let started = Instant::now();
    progress.started(kind, source.count(kind).await?, Counts::default());
    let mut counts = Counts::default();
    let mut rejected_fields = BTreeMap::new();
    let mut examples = Vec::new();
    let mut scan = source.scan(kind, START, BatchLimits::default());
    while let Some(batch) = scan.next().await {
        for Scanned { key, outcome, .. } in batch?.items {
            counts.read += 1;
            let admitted = checked(outcome).and_then(|record| {
                let problems = target.screen(&record);
                if !problems.is_empty() {
                    return Err(problems);
                }
                admit(&record, users, kinds).map_err(Problems::from)
            });
            match admitted {
                Ok(()) => counts.written += 1,
                Err(problems) => {
                    counts.rejected += 1;
                    let fields: HashSet<&String> = problems.0.iter().map(|p| &p.field).collect();
                    for field in fields {
                        *rejected_fields.entry(field.clone()).or_default() += 1;
                    }
                    if examples.len() < EXAMPLES {
                        let reason = problems.to_string();
                        examples.push(PlannedReject { key, reason });
                    }
                }
            }
        }
        progress.advanced(kind, counts);
    }
    progress.finished(kind, counts);
    Ok(KindPlan {
        report: KindReport {
            kind,
            counts,
            differing: 0,
            seconds: started.elapsed().as_secs_f64(),
        },
        rejected_fields,
        examples,
    })
}

/// Whether the records moved before let this one move.
fn admit(record: &Record, users: &mut Users, kinds: &[Kind]) -> Result<(), Problem> {
    match record {
        Record::User(user) => users.admit(user),
        Record::Book(book)
            if kinds.contains(&Kind::Users) && !users.ids.contains(&book.user_id) =>
        {
            Err(Problem::new(
                "userId",
                format!("there is no user {} who could move", book.user_id),
            ))
        }
        Record::Book(_) => Ok(()),
    }
}
