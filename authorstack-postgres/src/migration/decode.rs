//! Reads rows of a rejects file as records. They may have been fixed by hand.

use authorstack_core::{
    SET_ASIDE,
    fields::Shape,
    json::parse_decimal,
    migrate::{Kind, Problem, Problems, Record},
};
use authorstack_sql::read_sum;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{encode::UNREADABLE, shared::Shared};

/// As [`read`], but what makes no sense in fields that a record can do without is set aside. Also
/// returns what was.
pub(super) fn read_setting_aside(
    shared: &Shared,
    kind: Kind,
    value: &Value,
) -> Result<(Record, Problems), Problems> {
    let (mut row, mut set_aside) = (value.clone(), Problems::default());
    // Some problems show only once others are gone.
    for _ in 0..=kind.fields().len() {
        let problems = match read(shared, kind, &row) {
            Ok(record) => return Ok((record, set_aside)),
            Err(problems) => problems,
        };
        let mut columns = problems.0.iter().map(|problem| column_of(&problem.field));
        let dispensable = |name: &str| {
            let mut fields = kind.fields().iter();
            fields.any(|field| field.name == name && !field.vital)
        };
        if !columns.all(dispensable) {
            return Err(problems);
        }
        let Value::Object(columns) = &mut row else {
            return Err(problems);
        };
        for problem in problems.0 {
            let name = column_of(&problem.field);
            if let Some(original) = columns.remove(name) {
                let rest = three_numbers(&original);
                if rest != original {
                    columns.insert(name.to_owned(), rest);
                }
                keep_aside(columns, name, original);
                set_aside.push(problem);
            }
        }
    }
    read(shared, kind, &row).map(|record| (record, set_aside))
}

/// A breakdown with nothing but the numbers that sums have, and with the digits that these hold. Any
/// other value as it is.
fn three_numbers(value: &Value) -> Value {
    let Value::Object(sums) = value else {
        return value.clone();
    };
    let reduced = sums.iter().map(|(key, sum)| {
        let Value::Object(sum) = sum else {
            return (key.clone(), sum.clone());
        };
        let numbers = sum.iter().filter_map(|(name, number)| {
            let number = match name.as_str() {
                "revenue" => amount(number),
                name if SUMS.contains(&name) => number.clone(),
                "pageReads" if !sum.contains_key("page_reads") => number.clone(),
                _ => return None,
            };
            Some((name.clone(), number))
        });
        (key.clone(), Value::Object(numbers.collect()))
    });
    Value::Object(reduced.collect())
}

