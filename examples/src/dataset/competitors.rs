//! Competitors and their price histories.

use authorstack_core::migrate::Kind;
use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use rand::Rng;

use super::{
    Fate,
    maker::{FAMILY, GIVEN, Maker, NOBODY, decimal, key, title_case, unknown_fields},
};

impl Maker {
    /// A competitor without a history.
    fn competitor(&mut self, user: ObjectId) -> Document {
        let id = self.id();
        doc! {
            "_id": id,
            "userId": user,
            "asin": format!("B{:09}", self.number()),
            "title": title_case(&self.text(3)),
            "author": format!("{} {}", self.pick(GIVEN), self.pick(FAMILY)),
            "currentPrice": 4.99,
            "priceHistory": [],
            "genre": self.pick(&["Mystery", "Fantasy"]),
            "lastChecked": self.date(),
            "createdAt": self.date(),
            "__v": 0,
        }
    }

    fn price(&mut self) -> Document {
        doc! {
            "price": f64::from(self.random.random_range(99..2_000)) / 100.0,
            "date": DateTime::from_millis(1_600_000_000_000 + i64::from(self.number()) * 1_000),
            "_id": self.id(),
        }
    }

    pub(super) fn sound_competitor(&mut self, user: ObjectId) {
        let mut competitor = self.competitor(user);
        let prices: Vec<Document> = (0..self.random.random_range(0..8))
            .map(|_| self.price())
            .collect();
        self.count(Kind::CompetitorPrices, prices.len());
        competitor.insert("priceHistory", prices);
        self.add(Kind::Competitors, &competitor);
    }

    fn competitor_case(
        &mut self,
        about: &'static str,
        fate: Fate,
        spoil: impl FnOnce(&mut Document),
    ) {
        let user = self.sound_user();
        let mut competitor = self.competitor(user);
        spoil(&mut competitor);
        self.add_case(Kind::Competitors, about, fate, &competitor);
    }

    pub(super) fn dirty_competitors(&mut self) {
        use Fate::{Carried, Rejected, SetAside};
        for (about, price) in [
            ("a price as an int32", Bson::Int32(5)),
            ("a price as an int64", Bson::Int64(5)),
            ("a price as a string", Bson::from("4.99")),
            ("a price as a Decimal128", decimal("4.990")),
            (
                "a price with the noise of a double",
                Bson::Double(4.989_999_999_999_999),
            ),
        ] {
            self.competitor_case(about, Carried, |competitor| {
                competitor.insert("currentPrice", price);
            });
        }
        for (about, price) in [
            ("a price that is NaN", Bson::Double(f64::NAN)),
            ("an infinite price", Bson::Double(f64::INFINITY)),
            ("a price below zero", Bson::Double(-0.01)),
            ("a price in words", Bson::from("free")),
        ] {
            self.competitor_case(about, SetAside("currentPrice"), |competitor| {
                competitor.insert("currentPrice", price);
            });
        }
        self.competitor_case("optional fields missing", Carried, |competitor| {
            for field in [
                "title",
                "author",
                "currentPrice",
                "priceHistory",
                "genre",
                "lastChecked",
                "createdAt",
            ] {
                competitor.remove(field);
            }
        });
        self.competitor_case("optional fields null", Carried, |competitor| {
            for field in ["title", "currentPrice", "priceHistory", "lastChecked"] {
                competitor.insert(field, Bson::Null);
            }
        });
        self.competitor_case("unknown fields of every type", Carried, |competitor| {
            competitor.insert("legacy", unknown_fields());
        });
        self.competitor_case("an impossible ASIN", Rejected("asin"), |competitor| {
            competitor.insert("asin", "B08");
        });
        self.competitor_case("no ASIN", Rejected("asin"), |competitor| {
            competitor.remove("asin");
        });
        let mut pair = (Bson::Null, String::new());
        self.competitor_case("an ASIN", Carried, |competitor| {
            let user = competitor.get("userId").cloned();
            let asin = competitor.get_str("asin").unwrap_or_default();
            pair = (user.unwrap_or(Bson::Null), asin.to_lowercase());
        });
        self.competitor_case(
            "the same ASIN in small letters",
            Rejected("asin"),
            |competitor| {
                competitor.insert("userId", pair.0);
                competitor.insert("asin", pair.1);
            },
        );
        self.competitor_case("NUL in a title", SetAside("title"), |competitor| {
            competitor.insert("title", "one\0two");
        });
        self.competitor_case("a user who is gone", Rejected("userId"), |competitor| {
            competitor.insert("userId", NOBODY);
        });
        self.competitor_case("a string as _id", Rejected("_id"), |competitor| {
            competitor.insert("_id", "competitor-1");
        });
    }

