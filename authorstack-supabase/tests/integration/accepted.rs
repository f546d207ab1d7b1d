//! What the tables accept is what the SDK can read, and what the SDK writes is accepted.
//!
//! Generated rows, sound ones with a hostile value or two, are written as the API roles, in the
//! columns that these may write. The same rows lie in tables without constraints, from which the
//! SDK's own decoder reads them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "a failed check of a test panics"
)]

use crate::common;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
};

use authorstack_core::{
    Id, limits,
    migrate::{Kind, Record},
};
use authorstack_sql::{ArgumentWriter, IdForm, read_record};
use common::{Database, Via, on_database, scan};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, query_with};
use uuid::Uuid;

/// Random numbers (SplitMix64): the same ones in every run.
struct Dice {
    state: u64,
    /// Whether the next value may be a hostile one.
    wild: bool,
}

impl Dice {
    fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "Café Noir",
    "\u{a0}",
    "\u{85}",
    "\u{3000}x",
    "x\u{2028}",
    "\t\n",
    "\u{1}",
    "a\u{7f}b",
    "a\u{9b}31m",
    "\u{1b}[2J",
    "\u{202e}txt.exe",
    "\u{feff}",
    "🌊",
    "a b",
    " a",
    "a ",
    "NULL",
    "{,\"}",
    "\\",
    "'",
    "kdp",
    "KDP",
    "lulu",
    "image",
    "link",
    "draft",
    "public",
    "followers",
    "success",
    "trend",
    "free",
    "USD",
    "usd",
    "EURO",
    "éééééééééééééééééééééééééééééééééééééééééééééééééé",
    "ééééééééééééééééééééééééééééééééééééééééééééééééééé",
    "€UR",
    "B08N5WRWNW",
    "b08n5wrwnw",
    "B08N5WRWN",
    "B08N5WRWNW ",
    "B08N5WRWN\u{c4}",
    "9783161484100",
    "978-3-16-148410-0",
    "9783161484101",
    "9773161484100",
    "080442957X",
    "080442957x",
    "0804429570",
    "0000000000",
    "9780000000002",
    "٩٧٨٣١٦١٤٨٤١٠٠",
    "ada@example.org",
    "Ada@example.org",
    "a@b@c",
    "@",
    "a@",
    "a b@c",
    "ΟΔΟΣ@example.org",
    "https://example.org/",
    "https://example.org:99999/",
    "https://example.org:65535",
    "https://example.org:65536",
    "https://example.org:00080/",
    "https://example.org:",
    "HTTP://Example.ORG/a?b#c",
    "http://a",
    "http:///a",
    "http:a",
    "https:/a",
    "https://",
    "https://.",
    "https://a..b/",
    "https://-",
    "https://xn--a/",
    "https://xn--/",
    "https://1.2.3.4.5/",
    "https://256.1.1.1/",
    "https://0x/",
    "https://[::1]:3000/x",
    "https://[::1",
    "https://[]/",
    "https://[zz]/",
    "https://[::::]/",
    "https://u:p@example.org/",
    "https://@example.org/",
    "https://example.org\\@evil.example",
    "https://exa mple.org/",
    "https://example.org/a b",
    "https://example.org/\u{a0}",
    "https://exa\u{a0}mple.org/",
    "https://bücher.example/ä",
    "https://\u{ad}/",
    "https://\u{200b}/",
    "https://🌊.example/",
    "https://a%20b/",
    "https://a%/",
    "https://a<b/",
    "https://a|b/",
    "https://a^b",
    "https://exam\tple.org",
    "https://example.org/\n",
    "\nhttps://example.org/",
    " https://example.org/",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "java\nscript:alert(1)",
    "javascript://x/%0aalert(1)",
    "data:image/png;base64,AAAA",
    "vbscript:x",
    "file:///etc/passwd",
    "/uploads/cover.png",
    "covers/1.png",
    "covers/a:b.png",
    "?a:b",
    "//example.org/1.png",
    "c:\\covers\\1.png",
    "2024-02-29T00:00:00Z",
];

const ISBNS: &[&str] = &["9783161484100", "080442957X", "9780306406157", "0306406152"];
const URLS: &[&str] = &[
    "https://covers.example.org/tide.jpg",
    "http://localhost:3000/a?b=c#d",
    "https://bücher.example/ä",
];

