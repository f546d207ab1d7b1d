//! Answers on stdout: a report for people, or one JSON object.

use std::{
    collections::BTreeMap,
    io::{Write as _, stdout},
    path::{Path, PathBuf},
};

use authorstack_core::{
    ConnectionSecurity,
    migrate::{
        Counts, Destination, KindReport, KindVerification, Plan, Report, Status, Verification,
    },
    shown,
};
use authorstack_supabase::ResetsSent;
use serde_json::{Map, Value, json};

use crate::{
    accounts,
    cli::Form,
    console::{Page, Tone},
    endpoints::FoundIds,
    rejects::Reasons,
    settings::Settings,
};

/// What a command came to.
pub(crate) struct Answer {
    pub(crate) status: Status,
    /// The kinds, as JSON.
    pub(crate) kinds: Vec<Value>,
    /// Members that only this command has.
    pub(crate) more: Map<String, Value>,
    /// The report for people.
    pub(crate) text: Page,
    pub(crate) rejects_file: Option<PathBuf>,
    pub(crate) error: Option<String>,
}

impl Answer {
    pub(crate) fn failed(status: Status, kinds: &[KindReport], error: String) -> Self {
        Self {
            status,
            kinds: kinds.iter().map(|kind| json!(kind)).collect(),
            more: Map::new(),
            text: Page::default(),
            rejects_file: None,
            error: Some(error),
        }
    }

    /// Adds the file that lists the fields set aside, if there are any.
    pub(crate) fn set_aside(&mut self, path: &Path, fields: u64) {
        let file = (fields > 0).then_some(path);
        self.more.insert("set_aside_file".to_owned(), json!(file));
        if let Some(path) = file {
            let path = path.to_string_lossy();
            let path = shown(&path);
            self.text.toned(
                Tone::Warning,
                format_args!(
                    "{} set aside: the records moved without, {path} lists them",
                    counted(fields, "field was", "fields were")
                ),
            );
        }
    }

    /// Prints it. When nobody reads any more, the command has not failed.
    pub(crate) fn print(&self, command: Option<&str>, form: Form) {
        let text = match form {
            Form::Text => {
                let _ = self.text.print();
                return;
            }
            Form::Json => {
                let mut object = json!({
                    "command": command,
                    "status": self.status,
                    "kinds": self.kinds,
                    "rejects_file": self.rejects_file,
                    "error": self.error,
                });
                if let Value::Object(object) = &mut object {
                    object.extend(self.more.clone());
                }
                format!("{object}\n")
            }
        };
        let _ = stdout().write_all(text.as_bytes());
    }
}

/// The answer of a flush.
pub(crate) fn of_flush(removed: u64) -> Answer {
    let mut text = Page::default();
    text.line(format_args!(
        "{} removed from the cache; rate limits and queues stay",
        counted(removed, "key was", "keys were")
    ));
    let mut more = Map::new();
    more.insert("removed".to_owned(), json!(removed));
    Answer {
        status: Status::Complete,
        kinds: Vec::new(),
        more,
        text,
        rejects_file: None,
        error: None,
    }
}

/// A number with commas between its thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things, in words: `1 record`, `2,000 records`.
pub(crate) fn counted(number: u64, one: &str, more: &str) -> String {
    let word = if number == 1 { one } else { more };
    format!("{} {word}", grouped(number))
}

fn account(counts: &Counts) -> String {
    format!(
        "rows in {} = written {} + unchanged {} + rejected {}",
        grouped(counts.read),
        grouped(counts.written),
        grouped(counts.unchanged),
        grouped(counts.rejected)
    )
}

/// Counts by field, the largest first: `isbn 3, title 1`.
fn by_field(fields: &BTreeMap<String, u64>) -> String {
    /// The most fields that are named.
    const MOST: usize = 8;
    let mut fields: Vec<(&String, u64)> = fields.iter().map(|(field, n)| (field, *n)).collect();
    fields.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let named = fields
        .iter()
        .take(MOST)
        .map(|(field, count)| match field.as_str() {
            "" => format!("the whole record {}", grouped(*count)),
            field => format!("{} {}", shown(field).up_to(120), grouped(*count)),
        });
    let mut text = named.collect::<Vec<_>>().join(", ");
    let more = fields.len().saturating_sub(MOST) as u64;
    if more > 0 {
        text.push_str(" and ");
        text.push_str(&counted(more, "other field", "other fields"));
    }
    text
}

