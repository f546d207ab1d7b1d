//! The analytics: tables as other people's migrations have altered them, and rows as many importers
//! have written them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use authorstack_core::migrate::Kind;
use bson::oid::ObjectId;
use chrono::{Days, NaiveDate};
use serde_json::{Map, Value, json};

use super::{
    can::Can,
    documents::plain,
    maker::{Maker, NOBODY},
    oracle::{Candidate, Means, Row, keep_aside, uuid},
};

/// A column of a table.
#[derive(Debug, Clone)]
struct Column {
    name: &'static str,
    /// Its type now.
    sql: &'static str,
    /// Whether the schema knows it.
    known: bool,
}

/// A table, and its rows.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) kind: Kind,
    columns: Vec<Column>,
    /// The table's key and its unique columns.
    constraints: Vec<String>,
    pub(super) rows: Vec<Line>,
}

/// A row: literals of SQL, and what they mean.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// None: the column is null, which only a table without a key allows.
    number: Option<i64>,
    values: BTreeMap<&'static str, (String, Means)>,
}

impl Line {
    pub(super) fn is_sound(&self) -> bool {
        let sound =
            |(_, means): &(String, Means)| means.doubtful.is_empty() && means.fatal.is_empty();
        self.values.values().all(sound)
    }

    /// Exchanges a column's values with another row.
    pub(super) fn exchange(&mut self, other: &mut Self, column: &str) {
        let both = self.values.iter_mut().find(|(name, _)| **name == column);
        let other = other.values.iter_mut().find(|(name, _)| **name == column);
        if let (Some((_, one)), Some((_, other))) = (both, other) {
            std::mem::swap(one, other);
        }
    }
}

/// What rows refer to.
#[derive(Debug)]
pub(super) struct Owners<'o> {
    pub(super) users: &'o [ObjectId],
    pub(super) books: &'o [ObjectId],
    pub(super) ids: &'o Ids,
}

/// How the analytics write ids.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    pub(super) form: Form,
    /// UUIDs of an old app's own, and the ids that a file maps them to.
    pub(super) map: Vec<(String, ObjectId)>,
}

/// The form of an id as a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// AuthorStack's own.
    Embedded,
    /// Eight zeros before the digits.
    PaddedLeft,
    /// Eight zeros behind the digits.
    PaddedRight,
}

impl Form {
    fn write(self, id: ObjectId) -> String {
        let hex = id.to_hex();
        let digits = match self {
            Self::Embedded => return uuid(&hex),
            Self::PaddedLeft => format!("00000000{hex}"),
            Self::PaddedRight => format!("{hex}00000000"),
        };
        format!(
            "{}-{}-{}-{}-{}",
            &digits[..8],
            &digits[8..12],
            &digits[12..16],
            &digits[16..20],
            &digits[20..]
        )
    }
}

impl Ids {
    fn write(&self, maker: &mut Maker, id: ObjectId) -> String {
        let own = self.map.iter().find(|(_, mapped)| *mapped == id);
        match own {
            Some((own, _)) if maker.chance(50) => own.clone(),
            _ => self.form.write(id),
        }
    }
}

impl Table {
    /// The statements that make the table.
    pub(super) fn create(&self) -> String {
        let mut sql = format!("create table public.{} (id bigint", self.kind);
        for column in &self.columns {
            let _ = write!(sql, ", {} {}", column.name, column.sql);
        }
        for constraint in &self.constraints {
            let _ = write!(sql, ", {constraint}");
        }
        sql.push_str(");");
        sql
    }

    /// The statements that write the rows.
    pub(super) fn fill(&self) -> String {
        let mut sql = format!("truncate public.{};", self.kind);
        if self.rows.is_empty() {
            return sql;
        }
        let names: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(|row| {
                let number = row
                    .number
                    .map_or("null".to_owned(), |number| number.to_string());
                let mut values = format!("({number}");
                for name in &names {
                    let value = row.values.get(name).map_or("null", |(sql, _)| sql.as_str());
                    let _ = write!(values, ", {value}");
                }
                values.push(')');
                values
            })
            .collect();
        let _ = write!(
            sql,
            "insert into public.{} (id, {}) values {};",
            self.kind,
            names.join(", "),
            rows.join(", ")
        );
        sql
    }

