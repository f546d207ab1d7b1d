//! What the lists of fields promise, for every record and every part of one.
//!
//! Records are made by their own lists: a [`Maker`] is a reader that draws each value. So a field
//! that is added to a record is covered here without an edit.

use std::{borrow::Cow, collections::BTreeMap, fmt::Debug};

use chrono::TimeDelta;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    Account, AccountPatch, AccountPreferences, AccountPreferencesPatch, Attachment, Book,
    BookMetadata, BookPatch, Boost, Checklist, ChecklistPatch, Comment, Competitor,
    CompetitorPatch, ConnectedPlatform, DailyAggregate, Days, ErrorKind, Follow, Forecast,
    Identity, Insight, Like, Platform, Post, PostPatch, Preferences, PricePoint, Sale, Session,
    Sums, SyncLog, Task, TaskPatch, User, UserPatch,
    migrate::{CompetitorPrice, Kind, MovedAccount, Record},
    records::{
        check::check_fields,
        json::{Form, InForm, read_in_form},
    },
};

/// Calls a generic function for every record and every part of one.
macro_rules! for_every_record {
    ($check:ident, $argument:expr) => {
        for_every_record! { $check, $argument;
            User, Preferences, ConnectedPlatform, Book, BookMetadata, Checklist, Task, Follow,
            Post, Attachment, Like, Comment, Boost, Competitor, PricePoint, CompetitorPrice, Sale,
            DailyAggregate, SyncLog, Insight, Forecast, Account, MovedAccount, Identity,
            Session, AccountPreferences
        }
    };
    ($check:ident, $argument:expr; $($record:ident),+) => {
        $($check::<$record>(stringify!($record), $argument);)+
    };
}

/// Numbers to draw values by: of few numbers come many others.
#[derive(Debug, Clone)]
struct Choices {
    numbers: Vec<u64>,
    drawn: u64,
}

impl Choices {
    fn of(numbers: &[u64]) -> Self {
        let numbers = numbers.to_vec();
        Self { numbers, drawn: 0 }
    }

    fn number(&mut self) -> u64 {
        let count = self.numbers.len() as u64;
        let index = usize::try_from(self.drawn % count).unwrap();
        self.drawn += 1;
        // SplitMix64: the numbers may be few, and small.
        let mixed = self.numbers[index] ^ self.drawn.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    fn pick<'c, T>(&mut self, from: &'c [T]) -> &'c T {
        let index = self.below(from.len() as u64);
        &from[usize::try_from(index).unwrap()]
    }
}

/// What goes wrong in a record that is made: one thing, at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    /// A NUL character in a text.
    Nul,
    /// A number that is not finite.
    NotFinite,
    /// An unknown field that is called as one of the schema's.
    Shadow,
}

/// What the makers of a record and of its parts share.
#[derive(Debug)]
struct Making {
    choices: Choices,
    flaw: Option<Flaw>,
    /// Which of the places where the flaw is possible has it.
    place: usize,
    places: usize,
    /// Where it was put.
    flawed: Option<String>,
    /// The parts that were asked for.
    parts: Vec<&'static [Field]>,
}

impl Making {
    fn by(choices: &Choices) -> Self {
        Self {
            choices: choices.clone(),
            flaw: None,
            place: 0,
            places: 0,
            flawed: None,
            parts: Vec::new(),
        }
    }

    /// Whether the flaw goes here, at a place where it is possible.
    fn has_flaw(&mut self, flaw: Flaw, path: impl FnOnce() -> String) -> bool {
        if self.flaw != Some(flaw) {
            return false;
        }
        let is_here = self.places == self.place;
        self.places += 1;
        if is_here {
            self.flawed = Some(path());
        }
        is_here
    }
}

/// The fields that a maker leaves out.
#[derive(Debug, Clone, PartialEq)]
enum Missing {
    Nothing,
    All,
    Only(&'static str),
    /// These now and then.
    AnyOf(Vec<&'static str>),
}

/// A reader that draws values.
#[derive(Debug)]
struct Maker<'m> {
    making: &'m mut Making,
    path: String,
    left: std::slice::Iter<'static, Field>,
    known: Vec<&'static str>,
    missing: Missing,
    has_extra: bool,
    /// The fields that were noted as missing.
    noted: Vec<&'static str>,
}

impl<'m> Maker<'m> {
    fn of<T: Fields>(making: &'m mut Making, path: String, missing: Missing) -> Self {
        let names = T::FIELDS.iter().map(|field| field.name);
        let names = names.filter(|name| !T::OUTSIDE.contains(name));
        Self {
            making,
            path,
            left: T::FIELDS.iter(),
            known: names.chain(T::RESERVED.iter().copied()).collect(),
            missing,
            has_extra: true,
            noted: Vec::new(),
        }
    }

    /// Makes a part within this record.
    fn nested<T: Fields>(&mut self, path: &str) -> Option<T> {
        self.making.parts.push(T::FIELDS);
        let missing = match &self.missing {
            Missing::AnyOf(_) => Missing::AnyOf(optional::<T>()),
            Missing::Nothing | Missing::All | Missing::Only(_) => Missing::Nothing,
        };
        let mut maker = Maker::of::<T>(self.making, format!("{path}."), missing);
        maker.has_extra = self.has_extra;
        T::read(&mut maker)
    }

