//! Random choices, and the values that years of other people's code leave in a field.

use bson::{Bson, DateTime, Decimal128, Document, doc, oid::ObjectId};
use chrono::{SecondsFormat, TimeZone, Utc};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Map, Value, json};

use super::oracle::{Means, keep_aside};

/// A moment in 2021. The ids count from it.
const START: u32 = 1_614_556_800;

/// An id that no record has.
pub(super) const NOBODY: ObjectId = ObjectId::from_bytes([0x6b; 12]);

const WORDS: &[&str] = &[
    "harbour",
    "winter",
    "glass",
    "Orchard",
    "signal",
    "quiet",
    "ember",
    "Fluß",
    "letters",
    "sal",
    "midnight",
    "garden",
    "crown",
    "лампа",
    "storm",
    "lantern",
    "atlas",
    "鏡",
    "feather",
    "iron",
];

/// Random choices, all of them from the seed.
#[derive(Debug)]
pub(super) struct Maker {
    random: StdRng,
    counter: u32,
    /// How often a value is dirty, in percent.
    dirt: u32,
}

/// A field of a document, or of a part of one: what is stored, and what that means.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) column: &'static str,
    pub(super) stored: Option<Bson>,
    pub(super) means: Means,
}

impl Maker {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let dirt = random.random_range(2..30);
        Self {
            random,
            counter: 0,
            dirt,
        }
    }

    /// A number below this one.
    pub(super) fn below(&mut self, most: u32) -> u32 {
        self.random.random_range(0..most)
    }

    pub(super) fn between(&mut self, least: i64, most: i64) -> i64 {
        self.random.random_range(least..=most)
    }

    /// Whether something happens that happens in so many of a hundred cases.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// Whether the next value is a dirty one.
    pub(super) fn dirty(&mut self) -> bool {
        self.chance(self.dirt)
    }

    /// Whether the next value keeps its record from moving.
    pub(super) fn fatal(&mut self) -> bool {
        self.chance(self.dirt.div_ceil(8))
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let index = self.random.random_range(0..from.len());
        from[index].clone()
    }

    pub(super) fn number(&mut self) -> u32 {
        self.counter += 1;
        self.counter
    }

    pub(super) fn id(&mut self) -> ObjectId {
        let number = self.number();
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&(START + number * 7).to_be_bytes());
        self.random.fill(&mut bytes[4..9]);
        bytes[9..].copy_from_slice(&number.to_be_bytes()[1..]);
        ObjectId::from_bytes(bytes)
    }

    pub(super) fn words(&mut self, count: u32) -> String {
        let words: Vec<&str> = (0..count).map(|_| self.pick(WORDS)).collect();
        words.join(" ")
    }

    /// Milliseconds from 1970, in this century.
    pub(super) fn millis(&mut self) -> i64 {
        self.between(1_500_000_000_000, 1_760_000_000_000)
    }

    /// No value, in one of the ways to have none.
    pub(super) fn none(&mut self) -> Option<Bson> {
        match self.below(3) {
            0 => None,
            1 => Some(Bson::Null),
            _ => Some(Bson::Undefined),
        }
    }

    /// A text that a record can do without. `missing` is the value of a missing one.
    pub(super) fn text(&mut self, path: &str, missing: Value, words: u32) -> (Option<Bson>, Means) {
        if !self.dirty() {
            let text = self.words(words);
            return (Some(text.clone().into()), Means::is(text));
        }
        match self.below(7) {
            0 | 1 => (self.none(), Means::is(missing)),
            2 => (Some("".into()), Means::is("")),
            3 => doubtful(path, missing, Bson::Int32(7), json!(7)),
            4 => {
                let original = json!({"$base64": "b25lAHR3bw=="});
                doubtful(path, missing, "one\0two".into(), original)
            }
            5 => {
                let list = Bson::Array(vec!["One".into(), "Two".into()]);
                doubtful(path, missing, list, json!(["One", "Two"]))
            }
            _ => doubtful(
                path,
                missing,
                doc! {"en": "One"}.into(),
                json!({"en": "One"}),
            ),
        }
    }

    /// A text that a record must have.
    pub(super) fn required_text(&mut self, path: &str, words: u32) -> (Option<Bson>, Means) {
        if self.fatal() {
            let stored = match self.below(4) {
                0 => self.none(),
                1 => Some(Bson::Int64(7)),
                2 => Some("one\0two".into()),
                _ => Some(doc! {"en": "One"}.into()),
            };
            return (stored, Means::fatal(path));
        }
        let text = self.words(words);
        (Some(text.clone().into()), Means::is(text))
    }

    /// One of some names, in the spellings that people use.
    pub(super) fn name(
        &mut self,
        path: &str,
        missing: Value,
        names: &[&'static str],
        wrong: &'static str,
    ) -> (Option<Bson>, Means) {
        let name = self.pick(names);
        if !self.dirty() {
            return (Some(name.into()), Means::is(name));
        }
        match self.below(5) {
            0 => (self.none(), Means::is(missing)),
            1 => (Some(name.to_uppercase().into()), Means::is(name)),
            2 => (Some(format!(" {name} ").into()), Means::is(name)),
            3 => doubtful(path, missing, wrong.into(), json!(wrong)),
            _ => doubtful(path, missing, Bson::Boolean(true), json!(true)),
        }
    }

    /// True or false. A missing value is this one.
    pub(super) fn truth(&mut self, path: &str, missing: Value) -> (Option<Bson>, Means) {
        let yes = self.chance(50);
        if !self.dirty() {
            return (Some(yes.into()), Means::is(yes));
        }
        let word = if yes { "yes" } else { "no" };
        match self.below(5) {
            0 => (self.none(), Means::is(missing)),
            1 => (Some(word.into()), Means::is(yes)),
            2 => (Some(Bson::Int32(yes.into())), Means::is(yes)),
            3 => (Some(yes.to_string().into()), Means::is(yes)),
            _ => doubtful(path, missing, "perhaps".into(), json!("perhaps")),
        }
    }

    /// A moment that a record can do without.
    pub(super) fn moment(&mut self, path: &str) -> (Option<Bson>, Means) {
        const DAY: i64 = 86_400_000;
        let millis = self.millis();
        if !self.dirty() {
            let stored = DateTime::from_millis(millis);
            return (Some(stored.into()), Means::is(millis * 1_000));
        }
        let at = |millis: i64| {
            let stored = DateTime::from_millis(millis);
            (Some(stored.into()), Means::is(millis * 1_000))
        };
        let beyond = |millis: i64| {
            let original = json!({"$date": {"$numberLong": millis.to_string()}});
            doubtful(
                path,
                Value::Null,
                DateTime::from_millis(millis).into(),
                original,
            )
        };
        match self.below(11) {
            0 | 1 => (self.none(), Means::is(Value::Null)),
            2 => at(-40_000 * DAY),
            3 => at(4_000_000 * DAY),
            4 => at(-1_000_000 * DAY),
            5 => (Some(iso(millis).into()), Means::is(millis * 1_000)),
            6 => (Some(Bson::Int64(millis)), Means::is(millis * 1_000)),
            7 => doubtful(path, Value::Null, "next week".into(), json!("next week")),
            8 => beyond(i64::MAX),
            9 => beyond(-3_000_000 * DAY),
            _ => doubtful(
                path,
                Value::Null,
                doc! {"year": 2020}.into(),
                json!({"year": 2020}),
            ),
        }
    }

    /// A count that a record can do without.
    pub(super) fn count(&mut self, path: &str, most: i32) -> (Option<Bson>, Means) {
        let number = i64::from(self.below(most.unsigned_abs()));
        if !self.dirty() {
            return (Some(self.whole(number)), Means::is(number));
        }
        match self.below(6) {
            0 | 1 => (self.none(), Means::is(Value::Null)),
            2 => doubtful(path, Value::Null, 0.5.into(), json!(0.5)),
            3 => doubtful(path, Value::Null, "many".into(), json!("many")),
            4 => {
                let original = json!({"$numberDouble": "NaN"});
                doubtful(path, Value::Null, f64::NAN.into(), original)
            }
            _ => doubtful(path, Value::Null, Bson::Int32(-3), json!(-3)),
        }
    }

    /// A count that money depends on. `missing` is what a missing one means, if it may be missing.
    pub(super) fn vital_count(
        &mut self,
        path: &str,
        most: u32,
        missing: Option<i64>,
    ) -> (Option<Bson>, Means) {
        if self.fatal() {
            let stored = match self.below(4) {
                0 => Bson::Double(12.5),
                1 => Bson::Int32(-3),
                2 => Bson::Double(f64::INFINITY),
                _ => "a lot".into(),
            };
            return (Some(stored), Means::fatal(path));
        }
        if self.dirty()
            && let Some(missing) = missing
        {
            return (self.none(), Means::is(missing));
        }
        let number = i64::from(self.below(most));
        (Some(self.whole(number)), Means::is(number))
    }

    /// A whole number in one of the types that drivers use.
    pub(super) fn whole(&mut self, number: i64) -> Bson {
        match self.below(8) {
            0 => Bson::Int64(number),
            1 => Bson::Double(f64::from(i32::try_from(number).unwrap_or_default())),
            2 => Bson::String(number.to_string()),
            3 => decimal(&number.to_string()),
            _ => i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32),
        }
    }

    /// An unknown field: its name, its value, and what `extra` keeps of it.
    pub(super) fn unknown(&mut self) -> (&'static str, Bson, Value) {
        let oid = ObjectId::from_bytes([7; 12]);
        let values = [
            ("__v", Bson::Int32(0), json!(0)),
            ("old", Bson::Null, Value::Null),
            ("owner", oid.into(), json!({"$oid": oid.to_hex()})),
            (
                "since",
                DateTime::from_millis(1_400_000_000_123).into(),
                json!({"$date": "2014-05-13T16:53:20.123Z"}),
            ),
            ("rate", decimal("19.90"), json!({"$numberDecimal": "19.90"})),
            (
                "large",
                Bson::Int64(9_007_199_254_740_993),
                json!(9_007_199_254_740_993_i64),
            ),
            ("score", f64::NAN.into(), json!({"$numberDouble": "NaN"})),
            ("half", 0.1.into(), json!(0.1)),
            ("gone", Bson::Undefined, json!({"$undefined": true})),
            (
                "nested",
                doc! {"a": [true, {"b": [1, "два"]}], "": "no name"}.into(),
                json!({"a": [true, {"b": [1, "два"]}], "": "no name"}),
            ),
            (
                "pattern",
                Bson::RegularExpression(bson::Regex {
                    pattern: bson::raw::cstr!("^a.*").to_owned(),
                    options: bson::raw::cstr!("i").to_owned(),
                }),
                json!({"$regularExpression": {"pattern": "^a.*", "options": "i"}}),
            ),
            (
                "stamp",
                Bson::Timestamp(bson::Timestamp {
                    time: 7,
                    increment: 2,
                }),
                json!({"$timestamp": {"t": 7, "i": 2}}),
            ),
            ("first", Bson::MinKey, json!({"$minKey": 1})),
        ];
        self.pick(&values)
    }
}