    /// The records that the rows are.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let rows = self.rows.iter();
        rows.filter_map(|row| Some(self.candidate(row, row.number?)))
            .collect()
    }

    /// Whether each row has a number of its own.
    pub(super) fn has_numbers(&self) -> bool {
        let numbers: Vec<_> = self.rows.iter().map(|row| row.number).collect();
        let seen: BTreeSet<_> = numbers.iter().flatten().collect();
        seen.len() == numbers.len()
    }

    /// Removes the rows without a number of their own.
    pub(super) fn number(&mut self) {
        let mut seen = BTreeSet::new();
        self.rows
            .retain(|row| row.number.is_some_and(|number| seen.insert(number)));
    }

    fn candidate(&self, line: &Line, number: i64) -> Candidate {
        let mut row = Row::new();
        let mut extra: Map<String, Value> = Map::new();
        let (mut doubtful, mut fatal) = (Vec::new(), Vec::new());
        row.insert("id".to_owned(), number.into());
        for column in &self.columns {
            let Some((_, means)) = line.values.get(column.name) else {
                continue;
            };
            if column.known {
                row.insert(column.name.to_owned(), means.value.clone());
                if let Some(original) = &means.aside {
                    keep_aside(&mut extra, column.name, original.clone());
                }
            } else if !means.value.is_null() {
                extra.insert(column.name.to_owned(), means.value.clone());
            }
            doubtful.extend(means.doubtful.iter().cloned());
            fatal.extend(means.fatal.iter().cloned());
        }
        let extra = if extra.is_empty() {
            Value::Null
        } else {
            extra.into()
        };
        row.insert("extra".to_owned(), extra);
        let text = |column: &str| {
            let value = row.get(column).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let mut refers = vec![("user_id", Kind::Users, text("user_id"))];
        // Money outlives its book.
        if self.kind == Kind::AiInsights && !text("book_id").is_empty() {
            refers.push(("book_id", Kind::Books, text("book_id")));
        }
        let unique = match self.kind {
            Kind::SalesData => vec![(
                "date",
                format!(
                    "{} {} {} {}",
                    text("user_id"),
                    text("book_id"),
                    text("platform"),
                    text("date")
                ),
            )],
            Kind::DailyAggregates => {
                vec![("date", format!("{} {}", text("user_id"), text("date")))]
            }
            _ => Vec::new(),
        };
        let key = number.to_string();
        Candidate {
            kind: self.kind,
            unread_key: key.clone(),
            order: (number.cast_unsigned() ^ (1 << 63)).to_be_bytes().to_vec(),
            key,
            row,
            doubtful,
            fatal,
            refers,
            unique,
            held: None,
        }
    }
}

/// A text as a literal of SQL.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn day(number: u32) -> String {
    let first = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap_or_default();
    (first + Days::new(number.into())).to_string()
}

/// `2024-03-01 04:05:06.000007` and the same moment in microseconds.
fn moment(maker: &mut Maker) -> (String, i64) {
    let micros = maker.millis() * 1_000 + i64::from(maker.below(1_000));
    let at = chrono::DateTime::from_timestamp_micros(micros).unwrap_or_default();
    (at.format("%Y-%m-%d %H:%M:%S%.6f").to_string(), micros)
}

/// The types of a seed's tables.
struct Types {
    by_column: BTreeMap<(Kind, &'static str), &'static str>,
}

impl Types {
    /// A column's type; other people's migrations have altered some.
    fn choose(
        &mut self,
        maker: &mut Maker,
        can: Can,
        kind: Kind,
        column: &'static str,
        types: &[&'static str],
    ) -> &'static str {
        let sql = if can.altered && maker.dirty() {
            maker.pick(types)
        } else {
            types[0]
        };
        self.by_column.insert((kind, column), sql);
        sql
    }