    fn is_missing(&mut self, field: &'static Field) -> bool {
        // A record asks for its fields in the order of their list.
        assert_eq!(self.left.next(), Some(field));
        match &self.missing {
            Missing::Nothing => false,
            Missing::All => true,
            Missing::Only(name) => *name == field.name,
            Missing::AnyOf(names) => {
                names.contains(&field.name) && self.making.choices.below(3) == 0
            }
        }
    }

    fn flaw<T: Scalar>(&mut self, flaw: Flaw, value: Value<'_>, path: String) -> Option<T> {
        let value = T::of(value).ok()?;
        self.making.has_flaw(flaw, || path).then_some(value)
    }

    fn flawed<T: Scalar>(&mut self, path: &str) -> Option<T> {
        let at = |rest: &str| format!("{path}{rest}");
        let (text, key) = (json!("a\0b"), json!({ "b\0": true }));
        let deep = json!({ "a": [1, { "b": "\0" }] });
        self.flaw(Flaw::Nul, Value::Text("a\0b"), at(""))
            .or_else(|| self.flaw(Flaw::Nul, Value::Json(&text), at("")))
            .or_else(|| self.flaw(Flaw::Nul, Value::Json(&key), at(".b\\0")))
            .or_else(|| self.flaw(Flaw::Nul, Value::Json(&deep), at(".a.1.b")))
            .or_else(|| self.flaw(Flaw::NotFinite, Value::Float(f64::NAN), at("")))
            .or_else(|| self.flaw(Flaw::NotFinite, Value::Float(f64::NEG_INFINITY), at("")))
    }

    fn draw<T: Scalar>(&mut self, shape: Shape, path: &str) -> T {
        match self.flawed(path) {
            Some(flawed) => flawed,
            None => draw(&mut self.making.choices, shape),
        }
    }
}

/// A value of a type, which may refuse some values of its shape.
fn draw<T: Scalar>(choices: &mut Choices, shape: Shape) -> T {
    for _ in 0..1_000 {
        let found = match shape {
            Shape::Id => T::of(Value::Id(id(choices))),
            Shape::Text | Shape::TextOrEmpty => T::of(Value::Text(&text(choices))),
            Shape::Bool => T::of(Value::Bool(choices.below(2) == 0)),
            Shape::Whole(first, last) => T::of(Value::Whole(whole_number(choices, first, last))),
            Shape::Float => T::of(Value::Float(float(choices))),
            Shape::Decimal => T::of(Value::Decimal(decimal(choices))),
            Shape::Day => T::of(Value::Day(moment(choices).date_naive())),
            Shape::Moment => T::of(Value::Moment(moment(choices))),
            Shape::Json => T::of(Value::Json(&json_value(choices))),
            Shape::Sums => {
                let by_platform = BTreeMap::from([(Platform::KDP, sums(choices))]);
                let by_book = BTreeMap::from([(id::<Book>(choices), sums(choices))]);
                T::of(Value::Sums(&by_book)).or_else(|_| T::of(Value::Sums(&by_platform)))
            }
            Shape::Texts | Shape::Part | Shape::Parts => panic!("{shape:?} is no single value"),
        };
        if let Ok(value) = found {
            return value;
        }
    }
    panic!(
        "no value of {shape:?} is one of {}",
        std::any::type_name::<T>()
    );
}

fn id<T>(choices: &mut Choices) -> Id<T> {
    let number = u128::from(choices.number()) << 32 | u128::from(choices.below(1 << 32));
    let bytes = number.to_be_bytes();
    Id::from_bytes(bytes[4..].try_into().unwrap())
}

fn text(choices: &mut Choices) -> String {
    let number = choices.number();
    let texts = [
        // One for each type of text, besides those that take any.
        "ada@example.org",
        "https://example.org/a?b=c#d",
        "978-3-16-148410-0",
        "B08N5WRWNW",
        "+4915112345678",
        "EUR",
        "starter",
        "dark",
        "archived",
        "followers",
        "partial",
        "none",
        "",
        "  Ärger \u{2028}\"'\\ $set",
    ];
    let any = choices.below(texts.len() as u64 + 2);
    let known = usize::try_from(any).ok().and_then(|index| texts.get(index));
    known.map_or_else(|| format!("text-{number}"), |text| (*text).to_owned())
}

fn whole_number(choices: &mut Choices, first: i64, last: i64) -> i64 {
    let span = u128::try_from(i128::from(last) - i128::from(first)).unwrap() + 1;
    let within = i128::try_from(u128::from(choices.number()) % span).unwrap();
    let within = i64::try_from(i128::from(first) + within).unwrap();
    *choices.pick(&[first, last, within, within])
}

fn float(choices: &mut Choices) -> f64 {
    let any = f64::from_bits(choices.number());
    *choices.pick(&[0.0, 1.5, -2.0, if any.is_finite() { any } else { 0.1 }])
}

fn decimal(choices: &mut Choices) -> Decimal {
    let cents = i64::try_from(choices.below(10_000_000_000)).unwrap();
    let hundredths = i64::try_from(choices.below(101)).unwrap();
    let signed = if choices.below(2) == 0 { cents } else { -cents };
    Decimal::new(*choices.pick(&[cents, signed, hundredths]), 2)
}

fn moment(choices: &mut Choices) -> DateTime<Utc> {
    let first = Days::ALL.first().and_time(chrono::NaiveTime::MIN).and_utc();
    let span = Days::ALL.last() - Days::ALL.first();
    let millis = choices.below(u64::try_from(span.num_milliseconds()).unwrap());
    first + TimeDelta::milliseconds(i64::try_from(millis).unwrap())
}

fn json_value(choices: &mut Choices) -> serde_json::Value {
    let number = choices.number();
    match choices.below(5) {
        0 => json!(null),
        1 => json!(number),
        2 => json!(text(choices)),
        3 => json!([text(choices), true, -0.5]),
        _ => json!({ "a": { "b": [number] }, "": text(choices) }),
    }
}

fn sums(choices: &mut Choices) -> Sums {
    Sums {
        revenue: decimal(choices),
        units: whole_number(choices, i64::MIN, i64::MAX),
        page_reads: whole_number(choices, i64::MIN, i64::MAX),
    }
}

impl FieldReader for Maker<'_> {
    fn value<T: Scalar>(&mut self, field: &'static Field) -> Read<T> {
        if self.is_missing(field) {
            return Read::Missing;
        }
        let path = format!("{}{}", self.path, field.name);
        Read::Value(self.draw(field.shape, &path))
    }