/// What the tool found out on its way.
pub(crate) struct Found<'f> {
    /// How the connections are secured, by their settings.
    pub(crate) security: &'f [(&'static str, ConnectionSecurity)],
    /// What the ids of the analytics mean, where it was not said.
    pub(crate) ids: Option<&'f FoundIds>,
    /// The project's providers, where it was asked.
    pub(crate) project: Option<&'f accounts::Project>,
}

/// What the ids of the analytics are taken for, in lines for people.
pub(crate) fn ids_found(found: &FoundIds) -> Vec<String> {
    let kinds = found.forms.kinds.iter().filter(|kind| kind.ids > 0);
    let counts: Vec<String> = kinds.map(ToString::to_string).collect();
    if counts.is_empty() {
        return Vec::new();
    }
    let form = found.form.name();
    let taken = format!("ids of the analytics: read as {form} (--postgres-ids {form})");
    std::iter::once(taken).chain(counts).collect()
}

pub(crate) fn of_plan(
    plan: &Plan,
    target: &Destination,
    settings: &Settings,
    found: &Found<'_>,
    details: bool,
) -> Answer {
    let flags = settings.target_settings();
    let flags: Vec<String> = flags
        .map(|it| format!("--{}", it.replace('_', "-")))
        .collect();
    let connections: Map<String, Value> = found
        .security
        .iter()
        .map(|(setting, security)| ((*setting).to_owned(), security.as_str().into()))
        .collect();
    let not_enabled = plan.accounts.as_ref().zip(found.project);
    let not_enabled = not_enabled.map(|(plan, project)| accounts::not_enabled(plan, project));
    Answer {
        status: plan.status,
        kinds: plan.kinds.iter().map(|kind| json!(kind)).collect(),
        more: object(json!({
            "connections": connections,
            "postgres_ids": found.ids.map(|ids| ids.form.name()),
            "schema_migrations": plan.schema_migrations,
            "blockers": plan.blockers,
            "notes": plan.notes,
            "collisions": plan.collisions,
            "accounts": plan.accounts,
            "providers_not_enabled": not_enabled,
            "strangers": plan.strangers,
        })),
        text: page_of_plan(plan, target.name(), &flags, found, details),
        rejects_file: None,
        error: None,
    }
}

/// The summary of a plan: what moves, what does not, what to do.
fn page_of_plan(
    plan: &Plan,
    target: &str,
    flags: &[String],
    found: &Found<'_>,
    details: bool,
) -> Page {
    let mut text = Page::default();
    let mut total = Counts::default();
    for kind in &plan.kinds {
        total += kind.report.counts;
    }
    match (plan.blockers.len() as u64, total.rejected) {
        (0, 0) => text.toned(
            Tone::Good,
            format_args!(
                "A run would move all {} to {target}.",
                counted(total.read, "record", "records")
            ),
        ),
        (0, rejected) => text.toned(
            Tone::Warning,
            format_args!(
                "A run would move {} of {} to {target}; {} would be rejected.",
                grouped(total.written),
                counted(total.read, "record", "records"),
                grouped(rejected)
            ),
        ),
        (blockers, _) => text.toned(
            Tone::Bad,
            format_args!(
                "No run can start before {} solved in the target ({}).",
                counted(blockers, "problem is", "problems are"),
                flags.join(", ")
            ),
        ),
    }
    let kinds = plan.kinds.iter().map(|kind| {
        let counts = &kind.report.counts;
        format!(
            "{:<18} {:>12} of {:>12}",
            kind.report.kind,
            grouped(counts.written),
            grouped(counts.read)
        )
    });
    text.section("What moves", kinds);
    let aside = plan.kinds.iter().filter(|kind| kind.report.set_aside > 0);
    let aside = aside.map(|kind| {
        format!(
            "{}: {}, in records by field: {}",
            kind.report.kind,
            counted(kind.report.set_aside, "field", "fields"),
            by_field(&kind.set_aside_fields)
        )
    });
    text.section(
        "What is set aside (its record moves without it, and keeps the value in `extra`)",
        aside,
    );
    text.section("What does not move", left_behind(plan));
    if let Some(accounts) = &plan.accounts {
        text.section(
            "What becomes of the accounts",
            accounts::lines(accounts, details),
        );
        let lines = accounts::provider_lines(accounts, found.project);
        text.section(
            "The providers in use, and their settings for config.toml",
            lines,
        );
    }
    text.section("What to do", to_do(plan));
    if let Some(ids) = found.ids {
        let mut lines = ids_found(ids).into_iter();
        if let Some(title) = lines.next() {
            text.section(title, lines);
        }
    }
    // Where everything can be read on the way, nobody has to ask for it.
    let connections = found.security.iter();
    let told = connections.filter(|(_, way)| details || *way == ConnectionSecurity::ClearText);
    text.section("Connections", told.map(connection));
    if details {
        details_of_plan(&mut text, plan);
    } else {
        text.line(
            "`plan --details` lists the first rejects of each kind, the fields to look at, the \
             schema's migrations, notes on the target, and how connections are secured.",
        );
    }
    text
}

