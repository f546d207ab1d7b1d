//! Competitors: books of others whose prices are tracked.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Asin, Change, Currency, Extra, Id, Page, PageRequest, Price, Result, User, time,
    user::check_extra, values::check_text,
};

/// A book that a user watches. Its price history is read on its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Competitor {
    /// The id.
    pub id: Id<Competitor>,
    /// Who watches it.
    pub user_id: Id<User>,
    /// Amazon's id of the book; unique among those that the user watches.
    pub asin: Asin,
    /// The title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The author's name on the cover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The newest price that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_price: Option<Price>,
    /// The currency of all its prices. The schema has none: an old app does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// The genre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genre: Option<String>,
    /// When its price was last looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_checked: Option<DateTime<Utc>>,
    /// When the user began to watch it.
    pub created_at: DateTime<Utc>,
    /// What the document holds beyond the schema.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}

/// What a competitor cost at a moment. A competitor has one price at each moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PricePoint {
    /// The price, in the competitor's currency.
    pub price: Price,
    /// When it was seen.
    pub date: DateTime<Utc>,
    /// What the document holds beyond the schema.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}

impl PricePoint {
    /// The names of the fields in a stored document; `extra` may not use them.
    pub const FIELDS: &'static [&'static str] = &["price", "date"];

    /// A price at a moment (in whole milliseconds).
    #[must_use]
    pub fn new(price: Price, date: DateTime<Utc>) -> Self {
        Self {
            price,
            date: time::to_millis(date),
            extra: Extra::new(),
        }
    }

    /// Checks what the field types do not: that every backend can hold the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        check_extra("priceHistory", &self.extra, Self::FIELDS)
    }
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
    /// Fields beyond the schema.
    pub extra: Extra,
}

impl NewCompetitor {
    /// A competitor of which no more than the ASIN is known.
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

    /// The record that a store will hold: checked, with a new id and the present moment.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when a field cannot be stored.
    pub fn into_competitor(self, user_id: Id<User>) -> Result<Competitor> {
        let competitor = Competitor {
            id: Id::new(),
            user_id,
            asin: self.asin,
            title: self.title,
            author: self.author,
            current_price: None,
            currency: self.currency,
            genre: self.genre,
            last_checked: None,
            created_at: time::now(),
            extra: self.extra,
        };
        competitor.check()?;
        Ok(competitor)
    }
}

impl Competitor {
    /// The names of the fields in a stored document; `extra` may not use them.
    pub const FIELDS: &'static [&'static str] = &[
        "_id",
        "userId",
        "asin",
        "title",
        "author",
        "currentPrice",
        "currency",
        "priceHistory",
        "genre",
        "lastChecked",
        "createdAt",
    ];

    /// Checks what the field types do not: that every backend can hold the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        let texts = [
            ("title", &self.title),
            ("author", &self.author),
            ("genre", &self.genre),
        ];
        for (field, text) in texts {
            text.as_deref()
                .map_or(Ok(()), |text| check_text(field, text))?;
        }
        check_extra("", &self.extra, Self::FIELDS)
    }

    /// Notes a price in memory. `newest` is the latest moment in the history before it: the price
    /// becomes the current one unless a later one is known. Where the history is empty, a current
    /// price counts as seen when it was last looked for.
    pub fn note_price(&mut self, point: &PricePoint, newest: Option<DateTime<Utc>>) {
        let known = newest.or_else(|| self.current_price.and(self.last_checked));
        if known.is_none_or(|known| known <= point.date) {
            self.current_price = Some(point.price);
        }
        self.last_checked = self.last_checked.max(Some(point.date));
    }
}

/// Changes of what is known of a competitor. Its prices change through their own calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompetitorPatch {
    /// The title.
    pub title: Change<String>,
    /// The author's name on the cover.
    pub author: Change<String>,
    /// The genre.
    pub genre: Change<String>,
    /// The currency of all its prices, those noted before too.
    pub currency: Change<Currency>,
}

impl CompetitorPatch {
    /// Checks what the field types do not.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        let texts = [
            ("title", &self.title),
            ("author", &self.author),
            ("genre", &self.genre),
        ];
        for (field, change) in texts {
            if let Change::Set(text) = change {
                check_text(field, text)?;
            }
        }
        Ok(())
    }

    /// Does it to a competitor in memory.
    pub fn apply(self, competitor: &mut Competitor) {
        self.title.apply(&mut competitor.title);
        self.author.apply(&mut competitor.author);
        self.genre.apply(&mut competitor.genre);
        self.currency.apply(&mut competitor.currency);
    }
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DateRange {
    /// From this moment on; `None` for the beginning.
    pub from: Option<DateTime<Utc>>,
    /// Before this moment; `None` for no end.
    pub until: Option<DateTime<Utc>>,
}

impl DateRange {
    /// Whether a moment is within.
    #[must_use]
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

/// What a host does with competitors. Each call takes the user who watches them, and another
/// user's competitor is NotFound.
///
/// The record has no `updatedAt` in the schema, so that a patch has no expectation of it.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait CompetitorRepository: std::fmt::Debug + Send + Sync {
    /// Begins to watch a book.
    ///
    /// # Errors
    /// NotFound when there is no such user; AlreadyExists for `asin` when the user watches it
    /// already; Invalid; a store's Timeout or Unavailable, as for every call.
    async fn track(&self, user_id: Id<User>, competitor: NewCompetitor) -> Result<Competitor>;

    /// A competitor of the user.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<Competitor>;

    /// The user's competitor with this ASIN.
    ///
    /// # Errors
    /// NotFound.
    async fn get_by_asin(&self, user_id: Id<User>, asin: &Asin) -> Result<Competitor>;

    /// A page of the user's competitors.
    ///
    /// # Errors
    /// Invalid for a cursor of another list.
    async fn list(&self, user_id: Id<User>, page: PageRequest) -> Result<Page<Competitor>>;

    /// Changes the fields that the patch names.
    ///
    /// # Errors
    /// NotFound; Invalid.
    async fn update(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        patch: CompetitorPatch,
    ) -> Result<Competitor>;

    /// Ends watching a book; its history goes too.
    ///
    /// # Errors
    /// NotFound.
    async fn delete(&self, user_id: Id<User>, id: Id<Competitor>) -> Result<()>;

    /// Notes a price that was seen at a moment: the history, the current price and
    /// `lastChecked` in one update. A price noted before at that moment is replaced. Prices may
    /// come out of order: the newest stays the current one.
    ///
    /// # Errors
    /// NotFound.
    async fn record_price(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        price: Price,
        at: DateTime<Utc>,
    ) -> Result<Competitor>;

    /// Notes that a price was looked for at a moment, and none found. An earlier moment than the
    /// one noted changes nothing.
    ///
    /// # Errors
    /// NotFound.
    async fn mark_checked(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        at: DateTime<Utc>,
    ) -> Result<Competitor>;

    /// A page of the prices seen in a range, by their dates.
    ///
    /// # Errors
    /// NotFound; Invalid for a cursor of another list.
    async fn history(
        &self,
        user_id: Id<User>,
        id: Id<Competitor>,
        range: DateRange,
        page: PageRequest,
    ) -> Result<Page<PricePoint>>;

    /// The competitors, everyone's, that were not looked at since a moment: those never looked
    /// at first, then those whose check is the longest ago, then by id; at most `limit`, and at
    /// most [`PageRequest::MAX_LIMIT`]; a limit of zero counts as one. For the job that checks prices.
    ///
    /// # Errors
    /// Only a store's.
    async fn due_for_check(&self, before: DateTime<Utc>, limit: u32) -> Result<Vec<Competitor>>;
}
