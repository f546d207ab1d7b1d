//! Follows: who sees whose posts.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{check::check_fields, fields::fields, json::json};
use crate::{Error, Extra, Id, Result, User, time};

/// A user follows an author.
#[derive(Debug, Clone, PartialEq)]
pub struct Follow {
    /// The id.
    pub id: Id<Follow>,
    /// Who follows.
    pub follower_id: Id<User>,
    /// Who is followed; unique together with the follower.
    pub author_id: Id<User>,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Fields of the document that the schema does not know.
    pub extra: Extra,
}

impl Follow {
    /// A new follow, as of now.
    #[must_use]
    pub fn new(follower_id: Id<User>, author_id: Id<User>) -> Self {
        Self {
            id: Id::new(),
            follower_id,
            author_id,
            created_at: time::now(),
            extra: Extra::new(),
        }
    }

    /// Checks what the field types cannot: nobody follows themselves, and every backend can store
    /// the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        if self.follower_id == self.author_id {
            return Err(Error::invalid(
                "authorId",
                "is the follower; nobody follows themselves",
            ));
        }
        check_fields(self)
    }
}

json!(Follow);

fields! {
    Follow, extra: extra;
    id: "_id" required("a follow needs an id"),
    follower_id: "followerId" required("say who follows"),
    author_id: "authorId" required("say who is followed"),
    created_at: "createdAt" or(id.created_at()),
}

/// How many follow a user, and how many the user follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FollowCounts {
    /// Users who follow the user.
    pub followers: u64,
    /// Authors whom the user follows.
    pub following: u64,
}