/// What `send-resets` did.
pub(crate) fn of_resets(sent: &ResetsSent) -> Answer {
    let status = if sent.refused == 0 {
        Status::Complete
    } else {
        Status::Incomplete
    };
    let mut text = Page::default();
    text.line(format_args!(
        "{} sent.",
        counted(sent.sent, "link", "links")
    ));
    if sent.refused > 0 {
        text.line(format_args!(
            "{} refused by the server, most often because it has just sent one: repeat this later.",
            counted(sent.refused, "link was", "links were")
        ));
    }
    if sent.without_address > 0 {
        text.line(format_args!(
            "{} no e-mail address: reach the owner by phone.",
            counted(sent.without_address, "account has", "accounts have")
        ));
    }
    of_links(
        status,
        text,
        json!({
            "sent": sent.sent,
            "refused": sent.refused,
            "without_address": sent.without_address,
        }),
    )
}

/// How many links `send-resets` would send.
pub(crate) fn of_lost(waiting: u64, without_address: u64) -> Answer {
    let mut text = Page::default();
    text.line(format_args!(
        "{} a link; {} no e-mail address.",
        counted(waiting, "account needs", "accounts need"),
        counted(without_address, "more has", "more have")
    ));
    let more = json!({ "waiting": waiting, "without_address": without_address });
    of_links(Status::Complete, text, more)
}

fn of_links(status: Status, text: Page, more: Value) -> Answer {
    Answer {
        status,
        kinds: Vec::new(),
        more: match more {
            Value::Object(more) => more,
            _ => Map::new(),
        },
        text,
        rejects_file: None,
        error: None,
    }
}

/// What does not move, in one line for each kind, collection or table.
fn left_behind(plan: &Plan) -> Vec<String> {
    /// How many rejected records are named with what they take with them.
    const NAMED: usize = 5;
    let mut lines = Vec::new();
    for kind in &plan.kinds {
        let rejected = kind.report.counts.rejected;
        if rejected > 0 {
            lines.push(format!(
                "{}: {}, by field: {}",
                kind.report.kind,
                counted(rejected, "record", "records"),
                by_field(&kind.rejected_fields)
            ));
        }
        for takes in kind.takes.iter().take(NAMED) {
            let with_it = takes.with_it.iter();
            let with_it = with_it.map(|(kind, count)| counted(*count, kind.one(), kind.as_str()));
            lines.push(format!(
                "{} {}: rejected, and with it {}",
                kind.report.kind.one(),
                shown(&takes.key).up_to(120),
                with_it.collect::<Vec<_>>().join(", ")
            ));
        }
        if kind.takes.len() > NAMED {
            let more = (kind.takes.len() - NAMED) as u64;
            lines.push(format!(
                "and {more} more of the {} take others with them: `plan --details` lists them",
                kind.report.kind
            ));
        }
    }
    lines.extend(plan.strangers.iter().map(ToString::to_string));
    lines
}

