//! Values as bytes: a version, whether the record exists, and its JSON.

use serde::{Serialize, de::DeserializeOwned};

/// The version of the form. A value of another version is a miss, so a release may change the form.
const VERSION: u8 = 1;

const FOUND: u8 = b'+';
const ABSENT: u8 = b'-';

/// The bytes of a value. `None` if its JSON does not give the same value back: it is not cached then.
pub(crate) fn encode<T: Serialize + DeserializeOwned + PartialEq>(value: &T) -> Option<Vec<u8>> {
    let mut bytes = vec![VERSION, FOUND];
    serde_json::to_writer(&mut bytes, value).ok()?;
    (decode::<T>(&bytes)?.as_ref() == Some(value)).then_some(bytes)
}

/// The bytes that say that a record does not exist.
pub(crate) fn encode_absent() -> Vec<u8> {
    vec![VERSION, ABSENT]
}

/// The value of bytes, `Some(None)` for a record that does not exist; `None` if they cannot be read.
#[allow(clippy::option_option, reason = "unreadable and absent are two things")]
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<Option<T>> {
    match bytes {
        [VERSION, ABSENT] => Some(None),
        [VERSION, FOUND, json @ ..] => serde_json::from_slice(json).ok().map(Some),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed check of a test panics")]

    use super::*;

    #[test]
    fn bytes_of_another_release_are_a_miss() {
        let bytes = encode(&vec![1, 2]).unwrap();
        assert_eq!(decode::<Vec<i32>>(&bytes), Some(Some(vec![1, 2])));
        assert_eq!(decode::<Vec<i32>>(&encode_absent()), Some(None));
        let mut newer = bytes.clone();
        newer[0] += 1;
        let other: [&[u8]; 6] = [
            &newer,
            b"",
            b"[1,2]",
            &bytes[..1],
            &bytes[..3],
            &[1, b'?', 1],
        ];
        for bytes in other {
            assert_eq!(decode::<Vec<i32>>(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn what_json_does_not_keep_is_not_cached() {
        assert_eq!(encode(&f64::NAN), None);
    }
}
