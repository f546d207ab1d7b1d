//! Fields that the schema does not know: those that others than the host could read in the target,
//! and those that look like secrets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;
use serde_json::Value;

use crate::{
    Extra,
    migrate::{Kind, Record, secrets::is_secret},
    shown,
};

/// A field that the schema does not know, in the records of a kind that would move. A plan names
/// those that people who sign in could read in the target, and those that look like secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownField {
    /// Its name in the source. Those within other fields have dots, lists have none. What is not
    /// printable is escaped, and long names are shortened.
    pub field: String,
    /// How many records have it.
    pub records: u64,
    /// Whether its name looks like a secret's.
    pub looks_secret: bool,
    /// Whether people who sign in could read it in the target.
    pub readable: bool,
}

impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looks = if self.looks_secret {
            "looks like a secret; "
        } else {
            ""
        };
        let read = if self.readable {
            "readable by people who sign in"
        } else {
            "only the host can read it"
        };
        write!(
            f,
            "{}, in {} {}: {looks}{read}",
            shown(&self.field),
            self.records,
            if self.records == 1 {
                "record"
            } else {
                "records"
            }
        )
    }
}

/// The most fields of a kind that a plan names. The others count as one, named `…`.
const MOST: usize = 100;
/// The most characters of a name.
const LONGEST: usize = 120;

/// The unknown fields of a kind's records.
pub(super) struct UnknownFields {
    /// The kind's columns that people who sign in may read.
    readable: Vec<&'static str>,
    found: BTreeMap<String, UnknownField>,
}

