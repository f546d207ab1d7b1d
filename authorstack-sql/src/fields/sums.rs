//! Sums by a text: the breakdowns of roll-ups in JSON.

use std::collections::BTreeMap;

use authorstack_core::{Sums, fields::Breakdown, json};
use rust_decimal::Decimal;
use serde_json::Value;

/// Writes sums as JSON. Amounts are numbers, exact to the cent.
pub fn write_sums(buffer: &mut Vec<u8>, breakdown: &dyn Breakdown) {
    use std::io::Write as _;
    buffer.push(b'{');
    for (index, (key, sums)) in breakdown.sums().enumerate() {
        if index > 0 {
            buffer.push(b',');
        }
        let key = serde_json::Value::from(key);
        let (revenue, units, reads) = (sums.revenue, sums.units, sums.page_reads);
        // Writing into a vector cannot fail.
        let _ = write!(
            buffer,
            r#"{key}:{{"revenue":{revenue},"units":{units},"page_reads":{reads}}}"#
        );
    }
    buffer.push(b'}');
}

/// The sums of one entry. Its numbers are texts, so they stay exact.
fn sums(entry: &Value) -> Option<Sums> {
    let entry = entry.as_object()?;
    let whole = |name: &str| match entry.get(name) {
        None | Some(Value::Null) => Some(0),
        Some(number) => decimal(number)?.try_into().ok(),
    };
    Some(Sums {
        revenue: match entry.get("revenue") {
            None | Some(Value::Null) => Decimal::ZERO,
            Some(number) => decimal(number)?,
        },
        units: whole("units")?,
        page_reads: whole("page_reads")?,
    })
}

/// An old app may have written a number as a text, or in scientific notation. It may have added up
/// floats: digits far behind the cent are what is left of that.
fn decimal(number: &Value) -> Option<Decimal> {
    read_sum(number.as_str()?)
}

/// The amount that a text of a breakdown means: exact, unless it has more digits than a decimal
/// number holds.
#[must_use]
pub fn read_sum(text: &str) -> Option<Decimal> {
    json::parse_decimal(text).or_else(|| residue(text))
}

/// A number that is nearly zero, or has too many digits behind the decimal point, rounded to the 28
/// that a decimal number has.
fn residue(text: &str) -> Option<Decimal> {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let number: Decimal = digits.parse().ok()?;
    let exponent: i64 = exponent.parse().ok()?;
    let scale = i64::from(number.scale()).checked_sub(exponent)?;
    if exponent == 0 {
        return Some(number);
    }
    if !(0..=100).contains(&scale) {
        return None;
    }
    let mut small = number;
    for _ in 0..exponent.unsigned_abs() {
        small = small.checked_div(Decimal::TEN)?;
    }
    (exponent < 0).then_some(small)
}

/// The sums that JSON holds.
///
/// # Errors
/// What is wrong with the JSON.
pub fn sums_of(json: &[u8]) -> Result<BTreeMap<String, Sums>, String> {
    let read = json::parse_numbers_as_texts(json).map_err(|error| error.to_string())?;
    let Value::Object(entries) = read else {
        return Err("is not an object with sums".to_owned());
    };
    let entries = entries.into_iter().map(|(name, entry)| {
        let sums = sums(&entry).ok_or_else(|| format!("{name:?} has no numbers"))?;
        Ok((name, sums))
    });
    entries.collect()
}