    fn texts<T: Scalar>(&mut self, field: &'static Field) -> Read<Vec<T>> {
        if self.is_missing(field) {
            return Read::Missing;
        }
        let path = format!("{}{}", self.path, field.name);
        let count = if self.making.flaw.is_some() {
            2
        } else {
            self.making.choices.below(4)
        };
        Read::Value((0..count).map(|_| self.draw(T::SHAPE, &path)).collect())
    }

    fn part<T: Fields + DeserializeOwned>(&mut self, field: &'static Field) -> Read<T> {
        if self.is_missing(field) {
            return Read::Missing;
        }
        let made = self.nested(&format!("{}{}", self.path, field.name));
        made.map_or(Read::Refused, Read::Value)
    }

    fn parts<T: Fields + DeserializeOwned>(&mut self, field: &'static Field) -> Read<Vec<T>> {
        if self.is_missing(field) {
            return Read::Missing;
        }
        let count = if self.making.flaw.is_some() {
            2
        } else {
            self.making.choices.below(4)
        };
        let made = (0..count).map(|n| self.nested(&format!("{}{}.{n}", self.path, field.name)));
        made.collect::<Option<Vec<T>>>()
            .map_or(Read::Refused, Read::Value)
    }

    fn skip(&mut self, field: &'static Field) {
        assert_eq!(self.left.next(), Some(field));
        assert_eq!(field.column, None, "{field:?}");
    }

    fn extra(&mut self) -> Read<Extra> {
        assert!(self.left.as_slice().is_empty(), "unknown fields come last");
        let mut extra = Extra::new();
        if !self.has_extra {
            return Read::Value(extra);
        }
        for _ in 0..self.making.choices.below(3) {
            let name = format!("x{}", self.making.choices.below(10));
            extra.insert(name, json_value(&mut self.making.choices));
        }
        if self
            .making
            .has_flaw(Flaw::Nul, || format!("{}x\\0", self.path))
        {
            extra.insert("x\0".to_owned(), json!(1));
        }
        if self
            .making
            .has_flaw(Flaw::Nul, || format!("{}y", self.path))
        {
            extra.insert("y".to_owned(), json!("\0"));
        }
        for name in &self.known {
            if self
                .making
                .has_flaw(Flaw::Shadow, || format!("{}{name}", self.path))
            {
                extra.insert((*name).to_owned(), json!(1));
            }
        }
        Read::Value(extra)
    }

    fn missing(&mut self, field: &'static Field, way_out: &'static str) {
        assert!(!way_out.is_empty(), "{field:?}");
        self.noted.push(field.name);
    }
}

/// Some numbers to draw by.
fn choices(seed: u64) -> Choices {
    Choices::of(&[
        seed,
        seed.wrapping_mul(0xD134_2543_DE82_EF95),
        77,
        seed << 7,
    ])
}

/// The fields without which there is no record, in their order.
fn required<T: Fields>() -> Vec<&'static str> {
    let names = T::FIELDS.iter().map(|field| field.name);
    let is_required = |name: &&'static str| {
        let mut making = Making::by(&choices(1));
        let missing = Missing::Only(name);
        T::read(&mut Maker::of::<T>(&mut making, String::new(), missing)).is_none()
    };
    names.filter(is_required).collect()
}