/// A value that makes no sense in a field that a record can do without.
pub(super) fn doubtful(
    path: &str,
    missing: Value,
    stored: Bson,
    original: Value,
) -> (Option<Bson>, Means) {
    let means = Means {
        value: missing,
        ..Means::set_aside(path, original)
    };
    (Some(stored), means)
}

/// A part of a document: what is stored, and what it comes to.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) stored: Document,
    pub(super) value: Map<String, Value>,
    pub(super) doubtful: Vec<String>,
    pub(super) fatal: Vec<String>,
}

impl Part {
    /// Adds a field.
    pub(super) fn with(&mut self, name: &str, (stored, means): (Option<Bson>, Means)) {
        if let Some(stored) = stored {
            self.stored.insert(name, stored);
        }
        if let Some(original) = means.aside {
            keep_aside(&mut self.value, name, original);
        }
        if !means.value.is_null() {
            self.value.insert(name.to_owned(), means.value);
        }
        self.doubtful.extend(means.doubtful);
        self.fatal.extend(means.fatal);
    }

    /// Adds an unknown field.
    pub(super) fn unknown(&mut self, (name, stored, value): (&str, Bson, Value)) {
        self.stored.insert(name, stored);
        self.value.insert(name.to_owned(), value);
    }
}

/// A moment within a part: a text.
pub(super) fn as_text((stored, mut means): (Option<Bson>, Means)) -> (Option<Bson>, Means) {
    if let Some(micros) = means.value.as_i64() {
        means.value = iso(micros / 1_000).into();
    }
    (stored, means)
}

/// A moment as RFC 3339 has it.
pub(super) fn iso(millis: i64) -> String {
    let moment = Utc.timestamp_millis_opt(millis).single();
    moment.map_or(String::new(), |moment| {
        moment.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    })
}

pub(super) fn decimal(text: &str) -> Bson {
    text.parse::<Decimal128>()
        .map_or(Bson::Null, Bson::Decimal128)
}