const MOMENTS: &[&str] = &[
    "infinity",
    "-infinity",
    "epoch",
    "4714-11-24 00:00:00+00 BC",
    "4713-12-31 23:59:59.999999+00 BC",
    "4714-12-31 23:59:59.999999+00 BC",
    "4713-01-01 00:00:00+00 BC",
    "0001-01-01 00:00:00+00",
    "0001-12-31 23:59:59+00 BC",
    "1969-12-31 23:59:59.999999+00",
    "2024-02-29 12:00:00.123456+00",
    "9999-12-31 23:59:59.999+00",
    "10000-01-01 00:00:00+00",
    "250000-06-01 00:00:00+00",
    "261999-12-31 23:59:59.999999+00",
    "262000-01-01 00:00:00+00",
    "262142-12-31 23:59:59+00",
    "262143-01-01 00:00:00+00",
    "294276-12-31 23:59:59.999999+00",
];

const JSON_MOMENTS: &[&str] = &[
    "2024-02-29T00:00:00Z",
    "2023-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2000-02-29T00:00:00Z",
    "2024-02-30T00:00:00Z",
    "2024-04-31T00:00:00Z",
    "2024-12-31T23:59:59.999Z",
    "2024-13-01T00:00:00Z",
    "2024-00-01T00:00:00Z",
    "2024-01-00T00:00:00Z",
    "2024-01-01",
    "2024-01-01 00:00:00Z",
    "2024-01-01T00:00:00",
    "2024-01-01T24:00:00Z",
    "2024-01-01T23:59:60Z",
    "2024-01-01T12:00:60Z",
    "2024-01-01T00:00:61Z",
    "2024-01-01T00:60:00Z",
    "2024-01-01T00:00:00+02:00",
    "2024-01-01T00:00:00-23:59",
    "2024-01-01T00:00:00+24:00",
    "2024-01-01T00:00:00-00:00",
    "2024-01-01T00:00:00+0200",
    "2024-01-01T00:00:00+02",
    "+10000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "-0001-01-01T00:00:00Z",
    "-4712-01-01T00:00:00Z",
    "-4713-12-31T23:59:59Z",
    "+261999-12-31T23:59:59.999999999Z",
    "+262000-01-01T00:00:00Z",
    "+262142-12-31T23:59:59Z",
    "+262143-01-01T00:00:00Z",
    "+999999-01-01T00:00:00Z",
    "-262143-01-01T00:00:00Z",
    "0000-02-29T00:00:00Z",
    "2024-01-01T00:00:00.1Z",
    "2024-01-01T00:00:00.123456789Z",
    "2024-01-01T00:00:00.1234567891Z",
    "2024-01-01T00:00:00.Z",
    "2024-1-1T00:00:00Z",
    "2024-01-01t00:00:00z",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "+2024-01-01T00:00:00Z",
    "+2024-01-01T00:00:00+01:00",
    "-0000-01-01T00:00:00Z",
    "+02024-01-01T00:00:00Z",
    "+261999-12-31T23:59:59-01:00",
    "now",
    "infinity",
    "",
];

const NUMBERS: &[&str] = &[
    "0",
    "4.99",
    "19.990000000000002",
    "123456789012345",
    "1234567890.123456",
    "999999999999999",
    "1000000000000000",
    "0.00000000000001",
    "0.0000000000000000000000000001",
    "0.00000000000000000000000000001",
    "0.000000000000123456789012345",
    "100000000000000.0",
    "1200",
    "4.9900000000000000000000000000000000000000000000",
    "0.000000000000000000000000000000000000000000",
    "-0.01",
    "-1",
    "NaN",
    "Infinity",
    "-Infinity",
    "1e20",
    "1e300",
    "12345678901234.5",
    "123456789012345.5",
    "1.00",
    "0.85",
    "1.01",
];

const JSON_NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "1.0",
    "2.5",
    "-1",
    "-1.5",
    "1e2",
    "4294967295",
    "4294967296",
    "4294967295.0",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    "1e300",
    "-1e300",
    "1.7976931348623157e308",
    "1.7976931348623158e308",
    "1.7976931348623159e308",
    "-1.7976931348623159e308",
    "1e309",
    "1e400",
    "-1e400",
    "1e-7",
    "5e-324",
    "1e-400",
    "0.1000000000000000055511151231257827",
];