fn optional<T: Fields>() -> Vec<&'static str> {
    let required = required::<T>();
    let names = T::FIELDS.iter().map(|field| field.name);
    names.filter(|name| !required.contains(name)).collect()
}

/// A record with all its fields.
fn whole_record<T: Fields>(making: &mut Making, has_extra: bool) -> T {
    let mut maker = Maker::of::<T>(making, String::new(), Missing::Nothing);
    maker.has_extra = has_extra;
    T::read(&mut maker).unwrap()
}

/// What was written of a field.
#[derive(Debug, Clone)]
enum Held {
    Nothing,
    Id(Id<()>),
    Text(String),
    Texts(Vec<String>),
    Bool(bool),
    Whole(i64),
    Float(f64),
    Decimal(Decimal),
    Day(NaiveDate),
    Moment(DateTime<Utc>),
    Json(serde_json::Value),
    Sums(BTreeMap<String, Sums>),
    Part(Row),
    Parts(Vec<Row>),
}

/// A record in memory, field by field.
#[derive(Debug, Clone, Default)]
struct Row {
    fields: Vec<(&'static Field, Held)>,
    extra: Option<Extra>,
}

impl Row {
    fn of<T: Fields>(record: &T) -> Self {
        let mut row = Self::default();
        record.write(&mut row).unwrap();
        let written: Vec<&Field> = row.fields.iter().map(|(field, _)| *field).collect();
        assert_eq!(written, T::FIELDS.iter().collect::<Vec<_>>());
        assert_eq!(row.extra.is_some(), T::HAS_EXTRA);
        row
    }
}

impl FieldWriter for Row {
    fn value(&mut self, field: &'static Field, value: Option<Value<'_>>) -> Result<()> {
        let held = match (field.shape, value) {
            (_, None) => Held::Nothing,
            (Shape::Id, Some(Value::Id(id))) => Held::Id(id),
            (Shape::Text | Shape::TextOrEmpty, Some(Value::Text(text))) => {
                Held::Text(text.to_owned())
            }
            (Shape::Texts, Some(Value::Texts(texts))) => {
                Held::Texts(texts.texts().map(str::to_owned).collect())
            }
            (Shape::Bool, Some(Value::Bool(yes))) => Held::Bool(yes),
            (Shape::Whole(first, last), Some(Value::Whole(number))) => {
                assert!((first..=last).contains(&number), "{field:?}: {number}");
                Held::Whole(number)
            }
            (Shape::Float, Some(Value::Float(number))) => Held::Float(number),
            (Shape::Decimal, Some(Value::Decimal(number))) => Held::Decimal(number),
            (Shape::Day, Some(Value::Day(day))) => Held::Day(day),
            (Shape::Moment, Some(Value::Moment(moment))) => Held::Moment(moment),
            (Shape::Json, Some(Value::Json(json))) => Held::Json(json.clone()),
            (Shape::Sums, Some(Value::Sums(sums))) => Held::Sums(sums.sums().collect()),
            (shape, Some(other)) => panic!("{}: {other:?} is not {shape:?}", field.name),
        };
        self.fields.push((field, held));
        Ok(())
    }

    fn part<T: Fields + Serialize>(&mut self, field: &'static Field, part: &T) -> Result<()> {
        assert_eq!(field.shape, Shape::Part);
        self.fields.push((field, Held::Part(Self::of(part))));
        Ok(())
    }

    fn parts<T: Fields + Serialize>(&mut self, field: &'static Field, parts: &[T]) -> Result<()> {
        assert_eq!(field.shape, Shape::Parts);
        let parts = parts.iter().map(Self::of).collect();
        self.fields.push((field, Held::Parts(parts)));
        Ok(())
    }

    fn extra(&mut self, extra: &Extra) -> Result<()> {
        assert!(self.extra.replace(extra.clone()).is_none());
        Ok(())
    }
}

/// Reads a row back.
#[derive(Debug)]
struct Reader {
    left: std::vec::IntoIter<(&'static Field, Held)>,
    extra: Option<Extra>,
}

impl Reader {
    fn read<T: Fields>(row: Row) -> Option<T> {
        let mut reader = Self {
            left: row.fields.into_iter(),
            extra: row.extra,
        };
        let record = T::read(&mut reader);
        assert!(reader.left.as_slice().is_empty() && reader.extra.is_none());
        record
    }

    fn next(&mut self, field: &'static Field) -> Held {
        let (written, held) = self.left.next().unwrap();
        assert_eq!(written, field);
        held
    }
}

impl FieldReader for Reader {
    fn value<T: Scalar>(&mut self, field: &'static Field) -> Read<T> {
        let held = self.next(field);
        let value = match &held {
            Held::Nothing => return Read::Missing,
            Held::Id(id) => Value::Id(*id),
            Held::Text(text) => Value::Text(text),
            Held::Bool(yes) => Value::Bool(*yes),
            Held::Whole(number) => Value::Whole(*number),
            Held::Float(number) => Value::Float(*number),
            Held::Decimal(number) => Value::Decimal(*number),
            Held::Day(day) => Value::Day(*day),
            Held::Moment(moment) => Value::Moment(*moment),
            Held::Json(json) => Value::Json(json),
            Held::Sums(sums) => Value::Sums(sums),
            Held::Texts(_) | Held::Part(_) | Held::Parts(_) => panic!("{field:?}: {held:?}"),
        };
        Read::Value(T::of(value).unwrap())
    }

