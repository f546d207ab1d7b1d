//! An account or identity that was read, and its place in the order of a move.

use serde_json::Value;

use super::{Key, Kind, Original, Problem, Problems, Record, Scanned};
use crate::{Error, ErrorKind, Result};

/// Takes a record out of the move.
pub(super) fn refuse(scanned: &mut Scanned, problem: Problem) {
    let outcome = std::mem::replace(&mut scanned.outcome, Err(problem.into()));
    scanned.original = Original::Bytes(Original::Record.bytes(outcome.ok().as_ref()));
}

/// Whether an error is that of one record, and not of the service.
pub(super) fn is_of_record(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt { .. })
}

/// An account or identity that cannot be read. The service shows nothing of it.
pub(super) fn unreadable(kind: Kind, index: usize, error: Error) -> Result<Item> {
    let ErrorKind::Corrupt { what } = error.kind() else {
        return Err(error);
    };
    let name = error.record().map(str::to_owned);
    let name = name.unwrap_or_else(|| format!("unreadable {one} {index}", one = kind.one()));
    let (field, problem) = what.split_once(": ").unwrap_or(("", what));
    Ok(Item::of(
        Scanned {
            key: name,
            outcome: Err(Problem::new(field, problem).into()),
            set_aside: Problems::default(),
            original: Original::Bytes(b"{}".to_vec()),
        },
        kind,
    ))
}

/// What was read, with its place in the order.
pub(super) struct Item {
    pub(super) place: Key,
    pub(super) scanned: Scanned,
}

impl Item {
    pub(super) fn of(scanned: Scanned, kind: Kind) -> Self {
        let place = match (&scanned.outcome, Key::parse(kind, &scanned.key)) {
            (Ok(record), _) => record.key(),
            (Err(_), Ok(key)) => key,
            // Its key is no key: it stands anywhere, but always in the same place.
            (Err(_), Err(_)) => place_of(kind, &scanned.key),
        };
        Self { place, scanned }
    }

    /// About how many bytes it holds.
    pub(super) fn size(&self) -> usize {
        let record = match &self.scanned.outcome {
            Ok(Record::Account(moved)) => {
                1_000 + moved.account.name.len() + size_of_json(moved.account.prefs.as_value())
            }
            Ok(_) => 500,
            Err(_) => 200,
        };
        record + self.scanned.original.len()
    }
}

fn size_of_json(value: &Value) -> usize {
    match value {
        Value::String(text) => 32 + text.len(),
        Value::Array(items) => items.iter().map(size_of_json).sum::<usize>() + 32,
        Value::Object(object) => {
            let items = object.iter();
            items
                .map(|(name, it)| 64 + name.len() + size_of_json(it))
                .sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
    }
}

fn place_of(kind: Kind, name: &str) -> Key {
    let digest = blake3::hash(name.as_bytes()).to_hex();
    let text = match kind {
        Kind::Identities => format!("unreadable/{digest}"),
        _ => format!("unreadable-{digest}"),
    };
    // Both forms are sound: see the test.
    Key::parse(kind, &text).unwrap_or(Key::Row(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_key_has_a_place() {
        for kind in Kind::ACCOUNTS {
            let place = place_of(*kind, "a\0b");
            assert_ne!(place, Key::Row(i64::MAX), "{kind}");
            assert_eq!(Key::parse(*kind, &place.to_string()).ok(), Some(place));
        }
    }
}
