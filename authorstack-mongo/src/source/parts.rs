//! Records that MongoDB keeps within others: likes and comments within posts, prices within
//! competitors. A migration reads them one by one.
//!
//! A part's original is a document of its own, `{postId, likes}`: the whole's id as it is, and
//! the one element as it is.

use authorstack_core::{
    Error, Result,
    migrate::{Key, Kind, Original, Problem, Scanned},
};
use bson::{Document, doc};

use crate::document::{
    self,
    key::key_of,
    raw::{Elements, Raw, Tagged, tagged},
};

/// How a kind of parts lies within its wholes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within {
    pub(super) kind: Kind,
    /// The array.
    pub(super) field: &'static str,
    /// What a part calls the whole's id.
    whole: &'static str,
    /// What tells the parts of a whole apart.
    unique: &'static str,
}

const LIKES: Within = Within {
    kind: Kind::PostLikes,
    field: "likes",
    whole: "postId",
    unique: "likes",
};

const COMMENTS: Within = Within {
    kind: Kind::PostComments,
    field: "comments",
    whole: "postId",
    unique: "comments.id",
};

const PRICES: Within = Within {
    kind: Kind::CompetitorPrices,
    field: "priceHistory",
    whole: "competitorId",
    unique: "priceHistory.date",
};

/// Where a part stands among those of its whole: the records in the order of their keys, then
/// what is no record in the order of the array.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Record(Key),
    Other(usize),
}

/// A part that was read.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) place: Place,
    pub(super) scanned: Scanned,
}

impl Place {
    /// The place as text, for a position.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Record(key) => key.to_string(),
            Self::Other(index) => format!("#{index}"),
        }
    }

    pub(super) fn from_text(kind: Kind, text: &str) -> Result<Self> {
        match text.strip_prefix('#') {
            Some(index) => index
                .parse()
                .map(Self::Other)
                .map_err(|_| Error::invalid("position", "is not a place in a scan of this source")),
            None => Key::parse(kind, text).map(Self::Record),
        }
    }
}

impl Within {
    /// How a kind lies within others, if it does.
    pub(super) const fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::PostLikes => Some(LIKES),
            Kind::PostComments => Some(COMMENTS),
            Kind::CompetitorPrices => Some(PRICES),
            _ => None,
        }
    }

    /// What of the wholes is read.
    pub(super) fn projection(self) -> Document {
        let mut fields = doc! {self.field: 1};
        if self.kind == Kind::PostComments {
            // For comments without a date.
            fields.insert("createdAt", 1);
        }
        fields
    }

    /// The stages that count the parts.
    pub(super) fn count(self) -> Vec<Document> {
        let field = format!("${}", self.field);
        let missing = doc! {"$in": [{"$type": &field}, ["missing", "null", "undefined"]]};
        let parts = doc! {"$switch": {
            "branches": [
                {"case": {"$isArray": &field}, "then": {"$size": &field}},
                {"case": missing, "then": 0},
            ],
            "default": 1,
        }};
        vec![doc! {"$group": {"_id": null, "count": {"$sum": parts}}}]
    }

    /// The parts of a whole, in the order of their places.
    pub(super) fn parts(self, whole: &[u8]) -> Vec<Part> {
        let fields = tagged(whole);
        let value = |name: &str| {
            let mut fields = fields.iter();
            let found = fields.find(|(key, _)| *key == name.as_bytes());
            found.map(|(_, value)| *value)
        };
        let id = value("_id");
        let created = value("createdAt").filter(|created| matches!(created.value, Raw::Date(_)));
        // A single value stands for an array of one, as Mongoose casts it.
        let items: Vec<Tagged<'_>> = match value(self.field) {
            None => Vec::new(),
            Some(field) => match field.value {
                Raw::Null => Vec::new(),
                Raw::Array(array) => tagged(array).into_iter().map(|(_, item)| item).collect(),
                _ => vec![field],
            },
        };
        let whole_key = key_of(whole).unwrap_or_default();
        let mut parts: Vec<Part> = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let created = created.filter(|_| !has_date(item.value));
            let original = self.original(id, item, created);
            let outcome = document::record(self.kind, &original);
            let (place, key) = match &outcome {
                Ok(record) => {
                    let key = record.key();
                    let text = key.to_string();
                    (Place::Record(key), text)
                }
                Err(_) => (Place::Other(index), self.key_of_other(&whole_key, index)),
            };
            parts.push(Part {
                place,
                scanned: Scanned {
                    key,
                    outcome,
                    original: Original(original),
                },
            });
        }
        self.without_doubles(parts, &whole_key)
    }

    fn key_of_other(self, whole: &str, index: usize) -> String {
        format!("{whole}.{}.{index}", self.field)
    }

    /// Sorts the parts. Of two with one key the first in the array is the record; the second is
    /// the same once more, and left out, or something else that cannot have this key.
    fn without_doubles(self, parts: Vec<Part>, whole: &str) -> Vec<Part> {
        let mut numbered: Vec<(usize, Part)> = parts.into_iter().enumerate().collect();
        numbered
            .sort_by(|(a_index, a), (b_index, b)| (&a.place, a_index).cmp(&(&b.place, b_index)));
        let mut sorted: Vec<Part> = Vec::with_capacity(numbered.len());
        let mut others: Vec<(usize, Part)> = Vec::new();
        for (index, mut part) in numbered {
            match sorted.last() {
                _ if matches!(part.place, Place::Other(_)) => others.push((index, part)),
                Some(first) if first.place == part.place => {
                    if first.scanned.original == part.scanned.original {
                        continue;
                    }
                    let one = self.kind.one();
                    let problem = format!("is also that of an earlier {one}; give it another");
                    part.place = Place::Other(index);
                    part.scanned.key = self.key_of_other(whole, index);
                    part.scanned.outcome = Err(Problem::new(self.unique, problem).into());
                    others.push((index, part));
                }
                _ => sorted.push(part),
            }
        }
        others.sort_by_key(|(index, _)| *index);
        sorted.extend(others.into_iter().map(|(_, part)| part));
        sorted
    }

    /// The document of one part.
    fn original(
        self,
        id: Option<Tagged<'_>>,
        item: Tagged<'_>,
        created: Option<Tagged<'_>>,
    ) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        let mut append = |name: &str, value: Option<Tagged<'_>>| {
            if let Some(value) = value {
                bytes.push(value.tag);
                bytes.extend_from_slice(name.as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(value.bytes);
            }
        };
        append(self.whole, id);
        append(self.field, Some(item));
        if self.kind == Kind::PostComments {
            append("parentCreatedAt", created);
        }
        bytes.push(0);
        // A document has 16 MB at most.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes
    }

    /// The whole's key, as text, of a part's key; of one that is no record, too.
    pub(super) fn whole_of(self, key: &str) -> Option<String> {
        if let Ok(key) = Key::parse(self.kind, key) {
            return Some(key.id().to_string());
        }
        let (rest, index) = key.rsplit_once('.')?;
        let (whole, field) = rest.rsplit_once('.')?;
        (field == self.field && index.bytes().all(|digit| digit.is_ascii_digit()))
            .then(|| whole.to_owned())
    }
}

/// Whether a comment has a date of its own, be it a wrong one.
fn has_date(comment: Raw<'_>) -> bool {
    let Raw::Document(bytes) = comment else {
        return false;
    };
    let mut fields = Elements::new(bytes).map_while(Result::ok);
    fields.any(|(key, value)| key == b"createdAt" && value != Raw::Null)
}