impl UnknownFields {
    pub(super) fn of(kind: Kind, readable: &[(Kind, &'static str)]) -> Self {
        let readable = readable.iter().filter(|(of, _)| *of == kind);
        Self {
            readable: readable.map(|(_, column)| *column).collect(),
            found: BTreeMap::new(),
        }
    }

    pub(super) fn into_list(self) -> Vec<UnknownField> {
        self.found.into_values().collect()
    }

    /// Adds those of a record.
    pub(super) fn add(&mut self, record: &Record) {
        let mut seen = BTreeMap::new();
        for (column, name, extra) in unknown(record) {
            let readable = self.readable.contains(&column);
            for (key, value) in extra {
                let path = join(name, key);
                if readable {
                    seen.insert(path.clone(), (is_secret(key, value), true));
                }
                secrets(&path, key, value, readable, &mut seen);
            }
        }
        let mut counted = BTreeSet::new();
        for (path, (looks_secret, readable)) in seen {
            let shown = shown(&path).up_to(LONGEST).to_string();
            let is_one_more = self.found.len() >= MOST && !self.found.contains_key(&shown);
            let field = if is_one_more { "…".into() } else { shown };
            let is_new = counted.insert(field.clone());
            let entry = self.found.entry(field.clone());
            let entry = entry.or_insert(UnknownField {
                field,
                records: 0,
                looks_secret: false,
                readable: false,
            });
            entry.records += u64::from(is_new);
            entry.looks_secret |= looks_secret;
            entry.readable |= readable;
        }
    }
}

/// Adds the fields at any depth whose names look like secrets.
fn secrets(
    path: &str,
    key: &str,
    value: &Value,
    readable: bool,
    seen: &mut BTreeMap<String, (bool, bool)>,
) {
    if is_secret(key, value) {
        seen.insert(path.to_owned(), (true, readable));
        return;
    }
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                secrets(&join(path, key), key, value, readable, seen);
            }
        }
        Value::Array(items) => {
            for item in items {
                secrets(path, "", item, readable, seen);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The unknown fields of a record: the column that they would be in, the field that they are
/// within, and the fields.
fn unknown(record: &Record) -> Vec<(&'static str, &'static str, &Extra)> {
    let mut found = Vec::new();
    match record {
        Record::User(user) => {
            found.push(("extra", "", &user.extra));
            found.push(("preferences", "preferences", &user.preferences.extra));
            let platforms = user.connected_platforms.iter();
            found
                .extend(platforms.map(|platform| {
                    ("connected_platforms", "connectedPlatforms", &platform.extra)
                }));
        }
        Record::Book(book) => {
            found.push(("extra", "", &book.extra));
            found.push(("metadata", "metadata", &book.metadata.extra));
        }
        Record::Checklist(checklist) => {
            found.push(("extra", "", &checklist.extra));
            let tasks = checklist.tasks.iter();
            found.extend(tasks.map(|task| ("tasks", "tasks", &task.extra)));
        }
        Record::Follow(follow) => found.push(("extra", "", &follow.extra)),
        Record::Post(post) => {
            found.push(("extra", "", &post.extra));
            let attachments = post.attachments.iter();
            found.extend(attachments.map(|it| ("attachments", "attachments", &it.extra)));
        }
        Record::Comment(comment) => found.push(("extra", "comments", &comment.extra)),
        Record::Boost(boost) => found.push(("extra", "", &boost.extra)),
        Record::Competitor(competitor) => found.push(("extra", "", &competitor.extra)),
        Record::Price(price) => found.push(("extra", "priceHistory", &price.point.extra)),
        Record::Account(moved) => found.push(("extra", "", &moved.account.extra)),
        Record::Identity(identity) => found.push(("extra", "", &identity.extra)),
        // These keep no unknown fields.
        Record::Like(_)
        | Record::Sale(_)
        | Record::DailyAggregate(_)
        | Record::SyncLog(_)
        | Record::Insight(_)
        | Record::Forecast(_) => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        Attachment, AttachmentKind, ConnectedPlatform, Id, NewPost, NewUser, Platform, Result,
    };

    fn extra(value: &Value) -> Extra {
        value.as_object().cloned().unwrap_or_default()
    }

    /// The fields as the plan shows them.
    fn found(records: &[Record], readable: &[(Kind, &'static str)]) -> Vec<String> {
        let kind = records.first().map_or(Kind::Users, Record::kind);
        let mut fields = UnknownFields::of(kind, readable);
        for record in records {
            fields.add(record);
        }
        fields.into_list().iter().map(ToString::to_string).collect()
    }

    fn user(fields: &Value) -> Result<Record> {
        let mut user = NewUser::new("a".parse()?, "ada@example.org".parse()?, "Ada").into_user();
        user.extra = extra(fields);
        user.preferences.extra = extra(&json!({"beta": true}));
        user.connected_platforms = vec![ConnectedPlatform {
            platform: Platform::KDP,
            connected_at: None,
            last_sync: None,
            extra: extra(&json!({"auth": [{"refreshToken": "hush"}], "seller": 7})),
        }];
        Ok(user.into())
    }

    #[test]
    fn secrets_are_named_at_any_depth_and_readable_fields_wherever_they_are() -> Result<()> {
        let users = [
            user(&json!({"passwordHash": "x", "__v": 0}))?,
            user(&json!({"__v": 1}))?,
        ];
        let secrets = [
            "connectedPlatforms.auth.refreshToken, in 2 records: looks like a secret; only the host can read it",
            "passwordHash, in 1 record: looks like a secret; only the host can read it",
        ];
        assert_eq!(found(&users, &[]), secrets);
        let readable = [(Kind::Users, "preferences"), (Kind::Books, "extra")];
        let shown = found(&users, &readable);
        assert_eq!(shown.len(), 3);
        assert_eq!(
            shown[2],
            "preferences.beta, in 2 records: readable by people who sign in"
        );
        let open = found(&users, &[(Kind::Users, "extra")]);
        assert_eq!(
            open,
            [
                "__v, in 2 records: readable by people who sign in",
                secrets[0],
                "passwordHash, in 1 record: looks like a secret; readable by people who sign in",
            ]
        );
        Ok(())
    }

    #[test]
    fn what_a_source_calls_its_fields_neither_fills_the_screen_nor_steers_it() -> Result<()> {
        let mut post = NewPost::new("Out now");
        let url = "https://example.org/a.jpg".parse()?;
        let mut image = Attachment::new(AttachmentKind::IMAGE, url);
        image.extra = extra(&json!({
            "a\u{1b}[2J\u{202e}": 1,
            "b".repeat(900_000): 1,
        }));
        post.attachments = vec![image];
        for n in 0..500 {
            post.extra
                .insert(format!("token{n}"), json!(format!("t{n}")));
        }
        let post = [post.into_post(Id::new()).into()];
        let shown = found(&post, &[(Kind::CommunityPosts, "attachments")]);
        assert_eq!(shown.len(), MOST + 1);
        let others = "…, in 1 record: looks like a secret; only the host can read it";
        assert_eq!(shown[MOST], others);
        assert!(
            shown.iter().all(|line| line.len() < 4 * LONGEST),
            "{shown:?}"
        );
        assert!(
            shown[0].starts_with(r"attachments.a\u{1b}[2J\u{202e}, in 1 record"),
            "{shown:?}"
        );
        Ok(())
    }
}
