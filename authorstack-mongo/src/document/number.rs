//! Reads numbers of every BSON type, exactly or not at all.

use crate::raw::Raw;
use bson::Decimal128;

/// A finite decimal number: `digits × 10^exponent`, without outer zeros in `digits`; zero has
/// none.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

/// Reads decimal notation, such as `-12.50` or `1E+3`.
fn decimal(text: &str) -> Option<Decimal> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = [whole, fraction].concat();
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = all.trim_start_matches('0');
    let digits = significant.trim_end_matches('0');
    let shifted = i64::try_from(significant.len() - digits.len()).ok()?;
    let behind_point = i64::try_from(fraction.len()).ok()?;
    Some(Decimal {
        negative: negative && !digits.is_empty(),
        exponent: if digits.is_empty() {
            0
        } else {
            i64::from(exponent) - behind_point + shifted
        },
        digits: digits.to_owned(),
    })
}

fn integer_of(decimal: &Decimal) -> Option<i64> {
    /// An `i64` has at most this many digits.
    const MOST: i64 = 19;
    if decimal.digits.is_empty() {
        return Some(0);
    }
    let zeros = usize::try_from(decimal.exponent).ok()?;
    if decimal.exponent > MOST {
        return None;
    }
    let sign = if decimal.negative { "-" } else { "" };
    format!("{sign}{}{}", decimal.digits, "0".repeat(zeros))
        .parse()
        .ok()
}

/// The number as text, if the type is a number or a string. Blanks around a number mean nothing.
fn text_of(value: Raw<'_>) -> Option<String> {
    match value {
        Raw::Decimal(bytes) => Some(Decimal128::from_bytes(bytes).to_string()),
        Raw::Text(bytes) => {
            let text = std::str::from_utf8(bytes).ok()?;
            Some(text.trim().to_owned())
        }
        _ => None,
    }
}

