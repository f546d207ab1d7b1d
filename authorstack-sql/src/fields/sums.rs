//! The breakdowns of roll-ups as JSON: a map from a text to sums.

use std::collections::BTreeMap;

use authorstack_core::{Sums, fields::Breakdown};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

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

/// One entry. Numbers are read as texts, never as floats, so they stay exact.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    revenue: &'a RawValue,
    #[serde(borrow, default)]
    units: Option<&'a RawValue>,
    #[serde(borrow, default)]
    page_reads: Option<&'a RawValue>,
}

impl Entry<'_> {
    fn sums(&self) -> Option<Sums> {
        let whole = |number: Option<&RawValue>| match number {
            None => Some(0),
            Some(number) => decimal(number)?.try_into().ok(),
        };
        Some(Sums {
            revenue: decimal(self.revenue)?,
            units: whole(self.units)?,
            page_reads: whole(self.page_reads)?,
        })
    }
}

/// An old app may have written a number as a text, or in scientific notation.
fn decimal(number: &RawValue) -> Option<Decimal> {
    let text = number.get().trim_matches('"');
    let exact = Decimal::from_str_exact(text);
    exact.or_else(|_| Decimal::from_scientific(text)).ok()
}

/// The sums in the JSON, or the problem with it.
pub(crate) fn sums_of(json: &[u8]) -> Result<BTreeMap<String, Sums>, String> {
    let entries: BTreeMap<String, Entry<'_>> =
        serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let entries = entries.into_iter().map(|(name, entry)| {
        let sums = entry.sums();
        let sums = sums.ok_or_else(|| format!("{name:?} has no numbers"))?;
        Ok((name, sums))
    });
    entries.collect()
}
