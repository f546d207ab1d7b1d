//! Who follows whom.

use authorstack_core::migrate::Kind;
use bson::{Bson, Document, doc, oid::ObjectId};

use super::{
    Fate,
    maker::{Maker, NOBODY, unknown_fields},
};

impl Maker {
    fn follow(&mut self, follower: ObjectId, author: ObjectId) -> Document {
        doc! {
            "_id": self.id(),
            "followerId": follower,
            "authorId": author,
            "createdAt": self.date(),
        }
    }

    /// Everyone follows the next two users.
    pub(super) fn sound_follows(&mut self, users: &[ObjectId]) {
        for place in 0..users.len() {
            for ahead in [1, 2] {
                let (follower, author) = (users[place], users[(place + ahead) % users.len()]);
                if follower != author && (ahead == 1 || users.len() > 2) {
                    let follow = self.follow(follower, author);
                    self.add(Kind::Follows, &follow);
                }
            }
        }
    }

    fn follow_case(&mut self, about: &'static str, fate: Fate, spoil: impl FnOnce(&mut Document)) {
        let (follower, author) = (self.sound_user(), self.sound_user());
        let mut follow = self.follow(follower, author);
        spoil(&mut follow);
        self.add_case(Kind::Follows, about, fate, &follow);
    }

    pub(super) fn dirty_follows(&mut self) {
        use Fate::{Carried, Rejected, SetAside};
        self.follow_case("no date", Carried, |follow| {
            follow.remove("createdAt");
        });
        self.follow_case("unknown fields of every type", Carried, |follow| {
            follow.insert("legacy", unknown_fields());
            follow.insert("__v", 0);
        });
        let mut pair = (Bson::Null, Bson::Null);
        self.follow_case("a pair", Carried, |follow| {
            let field = |name| follow.get(name).cloned().unwrap_or(Bson::Null);
            pair = (field("followerId"), field("authorId"));
        });
        self.follow_case("the same pair once more", Rejected("authorId"), |follow| {
            follow.insert("followerId", pair.0);
            follow.insert("authorId", pair.1);
        });
        self.follow_case(
            "someone who follows themselves",
            Rejected("authorId"),
            |follow| {
                let follower = follow.get("followerId").cloned();
                follow.insert("authorId", follower);
            },
        );
        self.follow_case("a follower who is gone", Rejected("followerId"), |follow| {
            follow.insert("followerId", NOBODY);
        });
        self.follow_case("an author who is gone", Rejected("authorId"), |follow| {
            follow.insert("authorId", NOBODY);
        });
        self.follow_case("no author", Rejected("authorId"), |follow| {
            follow.remove("authorId");
        });
        self.follow_case("a number as _id", Rejected("_id"), |follow| {
            follow.insert("_id", 7);
        });
        self.follow_case("a text as the date", SetAside("createdAt"), |follow| {
            follow.insert("createdAt", "yesterday");
        });
    }
}