    fn texts<T: Scalar>(&mut self, field: &'static Field) -> Read<Vec<T>> {
        let texts = match self.next(field) {
            Held::Nothing => return Read::Missing,
            Held::Texts(texts) => texts,
            other => panic!("{field:?}: {other:?}"),
        };
        let texts = texts.iter().map(|text| T::of(Value::Text(text)).unwrap());
        Read::Value(texts.collect())
    }

    fn part<T: Fields + DeserializeOwned>(&mut self, field: &'static Field) -> Read<T> {
        let part = match self.next(field) {
            Held::Nothing => return Read::Missing,
            Held::Part(part) => part,
            other => panic!("{field:?}: {other:?}"),
        };
        Self::read(part).map_or(Read::Refused, Read::Value)
    }

    fn parts<T: Fields + DeserializeOwned>(&mut self, field: &'static Field) -> Read<Vec<T>> {
        let parts = match self.next(field) {
            Held::Nothing => return Read::Missing,
            Held::Parts(parts) => parts,
            other => panic!("{field:?}: {other:?}"),
        };
        let parts = parts.into_iter().map(Self::read);
        parts
            .collect::<Option<_>>()
            .map_or(Read::Refused, Read::Value)
    }

    fn skip(&mut self, field: &'static Field) {
        self.next(field);
    }

    fn extra(&mut self) -> Read<Extra> {
        self.extra.take().map_or(Read::Missing, Read::Value)
    }

    fn missing(&mut self, field: &'static Field, _: &'static str) {
        panic!("{} was written", field.name);
    }
}

/// A record that is written and read back stays as it is.
fn survives<T: Fields + PartialEq + Debug>(name: &str, choices: &Choices) {
    let mut making = Making::by(choices);
    let missing = Missing::AnyOf(optional::<T>());
    let record = T::read(&mut Maker::of::<T>(&mut making, String::new(), missing));
    let record = record.unwrap_or_else(|| panic!("{name} was not made"));
    assert_eq!(
        Reader::read(Row::of(&record)).as_ref(),
        Some(&record),
        "{name}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_record_survives_being_written_and_read(
        numbers in proptest::collection::vec(any::<u64>(), 1..100)
    ) {
        for_every_record!(survives, &Choices::of(&numbers));
    }

    #[test]
    fn records_survive_by_their_kinds_too(
        numbers in proptest::collection::vec(any::<u64>(), 1..100)
    ) {
        for kind in Kind::ALL {
            let record = of_kind(*kind, &mut Making::by(&Choices::of(&numbers)));
            let mut row = Row::default();
            record.write(&mut row).unwrap();
            let mut reader = Reader { left: row.fields.into_iter(), extra: row.extra };
            prop_assert_eq!(kind.read(&mut reader), Some(record));
        }
    }
}

/// A whole record of a kind.
fn of_kind(kind: Kind, making: &mut Making) -> Record {
    let fields = kind.description().fields;
    let mut maker = Maker {
        making,
        path: String::new(),
        left: fields.iter(),
        known: fields.iter().map(|field| field.name).collect(),
        missing: Missing::Nothing,
        has_extra: true,
        noted: Vec::new(),
    };
    kind.read(&mut maker).unwrap()
}

fn note<T: Fields>(_: &str, tested: &mut Vec<&[Field]>) {
    tested.push(T::FIELDS);
}

/// `for_every_record` forgets none.
#[test]
fn every_kind_and_every_part_is_tested() {
    let mut tested: Vec<&[Field]> = Vec::new();
    for_every_record!(note, &mut tested);
    for kind in Kind::ALL {
        assert!(tested.contains(&kind.description().fields), "{kind}");
        // With a flaw to look for, each list of parts has some.
        let mut making = Making::by(&choices(5));
        (making.flaw, making.place) = (Some(Flaw::Nul), usize::MAX);
        of_kind(*kind, &mut making);
        for part in making.parts {
            assert!(tested.contains(&part), "{kind} has {part:?}");
        }
    }
}

/// The JSON has every field of the list, and nothing else.
fn has_the_names_of_its_json<T: Fields + Serialize>(record: &str, (): ()) {
    let made: T = whole_record(&mut Making::by(&choices(7)), false);
    let json = serde_json::to_value(&made).unwrap();
    let mut found: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let names = T::FIELDS.iter().map(|field| Form::Json.name(field));
    let names: Vec<Cow<'_, str>> = names.collect();
    let mut names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    assert!(
        names.iter().all(|name| !name.contains('_')),
        "{record}: {names:?}"
    );
    found.sort_unstable();
    names.sort_unstable();
    assert_eq!(found, names, "{record}");
    for reserved in T::RESERVED {
        assert!(!names.contains(reserved), "{record}.{reserved}");
        assert!(T::knows(reserved), "{record}.{reserved}");
    }
    assert!(
        T::FIELDS
            .iter()
            .all(|field| T::knows(field.name) != T::OUTSIDE.contains(&field.name)),
        "{record}"
    );
    assert!(!T::knows("x0"), "{record}");
}

/// Through the text of either form.
fn survives_as_json<T>(name: &str, choices: &Choices)
where
    T: Fields + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let mut making = Making::by(choices);
    let missing = Missing::AnyOf(optional::<T>());
    let record = T::read(&mut Maker::of::<T>(&mut making, String::new(), missing)).unwrap();