    fn of(&self, kind: Kind, column: &'static str) -> &'static str {
        self.by_column.get(&(kind, column)).copied().unwrap_or("")
    }
}

const UUIDS: &[&str] = &["uuid", "text", "varchar(36)"];
const AMOUNTS: &[&str] = &[
    "numeric(10,2)",
    "numeric(12,4)",
    "numeric",
    "double precision",
    "text",
];
const WHOLES: &[&str] = &[
    "integer",
    "bigint",
    "smallint",
    "numeric(12,4)",
    "double precision",
    "text",
];
const DAYS: &[&str] = &["date", "text", "timestamp"];
const MOMENTS: &[&str] = &["timestamp", "timestamptz"];
const NAMES: &[&str] = &["varchar(50)", "text"];
const SUMS: &[&str] = &["jsonb", "json", "text"];
const SHARES: &[&str] = &["numeric(3,2)", "numeric(5,4)", "double precision", "text"];

fn columns(kind: Kind) -> &'static [(&'static str, &'static [&'static str])] {
    match kind {
        Kind::SalesData => &[
            ("user_id", UUIDS),
            ("book_id", UUIDS),
            ("platform", NAMES),
            ("date", DAYS),
            ("revenue", AMOUNTS),
            ("units", WHOLES),
            ("page_reads", WHOLES),
            ("currency", &["varchar(3)", "text", "char(3)"]),
            ("synced_at", MOMENTS),
        ],
        Kind::DailyAggregates => &[
            ("user_id", UUIDS),
            ("date", DAYS),
            ("total_revenue", AMOUNTS),
            ("total_units", WHOLES),
            ("total_page_reads", WHOLES),
            ("platform_breakdown", SUMS),
            ("book_breakdown", SUMS),
        ],
        Kind::SyncLogs => &[
            ("user_id", UUIDS),
            ("platform", NAMES),
            ("status", &["varchar(20)", "text"]),
            ("records_synced", WHOLES),
            ("error_message", &["text", "varchar(200)"]),
            ("synced_at", MOMENTS),
        ],
        Kind::AiInsights => &[
            ("user_id", UUIDS),
            ("book_id", UUIDS),
            ("insight_type", NAMES),
            ("content", SUMS),
            ("confidence", SHARES),
            ("valid_until", MOMENTS),
            ("created_at", MOMENTS),
        ],
        _ => &[
            ("user_id", UUIDS),
            ("forecast_date", DAYS),
            ("predicted_revenue", AMOUNTS),
            ("actual_revenue", AMOUNTS),
            ("confidence", SHARES),
            ("factors", SUMS),
            ("created_at", MOMENTS),
        ],
    }
}

/// The columns whose values the schema has only once.
fn unique_columns(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::SalesData => &["user_id", "book_id", "platform", "date"],
        Kind::DailyAggregates => &["user_id", "date"],
        _ => &[],
    }
}

type Cell = (String, Means);

fn null(value: impl Into<Value>) -> Cell {
    ("null".to_owned(), Means::is(value))
}

fn fatal(sql: impl Into<String>, field: &str) -> Cell {
    (sql.into(), Means::fatal(field))
}

fn doubtful(sql: impl Into<String>, field: &str, missing: Value, original: Value) -> Cell {
    let means = Means {
        value: missing,
        ..Means::set_aside(field, original)
    };
    (sql.into(), means)
}

impl Maker {
    /// A reference to one of these, as a column of this type holds it.
    fn owner(
        &mut self,
        field: &str,
        sql: &str,
        of: &[ObjectId],
        ids: &Ids,
        missing: Option<Value>,
    ) -> Cell {
        if self.dirty()
            && let Some(missing) = missing
        {
            return null(missing);
        }
        if self.fatal() {
            return match self.below(3) {
                0 => fatal("'0b5ad0ab-6d5c-4d6f-9c3c-5d8a1c1b7d11'", field),
                1 => {
                    let other = match ids.form {
                        Form::PaddedLeft => Form::PaddedRight,
                        Form::Embedded | Form::PaddedRight => Form::PaddedLeft,
                    };
                    let id = self.pick(of);
                    fatal(quoted(&other.write(id)), field)
                }
                _ => {
                    let gone = ids.form.write(NOBODY);
                    (quoted(&gone), Means::is(uuid(&NOBODY.to_hex())))
                }
            };
        }
        let id = self.pick(of);
        let means = Means::is(uuid(&id.to_hex()));
        let mut stored = ids.write(self, id);
        if sql != "uuid" && self.dirty() {
            stored = match (self.below(2), sql) {
                (0, "text") => format!(" {} ", id.to_hex()),
                (0, _) => id.to_hex(),
                _ => stored.to_uppercase(),
            };
        }
        (quoted(&stored), means)
    }

