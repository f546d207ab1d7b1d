//! Records that MongoDB keeps inside others: likes and comments inside posts, prices inside
//! competitors. A migration reads them one by one.
//!
//! A part's original is its own document, `{postId, likes}`: the whole's id and the element, both
//! unchanged.

use std::collections::VecDeque;

use authorstack_core::{
    Error, Result,
    migrate::{Key, Kind, Original, Problem, Problems, Scanned},
};
use bson::{Document, doc};

use crate::{
    document::{self, key::key_of, moment},
    raw::{Raw, Tagged, tagged},
};

/// The place of a kind's parts inside other documents, their wholes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within {
    pub(super) kind: Kind,
    /// The array.
    pub(super) field: &'static str,
    /// The part's name for the whole's id.
    whole: &'static str,
    /// The field that is unique among the parts of a whole.
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

/// The position of a part within its whole: first the records in the order of their keys, then
/// invalid records in the order of the array.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Record(Key),
    Other(usize),
}

/// The parts of one whole. Large arrays have very many parts, so each is read only when it is
/// needed.
#[derive(Debug)]
pub(super) struct Parts {
    within: Within,
    whole: Vec<u8>,
    key: String,
    id: Option<Slice>,
    created: Option<Slice>,
    /// In the order of their places.
    entries: VecDeque<Entry>,
}

/// One part that is still to be read.
#[derive(Debug)]
struct Entry {
    place: Place,
    item: Slice,
    /// Whether an earlier part has its key.
    is_double: bool,
}

/// A value, as a range of the whole's bytes. A document has 16 MB at most.
#[derive(Debug, Clone, Copy)]
struct Slice {
    tag: u8,
    start: u32,
    end: u32,
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
    /// The place of the records of a kind, if they are parts.
    pub(super) const fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::PostLikes => Some(LIKES),
            Kind::PostComments => Some(COMMENTS),
            Kind::CompetitorPrices => Some(PRICES),
            Kind::Users
            | Kind::Books
            | Kind::Checklists
            | Kind::Follows
            | Kind::CommunityPosts
            | Kind::MarketplaceBoosts
            | Kind::Competitors
            | Kind::SalesData
            | Kind::DailyAggregates
            | Kind::SyncLogs
            | Kind::AiInsights
            | Kind::RevenueForecasts
            | Kind::Accounts
            | Kind::Identities => None,
        }
    }

    /// The fields of the wholes to read.
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
    pub(super) fn parts(self, whole: &[u8]) -> Parts {
        let (mut id, mut created, mut field) = (None, None, None);
        for (name, value) in tagged(whole) {
            let of_name = match name {
                b"_id" => &mut id,
                b"createdAt" => &mut created,
                name if name == self.field.as_bytes() => &mut field,
                _ => continue,
            };
            of_name.get_or_insert(value);
        }
        let mut parts = Parts {
            within: self,
            id: id.map(|id: Tagged<'_>| Slice::of(&id, whole)),
            created: created
                .filter(|created: &Tagged<'_>| moment::stored(created.read()).is_some())
                .map(|created| Slice::of(&created, whole)),
            key: key_of(whole).unwrap_or_default(),
            whole: whole.to_vec(),
            entries: VecDeque::new(),
        };
        let items: Vec<Slice> = match field {
            None => Vec::new(),
            // A single value counts as an array of one, as Mongoose casts it.
            Some(field) => match field.read() {
                Raw::Null | Raw::Undefined => Vec::new(),
                Raw::Array(array) => {
                    let items = tagged(array);
                    items.map(|(_, item)| Slice::of(&item, whole)).collect()
                }
                _ => vec![Slice::of(&field, whole)],
            },
        };
        parts.sort(items);
        parts
    }

    fn key_of_other(self, whole: &str, index: usize) -> String {
        format!("{whole}.{}.{index}", self.field)
    }

    /// The whole's key as text, from a part's key. This also works for invalid records.
    pub(super) fn whole_of(self, key: &str) -> Option<String> {
        if let Ok(key) = Key::parse(self.kind, key) {
            return key.id().map(|id| id.to_string());
        }
        let (rest, index) = key.rsplit_once('.')?;
        let (whole, field) = rest.rsplit_once('.')?;
        (field == self.field && index.bytes().all(|digit| digit.is_ascii_digit()))
            .then(|| whole.to_owned())
    }
}

impl Slice {
    fn of(value: &Tagged<'_>, whole: &[u8]) -> Self {
        let start = value.bytes.as_ptr().addr() - whole.as_ptr().addr();
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            tag: value.tag,
            start: offset(start),
            end: offset(start + value.bytes.len()),
        }
    }

    fn bytes(self, whole: &[u8]) -> &[u8] {
        let range = self.start as usize..self.end as usize;
        whole.get(range).unwrap_or_default()
    }
}

