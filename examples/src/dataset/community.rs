//! Community posts, their likes and comments.

use authorstack_core::migrate::Kind;
use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use rand::{Rng, seq::IndexedRandom};

use super::{
    Fate,
    maker::{Maker, NOBODY, key, unknown_fields},
};

impl Maker {
    /// A post without likes and comments.
    fn post(&mut self, author: ObjectId) -> Document {
        let id = self.id();
        doc! {
            "_id": id,
            "authorId": author,
            "content": self.text(20),
            "attachments": [
                { "type": self.pick(&["image", "link"]), "url": format!("https://example.org/{id}") },
            ],
            "likes": [],
            "comments": [],
            "visibility": self.pick(&["public", "public", "followers"]),
            "createdAt": self.date(),
            "updatedAt": self.date(),
            "__v": 0,
        }
    }

    fn comment(&mut self, author: ObjectId) -> Document {
        let number = self.number();
        let id = if self.random.random_bool(0.5) {
            self.id().to_hex()
        } else {
            format!("c-{number}-{}", self.random.random::<u32>())
        };
        doc! {
            "id": id,
            "authorId": author,
            "content": self.text(6),
            "createdAt": self.date(),
            "_id": self.id(),
        }
    }

    pub(super) fn sound_post(&mut self, author: ObjectId, users: &[ObjectId]) {
        let mut post = self.post(author);
        let most = users.len().min(12);
        let likes = self.random.random_range(0..=most);
        let likes: Vec<ObjectId> = users
            .choose_multiple(&mut self.random, likes)
            .copied()
            .collect();
        let comments: Vec<Document> = (0..self.random.random_range(0..4))
            .map(|_| {
                let author = self.pick(users);
                self.comment(author)
            })
            .collect();
        self.count(Kind::PostLikes, likes.len());
        self.count(Kind::PostComments, comments.len());
        post.insert("likes", likes);
        post.insert("comments", comments);
        self.add(Kind::CommunityPosts, &post);
    }

    /// A post that so many users like.
    pub(super) fn liked_post(&mut self, author: ObjectId, users: &[ObjectId], likes: usize) {
        let mut post = self.post(author);
        let likes: Vec<ObjectId> = users
            .choose_multiple(&mut self.random, likes)
            .copied()
            .collect();
        self.count(Kind::PostLikes, likes.len());
        post.insert("likes", likes);
        self.add(Kind::CommunityPosts, &post);
    }

    fn post_case(
        &mut self,
        author: ObjectId,
        about: &'static str,
        fate: Fate,
        spoil: impl FnOnce(&mut Document),
    ) {
        let mut post = self.post(author);
        spoil(&mut post);
        self.add_case(Kind::CommunityPosts, about, fate, &post);
    }

    #[expect(clippy::too_many_lines, reason = "a list of cases")]
    pub(super) fn dirty_posts(&mut self, author: ObjectId) {
        use Fate::{Carried, Rejected, SetAside};
        self.post_case(author, "optional fields missing", Carried, |post| {
            for field in [
                "content",
                "attachments",
                "likes",
                "comments",
                "visibility",
                "createdAt",
                "updatedAt",
            ] {
                post.remove(field);
            }
        });
        self.post_case(author, "optional fields null", Carried, |post| {
            for field in ["content", "attachments", "likes", "comments", "updatedAt"] {
                post.insert(field, Bson::Null);
            }
        });
        self.post_case(author, "unknown fields of every type", Carried, |post| {
            post.insert("legacy", unknown_fields());
        });
        self.post_case(author, "an attachment of another kind", Carried, |post| {
            let url = "https://example.org/voice.mp3";
            post.insert(
                "attachments",
                vec![doc! { "type": "audio", "url": url, "seconds": 12.5 }],
            );
        });
        self.post_case(author, "a text of 10 MB", SetAside("content"), |post| {
            post.insert("content", "All work and no play. ".repeat(476_626));
        });
        self.post_case(author, "a date before 1970", Carried, |post| {
            post.insert("createdAt", DateTime::from_millis(-1));
        });
        self.post_case(
            author,
            "an attachment that is a script",
            SetAside("attachments.0.url"),
            |post| {
                let url = "javascript:alert(1)";
                post.insert("attachments", vec![doc! { "type": "link", "url": url }]);
            },
        );
        self.post_case(
            author,
            "an attachment without a kind",
            SetAside("attachments.0.type"),
            |post| {
                post.insert("attachments", vec![doc! { "url": "https://example.org" }]);
            },
        );
        self.post_case(
            author,
            "a number where attachments belong",
            SetAside("attachments"),
            |post| {
                post.insert("attachments", 1);
            },
        );
        self.post_case(
            author,
            "a single attachment, in capitals",
            Carried,
            |post| {
                let file = doc! { "type": "image", "url": " https://example.org/cover.jpg" };
                post.insert("attachments", file);
                post.insert("visibility", "PUBLIC ");
                post.insert("authorId", author.to_hex());
            },
        );
        self.post_case(
            author,
            "an unknown visibility",
            Rejected("visibility"),
            |post| {
                post.insert("visibility", "friends");
            },
        );
        self.post_case(
            author,
            "an array where the text belongs",
            SetAside("content"),
            |post| {
                post.insert("content", vec!["One", "Two"]);
            },
        );
        self.post_case(author, "NUL in a text", SetAside("content"), |post| {
            post.insert("content", "one\0two");
        });
        self.post_case(
            author,
            "bytes in a post that are not UTF-8",
            Rejected("content"),
            |post| {
                post.insert("content", "Caf\u{1}\u{2} Noir");
            },
        );
        self.patch_last(Kind::CommunityPosts, b"Caf\x01\x02", b"Caf\xe9\xff");
        self.post_case(
            author,
            "an author who is gone",
            Rejected("authorId"),
            |post| {
                post.insert("authorId", NOBODY);
            },
        );
        self.post_case(
            author,
            "a date that is NaN",
            SetAside("createdAt"),
            |post| {
                post.insert("createdAt", f64::NAN);
            },
        );
        self.post_case(author, "a string as _id", Rejected("_id"), |post| {
            post.insert("_id", "post-1");
        });
    }