    fn platform(&mut self, field: &str, can: Can, markets: bool) -> Cell {
        if self.fatal() {
            let wrong = self.pick(&["''", "E'a\\tb'"]);
            return fatal(wrong, field);
        }
        let name = self.pick(&["kdp", "gumroad", "apple_books"]);
        if !self.dirty() {
            return (quoted(name), Means::is(name));
        }
        match self.below(5) {
            0 => (quoted(&name.to_uppercase()), Means::is(name)),
            1 => ("'draft2digital'".to_owned(), Means::is("draft2digital")),
            2 if can.lenient => (quoted(&format!(" {name} ")), Means::is(name)),
            3 if markets => ("'KDP:Amazon.de'".to_owned(), Means::is("kdp:amazon.de")),
            _ => {
                let wide = "ü".repeat(if can.lenient { 50 } else { 25 });
                (quoted(&wide), Means::is(wide))
            }
        }
    }

    fn date(&mut self, field: &str, sql: &str) -> Cell {
        if self.fatal() {
            return match (self.below(3), sql) {
                (0, _) => fatal("'infinity'", field),
                (1, _) => fatal("'0044-03-15 BC'", field),
                _ => fatal("null", field),
            };
        }
        let day = day(self.below(400));
        (quoted(&day), Means::is(day))
    }

    /// An amount. `missing`: what a missing one means, if it may be missing.
    fn amount(&mut self, field: &str, sql: &str, can: Can, missing: Option<Value>) -> Cell {
        if self.fatal() {
            return match self.below(3) {
                0 if sql == "numeric(12,4)" && can.exact => fatal("'0.0043'", field),
                1 if missing.is_none() && can.nulls => fatal("null", field),
                _ => fatal("'NaN'", field),
            };
        }
        if self.dirty()
            && let Some(missing) = missing
        {
            return null(missing);
        }
        let cents = self.between(-500, 20_000);
        let text = rust_decimal::Decimal::new(cents, 2).to_string();
        (quoted(&text), Means::is(plain(&text)))
    }

    fn units(
        &mut self,
        field: &str,
        sql: &str,
        can: Can,
        vital: bool,
        missing: Option<i64>,
    ) -> Cell {
        if self.fatal() {
            let (text, original) = match sql {
                "bigint" => ("5000000000", json!(5_000_000_000_i64)),
                "numeric(12,4)" | "double precision" => ("1.5", json!(1.5)),
                "text" => ("a lot", json!("a lot")),
                _ if missing.is_none() && can.nulls => return fatal("null", field),
                _ => ("7", Value::Null),
            };
            return match (original.is_null(), vital) {
                (true, _) => (quoted(text), Means::is(7)),
                (false, true) => fatal(quoted(text), field),
                (false, false) => doubtful(quoted(text), field, missing.into(), original),
            };
        }
        if self.dirty()
            && let Some(missing) = missing
        {
            return null(missing);
        }
        let number = self.below(900);
        (quoted(&number.to_string()), Means::is(number))
    }

    /// A moment that a row can do without.
    fn at(&mut self, field: &str, sql: &str, forever: bool) -> Cell {
        if self.dirty() {
            return match self.below(3) {
                0 => null(Value::Null),
                1 if forever => ("'infinity'".to_owned(), Means::is(Value::Null)),
                _ => doubtful("'-infinity'", field, Value::Null, json!("-infinity")),
            };
        }
        let (text, micros) = moment(self);
        let text = match sql {
            "timestamptz" => format!("{text}+00"),
            _ => text,
        };
        (quoted(&text), Means::is(micros))
    }

    fn share(&mut self, field: &str, sql: &str) -> Cell {
        if self.dirty() {
            return match self.below(3) {
                0 => null(Value::Null),
                1 => doubtful("'1.5'", field, Value::Null, original(sql, "1.50")),
                _ if sql == "numeric(5,4)" => {
                    doubtful("'0.1234'", field, Value::Null, json!(0.1234))
                }
                _ => doubtful("'-0.5'", field, Value::Null, original(sql, "-0.50")),
            };
        }
        let share = self.below(101);
        let text = rust_decimal::Decimal::new(share.into(), 2).to_string();
        (quoted(&text), Means::is(plain(&text)))
    }

