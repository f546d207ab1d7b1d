//! What all makers of documents share: random choices, ids, words, the lists of documents and cases.

use authorstack_core::migrate::Kind;
use bson::{
    Binary, Bson, DateTime, Decimal128, Document, RawDocumentBuf, doc, oid::ObjectId,
    spec::BinarySubtype,
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::case::{Case, Dataset, Fate};

pub(super) const GIVEN: &[&str] = &[
    "Ada", "Bruno", "Chiyo", "Dalia", "Emeka", "Freya", "Goran", "Hana", "Ines", "Jonas", "Kofi",
    "Leïla", "Marek", "Nadia", "Oisín", "Priya", "Quang", "Rosa", "Søren", "Tamar",
];
pub(super) const FAMILY: &[&str] = &[
    "Abara",
    "Bianchi",
    "Costa",
    "Dubois",
    "Eriksen",
    "Farkas",
    "Grünwald",
    "Hayashi",
    "Ivanova",
    "Jensen",
    "Kowalski",
    "Lindqvist",
    "Mensah",
    "Novák",
    "Okafor",
    "Pereira",
    "Quispe",
    "Rossi",
];
const WORDS: &[&str] = &[
    "harbour", "winter", "glass", "orchard", "signal", "quiet", "ember", "river", "letters",
    "salt", "midnight", "garden", "hollow", "crown", "paper", "storm", "lantern", "atlas",
    "mirror", "feather", "iron", "island", "promise", "shadow", "wolf", "clock", "bridge", "tide",
];

pub(super) struct Maker {
    pub(super) random: StdRng,
    counter: u32,
    pub(super) set: Dataset,
}

/// A moment in 2021. The ids count from it.
const START: u32 = 1_614_556_800;

impl Maker {
    /// `from` is the number of the first id.
    pub(super) fn new(seed: u64, from: u32) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            counter: from,
            set: Dataset::default(),
        }
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        *from.choose(&mut self.random).unwrap_or(&from[0])
    }

    pub(super) fn id(&mut self) -> ObjectId {
        self.counter += 1;
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&(START + self.counter * 7).to_be_bytes());
        self.random.fill(&mut bytes[4..9]);
        bytes[9..].copy_from_slice(&self.counter.to_be_bytes()[1..]);
        ObjectId::from_bytes(bytes)
    }

    /// A number that no other document has.
    pub(super) fn number(&self) -> u32 {
        self.counter
    }

    pub(super) fn date(&mut self) -> DateTime {
        let millis = self
            .random
            .random_range(1_500_000_000_000..1_760_000_000_000);
        DateTime::from_millis(millis)
    }

    pub(super) fn text(&mut self, words: usize) -> String {
        let words: Vec<&str> = (0..words).map(|_| self.pick(WORDS)).collect();
        words.join(" ")
    }

    /// Adds a document, one record of its kind.
    pub(super) fn add(&mut self, kind: Kind, document: &Document) {
        let documents = self.set.documents.entry(kind).or_default();
        documents.push(raw(document));
        self.count(kind, 1);
    }

    /// Notes records that a migration will read.
    pub(super) fn count(&mut self, kind: Kind, records: usize) {
        *self.set.records.entry(kind).or_default() += records as u64;
    }

    /// Adds a dirty document.
    pub(super) fn add_case(
        &mut self,
        kind: Kind,
        about: &'static str,
        fate: Fate,
        document: &Document,
    ) {
        self.add(kind, document);
        self.case(kind, about, key(document), fate);
    }

    /// Notes what must happen to a record.
    pub(super) fn case(&mut self, kind: Kind, about: &'static str, key: String, fate: Fate) {
        self.set.cases.push(Case {
            about,
            kind,
            key,
            fate,
        });
    }

    /// Replaces bytes of the last document, by bytes that no type of a driver can hold.
    pub(super) fn patch_last(&mut self, kind: Kind, from: &[u8], to: &[u8]) {
        let documents = self.set.documents.get_mut(&kind);
        let Some(last) = documents.and_then(|documents| documents.last_mut()) else {
            return;
        };
        let mut bytes = last.as_bytes().to_vec();
        if let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        if let Ok(document) = RawDocumentBuf::from_bytes(bytes) {
            *last = document;
        }
    }
}

/// An id that no document has.
pub(super) const NOBODY: ObjectId = ObjectId::from_bytes([0x6b; 12]);

pub(super) fn unknown_fields() -> Document {
    doc! {
        "owner": ObjectId::from_bytes([7; 12]),
        "since": DateTime::from_millis(1_400_000_000_123),
        "first": DateTime::from_millis(-62_200_000_000_000),
        "price": decimal("19.90"),
        "blob": Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 1, 254, 255] },
        "uuid": Binary { subtype: BinarySubtype::Uuid, bytes: vec![9; 16] },
        "flags": [true, false, Bson::Null],
        "counts": { "small": 1, "large": 9_007_199_254_740_993_i64, "half": 0.5, "whole": 2.0 },
        "pattern": Bson::RegularExpression(bson::Regex {
            pattern: bson::raw::cstr!("^a.*").to_owned(),
            options: bson::raw::cstr!("i").to_owned(),
        }),
        "nested": [{ "deeper": [{ "id": ObjectId::from_bytes([8; 12]) }] }],
        "текст": "ключ",
        "": "an empty name",
    }
}

pub(super) fn decimal(text: &str) -> Bson {
    text.parse::<Decimal128>()
        .map_or(Bson::Null, Bson::Decimal128)
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap_or_default()
}

/// The document's key, as the migration names it.
pub(super) fn key(document: &Document) -> String {
    match document.get("_id") {
        Some(Bson::ObjectId(id)) => id.to_hex(),
        Some(other) => other.clone().into_canonical_extjson().to_string(),
        None => String::new(),
    }
}

pub(super) fn title_case(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ")
}
