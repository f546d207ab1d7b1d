//! Follows: who sees whose posts.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Error, Extra, Id, Page, PageRequest, Result, User, time, user::check_extra};

/// That a user follows an author.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Follow {
    /// The id.
    pub id: Id<Follow>,
    /// Who follows.
    pub follower_id: Id<User>,
    /// Who is followed; unique together with the follower.
    pub author_id: Id<User>,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// What the document holds beyond the schema.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}

impl Follow {
    /// The names of the fields in a stored document; `extra` may not use them.
    pub const FIELDS: &'static [&'static str] = &["_id", "followerId", "authorId", "createdAt"];

    /// A new follow, from the present moment on.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when someone would follow themselves.
    pub fn new(follower_id: Id<User>, author_id: Id<User>) -> Result<Self> {
        let follow = Self {
            id: Id::new(),
            follower_id,
            author_id,
            created_at: time::now(),
            extra: Extra::new(),
        };
        follow.check()?;
        Ok(follow)
    }

    /// Checks what the field types do not: that it is someone else who is followed, and that
    /// every backend can hold the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        if self.follower_id == self.author_id {
            return Err(Error::invalid(
                "authorId",
                "is the follower; nobody follows themselves",
            ));
        }
        check_extra("", &self.extra, Self::FIELDS)
    }
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

/// What a host does with follows.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait FollowRepository: std::fmt::Debug + Send + Sync {
    /// Follows an author. Who follows them already goes on with the same follow.
    ///
    /// # Errors
    /// NotFound when one of the two does not exist; Invalid when they are the same; a store's
    /// Timeout or Unavailable, as for every call.
    async fn follow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<Follow>;

    /// Ends a follow; one that is not there is no error.
    ///
    /// # Errors
    /// Only a store's.
    async fn unfollow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<()>;

    /// Whether one follows the other.
    ///
    /// # Errors
    /// Only a store's.
    async fn is_following(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<bool>;

    /// A page of those who follow an author.
    ///
    /// # Errors
    /// Invalid for a cursor of another list.
    async fn followers(&self, author_id: Id<User>, page: PageRequest) -> Result<Page<Follow>>;

    /// A page of those whom a user follows.
    ///
    /// # Errors
    /// Invalid for a cursor of another list.
    async fn following(&self, follower_id: Id<User>, page: PageRequest) -> Result<Page<Follow>>;

    /// How many there are in both directions.
    ///
    /// # Errors
    /// Only a store's.
    async fn counts(&self, user_id: Id<User>) -> Result<FollowCounts>;
}