    fn breakdown(&mut self, field: &str, sql: &str, can: Can, books: Option<&Owners<'_>>) -> Cell {
        if self.dirty() {
            let sum = |revenue: f64, units: u8, reads: u8| json!({"kdp": {"revenue": revenue, "units": units, "page_reads": reads}});
            let by_platform = can.sums && books.is_none();
            // What is stored, what it means, and whether that is all of it.
            let (text, meaning, is_all) = match self.below(8) {
                0 => return null(json!({})),
                1 => ("[\"kdp\"]", json!({}), false),
                2 => ("\"none\"", json!({}), false),
                3 if by_platform => (r#"{"kdp": {"units": 1}}"#, sum(0.0, 1, 0), true),
                4 if by_platform => (
                    r#"{"kdp": {"revenue": "12.50", "units": 3.0, "pageReads": "4"}}"#,
                    sum(12.5, 3, 4),
                    true,
                ),
                5 if by_platform => (
                    r#"{"kdp": {"revenue": 5.551115123125783e-17, "units": 1, "page_reads": 0}}"#,
                    sum(5.551_115_123_13e-17, 1, 0),
                    false,
                ),
                6 if by_platform => (
                    r#"{"kdp": {"revenue": 1.5, "units": 1, "page_reads": 2, "orders": 3}}"#,
                    sum(1.5, 1, 2),
                    false,
                ),
                _ => ("{}", json!({}), true),
            };
            if is_all {
                return (quoted(text), Means::is(meaning));
            }
            let original = match sql {
                "text" => json!(text),
                _ => serde_json::from_str(text).unwrap_or_default(),
            };
            return doubtful(quoted(text), field, meaning, original);
        }
        let cents = self.between(-500, 20_000);
        let amount = rust_decimal::Decimal::new(cents, 2);
        let amount: f64 = amount.to_string().parse().unwrap_or_default();
        let sums = json!({"revenue": amount, "units": 2, "page_reads": 7});
        let (stored, meaning) = match books {
            Some(of) => {
                let book = self.pick(of.books);
                let id = book.to_hex();
                let stored = if self.chance(50) {
                    of.ids.write(self, book)
                } else {
                    id.clone()
                };
                (json!({stored: sums}), json!({id: sums}))
            }
            None => (json!({"kdp": sums}), json!({"kdp": sums})),
        };
        (quoted(&stored.to_string()), Means::is(meaning))
    }

    fn json(&mut self, field: &str, can: Can, required: bool) -> Cell {
        if self.dirty() {
            match self.below(4) {
                0 if !required => return null(Value::Null),
                0 if can.nulls => return fatal("null", field),
                1 => return ("'[]'".to_owned(), Means::is(json!([]))),
                2 => {
                    let text = json!({"by": [1, 1.5, 0.25, 1e20], "o'k": "\\n"});
                    return (quoted(&text.to_string()), Means::is(text));
                }
                _ => {}
            }
        }
        if self.fatal() && required {
            return match self.below(2) {
                0 => fatal("'[1e400]'", field),
                _ => fatal(quoted(&deep(130)), field),
            };
        }
        let text = json!({"text": self.words(3), "at": self.below(1_000)});
        (quoted(&text.to_string()), Means::is(text))
    }

    fn line(
        &mut self,
        kind: Kind,
        number: Option<i64>,
        types: &Types,
        can: Can,
        of: &Owners<'_>,
    ) -> Line {
        let mut values = BTreeMap::new();
        for (column, _) in columns(kind) {
            let sql = types.of(kind, column);
            let cell = match (kind, *column) {
                (_, "user_id") => self.owner("user_id", sql, of.users, of.ids, None),
                (Kind::AiInsights, "book_id") => {
                    self.owner("book_id", sql, of.books, of.ids, Some(Value::Null))
                }
                (_, "book_id") => self.owner("book_id", sql, of.books, of.ids, None),
                (_, "platform") => self.platform(column, can, kind == Kind::SalesData),
                (_, "date" | "forecast_date") => self.date(column, sql),
                (_, "revenue" | "total_revenue") => self.amount(column, sql, can, None),
                (_, "predicted_revenue" | "actual_revenue") => {
                    self.amount(column, sql, can, Some(Value::Null))
                }
                (_, "units" | "total_units") => self.units(column, sql, can, true, None),
                (_, "page_reads" | "total_page_reads") => {
                    self.units(column, sql, can, true, Some(0))
                }
                (_, "records_synced") => self.units(column, sql, can, false, Some(0)),
                (_, "currency") => self.currency(),
                (_, "valid_until") => self.at(column, sql, true),
                (_, "synced_at" | "created_at") => self.at(column, sql, false),
                (_, "platform_breakdown") => self.breakdown(column, sql, can, None),
                (_, "book_breakdown") => self.breakdown(column, sql, can, Some(of)),
                (_, "status") => self.status(can),
                (_, "error_message") => {
                    if self.dirty() {
                        null(Value::Null)
                    } else {
                        let text = self.words(4);
                        (quoted(&text), Means::is(text))
                    }
                }
                (_, "insight_type") => self.insight_type(),
                (_, "content") => self.json(column, can, true),
                (_, "factors") => self.json(column, can, false),
                _ => self.share(column, sql),
            };
            values.insert(*column, cell);
        }
        Line { number, values }
    }

    fn currency(&mut self) -> Cell {
        if self.fatal() {
            let wrong = self.pick(&["'eu '", "'€'", "'E1R'"]);
            return fatal(wrong, "currency");
        }
        if !self.dirty() {
            return ("'USD'".to_owned(), Means::is("USD"));
        }
        match self.below(2) {
            0 => null("USD"),
            _ => ("'eur'".to_owned(), Means::is("EUR")),
        }
    }

    fn status(&mut self, can: Can) -> Cell {
        if self.fatal() {
            return fatal("'ok'", "status");
        }
        let name = self.pick(&["success", "partial", "failed"]);
        if can.lenient && self.dirty() {
            (quoted(&name.to_uppercase()), Means::is(name))
        } else {
            (quoted(name), Means::is(name))
        }
    }

    fn insight_type(&mut self) -> Cell {
        if !self.dirty() {
            return ("'trend'".to_owned(), Means::is("trend"));
        }
        match self.below(2) {
            0 => null(Value::Null),
            _ => doubtful("''", "insight_type", Value::Null, json!("")),
        }
    }

    /// A table's columns, and those that the old app added.
    fn table(&mut self, kind: Kind, can: Can, of: &Owners<'_>) -> Table {
        let mut types = Types {
            by_column: BTreeMap::new(),
        };
        let mut table = Table {
            kind,
            columns: Vec::new(),
            constraints: Vec::new(),
            rows: Vec::new(),
        };
        for (name, sql) in columns(kind) {
            let sql = types.choose(self, can, kind, name, sql);
            table.columns.push(Column {
                name,
                sql,
                known: true,
            });
        }
        if !(can.keyless && self.dirty()) {
            table.constraints.push("primary key (id)".to_owned());
        }
        let unique = unique_columns(kind);
        let loose = unique.is_empty() || (can.loose && self.dirty());
        let keyed = !loose;
        if keyed {
            table
                .constraints
                .push(format!("unique ({})", unique.join(", ")));
        }
        let mut seen: BTreeSet<Vec<String>> = BTreeSet::new();
        let mut number = 0;
        for _ in 0..6 + self.below(10) {
            number += 1 + i64::from(self.below(3));
            let line = self.line(kind, Some(number), &types, can, of);
            let values = unique.iter().map(|column| line.values[column].0.clone());
            if keyed && !seen.insert(values.collect()) {
                continue;
            }
            table.rows.push(line);
        }
        let has_key = table.constraints.iter().any(|it| it.starts_with("primary"));
        if !has_key && !keyed && self.chance(30) {
            let mut line = table.rows[0].clone();
            line.number = line.number.filter(|_| self.chance(50));
            table.rows.push(line);
        }
        if can.added && self.dirty() {
            table.columns.push(Column {
                name: "marketplace",
                sql: "text",
                known: false,
            });
            table.columns.push(Column {
                name: "notes",
                sql: "jsonb",
                known: false,
            });
            for line in &mut table.rows {
                let shop = match self.below(3) {
                    0 => null(Value::Null),
                    _ => ("'amazon.de'".to_owned(), Means::is("amazon.de")),
                };
                line.values.insert("marketplace", shop);
                let notes = json!({"a": [1, 2.5, null]});
                let notes = match self.below(2) {
                    0 => null(Value::Null),
                    _ => (quoted(&notes.to_string()), Means::is(notes)),
                };
                line.values.insert("notes", notes);
            }
        }
        table
    }

    /// All tables.
    pub(super) fn tables(&mut self, can: Can, of: &Owners<'_>) -> Vec<Table> {
        let kinds = Kind::ANALYTICS.iter();
        kinds.map(|kind| self.table(*kind, can, of)).collect()
    }
}

/// A number as its column shows it in JSON.
fn original(sql: &str, shown: &str) -> Value {
    match sql {
        "text" => json!(plain(shown)),
        _ => json!(shown.parse::<f64>().unwrap_or_default()),
    }
}

/// Lists within lists.
fn deep(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}