fn to_do(plan: &Plan) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for blocker in &plan.blockers {
        steps.push(format!(
            "solve this in the target: {}",
            shown(blocker).up_to(3_000)
        ));
    }
    if !plan.collisions.is_empty() {
        steps.push(format!(
            "settle {} of records that share a value that must be unique: `plan --details` lists \
             them",
            counted(plan.collisions.len() as u64, "pair", "pairs")
        ));
    }
    if plan
        .kinds
        .iter()
        .any(|kind| kind.report.counts.rejected > 0)
    {
        steps.push(
            "correct the rejected records in the source before the run, or after it: fix their \
             lines in the rejects file, and `replay` it"
                .to_owned(),
        );
    }
    let fields = plan.kinds.iter().flat_map(|kind| &kind.unknown_fields);
    let secrets = fields.clone().filter(|field| field.looks_secret).count() as u64;
    let open = fields.filter(|field| !field.looks_secret).count() as u64;
    if secrets > 0 {
        steps.push(format!(
            "look at {} whose names look like secrets: `plan --details` lists them",
            counted(secrets, "unknown field", "unknown fields")
        ));
    }
    if open > 0 {
        steps.push(format!(
            "look at {} that people who sign in could read: `plan --details` lists them",
            counted(open, "unknown field", "unknown fields")
        ));
    }
    if plan.strangers.iter().any(|stranger| !stranger.missing) {
        steps.push("move what the schema does not know yourself, if it is still needed".to_owned());
    }
    if plan.blockers.is_empty() {
        let first = match plan.schema_migrations.len() as u64 {
            0 => String::new(),
            n => format!(
                "; it first applies {} to the target",
                counted(n, "migration of the schema", "migrations of the schema")
            ),
        };
        let then = if steps.is_empty() { "" } else { "then " };
        steps.push(format!("{then}`authorstack-migrate run`{first}"));
    }
    steps
}

fn details_of_plan(text: &mut Page, plan: &Plan) {
    for kind in &plan.kinds {
        let listed = kind.examples.len() as u64;
        let title = match kind.report.counts.rejected {
            rejected if rejected > listed => format!(
                "The first {} among the {}",
                counted(listed, "reject", "rejects"),
                kind.report.kind
            ),
            _ => format!("Rejects among the {}", kind.report.kind),
        };
        let examples = kind
            .examples
            .iter()
            .map(|reject| format!("{}  {}", shown(&reject.key), of_reason(&reject.reason)));
        text.section(title, examples);
        let takes = kind.takes.iter().map(|takes| {
            let with_it = takes.with_it.iter();
            let with_it = with_it.map(|(kind, count)| counted(*count, kind.one(), kind.as_str()));
            let with_it: Vec<String> = with_it.collect();
            format!("{}  {}", shown(&takes.key).up_to(120), with_it.join(", "))
        });
        text.section(
            format!("What rejects among the {} take with them", kind.report.kind),
            takes,
        );
        let examples = kind
            .set_aside_examples
            .iter()
            .map(|aside| format!("{}  {}", shown(&aside.key), of_reason(&aside.reason)));
        text.section(
            format!("Set aside among the {}", kind.report.kind),
            examples,
        );
        let title = format!("Fields of the {} to look at", kind.report.kind);
        text.section(title, &kind.unknown_fields);
    }
    let collisions = plan.collisions.iter().map(|pair| {
        format!(
            "{} {} \"{}\": {} would move, {} would not",
            pair.kind,
            pair.field,
            shown(&pair.value),
            pair.first,
            pair.second
        )
    });
    text.section("Records that share a value that must be unique", collisions);
    text.section(
        "A run applies these migrations first",
        &plan.schema_migrations,
    );
    text.section("Notes on the target", &plan.notes);
}

fn connection((setting, security): &(&str, ConnectionSecurity)) -> String {
    format!("{setting:<18} {security}")
}

/// The reasons of a reject, in one line with its key.
fn of_reason(reason: &str) -> impl std::fmt::Display {
    /// The most characters.
    const MOST: usize = 2_000;
    shown(reason).up_to(MOST)
}

