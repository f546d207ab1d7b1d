//! Record ids: the same ids on every backend.

use std::{
    cmp::Ordering,
    fmt, hash,
    hash::{BuildHasher, RandomState},
    marker::PhantomData,
    str::FromStr,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::{Error, Result};

/// The id of a record of type `T`: a MongoDB ObjectId, 24 hex digits as text.
///
/// Ids made by [`Id::new`] are in creation order (to the second; within one process, fully).
/// PostgreSQL and Supabase store the id as a UUID. The conversion is reversible ([`Id::to_uuid`]).
///
/// ```
/// use authorstack_core::{Id, User};
///
/// let id: Id<User> = "6b0379ca3f6979be1a457c2c".parse()?;
/// assert_eq!(id.to_uuid().to_string(), "6b0379ca-3f69-879b-8e1a-457c2c000000");
/// assert_eq!(Id::from_uuid(id.to_uuid())?, id);
/// # Ok::<(), authorstack_core::Error>(())
/// ```
pub struct Id<T> {
    bytes: [u8; 12],
    record: PhantomData<fn() -> T>,
}

/// What the ids of this process have in common, as the ObjectId specification demands: five random
/// bytes, and a counter that begins at a random number.
struct Process {
    random: [u8; 5],
    counter: AtomicU32,
}

static PROCESS: LazyLock<Process> = LazyLock::new(|| {
    // The keys of a `RandomState` come from the operating system.
    let random = || {
        RandomState::new()
            .hash_one(std::process::id())
            .to_be_bytes()
    };
    let mut five = [0; 5];
    five.copy_from_slice(&random()[..5]);
    let [first, second, third, ..] = random();
    Process {
        random: five,
        counter: AtomicU32::new(u32::from_be_bytes([0, first, second, third])),
    }
});

fn new_bytes() -> [u8; 12] {
    let seconds = Utc::now().timestamp();
    // ObjectIds hold the last 32 bits, which suffice until 2106.
    let counter = PROCESS.counter.fetch_add(1, Relaxed);
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&seconds.to_be_bytes()[4..]);
    bytes[4..9].copy_from_slice(&PROCESS.random);
    bytes[9..].copy_from_slice(&counter.to_be_bytes()[1..]);
    bytes
}

impl<T> Id<T> {
    /// A new id, made like an ObjectId from the time, the process and a counter.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "an id has no default value")]
    pub fn new() -> Self {
        Self::from_bytes(new_bytes())
    }

    /// The id with these twelve bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self {
            bytes,
            record: PhantomData,
        }
    }

    /// The twelve bytes of the id.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 12] {
        self.bytes
    }

    /// The id of this ObjectId (feature `bson`).
    #[cfg(feature = "bson")]
    #[must_use]
    pub const fn from_object_id(oid: bson::oid::ObjectId) -> Self {
        Self::from_bytes(oid.bytes())
    }

    /// The id as BSON's ObjectId (feature `bson`).
    #[cfg(feature = "bson")]
    #[must_use]
    pub const fn to_object_id(self) -> bson::oid::ObjectId {
        bson::oid::ObjectId::from_bytes(self.bytes)
    }

    /// When the id was made, to the second; it is part of the id.
    #[must_use]
    pub fn created_at(self) -> DateTime<Utc> {
        let [a, b, c, d, ..] = self.bytes;
        let seconds = u32::from_be_bytes([a, b, c, d]);
        DateTime::from_timestamp(i64::from(seconds), 0).unwrap_or_default()
    }

    /// The id as PostgreSQL and Supabase store it: a `UUIDv8` (RFC 9562, section 5.8) whose order
    /// is the ids' own.
    #[must_use]
    pub const fn to_uuid(self) -> Uuid {
        let b = self.bytes;
        // The version follows after twelve hex digits, the variant after fifteen.
        Uuid::from_bytes([
            b[0],
            b[1],
            b[2],
            b[3],
            b[4],
            b[5],
            0x80 | (b[6] >> 4),
            (b[6] << 4) | (b[7] >> 4),
            0x80 | (b[7] & 0x0f),
            b[8],
            b[9],
            b[10],
            b[11],
            0,
            0,
            0,
        ])
    }

    /// Reads an id back from its UUID.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the UUID was not made by
    /// [`Id::to_uuid`].
    pub fn from_uuid(uuid: Uuid) -> Result<Self> {
        let u = uuid.as_bytes();
        let id = Self::from_bytes([
            u[0],
            u[1],
            u[2],
            u[3],
            u[4],
            u[5],
            (u[6] << 4) | (u[7] >> 4),
            (u[7] << 4) | (u[8] & 0x0f),
            u[9],
            u[10],
            u[11],
            u[12],
        ]);
        if id.to_uuid() == uuid {
            Ok(id)
        } else {
            Err(Error::invalid(
                "id",
                format!("the UUID {uuid} does not hold an AuthorStack id; map it first"),
            ))
        }
    }

    /// The id as one of another record type, for code that is generic over records.
    #[must_use]
    pub const fn cast<U>(self) -> Id<U> {
        Id::from_bytes(self.bytes)
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}
impl<T> hash::Hash for Id<T> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl<T> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 24];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.bytes) {
            *pair = [
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ];
        }
        f.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

