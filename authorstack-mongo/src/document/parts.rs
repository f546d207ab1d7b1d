//! Parts inside other documents, read from documents such as `{postId, comments}`: the whole's id
//! and one element. Likes, `{postId, likes}`, are read by the list of their fields.

use authorstack_core::{
    Comment, Competitor, Id, Post, PricePoint, SET_ASIDE,
    fields::{Fields, Read, Shape},
    migrate::{CompetitorPrice, Problems},
};

use crate::{
    document::{
        decode::{Aside, DocumentReader, Place, finished, missing},
        moment,
    },
    extended_json::{Path, malformed},
    raw::{Elements, Raw, Tagged},
};

/// The values of such a document.
#[derive(Default)]
struct Envelope<'d> {
    whole: Option<Tagged<'d>>,
    part: Option<Tagged<'d>>,
    /// The whole's date, for parts without a date.
    parent_created_at: Option<Tagged<'d>>,
}

/// Any ObjectId.
const ANY_ID: Tagged<'static> = Tagged {
    tag: 0x07,
    bytes: &[0; 12],
};

impl<'d> Envelope<'d> {
    fn open(bytes: &'d [u8], whole: &str, part: &str, problems: &mut Problems) -> Self {
        let mut envelope = Self::default();
        let mut elements = Elements::new(bytes);
        while let Some(element) = elements.next_tagged() {
            let Ok((key, value)) = element else {
                problems.push(malformed(&Path::Root));
                continue;
            };
            let slot = match key {
                key if key == whole.as_bytes() => &mut envelope.whole,
                key if key == part.as_bytes() => &mut envelope.part,
                b"parentCreatedAt" => &mut envelope.parent_created_at,
                _ => continue,
            };
            *slot = Some(value);
        }
        envelope
    }

    /// The whole's id.
    fn id<T>(&self, name: &str, one: &str, problems: &mut Problems) -> Option<Id<T>> {
        let mut place = Place {
            path: Path::Field(&Path::Root, name),
            required: true,
            problems,
            aside: None,
        };
        match self.whole.map(|id| place.scalar(Shape::Id, id)) {
            Some(Read::Value(id)) => return Some(id),
            Some(Read::Refused) => {}
            Some(Read::Missing) | None => {
                let way_out = format!("the {one} needs an id that is an objectId");
                let problem = missing(&place.path, &way_out);
                place.problems.push(problem);
            }
        }
        None
    }

    /// The document of the part.
    fn part(&self, name: &str, problems: &mut Problems) -> Option<Tagged<'d>> {
        let path = Path::Field(&Path::Root, name);
        match self.part.filter(|part| !part.is_null()) {
            Some(part) if matches!(part.read(), Raw::Document(_)) => return Some(part),
            Some(other) => {
                let problem = format!(
                    "expected an object, found {}; store an object or remove the item",
                    other.read().type_name()
                );
                problems.push(path.problem(problem));
            }
            None => {
                problems.push(missing(&path, "remove the item"));
            }
        }
        None
    }
}

/// Reads `{postId, comments}`. A comment without a date gets the date of its post,
/// `parentCreatedAt`.
pub(crate) fn comment(bytes: &[u8], aside: Option<&mut Aside>) -> Result<Comment, Problems> {
    const PART: &str = "comments";
    let mut problems = Problems::default();
    let envelope = Envelope::open(bytes, "postId", PART, &mut problems);
    let id: Option<Id<Post>> = envelope.id("postId", "post", &mut problems);
    let part = envelope.part(PART, &mut problems);
    let comment = part.and_then(|part| {
        // A comment without an id is invalid. This finds its other problems.
        let id = envelope.whole.filter(|_| id.is_some()).unwrap_or(ANY_ID);
        let path = Path::Field(&Path::Root, PART);
        let mut reader =
            DocumentReader::of_part::<Comment>(id, part.bytes, path, &mut problems, aside);
        // Problems of the post's date belong to the post.
        let date = envelope.parent_created_at;
        let made = date.and_then(|date| moment::stored(date.read())?.storable());
        if let (Some(date), Some(_)) = (date, made) {
            reader.or::<Comment>("createdAt", date);
        }
        let mut comment = Comment::read(&mut reader)?;
        // A date that is set aside is none.
        let aside = comment.extra.get(SET_ASIDE);
        if let Some(made) = made
            && aside.is_some_and(|aside| aside.get("createdAt").is_some())
            && comment.created_at == comment.post_id.created_at()
        {
            comment.created_at = made;
        }
        Some(comment)
    });
    finished(comment, problems)
}

/// Reads the price point of `{competitorId, priceHistory}`.
pub(crate) fn point(bytes: &[u8]) -> Result<PricePoint, Problems> {
    price(bytes, None).map(|price| price.point)
}

/// Reads `{competitorId, priceHistory}`.
pub(crate) fn price(bytes: &[u8], aside: Option<&mut Aside>) -> Result<CompetitorPrice, Problems> {
    const PART: &str = "priceHistory";
    let mut problems = Problems::default();
    let envelope = Envelope::open(bytes, "competitorId", PART, &mut problems);
    let id: Option<Id<Competitor>> = envelope.id("competitorId", "competitor", &mut problems);
    let part = envelope.part(PART, &mut problems);
    let point = part.and_then(|part| {
        let mut place = Place {
            path: Path::Field(&Path::Root, PART),
            required: false,
            problems: &mut problems,
            aside,
        };
        place.document(part)
    });
    let price = id.zip(point).map(|(competitor_id, point)| CompetitorPrice {
        competitor_id,
        point,
    });
    finished(price, problems)
}
