//! Marketplace boosts.

use authorstack_core::migrate::Kind;
use bson::{Bson, DateTime, Document, doc};
use rand::Rng;

use super::{
    Fate, Owned,
    maker::{Maker, NOBODY, decimal, unknown_fields},
};

const DAY: i64 = 86_400_000;

impl Maker {
    /// Each holds a position of its own.
    fn boost(&mut self, of: Owned) -> Document {
        let id = self.id();
        let days = self.random.random_range(1..30_i32);
        let started = self.date();
        let position = i32::try_from(self.number()).unwrap_or_default();
        doc! {
            "_id": id,
            "bookId": of.book,
            "userId": of.user,
            "duration": days,
            "position": position,
            "credits_spent": days * 10,
            "active": self.random.random_bool(0.5),
            "startedAt": started,
            "expiresAt": DateTime::from_millis(started.timestamp_millis() + i64::from(days) * DAY),
            "__v": 0,
        }
    }

    pub(super) fn sound_boost(&mut self, of: Owned) {
        let boost = self.boost(of);
        self.add(Kind::MarketplaceBoosts, &boost);
    }

    fn boost_case(
        &mut self,
        of: Owned,
        about: &'static str,
        fate: Fate,
        spoil: impl FnOnce(&mut Document),
    ) {
        let mut boost = self.boost(of);
        spoil(&mut boost);
        self.add_case(Kind::MarketplaceBoosts, about, fate, &boost);
    }

    /// An active boost of position 1 in these days of 2020.
    fn first_position(
        &mut self,
        of: Owned,
        about: &'static str,
        fate: Fate,
        days: std::ops::Range<i64>,
    ) {
        let start = 1_577_836_800_000;
        self.boost_case(of, about, fate, |boost| {
            boost.insert("position", 1);
            boost.insert("active", true);
            boost.insert("startedAt", DateTime::from_millis(start + days.start * DAY));
            boost.insert("expiresAt", DateTime::from_millis(start + days.end * DAY));
        });
    }

    pub(super) fn dirty_boosts(&mut self, of: Owned) {
        use Fate::{Carried, Rejected};
        for (about, credits) in [
            ("credits as an int64", Bson::Int64(120)),
            ("credits as a double", Bson::Double(120.0)),
            ("credits as a string", Bson::from("120")),
            ("credits as a Decimal128", decimal("120")),
        ] {
            self.boost_case(of, about, Carried, |boost| {
                boost.insert("credits_spent", credits);
            });
        }
        self.boost_case(of, "optional fields missing", Carried, |boost| {
            for field in ["credits_spent", "active", "startedAt", "expiresAt", "__v"] {
                boost.remove(field);
            }
        });
        self.boost_case(of, "unknown fields of every type", Carried, |boost| {
            boost.insert("legacy", unknown_fields());
        });
        self.boost_case(of, "half a day", Rejected("duration"), |boost| {
            boost.insert("duration", 0.5);
        });
        self.boost_case(of, "NaN days", Rejected("duration"), |boost| {
            boost.insert("duration", f64::NAN);
        });
        self.boost_case(of, "no position", Rejected("position"), |boost| {
            boost.remove("position");
        });
        self.boost_case(
            of,
            "credits below zero",
            Rejected("credits_spent"),
            |boost| {
                boost.insert("credits_spent", -1);
            },
        );
        self.boost_case(of, "a text as active", Rejected("active"), |boost| {
            boost.insert("active", "perhaps");
        });
        self.boost_case(of, "no as active, digits and texts", Carried, |boost| {
            boost.insert("active", "no");
            let user = boost.get_object_id("userId").unwrap_or_default();
            boost.insert("userId", user.to_hex());
            boost.insert("startedAt", "2023-05-01T10:00:00Z");
            boost.insert("expiresAt", 1_700_000_000_000_i64);
        });
        self.boost_case(
            of,
            "an end before the start",
            Rejected("expiresAt"),
            |boost| {
                boost.insert("expiresAt", DateTime::from_millis(0));
            },
        );
        self.boost_case(of, "a book that is gone", Rejected("bookId"), |boost| {
            boost.insert("bookId", NOBODY);
        });
        self.boost_case(of, "a user who is gone", Rejected("userId"), |boost| {
            boost.insert("userId", NOBODY);
        });
        self.boost_case(of, "a string as _id", Rejected("_id"), |boost| {
            boost.insert("_id", "boost-1");
        });
        self.first_position(of, "the first position", Carried, 0..10);
        self.first_position(of, "the first position afterwards", Carried, 10..20);
        let twice = "the first position at the same time";
        self.first_position(of, twice, Rejected("position"), 5..12);
    }
}