    let text = serde_json::to_string(&record).unwrap();
    let json = crate::json::parse(text.as_bytes()).unwrap();
    let read = serde_json::from_value(json).map_err(|error| format!("{name}: {error}: {text}"));
    // JSON that is null is kept by the stores only.
    if !text.contains(r#""factors":null"#) {
        assert_eq!(read.as_ref(), Ok(&record), "{text}");
    }

    let text = serde_json::to_string(&InForm::new(Form::Stored, &record)).unwrap();
    let json = crate::json::parse(text.as_bytes()).unwrap();
    let read = read_in_form(Form::Stored, json, |reader| T::read(reader));
    assert_eq!(read.as_ref(), Ok(&record), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_record_survives_as_json(
        numbers in proptest::collection::vec(any::<u64>(), 1..100)
    ) {
        for_every_record!(survives_as_json, &Choices::of(&numbers));
    }
}

/// A field may be missing in JSON exactly if it may be missing in a stored record, and then means
/// the same.
fn has_the_defaults_of_the_stores<T>(record: &str, (): ())
where
    T: Fields + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let without = |json: &serde_json::Value, name: &str| {
        let mut less = json.clone();
        less.as_object_mut().unwrap().remove(name).unwrap();
        less
    };
    let whole: T = whole_record(&mut Making::by(&choices(7)), false);
    let json = serde_json::to_value(&whole).unwrap();
    for field in T::FIELDS {
        let name = Form::Json.name(field);
        let from_json = serde_json::from_value::<T>(without(&json, &name));
        let mut row = Row::of(&whole);
        for (written, held) in &mut row.fields {
            if *written == field {
                *held = Held::Nothing;
            }
        }
        if required::<T>().contains(&field.name) {
            let refused = from_json.unwrap_err().to_string();
            let expected = format!("{name}: is missing; ");
            assert!(refused.starts_with(&expected), "{record}: {refused}");
        } else {
            assert_eq!(
                from_json.unwrap(),
                Reader::read(row).unwrap(),
                "{record}.{name}"
            );
        }
        // Null is no value.
        let mut null = json.clone();
        null[name.as_ref()] = json!(null);
        let is_free = field.required && field.shape == Shape::Json;
        let from_null = serde_json::from_value::<T>(null);
        assert_eq!(
            from_null.is_ok(),
            !field.required || is_free,
            "{record}.{name}"
        );
    }
}

#[test]
fn what_is_missing_in_json_means_what_it_means_in_the_stores() {
    for_every_record!(has_the_defaults_of_the_stores, ());
}

/// A document of Mongoose and a row of a table are read by their own names.
fn is_read_by_the_names_of_the_stores<T>(record: &str, (): ())
where
    T: Fields + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let whole: T = whole_record(&mut Making::by(&choices(9)), true);
    let json = serde_json::to_value(&whole).unwrap();
    for field in T::FIELDS {
        let name = Form::Json.name(field);
        for other in [Some(field.name), field.column].into_iter().flatten() {
            let mut renamed = json.clone();
            let value = renamed
                .as_object_mut()
                .unwrap()
                .remove(name.as_ref())
                .unwrap();
            renamed[other] = value.clone();
            let read = serde_json::from_value::<T>(renamed.clone()).unwrap();
            assert_eq!(read, whole, "{record}.{other}");
            if other != name {
                renamed[name.as_ref()] = value;
                let refused = serde_json::from_value::<T>(renamed)
                    .unwrap_err()
                    .to_string();
                assert!(refused.contains("is there twice"), "{record}: {refused}");
            }
        }
    }
}

#[test]
fn records_are_read_by_the_names_of_the_stores_too() {
    for_every_record!(is_read_by_the_names_of_the_stores, ());
}

/// A value of a wrong type is refused by the path of its field.
fn names_what_it_refuses<T>(record: &str, (): ())
where
    T: Fields + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let whole: T = whole_record(&mut Making::by(&choices(11)), true);
    let json = serde_json::to_value(&whole).unwrap();
    for field in T::FIELDS {
        let name = Form::Json.name(field);
        let mut wrong = json.clone();
        wrong[name.as_ref()] = match field.shape {
            // Any JSON is right, and what is computed is not read.
            Shape::Json => continue,
            _ if field.column.is_none() => continue,
            Shape::Bool => json!("no"),
            _ => json!(true),
        };
        let refused = serde_json::from_value::<T>(wrong).unwrap_err().to_string();
        let expected = format!("{name}: ");
        assert!(refused.starts_with(&expected), "{record}: {refused}");
    }
}