impl<T> FromStr for Id<T> {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|it| u8::try_from(it).ok())
        };
        let read = || {
            let (pairs, rest) = text.as_bytes().as_chunks::<2>();
            let mut bytes = [0; 12];
            if pairs.len() != bytes.len() || !rest.is_empty() {
                return None;
            }
            for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
                *byte = digit(*high)? << 4 | digit(*low)?;
            }
            Some(Self::from_bytes(bytes))
        };
        read().ok_or_else(|| Error::invalid("id", "an id is 24 hexadecimal digits"))
    }
}

impl<T> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, T> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn uuid_is_reversible_and_keeps_the_order(a: [u8; 12], b: [u8; 12]) {
            let (a, b) = (Id::<()>::from_bytes(a), Id::<()>::from_bytes(b));
            prop_assert_eq!(Id::from_uuid(a.to_uuid()).unwrap(), a);
            prop_assert_eq!(a.cmp(&b), a.to_uuid().cmp(&b.to_uuid()));
            prop_assert_eq!(a.to_uuid().get_version_num(), 8);
            prop_assert_eq!(a.to_string().parse::<Id<()>>().unwrap(), a);
        }

        #[test]
        fn a_uuid_of_another_making_is_refused(bytes: [u8; 16]) {
            let uuid = Uuid::from_bytes(bytes);
            if let Ok(id) = Id::<()>::from_uuid(uuid) {
                prop_assert_eq!(id.to_uuid(), uuid);
            }
        }
    }

    #[test]
    fn texts_are_those_of_object_ids() {
        let id: Id<()> = "6B0379CA3f6979be1a457c2c".parse().unwrap();
        assert_eq!(id.to_string(), "6b0379ca3f6979be1a457c2c");
        assert_eq!(format!("{id:>26}"), "  6b0379ca3f6979be1a457c2c");
        for text in [
            "",
            "6b0379ca3f6979be1a457c2",
            "6b0379ca3f6979be1a457c2c0",
            "zz0379ca3f6979be1a457c2c",
            "6b0379ca3f6979be1a457c2\u{e9}",
        ] {
            assert!(text.parse::<Id<()>>().is_err(), "{text}");
        }
    }

    #[test]
    fn new_ids_differ_and_begin_with_the_time() {
        let ids: std::collections::BTreeSet<_> = (0..10_000).map(|_| Id::<()>::new()).collect();
        assert_eq!(ids.len(), 10_000);
        let age = Utc::now() - Id::<()>::new().created_at();
        assert!((0..=2).contains(&age.num_seconds()), "{age}");
    }

    #[test]
    fn the_published_example_holds() {
        let id: Id<()> = "6b0379ca3f6979be1a457c2c".parse().unwrap();
        assert_eq!(
            id.to_uuid().to_string(),
            "6b0379ca-3f69-879b-8e1a-457c2c000000"
        );
        assert_eq!(id.created_at().timestamp(), 0x6b03_79ca);
    }
}