/// True or false, from the values that Mongoose casts: 1 and 0, yes and no, and the words as text.
pub(super) fn truth(value: Raw<'_>) -> Option<bool> {
    if let Raw::Text(bytes) = value {
        let word = std::str::from_utf8(bytes).ok()?.trim();
        let is = |words: [&str; 3]| words.iter().any(|it| word.eq_ignore_ascii_case(it));
        return match () {
            () if is(["true", "1", "yes"]) => Some(true),
            () if is(["false", "0", "no"]) => Some(false),
            () => None,
        };
    }
    match integer(value)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// The value as an integer, if it is exactly an integer.
pub(super) fn integer(value: Raw<'_>) -> Option<i64> {
    match value {
        Raw::Int32(number) => Some(number.into()),
        Raw::Int64(number) => Some(number),
        Raw::Double(number) => double_as_integer(number),
        other => integer_of(&decimal(&text_of(other)?)?),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn double_as_integer(number: f64) -> Option<i64> {
    /// 2^63, the first double that is too large.
    const END: f64 = 9_223_372_036_854_775_808.0;
    (number.fract() == 0.0 && (-END..END).contains(&number)).then_some(number as i64)
}

/// The value as a double, if a double can hold it exactly.
pub(super) fn double(value: Raw<'_>) -> Option<f64> {
    match value {
        Raw::Double(number) => number.is_finite().then_some(number),
        Raw::Int32(number) => Some(number.into()),
        Raw::Int64(number) => {
            #[expect(clippy::cast_precision_loss, reason = "checked by converting back")]
            let nearest = number as f64;
            (double_as_integer(nearest) == Some(number)).then_some(nearest)
        }
        other => {
            let text = text_of(other)?;
            let exact = decimal(&text)?;
            let nearest: f64 = text.parse().ok()?;
            (nearest.is_finite() && decimal(&nearest.to_string())? == exact).then_some(nearest)
        }
    }
}

/// The number in plain notation, such as `1200` for `1.2E+3`.
pub(super) fn plain(value: Raw<'_>) -> Option<String> {
    /// More zeros than any amount of money has.
    const MOST: i64 = 40;
    let text = match value {
        Raw::Int32(number) => return Some(number.to_string()),
        Raw::Int64(number) => return Some(number.to_string()),
        other => text_of(other)?,
    };
    let Decimal {
        negative,
        digits,
        exponent,
    } = decimal(&text)?;
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    let zeros = usize::try_from(exponent.abs()).ok()?;
    if exponent.abs() > MOST {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    Some(if exponent >= 0 {
        format!("{sign}{digits}{}", "0".repeat(zeros))
    } else {
        let padded = format!(
            "{}{digits}",
            "0".repeat((zeros + 1).saturating_sub(digits.len()))
        );
        let (whole, fraction) = padded.split_at(padded.len() - zeros);
        format!("{sign}{whole}.{fraction}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dec(text: &str) -> Raw<'static> {
        Raw::Decimal(text.parse::<Decimal128>().unwrap().bytes())
    }

    #[test]
    fn integers_are_exact_or_nothing() {
        let table: &[(Raw<'_>, Option<i64>)] = &[
            (Raw::Double(10.0), Some(10)),
            (Raw::Double(-0.0), Some(0)),
            (Raw::Double(10.5), None),
            (Raw::Double(f64::NAN), None),
            (Raw::Double(f64::INFINITY), None),
            (Raw::Double(9_223_372_036_854_775_808.0), None),
            (Raw::Double(-9_223_372_036_854_775_808.0), Some(i64::MIN)),
            (dec("1E+3"), Some(1000)),
            (dec("10.00"), Some(10)),
            (dec("10.01"), None),
            (dec("NaN"), None),
            (dec("-Infinity"), None),
            (dec("1E+6000"), None),
            (dec("0E+6000"), Some(0)),
            (Raw::Text(b"42"), Some(42)),
            (Raw::Text(b"-42.0"), Some(-42)),
            (Raw::Text(b"9223372036854775807"), Some(i64::MAX)),
            (Raw::Text(b"9223372036854775808"), None),
            (Raw::Text(b"1e999999999999"), None),
            (Raw::Text(b""), None),
            (Raw::Text(b" 42\n"), Some(42)),
            (Raw::Text(b"4 2"), None),
            (Raw::Text(b"."), None),
            (Raw::Text(b"ten"), None),
            (Raw::Text(b"\xff"), None),
            (Raw::Bool(true), None),
            (Raw::Date(1), None),
        ];
        for (value, expected) in table {
            assert_eq!(integer(*value), *expected, "{value:?}");
        }
    }

    #[test]
    fn plain_notation_has_no_exponent() {
        for (value, expected) in [
            (dec("1.2E+3"), Some("1200")),
            (dec("4.990"), Some("4.99")),
            (dec("1E-6"), Some("0.000001")),
            (dec("-0.5"), Some("-0.5")),
            (dec("0E+30"), Some("0")),
            (dec("1E+6000"), None),
            (dec("NaN"), None),
            (Raw::Text(b" 12.50 "), Some("12.5")),
            (Raw::Text(b"free"), None),
            (Raw::Int64(-7), Some("-7")),
        ] {
            assert_eq!(plain(value).as_deref(), expected, "{value:?}");
        }
    }

    #[test]
    fn doubles_keep_the_value() {
        assert_eq!(double(dec("1.5")), Some(1.5));
        assert_eq!(double(dec("0.1")), Some(0.1));
        assert_eq!(double(dec("0.12345678901234567890123")), None);
        assert_eq!(double(Raw::Int64(i64::MAX)), None);
        assert_eq!(
            double(Raw::Int64(1 << 60)),
            Some(1_152_921_504_606_846_976.0)
        );
        assert_eq!(double(Raw::Text(b" 2.50 ")), Some(2.5));
        assert_eq!(double(Raw::Double(f64::INFINITY)), None);
    }

    #[test]
    fn truth_is_read_as_mongoose_casts_it() {
        for (value, expected) in [
            (Raw::Text(b"true"), Some(true)),
            (Raw::Text(b" Yes "), Some(true)),
            (Raw::Text(b"1"), Some(true)),
            (Raw::Text(b"FALSE"), Some(false)),
            (Raw::Text(b"no"), Some(false)),
            (Raw::Text(b"0"), Some(false)),
            (Raw::Text(b""), None),
            (Raw::Text(b"on"), None),
            (Raw::Int32(1), Some(true)),
            (Raw::Double(0.0), Some(false)),
            (dec("1"), Some(true)),
            (Raw::Int64(2), None),
            (Raw::Double(0.5), None),
            (Raw::Date(1), None),
        ] {
            assert_eq!(truth(value), expected, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn every_integer_reads_from_its_text(number: i64) {
            let text = number.to_string();
            prop_assert_eq!(integer(Raw::Text(text.as_bytes())), Some(number));
            prop_assert_eq!(integer(Raw::Text(format!("{text}.000").as_bytes())), Some(number));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = (integer(Raw::Text(text.as_bytes())), double(Raw::Text(text.as_bytes())));
        }
    }
}