/// What a run or a replay did, and where the open rejects are.
pub(crate) fn of_report(report: &Report, rejects: Option<(&Path, u64)>) -> Answer {
    let mut text = Page::default();
    let mut total = Counts::default();
    for kind in &report.kinds {
        total += kind.counts;
        let tone = match kind.counts.rejected {
            0 => Tone::Plain,
            _ => Tone::Warning,
        };
        let aside = match kind.set_aside {
            0 => String::new(),
            fields => format!(
                "; carried, {} set aside",
                counted(fields, "field", "fields")
            ),
        };
        text.toned(
            tone,
            format_args!("{:<18} {}{aside}", kind.kind, account(&kind.counts)),
        );
    }
    if report.kinds.len() > 1 {
        text.line(format_args!("{:<18} {}", "total", account(&total)));
    }
    text.section(
        "These lines are no open rejects, and were refused",
        &report.refused,
    );
    match rejects {
        Some((path, count)) => text.toned(Tone::Warning, where_rejects_are(path, count)),
        None if report.status == Status::Complete => {
            text.toned(Tone::Good, "everything moved; `verify` compares both sides");
        }
        None => {}
    }
    let mut more = Map::new();
    if !report.refused.is_empty() {
        more.insert("refused".to_owned(), json!(report.refused));
    }
    Answer {
        status: report.status,
        kinds: report.kinds.iter().map(|kind| json!(kind)).collect(),
        more,
        text,
        rejects_file: rejects.map(|(path, _)| path.to_owned()),
        error: None,
    }
}

/// The line that names the rejects file.
pub(crate) fn where_rejects_are(path: &Path, count: u64) -> String {
    let path = path.to_string_lossy();
    let path = shown(&path);
    let (are, lines) = match count {
        1 => ("1 reject is".to_owned(), "its line"),
        _ => (format!("{} rejects are", grouped(count)), "their lines"),
    };
    format!("{are} in {path}: fix {lines}, then `authorstack-migrate replay {path}`")
}