#[test]
fn refused_json_names_its_fields() {
    for_every_record!(names_what_it_refuses, ());
}

#[test]
fn the_listed_names_are_those_of_the_json() {
    for_every_record!(has_the_names_of_its_json, ());
}

/// Names and columns are there once; only computed fields have no column.
fn has_names_and_columns_once<T: Fields>(record: &str, (): ()) {
    let mut columns: Vec<&str> = T::FIELDS.iter().filter_map(|field| field.column).collect();
    assert_eq!(
        T::columns()
            .split(", ")
            .filter(|it| *it != "extra")
            .collect::<Vec<_>>(),
        columns,
        "{record}"
    );
    let without = T::FIELDS.iter().filter(|field| field.column.is_none());
    let without: Vec<&str> = without.map(|field| field.name).collect();
    let computed: &[&str] = if record == "Checklist" {
        &["progress"]
    } else {
        &[]
    };
    assert_eq!(without, computed, "{record}");
    let mut names: Vec<&str> = T::FIELDS.iter().map(|field| field.name).collect();
    for list in [&mut columns, &mut names] {
        let count = list.len();
        list.sort_unstable();
        list.dedup();
        assert_eq!(list.len(), count, "{record}: {list:?}");
    }
}

#[test]
fn names_and_columns_are_listed_once() {
    for_every_record!(has_names_and_columns_once, ());
}

/// Reading goes on after a missing field, so all of them are reported.
fn reports_what_is_missing<T: Fields>(record: &str, expected: &BTreeMap<&str, &[&str]>) {
    let mut making = Making::by(&choices(1));
    let mut maker = Maker::of::<T>(&mut making, String::new(), Missing::All);
    let made = T::read(&mut maker).is_some();
    assert_eq!(maker.noted, expected[record], "{record}");
    assert_eq!(made, maker.noted.is_empty(), "{record}");
    assert!(maker.left.as_slice().is_empty(), "{record}");
    // Each of them alone is enough.
    assert_eq!(required::<T>(), expected[record], "{record}");
}

#[test]
fn all_required_fields_that_are_missing_are_reported() {
    let expected: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("User", &["_id", "authId", "email"][..]),
        ("Account", &["id", "createdAt"]),
        ("MovedAccount", &["id", "createdAt"]),
        (
            "Identity",
            &["accountId", "provider", "subject", "createdAt"],
        ),
        ("Session", &["id", "accountId", "createdAt"]),
        ("AccountPreferences", &["userId"]),
        ("Preferences", &[]),
        ("ConnectedPlatform", &["platform"]),
        ("Book", &["_id", "userId", "title"]),
        ("BookMetadata", &[]),
        ("Checklist", &["_id", "bookId", "userId", "name"]),
        ("Task", &["id", "title"]),
        ("Follow", &["_id", "followerId", "authorId"]),
        ("Post", &["_id", "authorId"]),
        ("Attachment", &["type", "url"]),
        ("Like", &["postId", "likes"]),
        ("Comment", &["postId", "id", "authorId"]),
        (
            "Boost",
            &["_id", "bookId", "userId", "duration", "position"],
        ),
        ("Competitor", &["_id", "userId", "asin"]),
        ("PricePoint", &["price", "date"]),
        ("CompetitorPrice", &["competitorId", "price", "date"]),
        (
            "Sale",
            &[
                "id", "user_id", "book_id", "platform", "date", "revenue", "units",
            ],
        ),
        (
            "DailyAggregate",
            &["id", "user_id", "date", "total_revenue", "total_units"],
        ),
        ("SyncLog", &["id", "user_id", "platform", "status"]),
        ("Insight", &["id", "user_id", "content"]),
        ("Forecast", &["id", "user_id", "forecast_date"]),
    ]);
    for_every_record!(reports_what_is_missing, &expected);
}

/// Puts a flaw into each place of a record that can have it; the check must name the place.
fn is_found_everywhere<T: Fields>(record: &str, (flaw, found): (Flaw, &mut Vec<String>)) {
    for place in 0.. {
        let mut making = Making::by(&choices(3));
        (making.flaw, making.place) = (Some(flaw), place);
        let made: T = whole_record(&mut making, true);
        let checked = check_fields(&made);
        let Some(path) = making.flawed else {
            assert!(checked.is_ok(), "{record}: {checked:?}");
            break;
        };
        let Err(error) = checked else {
            panic!("{record}.{path}: {flaw:?} was not found");
        };
        let ErrorKind::Invalid { field, .. } = error.kind() else {
            panic!("{record}.{path}: {error}");
        };
        assert_eq!(*field, path, "{record}: {error}");
        found.push(format!("{record}.{path}"));
    }
}

