//! Answers on stdout: a report for people, or one JSON object.

use std::{
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
use serde_json::{Map, Value, json};

use crate::{cli::Form, console::Page, settings::Settings};

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

    /// Prints it. When nobody reads any more, the command has not failed.
    pub(crate) fn print(&self, command: Option<&str>, form: Form) {
        let text = match form {
            Form::Text => self.text.to_string(),
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

fn account(counts: &Counts) -> String {
    format!(
        "rows in {} = written {} + unchanged {} + rejected {}",
        grouped(counts.read),
        grouped(counts.written),
        grouped(counts.unchanged),
        grouped(counts.rejected)
    )
}

pub(crate) fn of_plan(
    plan: &Plan,
    target: &Destination,
    settings: &Settings,
    security: &[(&'static str, ConnectionSecurity)],
) -> Answer {
    let flags = settings.target_settings();
    let flags: Vec<String> = flags
        .map(|it| format!("--{}", it.replace('_', "-")))
        .collect();
    let connections: Map<String, Value> = security
        .iter()
        .map(|(setting, security)| ((*setting).to_owned(), security.as_str().into()))
        .collect();
    Answer {
        status: plan.status,
        kinds: plan.kinds.iter().map(|kind| json!(kind)).collect(),
        more: object(json!({
            "connections": connections,
            "schema_migrations": plan.schema_migrations,
            "blockers": plan.blockers,
            "notes": plan.notes,
            "collisions": plan.collisions,
        })),
        text: page_of_plan(plan, target.name(), &flags, security),
        rejects_file: None,
        error: None,
    }
}

fn page_of_plan(
    plan: &Plan,
    target: &str,
    flags: &[String],
    security: &[(&'static str, ConnectionSecurity)],
) -> Page {
    let mut text = Page::default();
    let kinds = plan.kinds.iter().map(|kind| {
        let counts = &kind.report.counts;
        format!(
            "{:<18} {:>12} read {:>12} would move {:>10} would be rejected",
            kind.report.kind,
            grouped(counts.read),
            grouped(counts.written),
            grouped(counts.rejected)
        )
    });
    text.section(format_args!("To {target}"), kinds);
    let title = format!(
        "No run can start until this is solved in the target ({})",
        flags.join(", ")
    );
    text.section(title, &plan.blockers);
    text.section(
        "A run applies these migrations first",
        &plan.schema_migrations,
    );
    text.section("Notes on the target", &plan.notes);
    let connections = security.iter();
    let connections = connections.map(|(setting, security)| format!("{setting:<18} {security}"));
    text.section("Connections", connections);
    for kind in &plan.kinds {
        let fields = kind.rejected_fields.iter();
        let fields = fields.map(|(field, count)| format!("{}: {}", shown(field), grouped(*count)));
        let title = format!("Rejects among the {}, by field", kind.report.kind);
        text.section(title, fields);
        let listed = kind.examples.len() as u64;
        let title = match kind.report.counts.rejected {
            rejected if rejected > listed => format!("The first {listed} rejects"),
            _ => "These are the rejects".to_owned(),
        };
        let examples = kind
            .examples
            .iter()
            .map(|reject| format!("{}  {}", shown(&reject.key), of_reason(&reject.reason)));
        text.section(title, examples);
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
    text
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
        text.line(format_args!("{:<18} {}", kind.kind, account(&kind.counts)));
    }
    if report.kinds.len() > 1 {
        text.line(format_args!("{:<18} {}", "total", account(&total)));
    }
    text.section(
        "These lines are no open rejects, and were refused",
        &report.refused,
    );
    if let Some((path, count)) = rejects {
        text.line(where_rejects_are(path, count));
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
    format!(
        "{} rejects are in {path}: fix their lines, then `authorstack-migrate replay {path}`",
        grouped(count)
    )
}

pub(crate) fn of_verification(verification: &Verification) -> Answer {
    let mut text = Page::default();
    for kind in &verification.kinds {
        let KindVerification {
            report,
            ranges,
            differing_ranges,
            ..
        } = kind;
        let copied = match report.counts.written {
            0 => String::new(),
            written => format!(", {} copied again", grouped(written)),
        };
        text.line(format_args!(
            "{:<18} {} equal{copied}, {} differing, {} rejected; {} of {} key ranges differ",
            report.kind,
            grouped(report.counts.unchanged),
            grouped(report.differing),
            grouped(report.counts.rejected),
            grouped(*differing_ranges),
            grouped(*ranges)
        ));
        let listed = kind.differences.len() as u64;
        let title = match report.differing {
            differing if differing > listed => format!("The first {listed} that differ"),
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
            0 => text.line("both sides are equal"),
            accepted => text.line(format_args!(
                "both sides are equal, except for {} accepted rejects",
                grouped(accepted)
            )),
        }
    }
    Answer {
        status: verification.status,
        kinds: verification.kinds.iter().map(|kind| json!(kind)).collect(),
        more: Map::new(),
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
    use std::collections::BTreeMap;

    use authorstack_core::{
        Error, ErrorKind, Id, is_unseen,
        migrate::{
            Acceptance, Collision, Difference, DifferenceKind, Kind, KindPlan, PlannedReject,
            RefusedLine, Unexpected, UnexpectedReject, UnknownField,
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
            set_aside: 0,
            seconds: 0.0,
        }
    }

    fn plan(text: &str) -> Plan {
        Plan {
            status: Status::Blocked,
            kinds: vec![KindPlan {
                set_aside_fields: std::collections::BTreeMap::new(),
                set_aside_examples: Vec::new(),
                takes: Vec::new(),
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
                first: Id::new(),
                second: Id::new(),
            }],
            schema_migrations: vec![text.to_owned()],
            blockers: vec![text.to_owned()],
            notes: vec![text.to_owned()],
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
        vec![
            page_of_plan(&plan(text), text, &[text.to_owned()], &[]).to_string(),
            of_report(&moved, Some((Path::new(text), 4)))
                .text
                .to_string(),
            of_verification(&verification(text)).text.to_string(),
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