/// What a comparison found. The reasons are those of the open rejects.
pub(crate) fn of_verification(verification: &Verification, reasons: &Reasons) -> Answer {
    let mut text = Page::default();
    let none = BTreeMap::new();
    for kind in &verification.kinds {
        let KindVerification {
            report,
            ranges,
            differing_ranges,
            pruned,
            ..
        } = kind;
        let copied = match report.counts.written {
            0 => String::new(),
            written => format!(", {} copied again", grouped(written)),
        };
        let removed = match pruned {
            0 => String::new(),
            pruned => format!(", {} gone and removed", grouped(*pruned)),
        };
        let tone = match (report.differing, report.counts.rejected) {
            (0, 0) => Tone::Plain,
            (0, _) => Tone::Warning,
            _ => Tone::Bad,
        };
        text.toned(
            tone,
            format_args!(
                "{:<18} {} equal{copied}{removed}, {} differing, {} rejected; {} of {} differ",
                report.kind,
                grouped(report.counts.unchanged),
                grouped(report.differing),
                grouped(report.counts.rejected),
                grouped(*differing_ranges),
                counted(*ranges, "key range", "key ranges")
            ),
        );
        let fields = reasons.get(&report.kind).unwrap_or(&none);
        if report.counts.rejected > 0 && !fields.is_empty() {
            text.section("Rejected, by field", [by_field(fields)]);
        }
        let listed = kind.differences.len() as u64;
        let title = match report.differing {
            differing if differing > listed => format!("The first {listed} that differ"),
            1 => "This differs".to_owned(),
            _ => "These differ".to_owned(),
        };
        text.section(title, &kind.differences);
        if let Some(acceptance) = &kind.acceptance {
            let unexpected = acceptance.not_accepted + acceptance.no_longer;
            let title = format!(
                "{} of {} rejects accepted; other than the file says are {}",
                grouped(acceptance.accepted),
                grouped(report.counts.rejected),
                grouped(unexpected)
            );
            if unexpected > 0 {
                text.section(title, &acceptance.examples);
            }
        }
    }
    if verification.status == Status::Complete {
        let accepted = verification.kinds.iter();
        let accepted = accepted.map(|kind| kind.report.counts.rejected).sum();
        match accepted {
            0 => text.toned(Tone::Good, "both sides are equal"),
            accepted => text.toned(
                Tone::Good,
                format_args!(
                    "both sides are equal, except for {}",
                    counted(accepted, "accepted reject", "accepted rejects")
                ),
            ),
        }
    }
    let mut more = Map::new();
    if !reasons.is_empty() {
        more.insert("rejected_fields".to_owned(), json!(reasons));
    }
    Answer {
        status: verification.status,
        kinds: verification.kinds.iter().map(|kind| json!(kind)).collect(),
        more,
        text,
        rejects_file: None,
        error: None,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed check of a test panics")]
mod tests {
    use authorstack_core::{
        Error, ErrorKind, Id, is_unseen,
        migrate::{
            Acceptance, AccountsPlan, Collision, Difference, DifferenceKind, Examples, Key, Kind,
            KindPlan, PasswordCount, PlannedReject, RefusedLine, Stranger, Takes, Unexpected,
            UnexpectedReject, UnknownField,
        },
    };
    use proptest::prelude::*;

    use super::*;

    fn report() -> KindReport {
        let counts = Counts {
            read: 4,
            rejected: 4,
            ..Counts::default()
        };
        KindReport {
            kind: Kind::PostComments,
            counts,
            differing: 4,
            set_aside: 2,
            seconds: 0.0,
        }
    }

    fn plan(text: &str) -> Plan {
        Plan {
            status: Status::Blocked,
            kinds: vec![KindPlan {
                set_aside_fields: BTreeMap::from([(text.to_owned(), 1)]),
                set_aside_examples: vec![PlannedReject {
                    key: text.to_owned(),
                    reason: text.to_owned(),
                }],
                takes: vec![Takes {
                    key: text.to_owned(),
                    with_it: BTreeMap::from([(Kind::Books, 2), (Kind::SalesData, 1)]),
                }],
                report: report(),
                rejected_fields: BTreeMap::from([(text.to_owned(), 1)]),
                examples: vec![PlannedReject {
                    key: text.to_owned(),
                    reason: text.to_owned(),
                }],
                unknown_fields: vec![UnknownField {
                    field: text.to_owned(),
                    records: 1,
                    looks_secret: true,
                    readable: true,
                }],
            }],
            collisions: vec![Collision {
                kind: Kind::Users,
                field: "email",
                value: text.to_owned(),
                first: Key::from(Id::<()>::new()),
                second: Key::from(Id::<()>::new()),
            }],
            accounts: Some(AccountsPlan {
                passwords: vec![PasswordCount {
                    algorithm: text.to_owned(),
                    kept: false,
                    accounts: 2,
                }],
                // Such a name is never one that `config.toml` has settings for.
                providers: BTreeMap::from([(format!("Custom {text}"), 1)]),
                without_profile: Examples {
                    count: 1,
                    first: vec![text.to_owned()],
                },
                profiles_without_account: Examples {
                    count: 1,
                    first: vec![text.to_owned()],
                },
                ..AccountsPlan::default()
            }),
            schema_migrations: vec![text.to_owned()],
            blockers: vec![text.to_owned()],
            notes: vec![text.to_owned()],
            strangers: [true, false]
                .map(|missing| Stranger {
                    store: "MongoDB",
                    form: "collection",
                    name: text.to_owned(),
                    records: Some(1),
                    missing,
                })
                .to_vec(),
        }
    }

    fn verification(text: &str) -> Verification {
        Verification {
            status: Status::Incomplete,
            kinds: vec![KindVerification {
                report: report(),
                ranges: 1,
                differing_ranges: 1,
                differences: vec![Difference {
                    key: text.to_owned(),
                    difference: DifferenceKind::Differs {
                        fields: vec![text.to_owned(); 2],
                    },
                }],
                pruned: 1,
                acceptance: Some(Acceptance {
                    not_accepted: 1,
                    examples: vec![UnexpectedReject {
                        key: text.to_owned(),
                        unexpected: Unexpected::NotListed,
                    }],
                    ..Acceptance::default()
                }),
            }],
        }
    }

    /// Every report, with this text wherever data can stand.
    fn pages(text: &str) -> Vec<String> {
        let moved = Report {
            status: Status::Incomplete,
            kinds: vec![report()],
            refused: vec![RefusedLine {
                kind: Kind::Users,
                key: text.to_owned(),
                reason: text.to_owned(),
            }],
        };
        let errors = [
            ErrorKind::Unavailable {
                reason: text.to_owned().into(),
            },
            ErrorKind::Invalid {
                field: text.to_owned().into(),
                reason: text.to_owned().into(),
            },
            ErrorKind::Blocked {
                reason: text.to_owned().into(),
            },
            ErrorKind::Configuration {
                setting: "mongodb_url".into(),
                reason: text.to_owned().into(),
            },
        ];
        let mut failures = Page::default();
        for kind in errors {
            let error = Error::new(kind).for_record(text);
            for on_the_way in [false, true] {
                failures.line(crate::message_of(&error, on_the_way));
            }
        }
        let page = |text: &str, details| {
            let found = Found {
                security: &[],
                ids: None,
                project: None,
            };
            page_of_plan(&plan(text), text, &[text.to_owned()], &found, details).to_string()
        };
        let fields = BTreeMap::from([(text.to_owned(), 4)]);
        let reasons = Reasons::from([(Kind::PostComments, fields)]);
        vec![
            page(text, false),
            page(text, true),
            of_report(&moved, Some((Path::new(text), 4)))
                .text
                .to_string(),
            of_verification(&verification(text), &reasons)
                .text
                .to_string(),
            failures.to_string(),
        ]
    }

    fn is_safe(page: &str) -> bool {
        !page.chars().any(|c| c != '\n' && is_unseen(c))
    }

    /// Texts that a terminal obeys, that people do not see, and long ones.
    fn hostile() -> impl Strategy<Value = String> {
        let pieces = prop_oneof![
            Just("\u{1b}[2J".to_owned()),
            Just("\u{1b}]0;pwned\u{7}".to_owned()),
            Just("\u{9b}31m".to_owned()),
            Just("\u{9d}8;;http://example.org\u{9c}".to_owned()),
            Just("\r\nboth sides are equal\n".to_owned()),
            Just("\u{202e}\u{2066}\u{200f}\u{61c}".to_owned()),
            Just("\u{200b}\u{200d}\u{feff}\u{e0041}\u{2028}".to_owned()),
            "[\\x00-\\x1f\\x7f-\u{9f}]{1,8}",
            any::<String>(),
            Just("long ".repeat(2_000)),
        ];
        proptest::collection::vec(pieces, 1..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn no_report_lets_a_terminal_obey_data(text in hostile()) {
            for (page, plain) in pages(&text).iter().zip(pages("plain")) {
                prop_assert!(is_safe(page), "{:?}", page);
                // What stands in data cannot look like lines of the tool.
                prop_assert_eq!(page.lines().count(), plain.lines().count(), "{}", page);
                prop_assert!(page.lines().all(|line| line.chars().count() < 5_000));
            }
        }

        #[test]
        fn json_is_exact(text in hostile()) {
            let more = json!(plan(&text));
            prop_assert_eq!(more["blockers"][0].as_str(), Some(text.as_str()));
            prop_assert_eq!(more["kinds"][0]["examples"][0]["key"].as_str(), Some(text.as_str()));
            let again: Value = serde_json::from_str(&more.to_string()).unwrap();
            prop_assert_eq!(again, more);
        }
    }

    #[test]
    fn long_sections_are_cut() {
        let mut page = Page::default();
        page.section("Notes", (0..1_000).map(|n| n.to_string()));
        assert_eq!(page.to_string().lines().count(), 102);
        assert!(page.to_string().ends_with("  and 900 more\n"));
    }

    #[test]
    fn thousands_have_commas() {
        let numbers = [0, 999, 1_000, 12_345_678].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "12,345,678"]);
    }
}