    pub(super) fn dirty_likes(&mut self, author: ObjectId) {
        use Fate::{Carried, Rejected};
        let kind = Kind::PostLikes;
        let mut post = self.post(author);
        let id = key(&post);
        post.insert(
            "likes",
            vec![
                Bson::from(author),
                Bson::from(NOBODY),
                Bson::from(author.to_hex()),
                Bson::from(author),
                Bson::Null,
            ],
        );
        self.add(Kind::CommunityPosts, &post);
        self.count(kind, 3);
        let (like, orphan) = (format!("{id}.{author}"), format!("{id}.{NOBODY}"));
        self.case(
            kind,
            "a user in two forms, twice, is one like",
            like,
            Carried,
        );
        self.case(kind, "a user who is gone", orphan, Rejected("likes"));
        self.case(kind, "null", format!("{id}.likes.4"), Rejected("likes"));

        self.post_case(author, "a number where likes belong", Carried, |post| {
            post.insert("likes", 7);
        });
        let last = self.set.cases.last().map(|case| case.key.clone());
        let key_of_array = format!("{}.likes.0", last.unwrap_or_default());
        self.count(kind, 1);
        self.case(
            kind,
            "a number where likes belong",
            key_of_array,
            Rejected("likes"),
        );

        let mut unknown = ObjectId::default();
        self.post_case(
            author,
            "a rejected post with a like",
            Rejected("authorId"),
            |post| {
                unknown = post.get_object_id("_id").unwrap_or_default();
                post.insert("authorId", NOBODY);
                post.insert("likes", vec![author]);
            },
        );
        self.count(kind, 1);
        let like = format!("{unknown}.{author}");
        self.case(kind, "a like of a rejected post", like, Rejected("postId"));

        self.post_case(
            author,
            "a number as _id, with a like",
            Rejected("_id"),
            |post| {
                post.insert("_id", 7);
                post.insert("likes", vec![author]);
            },
        );
        let last = self.set.cases.last().map(|case| case.key.clone());
        let like = format!("{}.likes.0", last.unwrap_or_default());
        self.count(kind, 1);
        self.case(
            kind,
            "a like of a post without an id",
            like,
            Rejected("postId"),
        );
    }

    pub(super) fn dirty_comments(&mut self, author: ObjectId) {
        use Fate::{Carried, Rejected, SetAside};
        let mut post = self.post(author);
        let id = key(&post);
        let mut comments: Vec<Bson> = Vec::new();
        let mut cases = Vec::new();
        let mut add = |maker: &mut Self,
                       about: &'static str,
                       fate: Fate,
                       positional: bool,
                       spoil: &dyn Fn(&mut Document)| {
            let mut comment = maker.comment(author);
            spoil(&mut comment);
            let key = match comment.get_str("id") {
                Ok(comment) if !positional => format!("{id}.{comment}"),
                _ => format!("{id}.comments.{}", comments.len()),
            };
            comments.push(comment.into());
            cases.push((about, key, fate));
        };
        add(self, "no date", Carried, false, &|comment| {
            comment.remove("createdAt");
        });
        add(self, "no text", Carried, false, &|comment| {
            comment.remove("content");
        });
        add(
            self,
            "unknown fields of every type",
            Carried,
            false,
            &|comment| {
                comment.insert("legacy", unknown_fields());
            },
        );
        add(self, "a date after 9999", Carried, false, &|comment| {
            comment.insert("createdAt", DateTime::from_millis(345_600_000_000_000));
        });
        add(self, "an id of another app's", Carried, false, &|comment| {
            comment.insert("id", "Zürich.7~ö");
        });
        add(
            self,
            "another comment with that id",
            Rejected("comments.id"),
            true,
            &|comment| {
                comment.insert("id", "Zürich.7~ö");
            },
        );
        add(self, "no id", Rejected("comments.id"), true, &|comment| {
            comment.remove("id");
        });
        add(
            self,
            "a number as the id",
            Rejected("comments.id"),
            true,
            &|comment| {
                comment.insert("id", 7);
            },
        );
        add(
            self,
            "an author who is gone in a comment",
            Rejected("comments.authorId"),
            false,
            &|comment| {
                comment.insert("authorId", NOBODY);
            },
        );
        add(
            self,
            "NUL in a comment",
            SetAside("comments.content"),
            false,
            &|comment| {
                comment.insert("content", "one\0two");
            },
        );
        add(
            self,
            "a text as the date",
            SetAside("comments.createdAt"),
            true,
            &|comment| {
                comment.insert("createdAt", "just now");
            },
        );
        let text = format!("{id}.comments.{}", comments.len());
        cases.push(("a text where a comment belongs", text, Rejected("comments")));
        comments.push("nice".into());
        self.count(Kind::PostComments, comments.len());
        for (about, key, fate) in cases {
            self.case(Kind::PostComments, about, key, fate);
        }
        post.insert("comments", comments);
        self.add(Kind::CommunityPosts, &post);
    }
}