/// The column that a problem is about.
fn column_of(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// Puts a value into what `extra` keeps of the values that make no sense.
fn keep_aside(row: &mut Map<String, Value>, name: &str, original: Value) {
    let extra = row
        .entry("extra")
        .or_insert_with(|| Value::Object(Map::new()));
    // A row without other columns has null there.
    if extra.is_null() {
        *extra = Value::Object(Map::new());
    }
    let Value::Object(extra) = extra else { return };
    let aside = extra
        .entry(SET_ASIDE)
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(aside) = aside {
        // What is left of it may make no sense either.
        aside.entry(name).or_insert(original);
    }
}

/// Reads a row strictly.
pub(super) fn read(shared: &Shared, kind: Kind, value: &Value) -> Result<Record, Problems> {
    let Value::Object(row) = value else {
        return Err(Problem::new("record", "is not a JSON object; restore the line").into());
    };
    let mut problems = Problems::default();
    let (mut fields, mut extra) = (Map::new(), Map::new());
    for (name, value) in row {
        // `content` is required JSON, for which null is a value. A row without one lacks the name.
        if value.is_null() && name != "content" {
            continue;
        }
        if !kind.fields().iter().any(|field| field.name == name) {
            other(&mut extra, name, value);
            continue;
        }
        if value.get(UNREADABLE).is_some() {
            let problem = "is nested too deep; correct it in the source, or write another value";
            problems.push(Problem::new(name.clone(), problem));
            continue;
        }
        match field(shared, kind, name, value) {
            Ok(value) => {
                fields.insert(name.clone(), value);
            }
            Err(problem) => problems.push(Problem::new(name.clone(), problem)),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if !extra.is_empty() {
        fields.insert("extra".to_owned(), Value::Object(extra));
    }
    // "Always valid" means no date.
    if fields
        .get("valid_until")
        .is_some_and(|until| until == "infinity")
    {
        fields.remove("valid_until");
    }
    for field in kind.fields() {
        if let Some(default) = default_of(field.name) {
            fields.entry(field.name).or_insert(default);
        }
    }
    Record::from_json(kind, Value::Object(fields))
}

/// A column that the schema does not know. The schema's own column `extra` has several.
fn other(extra: &mut Map<String, Value>, name: &str, value: &Value) {
    match value {
        Value::Object(several) if name == "extra" => {
            for (name, value) in several {
                extra.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        // 5.00 is 5, as the tables hold it.
        Value::Number(number) => {
            let whole = number.as_f64().filter(|_| !number.is_i64());
            let whole = whole.and_then(|number| format!("{number}").parse::<i64>().ok());
            extra.insert(
                name.to_owned(),
                whole.map_or_else(|| value.clone(), Value::from),
            );
        }
        _ => {
            extra.insert(name.to_owned(), value.clone());
        }
    }
}

/// The default for a missing value of a row, if it has one.
fn default_of(name: &str) -> Option<Value> {
    match name {
        "page_reads" | "total_page_reads" | "records_synced" => Some(0.into()),
        "currency" => Some("USD".into()),
        _ => None,
    }
}

/// A value in the form of the records' JSON.
fn field(shared: &Shared, kind: Kind, name: &str, value: &Value) -> Result<Value, String> {
    let mut fields = kind.fields().iter();
    match fields
        .find(|field| field.name == name)
        .map(|field| field.shape)
    {
        // Numbers become texts, which are exact.
        Some(Shape::Decimal) => Ok(as_text(value)),
        Some(Shape::Moment) => Ok(moment(value)),
        Some(Shape::Sums) => breakdown(shared, name, value),
        Some(Shape::Id) => match value {
            Value::String(text) => id(shared, text).map(Value::String),
            other => Ok(other.clone()),
        },
        Some(Shape::Whole(..)) => Ok(whole(value)),
        Some(Shape::Day) => Ok(day(value)),
        Some(Shape::Text | Shape::TextOrEmpty) => Ok(match (name, value) {
            ("platform", Value::String(text)) => Value::from(text.trim()),
            ("status", Value::String(text)) => Value::from(text.trim().to_lowercase()),
            _ => value.clone(),
        }),
        _ => Ok(value.clone()),
    }
}

/// A whole number that the source has as a text, or with zeros behind the decimal point.
fn whole(value: &Value) -> Value {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        other => return other.clone(),
    };
    let (digits, zeros) = text.split_once('.').unwrap_or((&text, ""));
    let is_whole = zeros.bytes().all(|digit| digit == b'0');
    match digits.trim_start_matches('+').parse::<i64>() {
        Ok(whole) if is_whole => whole.into(),
        _ => value.clone(),
    }
}

/// A day that the source has as its first moment.
fn day(value: &Value) -> Value {
    let text = value.as_str().map(str::trim).unwrap_or_default();
    match text.split_at_checked(10) {
        Some((day, rest)) if rest.bytes().all(|c| b"T 0:.Z+".contains(&c)) => day.into(),
        _ => value.clone(),
    }
}

/// The digits of an id. The row has it as a UUID; a fix may write it as digits.
fn id(shared: &Shared, text: &str) -> Result<String, String> {
    let Ok(uuid) = Uuid::try_parse(text) else {
        return Ok(text.to_owned());
    };
    // An id has no hyphens, and fewer digits than a UUID.
    match shared.id(uuid) {
        Some(id) => Ok(id.to_string()),
        None => Err(shared.no_id(text)),
    }
}

fn as_text(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        other => other.clone(),
    }
}

/// An amount of a breakdown. Floats that were added up have more digits than a decimal number.
fn amount(value: &Value) -> Value {
    let text = as_text(value);
    let read = text.as_str().and_then(read_sum);
    read.map_or(text, |read| Value::String(read.to_string()))
}

/// A moment in a column without a zone is in UTC. A text may leave out the seconds, the minutes of
/// the zone, or the time.
fn moment(value: &Value) -> Value {
    let Value::String(text) = value else {
        return value.clone();
    };
    let text = text.trim();
    let Some((day, rest)) = text.split_at_checked(10) else {
        return value.clone();
    };
    let Some(time) = rest.strip_prefix(['T', ' ']) else {
        let is_day = rest.is_empty() && day.bytes().filter(|c| *c == b'-').count() == 2;
        let midnight = || Value::String(format!("{day}T00:00:00Z"));
        return if is_day { midnight() } else { value.clone() };
    };
    let at = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(at);
    let clock = clock.trim_end();
    let seconds = if clock.len() == 5 { ":00" } else { "" };
    let zone = match zone {
        "" | "z" => "Z".to_owned(),
        hours if hours.len() == 3 => format!("{hours}:00"),
        zone => match zone.split_at_checked(3) {
            Some((hours, minutes)) if minutes.len() == 2 => format!("{hours}:{minutes}"),
            _ => zone.to_owned(),
        },
    };
    Value::String(format!("{day}T{clock}{seconds}{zone}"))
}

/// The names of a sum.
const SUMS: [&str; 3] = ["revenue", "units", "page_reads"];

fn breakdown(shared: &Shared, name: &str, value: &Value) -> Result<Value, String> {
    let Value::Object(sums) = value else {
        return Err("is not an object; correct it, or leave it out".to_owned());
    };
    let mut read = Map::new();
    for (key, sum) in sums {
        let key = match name {
            "book_breakdown" => id(shared, key)?,
            _ => key.clone(),
        };
        let Value::Object(sum) = sum else {
            return Err(format!("{key:?} has no sums"));
        };
        let mut sum = sum.clone();
        if let Some(reads) = sum.remove("pageReads")
            && sum.insert("page_reads".to_owned(), reads).is_some()
        {
            return Err(format!(
                "{key:?} has page reads twice; leave one of them out"
            ));
        }
        let mut names = sum.keys();
        if let Some(other) = names.find(|name| !SUMS.contains(&name.as_str())) {
            return Err(format!(
                "{key:?} has {other:?}, which sums do not have; leave it out"
            ));
        }
        for (name, default) in [("units", 0), ("page_reads", 0)] {
            let number = sum.entry(name).or_insert_with(|| default.into());
            if let Value::String(text) = number
                && let Ok(whole) = text.parse::<i64>()
            {
                *number = whole.into();
            }
        }
        sum.entry("revenue").or_insert_with(|| 0.into());
        if let Some(revenue) = sum.get_mut("revenue") {
            let text = as_text(revenue);
            let is_rounded = |text: &str| parse_decimal(text).is_none() && read_sum(text).is_some();
            if text.as_str().is_some_and(is_rounded) {
                return Err(format!("{key:?} has an amount with more than 28 digits"));
            }
            *revenue = amount(revenue);
        }
        if read.insert(key.clone(), Value::Object(sum)).is_some() {
            return Err(format!("names {key:?} twice"));
        }
    }
    Ok(Value::Object(read))
}