#[test]
fn a_nul_is_found_in_every_text() {
    let mut found = Vec::new();
    for_every_record!(is_found_everywhere, (Flaw::Nul, &mut found));
    // Some of each form, so that the walk is known to reach them.
    for path in [
        "User.name",
        "User.preferences.timezone",
        "User.connectedPlatforms.1.y",
        "Book.genres",
        "Book.metadata.series",
        "Checklist.tasks.0.title",
        "Checklist.tasks.1.category",
        "Post.attachments.0.x\\0",
        "Comment.content",
        "SyncLog.error_message",
        "Insight.content.a.1.b",
        "Insight.content.b\\0",
        "Forecast.factors",
    ] {
        assert!(found.iter().any(|it| it == path), "{path}: {found:?}");
    }
}

#[test]
fn a_number_that_is_not_finite_is_found() {
    let mut found = Vec::new();
    for_every_record!(is_found_everywhere, (Flaw::NotFinite, &mut found));
    for path in [
        "Book.metadata.seriesPosition",
        "BookMetadata.seriesPosition",
    ] {
        assert!(found.iter().any(|it| it == path), "{path}: {found:?}");
    }
}

#[test]
fn an_unknown_field_that_shadows_a_known_one_is_found() {
    let mut found = Vec::new();
    for_every_record!(is_found_everywhere, (Flaw::Shadow, &mut found));
    for path in [
        "User._id",
        "User.preferences.theme",
        "User.connectedPlatforms.0.platform",
        "Checklist.progress",
        "Checklist.tasks.1.completedAt",
        "Post.likes",
        "Post.comments",
        "Post.attachments.0.type",
        "Competitor.priceHistory",
    ] {
        assert!(found.iter().any(|it| it == path), "{path}: {found:?}");
    }
}

/// The check of every kind of record looks at the fields, too.
#[test]
fn the_check_of_every_kind_finds_flaws() {
    for kind in Kind::ALL {
        for flaw in [Flaw::Nul, Flaw::NotFinite] {
            // Some draws are refused for other reasons: a boost that ends before it starts.
            let sound = (0..1_000).map(choices).find(|choices| {
                let mut making = Making::by(choices);
                (making.flaw, making.place) = (Some(flaw), usize::MAX);
                of_kind(*kind, &mut making).check().is_ok()
            });
            let sound = sound.unwrap_or_else(|| panic!("no {kind} is sound"));
            for place in 0.. {
                let mut making = Making::by(&sound);
                (making.flaw, making.place) = (Some(flaw), place);
                let record = of_kind(*kind, &mut making);
                let Some(path) = making.flawed else {
                    break;
                };
                let error = record.check().expect_err(&path);
                let is_named = matches!(
                    error.kind(),
                    ErrorKind::Invalid { field, .. } if field.ends_with(&path)
                );
                assert!(is_named, "{kind}.{path}: {error}");
            }
        }
    }
}

/// The fields that a patch cannot change.
fn unchanged_by<P: Patch>() -> Vec<&'static str> {
    let changes = |name: &str| P::FIELDS.iter().any(|field| field.name == name);
    let fields = P::Record::FIELDS.iter().map(|field| field.name);
    fields.filter(|name| !changes(name)).collect()
}

/// A new field is in the patch of its record, or it is named here.
#[test]
fn patches_change_every_field_but_these() {
    let changed_by_calls = ["_id", "userId", "createdAt", "updatedAt"];
    assert_eq!(unchanged_by::<BookPatch>(), changed_by_calls);
    assert_eq!(
        unchanged_by::<UserPatch>(),
        [
            "_id",
            "credits",
            "connectedPlatforms",
            "createdAt",
            "updatedAt"
        ]
    );
    assert_eq!(
        unchanged_by::<AccountPatch>(),
        [
            "id",
            "authProvider",
            "hasMfa",
            "isAnonymous",
            "isBlocked",
            "oldId",
            "createdAt",
            "updatedAt",
            "lastSeenAt"
        ]
    );
    assert_eq!(
        unchanged_by::<AccountPreferencesPatch>(),
        ["userId", "updatedAt"]
    );
    assert_eq!(
        unchanged_by::<ChecklistPatch>(),
        [
            "_id",
            "bookId",
            "userId",
            "templateId",
            "tasks",
            "progress",
            "createdAt",
            "updatedAt"
        ]
    );
    assert_eq!(
        unchanged_by::<TaskPatch>(),
        ["id", "completed", "completedAt"]
    );
    assert_eq!(
        unchanged_by::<PostPatch>(),
        ["_id", "authorId", "createdAt", "updatedAt"]
    );
    assert_eq!(
        unchanged_by::<CompetitorPatch>(),
        [
            "_id",
            "userId",
            "asin",
            "currentPrice",
            "lastChecked",
            "createdAt"
        ]
    );
}

/// A comment may have kept an unknown field that is called as the field of its post's id.
#[test]
fn a_comment_may_hold_a_post_id_of_its_own() {
    let mut comment = Comment::new(Id::new(), Id::new(), "Bravo".to_owned());
    comment.extra.insert("postId".to_owned(), 7.into());
    comment.check().unwrap();
    comment.extra.insert("content".to_owned(), 7.into());
    assert!(comment.check().is_err());
}
