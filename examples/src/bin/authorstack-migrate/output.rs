//! Answers on stdout: a report for people, or one JSON object.

use std::{
    fmt::Write as _,
    io::{Write as _, stdout},
    path::{Path, PathBuf},
};

use authorstack_core::{
    ConnectionSecurity,
    migrate::{
        Counts, Destination, KindReport, KindVerification, Plan, Report, Status, Verification,
    },
};
use serde_json::{Map, Value, json};

use crate::{cli::Form, settings::Settings};

/// What a command came to.
pub(crate) struct Answer {
    pub(crate) status: Status,
    /// The kinds, as JSON.
    pub(crate) kinds: Vec<Value>,
    /// Members that only this command has.
    pub(crate) more: Map<String, Value>,
    /// The report for people.
    pub(crate) text: String,
    pub(crate) rejects_file: Option<PathBuf>,
    pub(crate) error: Option<String>,
}

impl Answer {
    pub(crate) fn failed(status: Status, kinds: &[KindReport], error: String) -> Self {
        Self {
            status,
            kinds: kinds.iter().map(|kind| json!(kind)).collect(),
            more: Map::new(),
            text: String::new(),
            rejects_file: None,
            error: Some(error),
        }
    }

    /// Prints it. When nobody reads any more, the command has not failed.
    pub(crate) fn print(&self, command: Option<&str>, form: Form) {
        let text = match form {
            Form::Text => self.text.clone(),
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

fn section(text: &mut String, title: &str, lines: impl IntoIterator<Item = String>) {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_some() {
        let _ = writeln!(text, "{title}:");
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    }
}

pub(crate) fn of_plan(
    plan: &Plan,
    target: &Destination,
    settings: &Settings,
    security: &[(&'static str, ConnectionSecurity)],
) -> Answer {
    let mut text = String::new();
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
    section(&mut text, &format!("To {}", target.name()), kinds);
    let flags = settings.target_settings();
    let flags: Vec<String> = flags
        .map(|it| format!("--{}", it.replace('_', "-")))
        .collect();
    let title = format!(
        "No run can start until this is solved in the target ({})",
        flags.join(", ")
    );
    section(&mut text, &title, plan.blockers.clone());
    section(
        &mut text,
        "A run applies these migrations first",
        plan.schema_migrations.clone(),
    );
    section(&mut text, "Notes on the target", plan.notes.clone());
    let connections = security.iter();
    let connections = connections.map(|(setting, security)| format!("{setting:<18} {security}"));
    section(&mut text, "Connections", connections);
    for kind in &plan.kinds {
        let fields = kind.rejected_fields.iter();
        let fields = fields.map(|(field, count)| format!("{field}: {}", grouped(*count)));
        let title = format!("Rejects among the {}, by field", kind.report.kind);
        section(&mut text, &title, fields);
        let shown = kind.examples.len() as u64;
        let title = match kind.report.counts.rejected {
            rejected if rejected > shown => format!("The first {shown} rejects"),
            _ => "These are the rejects".to_owned(),
        };
        let examples = kind
            .examples
            .iter()
            .map(|reject| format!("{}  {}", reject.key, reject.reason));
        section(&mut text, &title, examples);
        let title = format!("Fields of the {} to look at", kind.report.kind);
        let fields = kind.unknown_fields.iter().map(ToString::to_string);
        section(&mut text, &title, fields);
    }
    let collisions = plan.collisions.iter().map(|pair| {
        format!(
            "{} {} {:?}: {} would move, {} would not",
            pair.kind, pair.field, pair.value, pair.first, pair.second
        )
    });
    section(
        &mut text,
        "Records that share a value that must be unique",
        collisions,
    );
    let security: Map<String, Value> = security
        .iter()
        .map(|(setting, security)| ((*setting).to_owned(), security.as_str().into()))
        .collect();
    let more = json!({
        "connections": security,
        "schema_migrations": plan.schema_migrations,
        "blockers": plan.blockers,
        "notes": plan.notes,
        "collisions": plan.collisions,
    });
    Answer {
        status: plan.status,
        kinds: plan.kinds.iter().map(|kind| json!(kind)).collect(),
        more: object(more),
        text,
        rejects_file: None,
        error: None,
    }
}

/// What a run or a replay did, and where the open rejects are.
pub(crate) fn of_report(report: &Report, rejects: Option<(&Path, u64)>) -> Answer {
    let mut text = String::new();
    let mut total = Counts::default();
    for kind in &report.kinds {
        total += kind.counts;
        let _ = writeln!(text, "{:<18} {}", kind.kind, account(&kind.counts));
    }
    if report.kinds.len() > 1 {
        let _ = writeln!(text, "{:<18} {}", "total", account(&total));
    }
    if let Some((path, count)) = rejects {
        text.push_str(&where_rejects_are(path, count));
    }
    Answer {
        status: report.status,
        kinds: report.kinds.iter().map(|kind| json!(kind)).collect(),
        more: Map::new(),
        text,
        rejects_file: rejects.map(|(path, _)| path.to_owned()),
        error: None,
    }
}

/// The line that names the rejects file.
pub(crate) fn where_rejects_are(path: &Path, count: u64) -> String {
    let path = path.display();
    format!(
        "{} rejects are in {path}: fix their lines, then `authorstack-migrate replay {path}`\n",
        grouped(count)
    )
}

pub(crate) fn of_verification(verification: &Verification) -> Answer {
    let mut text = String::new();
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
        let _ = writeln!(
            text,
            "{:<18} {} equal{copied}, {} differing, {} rejected; {} of {} key ranges differ",
            report.kind,
            grouped(report.counts.unchanged),
            grouped(report.differing),
            grouped(report.counts.rejected),
            grouped(*differing_ranges),
            grouped(*ranges)
        );
        let shown = kind.differences.len() as u64;
        let lines = kind.differences.iter().map(ToString::to_string);
        let title = match report.differing {
            differing if differing > shown => format!("The first {shown} that differ"),
            _ => "These differ".to_owned(),
        };
        section(&mut text, &title, lines);
    }
    if verification.status == Status::Complete {
        text.push_str("both sides are equal\n");
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
mod tests {
    use super::*;

    #[test]
    fn thousands_have_commas() {
        let numbers = [0, 999, 1_000, 12_345_678].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "12,345,678"]);
    }
}
