//! Users.

use authorstack_core::migrate::Kind;
use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use rand::Rng;

use super::{
    Fate,
    maker::{FAMILY, GIVEN, Maker, NOBODY, decimal, unknown_fields},
};

/// A value that must never be shown outside of the stores.
pub const SECRET: &str = "$2b$12$hushhushhushhushhushhu";

impl Maker {
    fn user(&mut self) -> Document {
        let id = self.id();
        let (given, family) = (self.pick(GIVEN), self.pick(FAMILY));
        let handle = format!("{given}.{family}")
            .to_lowercase()
            .replace(|c: char| !c.is_ascii(), "");
        let connected = DateTime::from_millis(1_700_000_000_000 + i64::from(self.number()));
        let tier = self.pick(&["free", "free", "starter", "professional", "enterprise"]);
        let (created, updated) = (self.date(), self.date());
        doc! {
            "_id": id,
            "authId": format!("{:016x}", self.random.random::<u64>()),
            "authProvider": "appwrite",
            "email": format!("{handle}.{}@example.org", self.number()),
            "name": format!("{given} {family}"),
            "subscriptionTier": tier,
            "credits": self.random.random_range(0..5_000_i32),
            "preferences": {
                "emailNotifications": self.random.random_bool(0.5),
                "weeklyDigest": self.random.random_bool(0.5),
                "theme": self.pick(&["light", "dark", "system"]),
                "timezone": self.pick(&["Europe/Lisbon", "America/Chicago", "Asia/Tokyo"]),
                "currency": self.pick(&["USD", "EUR", "JPY"]),
            },
            "connectedPlatforms": [
                { "platform": "kdp", "connectedAt": connected, "lastSync": updated },
            ],
            "createdAt": created,
            "updatedAt": updated,
            "__v": 0,
        }
    }

    pub(super) fn sound_user(&mut self) -> ObjectId {
        let user = self.user();
        self.add(Kind::Users, &user);
        user.get_object_id("_id").unwrap_or_default()
    }

    /// Adds a dirty user: a sound one with a change.
    fn user_case(&mut self, about: &'static str, fate: Fate, spoil: impl FnOnce(&mut Document)) {
        let mut user = self.user();
        spoil(&mut user);
        self.add_case(Kind::Users, about, fate, &user);
    }

    #[expect(clippy::too_many_lines, reason = "a list of cases")]
    pub(super) fn dirty_users(&mut self) {
        use Fate::{Carried, Rejected, SetAside};
        let numbers = [
            ("credits as an int32", Bson::Int32(12)),
            ("credits as an int64", Bson::Int64(12_000_000_000)),
            ("credits as a double", Bson::Double(12.0)),
            ("credits as a string", Bson::from("12")),
            ("credits as a Decimal128", decimal("12")),
        ];
        for (about, credits) in numbers {
            self.user_case(about, Carried, |user| {
                user.insert("credits", credits);
            });
        }
        self.user_case("credits as a fraction", Rejected("credits"), |user| {
            user.insert("credits", 12.5);
        });
        self.user_case("infinite credits", Rejected("credits"), |user| {
            user.insert("credits", f64::INFINITY);
        });
        self.user_case("credits below zero", Rejected("credits"), |user| {
            user.insert("credits", -3);
        });
        self.user_case("optional fields missing", Carried, |user| {
            for field in [
                "name",
                "preferences",
                "connectedPlatforms",
                "credits",
                "authProvider",
                "subscriptionTier",
                "createdAt",
                "updatedAt",
                "__v",
            ] {
                user.remove(field);
            }
        });
        self.user_case("optional fields null", Carried, |user| {
            for field in [
                "name",
                "preferences",
                "connectedPlatforms",
                "credits",
                "updatedAt",
            ] {
                user.insert(field, Bson::Null);
            }
        });
        self.user_case("no e-mail address", Rejected("email"), |user| {
            user.remove("email");
        });
        self.user_case(
            "a tier in capitals, texts for other types",
            Carried,
            |user| {
                user.insert("subscriptionTier", "Free ");
                user.insert("credits", " 12 ");
                user.insert("createdAt", "2020-03-01T10:00:00.250Z");
                user.insert(
                    "preferences",
                    doc! { "emailNotifications": "yes", "_id": ObjectId::new() },
                );
                user.insert(
                    "connectedPlatforms",
                    doc! { "platform": "KDP ", "_id": ObjectId::new() },
                );
            },
        );
        self.user_case("undefined as missing", Carried, |user| {
            for field in ["name", "preferences", "connectedPlatforms", "createdAt"] {
                user.insert(field, Bson::Undefined);
            }
        });
        self.user_case("an unknown tier", SetAside("subscriptionTier"), |user| {
            user.insert("subscriptionTier", "platinum");
        });
        self.user_case("unknown fields of every type", Carried, |user| {
            user.insert("legacy", unknown_fields());
        });
        self.user_case(
            "a password hash beside a broken field",
            Rejected("credits"),
            |user| {
                user.insert("credits", "many");
                user.insert("name", doc! { "first": "Ada" });
                user.insert("passwordHash", SECRET);
            },
        );

        let mut mixed = String::new();
        self.user_case("an e-mail address in capitals", Carried, |user| {
            user.get_str("email")
                .unwrap_or_default()
                .clone_into(&mut mixed);
            user.insert("email", mixed.to_uppercase());
        });
        self.user_case(
            "the same address in another case",
            Rejected("email"),
            |user| {
                user.insert("email", mixed.clone());
            },
        );
        self.user_case("the same address once more", Rejected("email"), |user| {
            user.insert("email", mixed.to_uppercase());
        });
        let mut account = Bson::Null;
        self.user_case("an account", Carried, |user| {
            account = user.get("authId").cloned().unwrap_or(Bson::Null);
        });
        self.user_case("the same account", Rejected("authId"), |user| {
            user.insert("authId", account);
        });
        self.user_case("NUL in a name", SetAside("name"), |user| {
            user.insert("name", "Ada\0Lovelace");
        });
        self.user_case(
            "bytes in a name that are not UTF-8",
            Rejected("name"),
            |user| {
                user.insert("name", "Ad\u{1}\u{2}\u{3} Lovelace");
            },
        );
        self.patch_last(Kind::Users, b"Ad\x01\x02\x03", b"Ad\xff\xfe\xc0");
        self.user_case("a string as _id", Rejected("_id"), |user| {
            user.insert("_id", "user-17");
        });
        self.book_case(
            NOBODY,
            "a book whose user is gone",
            Rejected("userId"),
            |_| {},
        );
        let mut rejected = ObjectId::default();
        self.user_case(
            "no provider of the account",
            Rejected("authProvider"),
            |user| {
                rejected = user.get_object_id("_id").unwrap_or_default();
                user.insert("authProvider", 5);
            },
        );
        self.user_case(
            "a theme that does not exist",
            SetAside("preferences.theme"),
            |user| {
                user.insert("preferences", doc! { "theme": "solarized" });
            },
        );
        self.book_case(
            rejected,
            "a book of a rejected user",
            Rejected("userId"),
            |_| {},
        );
    }
}