impl Dice {
    /// A text, for JSON or a column.
    fn text(&mut self) -> String {
        let lengths = [
            49, 50, 51, 199, 200, 201, 255, 999, 1_000, 1_001, 3_999, 4_000, 4_001,
        ];
        if self.one_in(6) {
            let length = lengths[self.below(lengths.len())];
            return match self.below(3) {
                0 => "x".repeat(length),
                1 => format!("{}x", "ä".repeat(length / 2)),
                _ => format!(
                    "https://example.org/{}",
                    "x".repeat(length.saturating_sub(20))
                ),
            };
        }
        if self.one_in(60) {
            return "y".repeat(limits::LONG_TEXT - 1 + self.below(3));
        }
        self.pick(TEXTS).to_owned()
    }

    fn json_text(&mut self) -> String {
        serde_json::to_string(&self.text()).unwrap()
    }

    fn json_moment(&mut self) -> String {
        serde_json::to_string(self.pick(JSON_MOMENTS)).unwrap()
    }

    /// JSON that is rarely what a field needs.
    fn json(&mut self) -> String {
        match self.below(9) {
            0 => self
                .pick(&[
                    "null",
                    "true",
                    "false",
                    "{}",
                    "[]",
                    "[null]",
                    "[[]]",
                    r#"{"light": null}"#,
                ])
                .to_owned(),
            1 | 2 => self.pick(JSON_NUMBERS).to_owned(),
            3 => self.json_moment(),
            4 => {
                let depth = [95, 96, 97, 98, 99, 100, 101, 124, 126, 127, 128, 130];
                let depth = depth[self.below(depth.len())];
                let inner = self.pick(&["", "1"]);
                format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth))
            }
            5 => format!(
                r#"{{"{}": {}}}"#,
                self.pick(&["a", "", "id"]),
                self.pick(JSON_NUMBERS)
            ),
            _ => self.json_text(),
        }
    }

    /// An object with these members; some of them are replaced, left out or added.
    fn object(&mut self, members: &[(&str, String)]) -> String {
        let mut members: Vec<(String, String)> = members
            .iter()
            .map(|(name, json)| ((*name).to_owned(), json.clone()))
            .collect();
        if self.wild && self.one_in(2) {
            let at = self.below(members.len());
            match self.below(8) {
                0 => drop(members.remove(at)),
                1 => members.push(("_id".to_owned(), self.json())),
                2 => members.push(("more".to_owned(), self.json())),
                3 | 4 => members[at].1 = self.json_text(),
                5 => members[at].1 = self.json_moment(),
                _ => members[at].1 = self.json(),
            }
        }
        let members = members
            .iter()
            .map(|(name, json)| format!("{}: {json}", serde_json::to_string(name).unwrap()));
        format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
    }

    fn task(&mut self, id: usize) -> String {
        let due = self.json_moment();
        let due = if self.wild && self.one_in(2) {
            due
        } else {
            r#""2024-05-01T08:00:00.000Z""#.to_owned()
        };
        self.object(&[
            ("id", format!("\"task-{id}\"")),
            ("title", "\"Proofread\"".to_owned()),
            ("completed", "false".to_owned()),
            ("description", "null".to_owned()),
            ("category", "\"Text\"".to_owned()),
            ("dueDate", due),
            ("completedAt", "null".to_owned()),
        ])
    }

    fn attachment(&mut self) -> String {
        let url = if self.wild && self.one_in(2) {
            self.json_text()
        } else {
            serde_json::to_string(self.pick(URLS)).unwrap()
        };
        self.object(&[
            ("type", "\"image\"".to_owned()),
            ("url", url),
            ("alt", "\"A cover\"".to_owned()),
        ])
    }

    fn list(&mut self, mut item: impl FnMut(&mut Self, usize) -> String) -> String {
        if self.wild && self.one_in(12) {
            return self.json();
        }
        let count = if self.wild && self.one_in(40) {
            limits::ENTRIES - 1 + self.below(3)
        } else {
            self.below(4)
        };
        // Of a long list, one item is not the first one's copy.
        let same = (count > 10).then_some(());
        let mut items: Vec<String> = (0..count)
            .map(|index| match same {
                Some(()) => format!(r#"{{"id": "{index}", "title": "", "completed": true, "type": "link", "url": "http://a", "platform": "p"}}"#),
                None => item(self, index),
            })
            .collect();
        if self.wild && self.one_in(15) && !items.is_empty() {
            let at = self.below(items.len());
            let copy = items[at].clone();
            items.push(copy);
        }
        if self.wild && self.one_in(20) {
            items.push(self.json());
        }
        if self.wild && self.one_in(50) {
            // JSON at the limit of its size, or just beyond.
            let rest = limits::JSON - 110 - 4 + self.below(9);
            let fixed = r#"{"id": "x", "url": "http://a", "type": "link", "title": "", "platform": "p", "completed": true, "pad": ""}"#;
            let pad = "z".repeat((rest + 110).saturating_sub(fixed.len() + 2));
            items = vec![fixed.replace(r#""pad": """#, &format!(r#""pad": "{pad}""#))];
        }
        format!("[{}]", items.join(", "))
    }

    fn column(
        &mut self,
        table: &str,
        column: &str,
        kind: &str,
        world: &World,
        row: usize,
    ) -> Option<String> {
        let hostile = self.wild;
        let value = match (column, kind) {
            ("author_id", "uuid") if table == "follows" => {
                world.targets[row % world.targets.len()].to_string()
            }
            ("follower_id" | "user_id" | "author_id", "uuid") => world.author.to_string(),
            ("book_id", "uuid") => world.books[self.below(world.books.len())].to_string(),
            ("post_id", "uuid") => world.posts[row % world.posts.len()].to_string(),
            ("competitor_id", "uuid") => world.rivals[self.below(world.rivals.len())].to_string(),
            ("id", "uuid") => {
                let odd = if hostile { self.below(3) } else { 0 };
                match odd {
                    0 => Id::<()>::new().to_uuid().to_string(),
                    1 => "ffffffff-ffff-8fff-8fff-ffffff000000".to_owned(),
                    _ => Uuid::from_u64_pair(self.roll(), self.roll()).to_string(),
                }
            }
            (_, "uuid") => Uuid::nil().to_string(),
            ("tasks", _) => self.list(Self::task),
            ("attachments", _) => self.list(|dice, _| dice.attachment()),
            ("connected_platforms", _) => self.list(|dice, _| {
                let (at, sync) = (dice.json_moment(), dice.json_moment());
                dice.object(&[
                    ("platform", "\"kdp\"".to_owned()),
                    ("connectedAt", at),
                    ("lastSync", sync),
                ])
            }),
            ("preferences", _) => {
                if hostile && self.one_in(3) {
                    self.json()
                } else {
                    let members = [
                        ("emailNotifications", "true".to_owned()),
                        ("weeklyDigest", "null".to_owned()),
                        ("theme", "\"dark\"".to_owned()),
                        ("timezone", "\"Europe/Berlin\"".to_owned()),
                        ("currency", "\"EUR\"".to_owned()),
                        ("beta", "{}".to_owned()),
                    ];
                    self.object(&members)
                }
            }
            ("metadata", _) => {
                if hostile && self.one_in(4) {
                    self.json()
                } else {
                    let (pages, position) = (self.pick(JSON_NUMBERS), self.pick(JSON_NUMBERS));
                    let pages = if hostile && self.one_in(2) {
                        pages
                    } else {
                        "320"
                    };
                    let position = if hostile { position } else { "2.5" };
                    let members = [
                        ("pageCount", pages.to_owned()),
                        ("wordCount", "90000".to_owned()),
                        ("series", "\"The Tide\"".to_owned()),
                        ("seriesPosition", position.to_owned()),
                        ("printRun", "[1, 2]".to_owned()),
                    ];
                    self.object(&members)
                }
            }
            ("extra", _) => {
                if !hostile {
                    "{}".to_owned()
                } else if self.one_in(4) {
                    self.json()
                } else {
                    let value = self.json();
                    let known: Vec<&str> = kind_of(table)
                        .fields()
                        .iter()
                        .map(|field| field.name)
                        .collect();
                    let name = if self.one_in(3) {
                        self.pick(&known)
                    } else {
                        self.pick(&["legacy", "likes", "comments", "priceHistory", "id", "_id"])
                    };
                    self.object(&[(name, value), ("more", "[]".to_owned())])
                }
            }
            (_, "jsonb") if hostile => self.json(),
            (_, "jsonb") => r#"{"trend": [1, 2.5]}"#.to_owned(),
            (_, "_text") => return Some(self.array(column, hostile)),
            (_, "timestamptz") => {
                if hostile {
                    self.pick(MOMENTS).to_owned()
                } else {
                    let (year, day) = (1900 + row % 200, 1 + row / 200 % 28);
                    format!("{year}-05-{day:02} 00:00:00+00")
                }
            }
            (_, "date") if !hostile => "2024-02-29".to_owned(),
            (_, "date") => self
                .pick(&[
                    "2024-02-29",
                    "0001-01-01",
                    "9999-12-31",
                    "10000-01-01",
                    "infinity",
                    "0001-12-31 BC",
                ])
                .to_owned(),
            ("confidence" | "predicted_revenue" | "actual_revenue", "numeric") => {
                self.pick(&["0", "1.00", "0.85", "0.5"]).to_owned()
            }
            (_, "numeric") => {
                if hostile {
                    self.pick(NUMBERS).to_owned()
                } else {
                    format!("{}.{:02}", row % 40, row % 100)
                }
            }
            ("duration" | "position" | "credits_spent", _) => format!("{}", row + 1),
            (_, "int2" | "int4" | "int8") => format!("{row}"),
            (_, "bool") => self.pick(&["true", "false"]).to_owned(),
            ("id", "text") => {
                if hostile {
                    self.text()
                } else {
                    format!("comment-{row}")
                }
            }
            ("auth_id", "text") if !hostile => format!("account-{row}"),
            ("email", "text") if !hostile => format!("user{row}@example.org"),
            ("auth_provider", "text") if !hostile => "supabase".to_owned(),
            ("subscription_tier", "text") if !hostile => "free".to_owned(),
            ("status", "text") if !hostile => {
                if table == "books" { "draft" } else { "success" }.to_owned()
            }
            ("visibility", "text") if !hostile => "public".to_owned(),
            ("platform", "text") if !hostile => "kdp".to_owned(),
            ("insight_type", "text") if !hostile => "trend".to_owned(),
            ("currency", "text") if !hostile => "EUR".to_owned(),
            ("isbn", "text") if !hostile => self.pick(ISBNS).to_owned(),
            ("cover_url", "text") if !hostile => self.pick(URLS).to_owned(),
            ("asin", "text") if !hostile => format!("B{row:09}"),
            (_, "text") => {
                if hostile {
                    self.text()
                } else {
                    "The Salt Road".to_owned()
                }
            }
            _ => return None,
        };
        Some(format!("{}::{kind}", quoted(&value)))
    }

    /// An array of texts: at times with null, of two dimensions, or with other bounds.
    fn array(&mut self, column: &str, hostile: bool) -> String {
        let sound = if column == "platforms" {
            "kdp"
        } else {
            "Mystery"
        };
        if !hostile {
            return self
                .pick(&[
                    "'{}'::text[]",
                    &format!("array['{sound}', 'lulu']"),
                    &format!("array['{sound}']"),
                ])
                .to_owned();
        }
        match self.below(8) {
            0 => "array[null]::text[]".to_owned(),
            1 => format!("array[['{sound}'], ['{sound}']]"),
            2 => format!("'[3:4]={{{sound},{sound}}}'::text[]"),
            3 => format!(
                "array_fill('{sound}'::text, array[{}])",
                limits::ENTRIES - 1 + self.below(3)
            ),
            4 => format!("array['{sound}', null, {}]", quoted(&self.text())),
            _ => format!("array['{sound}', {}]", quoted(&self.text())),
        }
    }
}

fn kind_of(table: &str) -> Kind {
    let mut kinds = Kind::DATA.iter();
    *kinds.find(|kind| kind.as_str() == table).unwrap()
}

/// What the rows refer to.
struct World {
    author: Uuid,
    targets: Vec<Uuid>,
    books: Vec<Uuid>,
    posts: Vec<Uuid>,
    rivals: Vec<Uuid>,
}

async fn uuids(connection: &mut PgConnection, sql: &str) -> Vec<Uuid> {
    let rows = connection.fetch_all(AssertSqlSafe(sql)).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

impl World {
    async fn of(connection: &mut PgConnection) -> Self {
        // Accounts whose names are their ids, so that either tells who is signed in.
        let users = "insert into public.users (id, auth_id, auth_provider, email, name) \
            select id, id, 'supabase', 'author' || n || '@example.org', 'Author' \
            from (select authorstack.new_id() as id, n from generate_series(0, 700) as n) as made returning id";
        let mut users = uuids(connection, users).await;
        let author = users.remove(0);
        let books = format!(
            "insert into public.books (user_id, title) select '{author}', 'Tide' from generate_series(1, 9) returning id"
        );
        let posts = format!(
            "insert into public.community_posts (author_id, content) select '{author}', 'Out' from generate_series(1, 300) returning id"
        );
        let rivals = format!(
            "insert into public.competitors (user_id, asin) select '{author}', 'A' || lpad(n::text, 9, '0') from generate_series(1, 5) as n returning id"
        );
        Self {
            books: uuids(connection, &books).await,
            posts: uuids(connection, &posts).await,
            rivals: uuids(connection, &rivals).await,
            targets: users,
            author,
        }
    }
}

/// The columns of a table that a role may insert or update, with their types.
async fn writable(
    connection: &mut PgConnection,
    role: &str,
    privilege: &str,
) -> BTreeMap<String, Vec<(String, String)>> {
    let sql = format!(
        "select c.table_name::text, c.column_name::text, c.udt_name::text \
         from information_schema.column_privileges as p \
         join information_schema.columns as c using (table_schema, table_name, column_name) \
         where p.grantee = '{role}' and p.privilege_type = '{privilege}' and table_schema = 'public' \
           and c.is_generated = 'NEVER' \
         order by c.table_name, c.ordinal_position"
    );
    let mut tables = BTreeMap::<String, Vec<_>>::new();
    for row in connection
        .fetch_all(AssertSqlSafe(sql.as_str()))
        .await
        .unwrap()
    {
        tables
            .entry(row.get(0))
            .or_default()
            .push((row.get(1), row.get(2)));
    }
    tables
}

/// What came of the rows of a table.
#[derive(Debug, Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    /// Refused for another reason than a check: a key that is taken, for example.
    other: usize,
    /// What the SDK wrote of what it had read.
    written: usize,
}

/// Rows of a kind to be written.
struct Case<'c> {
    role: &'c str,
    kind: Kind,
    /// The columns that the role may write, with their types.
    columns: &'c [(String, String)],
    /// Whether rows are inserted; otherwise the author's row is updated.
    insert: bool,
    count: usize,
}

/// Writes rows of a table as a role, and compares with what the SDK reads.
async fn compare(
    database: &Database,
    world: &World,
    case: Case<'_>,
    problems: &mut Vec<String>,
) -> Tally {
    let Case {
        role,
        kind,
        columns,
        insert,
        count,
    } = case;
    let table = kind.as_str();
    let mut dice = Dice {
        state: table.bytes().chain(role.bytes()).fold(7, |seed, byte| {
            u64::wrapping_add(u64::wrapping_mul(seed, 31), byte.into())
        }),
        wild: false,
    };
    let mut owner = database.connection().await;
    let mut writer = database.connection().await;
    let free = format!("free.{role}_{table}");
    let mut make = format!(
        "create schema if not exists free; create table {free} (like public.{table} including defaults including generated); \
         alter table {free} add column n int, add column state text; \
         grant usage on schema free to {role}; grant select, update on {free} to {role};"
    );
    for column in kind.column_names() {
        write!(
            make,
            "alter table {free} alter column {column} drop not null;"
        )
        .unwrap();
    }
    owner.execute(AssertSqlSafe(make)).await.unwrap();
    let mut tally = Tally::default();
    let before = problems.len();
    let mut done = 0;
    while done < count {
        let mut rows = Vec::new();
        let first = done;
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let mut fixed = String::new();
        if !insert {
            // The rest of the row, which the role may not write.
            let others = kind
                .column_names()
                .into_iter()
                .filter(|name| !names.contains(name));
            fixed = others.fold(fixed, |all, name| all + ", " + name);
        }
        for n in first..(first + 200).min(count) {
            // A sound row, one hostile value, or two.
            let (sound, two) = (dice.one_in(5), dice.one_in(4));
            let (one, other) = (dice.below(columns.len()), dice.below(columns.len()));
            let values = columns.iter().enumerate().map(|(at, (column, form))| {
                dice.wild = !sound && (at == one || (two && at == other));
                let value = dice.column(table, column, form, world, n);
                value.unwrap_or_else(|| panic!("no values for {table}.{column}, a {form}"))
            });
            let values: Vec<String> = values.collect();
            rows.push(if insert {
                format!("({n}, {})", values.join(", "))
            } else {
                format!(
                    "(select {n}, {}{fixed} from public.{table} where id = '{}')",
                    values.join(", "),
                    world.author
                )
            });
        }
        done = first + rows.len();
        let rows = if insert {
            format!("values {}", rows.join(", "))
        } else {
            rows.join(" union all ")
        };
        let fill = format!("insert into {free} (n, {}{fixed}) {rows}", names.join(", "));
        owner.execute(AssertSqlSafe(fill)).await.unwrap();

        // As the role, each row on its own.
        let list = names.join(", ");
        let statement = if insert {
            format!("insert into public.{table} ({list}) select {list} from {free} where n = i")
        } else {
            let new = format!("select {list} from {free} where n = i");
            format!(
                "update public.{table} set ({list}) = ({new}) where id = '{}'",
                world.author
            )
        };
        let claims = format!(r#"{{"sub":"{}","role":"{role}"}}"#, world.author);
        let write = format!(
            "begin; set local role {role}; set local request.jwt.claims = '{claims}'; \
             do $do$ declare changed bigint; begin \
               for i in {first}..{} loop \
                 begin \
                   {statement}; \
                   get diagnostics changed = row_count; \
                   update {free} set state = case changed when 1 then 'written' else 'none' end where n = i; \
                 exception when others then \
                   update {free} set state = sqlstate || ' ' || sqlerrm where n = i; \
                 end; \
               end loop; \
             end $do$; commit",
            done - 1
        );
        writer.execute(AssertSqlSafe(write)).await.unwrap();

        // As the SDK reads the same rows.
        let columns = kind.column_names().join(", ");
        let read = format!(
            "select {columns}, n, state from {free} where n >= {first} and n < {done} order by n"
        );
        // By the extended protocol: the decoder reads the binary form.
        let found = sqlx::query(AssertSqlSafe(read))
            .fetch_all(&mut owner)
            .await
            .unwrap();
        let mut transaction = owner.begin().await.unwrap();
        for row in found {
            let (n, state): (i32, String) = (row.get("n"), row.get("state"));
            let read = read_record(kind, &row, IdForm::Embedded);
            let sound = read
                .as_ref()
                .map_err(ToString::to_string)
                .and_then(|record| record.check().map_err(|error| error.to_string()));
            match state.get(..5) {
                _ if state == "written" => {
                    tally.accepted += 1;
                    if let Err(problem) = &sound {
                        problems.push(format!(
                            "{role} wrote {table} {n}, which the SDK refuses: {problem}"
                        ));
                    }
                }
                Some("23514") => tally.refused += 1,
                // A key that is taken, a missing value.
                Some("23505" | "23502" | "23P01" | "42501") => tally.other += 1,
                _ => problems.push(format!("{role} {table} {n}: {state}")),
            }
            // What the SDK itself writes of such a record.
            let Ok(record) = read
                .as_ref()
                .map_err(|_| ())
                .and_then(|record| sound.map(|()| record).map_err(|_| ()))
            else {
                continue;
            };
            if state == "written" && n % 8 != 0 {
                continue;
            }
            tally.written += 1;
            if let Err(problem) = write_back(&mut transaction, record).await {
                problems.push(format!(
                    "the SDK's {table} {n} ({role}: {state}) is refused: {problem}"
                ));
            }
        }
        transaction.rollback().await.unwrap();
    }
    problems.truncate(before + 8);
    tally
}

/// Writes a record as the SDK does, and takes it back. A refusal by a check is an error.
async fn write_back(transaction: &mut PgConnection, record: &Record) -> Result<(), String> {
    let columns = record.kind().column_names();
    let places: Vec<String> = (1..=columns.len())
        .map(|place| format!("${place}"))
        .collect();
    let mut arguments = ArgumentWriter::default();
    record
        .write(&mut arguments)
        .map_err(|error| error.to_string())?;
    let insert = format!(
        "insert into public.{} ({}) values ({})",
        record.kind(),
        columns.join(", "),
        places.join(", ")
    );
    let mut savepoint = transaction.begin().await.unwrap();
    let done = query_with(AssertSqlSafe(insert), arguments.into_arguments())
        .execute(&mut *savepoint)
        .await;
    savepoint.rollback().await.unwrap();
    match done {
        Err(sqlx::Error::Database(error))
            if matches!(error.code().as_deref(), Some("23505" | "23503" | "23P01")) =>
        {
            Ok(())
        }
        Err(error) => Err(error.to_string()),
        Ok(_) => Ok(()),
    }
}

/// How many rows of a table. Together they are more than 10,000.
const ROWS: &[(Kind, usize)] = &[
    (Kind::Users, 1_200),
    (Kind::Books, 2_800),
    (Kind::Checklists, 2_000),
    (Kind::Follows, 600),
    (Kind::CommunityPosts, 1_600),
    (Kind::PostLikes, 200),
    (Kind::PostComments, 1_200),
    (Kind::Competitors, 1_200),
    (Kind::CompetitorPrices, 1_000),
];

#[tokio::test]
async fn what_authors_may_write_is_what_the_sdk_reads() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let mut connection = database.connection().await;
        let world = World::of(&mut connection).await;
        let inserts = writable(&mut connection, "authenticated", "INSERT").await;
        let updates = writable(&mut connection, "authenticated", "UPDATE").await;
        let tables: BTreeSet<&String> = inserts.keys().chain(updates.keys()).collect();
        // Settings are no kind: of their columns, `theme` has a check, and the others have no value
        // that the SDK could not read. `settings_are_their_owners` tries them.
        let mut tables = tables.into_iter().filter(|it| *it != "user_preferences");
        let listed: BTreeSet<String> = ROWS
            .iter()
            .map(|(kind, _)| kind.as_str().to_owned())
            .collect();
        assert!(
            tables.all(|table| listed.contains(table)),
            "a table that authors may write is missing here"
        );
        let (mut problems, mut all, mut accepted) = (Vec::new(), 0, HashMap::new());
        for &(kind, count) in ROWS {
            let (columns, insert) = match inserts.get(kind.as_str()) {
                Some(columns) => (columns, true),
                None => (&updates[kind.as_str()], false),
            };
            let tally = compare(
                database,
                &world,
                Case {
                    role: "authenticated",
                    kind,
                    columns,
                    insert,
                    count,
                },
                &mut problems,
            )
            .await;
            println!("{kind}: {tally:?}");
            all += count;
            accepted.insert(kind, tally.accepted);
            // Rows of both sorts, or the comparison says nothing.
            assert!(tally.accepted * 8 > count, "{kind}: {tally:?}");
            assert!(
                kind == Kind::PostLikes || tally.refused * 20 > count || columns.len() < 4,
                "{kind}: {tally:?}"
            );
        }
        assert!(all >= 10_000);
        problems.truncate(40);
        assert!(problems.is_empty(), "{}", problems.join("\n"));
        // The tables as a whole are readable.
        for &(kind, _) in ROWS {
            let records = scan(&store.migration(), kind).await;
            assert!(records.len() >= accepted[&kind].min(1), "{kind}");
        }
    })
    .await;
}

