//! Competitors: other authors' books whose prices are tracked.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    check::{check_fields, check_part, check_patch},
    fields::{Patch, fields, patch},
    json::{input_json, json, patch_json},
};
use crate::{Asin, Change, Currency, Extra, Id, Price, Result, User, time};

/// A book that a user watches. Its price history is read with its own call.
#[derive(Debug, Clone, PartialEq)]
pub struct Competitor {
    /// The id.
    pub id: Id<Competitor>,
    /// Who watches it.
    pub user_id: Id<User>,
    /// Amazon's id of the book; unique among those that the user watches.
    pub asin: Asin,
    /// The title.
    pub title: Option<String>,
    /// The author's name on the cover.
    pub author: Option<String>,
    /// The newest known price.
    pub current_price: Option<Price>,
    /// The currency of all its prices. The old schema has no field for it.
    pub currency: Option<Currency>,
    /// The genre.
    pub genre: Option<String>,
    /// When its price was last checked.
    pub last_checked: Option<DateTime<Utc>>,
    /// When the user began to watch it.
    pub created_at: DateTime<Utc>,
    /// Fields of the document that the schema does not know.
    pub extra: Extra,
}

/// The price of a competitor at a moment. A competitor has at most one price for each moment.
#[derive(Debug, Clone, PartialEq)]
pub struct PricePoint {
    /// The price, in the competitor's currency.
    pub price: Price,
    /// When it was seen.
    pub date: DateTime<Utc>,
    /// Fields of the document that the schema does not know.
    pub extra: Extra,
}

impl PricePoint {
    /// A price at a moment (in whole milliseconds).
    #[must_use]
    pub fn new(price: Price, date: DateTime<Utc>) -> Self {
        Self {
            price,
            date: time::to_millis(date),
            extra: Extra::new(),
        }
    }

    /// Checks what the field types cannot: every backend can store the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_part("priceHistory", self)
    }
}

json!(Competitor, PricePoint);

input_json! {
    NewCompetitor, extra: extra;
    asin: "asin" required("say which book it is"),
    title: "title",
    author: "author",
    currency: "currency",
    genre: "genre",
}

fields! {
    PricePoint, extra: extra;
    price: "price" required("say what it cost"),
    date: "date" required("say when it was seen"),
}

/// A competitor to be tracked.
///
/// ```
/// use authorstack_core::NewCompetitor;
///
/// let mut rival = NewCompetitor::new("B08N5WRWNW".parse()?);
/// rival.title = Some("The Salt Road".to_owned());
/// rival.currency = Some("USD".parse()?);
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewCompetitor {
    /// Amazon's id of the book.
    pub asin: Asin,
    /// The title.
    pub title: Option<String>,
    /// The author's name on the cover.
    pub author: Option<String>,
    /// The currency of all its prices.
    pub currency: Option<Currency>,
    /// The genre.
    pub genre: Option<String>,
    /// Fields that the schema does not know.
    pub extra: Extra,
}

impl NewCompetitor {
    /// A competitor of which only the ASIN is known.
    #[must_use]
    pub fn new(asin: Asin) -> Self {
        Self {
            asin,
            title: None,
            author: None,
            currency: None,
            genre: None,
            extra: Extra::new(),
        }
    }

    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        self.clone().into_competitor(Id::new()).check()
    }

    /// The record to store, with a new id and the current time.
    #[must_use]
    pub fn into_competitor(self, user_id: Id<User>) -> Competitor {
        let Self {
            asin,
            title,
            author,
            currency,
            genre,
            extra,
        } = self;
        Competitor {
            id: Id::new(),
            user_id,
            asin,
            title,
            author,
            current_price: None,
            currency,
            genre,
            last_checked: None,
            created_at: time::now(),
            extra,
        }
    }
}

fields! {
    Competitor, extra: extra, reserved: ["priceHistory"];
    id: "_id" required("a competitor needs an id"),
    user_id: "userId" required("say who watches it"),
    asin: "asin" required("say which book it is"),
    title: "title",
    author: "author",
    current_price: "currentPrice",
    currency: "currency",
    genre: "genre",
    last_checked: "lastChecked",
    created_at: "createdAt" or(id.created_at()),
}

impl Competitor {
    /// Checks what the field types cannot: every backend can store the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_fields(self)
    }

    /// Adds a price in memory. `newest` is the latest date of the history so far: the price becomes
    /// the current one unless a later one is known. If the history is empty, the current price
    /// counts as of the last check.
    pub fn note_price(&mut self, point: &PricePoint, newest: Option<DateTime<Utc>>) {
        let known = newest.or_else(|| self.current_price.and(self.last_checked));
        if known.is_none_or(|known| known <= point.date) {
            self.current_price = Some(point.price);
        }
        self.last_checked = self.last_checked.max(Some(point.date));
    }
}

/// Changes of a competitor. Its prices change through their own calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompetitorPatch {
    /// The title.
    pub title: Change<String>,
    /// The author's name on the cover.
    pub author: Change<String>,
    /// The genre.
    pub genre: Change<String>,
    /// The currency of all its prices, also of earlier ones.
    pub currency: Change<Currency>,
}

impl CompetitorPatch {
    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_patch(self)
    }

    /// Applies the patch to a competitor in memory.
    pub fn apply(self, competitor: &mut Competitor) {
        self.apply_to(competitor);
    }
}

patch! {
    CompetitorPatch, Competitor;
    title,
    author,
    genre,
    currency,
}

patch_json!(CompetitorPatch);

/// A range of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DateRange {
    /// The start, inclusive; `None` for no start.
    pub from: Option<DateTime<Utc>>,
    /// The end, exclusive; `None` for no end.
    pub until: Option<DateTime<Utc>>,
}

impl DateRange {
    /// Whether a time is in the range.
    #[must_use]
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}