impl Parts {
    /// Puts the items into the order of their places. Of two items with the same key, the first in
    /// the array is the record. The second is left out if it is equal; otherwise it cannot have
    /// this key.
    fn sort(&mut self, items: Vec<Slice>) {
        let mut placed: Vec<(Place, usize, Slice)> = items
            .into_iter()
            .enumerate()
            .map(|(index, item)| {
                let (record, _) =
                    document::record_setting_aside(self.within.kind, &self.original(item));
                let place = record.map_or(Place::Other(index), |it| Place::Record(it.key()));
                (place, index, item)
            })
            .collect();
        placed.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let mut others: Vec<(usize, Slice, bool)> = Vec::new();
        for (place, index, item) in placed {
            if matches!(place, Place::Other(_)) {
                others.push((index, item, false));
                continue;
            }
            match self.entries.back() {
                Some(first) if first.place == place => {
                    let same = self.is_same(first.item, item);
                    if !same {
                        others.push((index, item, true));
                    }
                }
                _ => self.entries.push_back(Entry {
                    place,
                    item,
                    is_double: false,
                }),
            }
        }
        others.sort_unstable_by_key(|(index, ..)| *index);
        let other = |(index, item, is_double)| Entry {
            place: Place::Other(index),
            item,
            is_double,
        };
        self.entries.extend(others.into_iter().map(other));
    }

    /// Whether two parts with one key are one record: equal, or written in two ways, such as a like
    /// by an id and by its digits.
    fn is_same(&self, first: Slice, second: Slice) -> bool {
        let read = |item| {
            let original = self.original(item);
            document::record_setting_aside(self.within.kind, &original)
                .0
                .ok()
        };
        let equal = first.bytes(&self.whole) == second.bytes(&self.whole);
        equal || read(first) == read(second)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether one of them has no key. One that repeats the key of another has one.
    pub(super) fn any_without_key(&self) -> bool {
        let mut others = self.entries.iter().filter(|entry| !entry.is_double);
        others.any(|entry| matches!(entry.place, Place::Other(_)))
    }

    /// Leaves out the parts up to a place.
    pub(super) fn skip_to(&mut self, after: &Place) {
        self.entries.retain(|entry| entry.place > *after);
    }

    /// The bytes of the next part.
    pub(super) fn next_len(&self) -> usize {
        let next = self.entries.front();
        next.map_or(0, |entry| (entry.item.end - entry.item.start) as usize)
    }

    fn read(&self, entry: &Entry) -> Scanned {
        let within = self.within;
        let original = self.original(entry.item);
        let (outcome, set_aside) = if entry.is_double {
            let one = within.kind.one();
            let problem = format!("is also that of an earlier {one}; give it another");
            let double = Problem::new(within.unique, problem).into();
            (Err(double), Problems::default())
        } else {
            document::record_setting_aside(within.kind, &original)
        };
        let key = match &entry.place {
            Place::Record(key) => key.to_string(),
            Place::Other(index) => within.key_of_other(&self.key, *index),
        };
        Scanned {
            key,
            outcome,
            set_aside,
            original: Original::Bytes(original),
        }
    }

    /// The document of one part.
    fn original(&self, item: Slice) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        let mut append = |name: &str, value: Option<Slice>| {
            if let Some(value) = value {
                bytes.push(value.tag);
                bytes.extend_from_slice(name.as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(value.bytes(&self.whole));
            }
        };
        append(self.within.whole, self.id);
        append(self.within.field, Some(item));
        if self.within.kind == Kind::PostComments && !has_date(item, &self.whole) {
            append("parentCreatedAt", self.created);
        }
        bytes.push(0);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes
    }
}

impl Iterator for Parts {
    type Item = (Place, Scanned);

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.pop_front()?;
        let scanned = self.read(&entry);
        Some((entry.place, scanned))
    }
}

/// The type of an embedded document.
const DOCUMENT: u8 = 0x03;

/// Whether a comment has its own date. One that no store can hold is none.
fn has_date(comment: Slice, whole: &[u8]) -> bool {
    let holds = |value: Tagged<'_>| {
        let at = moment::stored(value.read());
        at.is_some_and(|at| at.storable().is_some())
    };
    comment.tag == DOCUMENT
        && tagged(comment.bytes(whole)).any(|(key, value)| key == b"createdAt" && holds(value))
}
