//! Competitors and their price histories.

use authorstack_core::{
    Asin, Competitor, Currency, Extra, Id, Price, PricePoint, User,
    migrate::{CompetitorPrice, Problems},
};
use chrono::{DateTime, Utc};

use super::{Parts, Reader, raw::Raw, require};
use crate::extended_json::Path;

/// Reads a competitor's document, without its history.
pub(crate) fn competitor(bytes: &[u8]) -> Result<Competitor, Problems> {
    let mut reader = Reader::default();
    let mut competitor = CompetitorParts::default();
    reader.fields(bytes, &Path::Root, Competitor::FIELDS, &mut competitor);
    competitor.finish(reader.problems)
}

#[derive(Debug, Default)]
struct CompetitorParts {
    id: Option<Id<Competitor>>,
    user_id: Option<Id<User>>,
    asin: Option<Asin>,
    title: Option<String>,
    author: Option<String>,
    current_price: Option<Price>,
    currency: Option<Currency>,
    genre: Option<String>,
    last_checked: Option<DateTime<Utc>>,
    created_at: Option<DateTime<Utc>>,
    extra: Extra,
}

impl Parts for CompetitorParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "_id" => self.id = reader.id(path, value),
            "userId" => self.user_id = reader.id(path, value),
            "asin" => self.asin = reader.value_or_empty(path, value),
            "title" => self.title = reader.string(path, value),
            "author" => self.author = reader.string(path, value),
            "currentPrice" => self.current_price = reader.price(path, value),
            "currency" => self.currency = reader.value_or_empty(path, value),
            "genre" => self.genre = reader.string(path, value),
            "lastChecked" => self.last_checked = reader.date(path, value),
            "createdAt" => self.created_at = reader.date(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl CompetitorParts {
    fn finish(self, mut problems: Problems) -> Result<Competitor, Problems> {
        for (field, present, way_out) in [
            ("_id", self.id.is_some(), "a competitor needs an id"),
            ("userId", self.user_id.is_some(), "say who watches it"),
            ("asin", self.asin.is_some(), "say which book it is"),
        ] {
            require(&mut problems, field, present, way_out);
        }
        let (Some(id), Some(user_id), Some(asin), true) =
            (self.id, self.user_id, self.asin, problems.is_empty())
        else {
            return Err(problems);
        };
        Ok(Competitor {
            id,
            user_id,
            asin,
            title: self.title,
            author: self.author,
            current_price: self.current_price,
            currency: self.currency,
            genre: self.genre,
            last_checked: self.last_checked,
            created_at: self.created_at.unwrap_or_else(|| id.created_at()),
            extra: self.extra,
        })
    }
}

/// Reads the point of `{competitorId, priceHistory: <one element>}`.
pub(crate) fn point(bytes: &[u8]) -> Result<PricePoint, Problems> {
    price(bytes).map(|price| price.point)
}

/// Reads `{competitorId, priceHistory: <one element>}`.
pub(crate) fn price(bytes: &[u8]) -> Result<CompetitorPrice, Problems> {
    const FIELDS: &[&str] = &["competitorId", "priceHistory"];
    let mut reader = Reader::default();
    let mut parts = PriceParts::default();
    reader.fields(bytes, &Path::Root, FIELDS, &mut parts);
    let mut problems = reader.problems;
    require(
        &mut problems,
        "competitorId",
        parts.competitor_id.is_some(),
        "the competitor needs an id that is an objectId",
    );
    let point = parts.point;
    let (price, date) = (point.price.is_some(), point.date.is_some());
    if parts.is_object {
        require(
            &mut problems,
            "priceHistory.price",
            price,
            "say what it cost",
        );
        require(
            &mut problems,
            "priceHistory.date",
            date,
            "say when it was seen",
        );
    }
    require(
        &mut problems,
        "priceHistory",
        parts.is_object,
        "remove the item",
    );
    match (parts.competitor_id, point.price, point.date) {
        (Some(competitor_id), Some(price), Some(date)) if problems.is_empty() => {
            Ok(CompetitorPrice {
                competitor_id,
                point: PricePoint {
                    price,
                    date,
                    extra: point.extra,
                },
            })
        }
        _ => Err(problems),
    }
}

#[derive(Debug, Default)]
struct PriceParts {
    competitor_id: Option<Id<Competitor>>,
    is_object: bool,
    point: PointParts,
    extra: Extra,
}

impl Parts for PriceParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "competitorId" => self.competitor_id = reader.id(path, value),
            "priceHistory" => {
                self.is_object = matches!(value, Raw::Document(_));
                reader.nested(path, value, PricePoint::FIELDS, &mut self.point);
            }
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

#[derive(Debug, Default)]
struct PointParts {
    price: Option<Price>,
    date: Option<DateTime<Utc>>,
    extra: Extra,
}

impl Parts for PointParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "price" => self.price = reader.price(path, value),
            "date" => self.date = reader.date(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}