    pub(super) fn dirty_prices(&mut self) {
        use Fate::{Carried, Rejected};
        let kind = Kind::CompetitorPrices;
        let user = self.sound_user();
        let mut competitor = self.competitor(user);
        let id = key(&competitor);
        let at = |millis: i64| DateTime::from_millis(1_700_000_000_000 + millis);
        let valid = |millis: i64| format!("{id}.{}", at(millis).timestamp_millis());
        let mut prices: Vec<Bson> = Vec::new();
        let mut cases = Vec::new();
        let mut add = |about: &'static str, price: Bson, key: Option<String>, fate: Fate| {
            let key = key.unwrap_or_else(|| format!("{id}.priceHistory.{}", prices.len()));
            prices.push(price);
            cases.push((about, key, fate));
        };
        for (millis, about, price) in [
            (0, "a price as an int32", Bson::Int32(5)),
            (1, "a price as a string", Bson::from("4.99")),
            (2, "a price as a Decimal128", decimal("4.990")),
        ] {
            let price = doc! { "price": price, "date": at(millis) };
            add(about, price.into(), Some(valid(millis)), Carried);
        }
        let noted = doc! { "price": 4.5, "date": at(3), "legacy": unknown_fields() };
        add(
            "unknown fields of every type",
            noted.into(),
            Some(valid(3)),
            Carried,
        );
        let first = doc! { "price": 3.5, "date": at(4) };
        add("a price", first.clone().into(), Some(valid(4)), Carried);
        let second = doc! { "price": 3.75, "date": at(4) };
        let field = Rejected("priceHistory.date");
        add("another price of that moment", second.into(), None, field);
        let no_date = doc! { "price": 3.5 };
        add("no date", no_date.into(), None, field);
        let text = doc! { "price": 3.5, "date": "in May" };
        add("a text as the date", text.into(), None, field);
        let day = doc! { "price": " 3.5 ", "date": "2024-05-01" };
        let key = format!("{id}.1714521600000");
        add("a day as a text", day.into(), Some(key), Carried);
        let nan = doc! { "price": f64::NAN, "date": at(5) };
        add(
            "a price that is NaN",
            nan.into(),
            None,
            Rejected("priceHistory.price"),
        );
        add(
            "a number where a price belongs",
            3.5.into(),
            None,
            Rejected("priceHistory"),
        );
        self.count(kind, prices.len());
        // The same price at the same moment is one price.
        prices.push(first.into());
        for (about, key, fate) in cases {
            self.case(kind, about, key, fate);
        }
        competitor.insert("priceHistory", prices);
        self.add(Kind::Competitors, &competitor);

        let mut unknown = ObjectId::default();
        self.competitor_case(
            "a rejected competitor with a price",
            Rejected("asin"),
            |competitor| {
                unknown = competitor.get_object_id("_id").unwrap_or_default();
                competitor.insert("asin", "");
                competitor.insert("priceHistory", vec![doc! { "price": 1, "date": at(0) }]);
            },
        );
        let price = format!("{unknown}.{}", at(0).timestamp_millis());
        self.count(kind, 1);
        self.case(
            kind,
            "a price of a rejected competitor",
            price,
            Rejected("competitorId"),
        );
    }
}