/// Tables that only the host writes, too. Sales and roll-ups have rules of their own.
#[tokio::test]
async fn what_the_host_may_write_is_what_the_sdk_reads() {
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        let mut connection = database.connection().await;
        let world = World::of(&mut connection).await;
        let inserts = writable(&mut connection, "service_role", "INSERT").await;
        let mut problems = Vec::new();
        for (kind, count) in [
            (Kind::Users, 400),
            (Kind::Books, 400),
            (Kind::Checklists, 200),
            (Kind::Follows, 300),
            (Kind::CommunityPosts, 300),
            (Kind::PostComments, 300),
            (Kind::MarketplaceBoosts, 300),
            (Kind::Competitors, 200),
            (Kind::CompetitorPrices, 200),
            (Kind::SyncLogs, 300),
            (Kind::AiInsights, 300),
            (Kind::RevenueForecasts, 300),
        ] {
            let columns = &inserts[kind.as_str()];
            let tally = compare(
                database,
                &world,
                Case {
                    role: "service_role",
                    kind,
                    columns,
                    insert: true,
                    count,
                },
                &mut problems,
            )
            .await;
            println!("{kind}: {tally:?}");
            assert!(
                tally.accepted * 20 > count && tally.refused * 20 > count,
                "{kind}: {tally:?}"
            );
        }
        problems.truncate(40);
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    })
    .await;
}
