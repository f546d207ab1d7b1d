//! Community posts, their likes and comments.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    AttachmentKind, CommentId, Error, Extra, Id, Page, PageRequest, Result, User, WebUrl,
    change::replace,
    time,
    user::check_extra,
    values::{check_text, closed_set},
};

/// A post in the community's feed. Its likes and comments are read on their own: there may be
/// any number of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Post {
    /// The id.
    pub id: Id<Post>,
    /// Who wrote it.
    pub author_id: Id<User>,
    /// The text; may be empty where something is attached.
    pub content: String,
    /// What is attached.
    pub attachments: Vec<Attachment>,
    /// Who may see it.
    pub visibility: Visibility,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last edited; later with every edit. Likes and comments are no edits.
    pub updated_at: DateTime<Utc>,
    /// What the document holds beyond the schema.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}

closed_set! {
    /// Who may see a post. Its author always may.
    Visibility, "visibility",
    /// Everyone.
    Public = "public",
    /// Those who follow the author.
    Followers = "followers"
}

/// Something attached to a post.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: AttachmentKind,
    /// Where it is.
    pub url: WebUrl,
    /// What the document holds beyond the schema.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Attachment {
    /// The names of the fields in a stored document; `extra` may not use them.
    pub const FIELDS: &'static [&'static str] = &["type", "url"];

    /// An attachment of this kind.
    #[must_use]
    pub fn new(kind: AttachmentKind, url: WebUrl) -> Self {
        Self {
            kind,
            url,
            extra: Extra::new(),
        }
    }
}

/// A post as one viewer sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostView {
    /// The post.
    pub post: Post,
    /// How many users like it.
    pub like_count: u64,
    /// How many comments it has.
    pub comment_count: u64,
    /// Whether the viewer likes it.
    pub liked: bool,
}

/// That a user likes a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Like {
    /// The post.
    pub post_id: Id<Post>,
    /// Who likes it.
    pub user_id: Id<User>,
}

impl Like {
    /// Every backend can hold a like.
    ///
    /// # Errors
    /// Never.
    pub fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// A comment on a post.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comment {
    /// The id, unique within the post.
    pub id: CommentId,
    /// The post.
    pub post_id: Id<Post>,
    /// Who wrote it.
    pub author_id: Id<User>,
    /// The text.
    pub content: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// What the document holds beyond the schema.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}

impl Comment {
    /// The names of the fields in a stored document; `extra` may not use them.
    pub const FIELDS: &'static [&'static str] = &["id", "authorId", "content", "createdAt"];

    /// A new comment: checked, with a new id and the present moment.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when it says nothing or cannot be stored.
    pub fn new(post_id: Id<Post>, author_id: Id<User>, content: String) -> Result<Self> {
        if content.trim().is_empty() {
            return Err(Error::invalid(
                "comments.content",
                "is empty; a comment says something",
            ));
        }
        let comment = Self {
            id: CommentId::new(),
            post_id,
            author_id,
            content,
            created_at: time::now(),
            extra: Extra::new(),
        };
        comment.check()?;
        Ok(comment)
    }

    /// Checks what the field types do not: that every backend can hold the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        check_text("comments.content", &self.content)?;
        check_extra("comments", &self.extra, Self::FIELDS)
    }
}

/// A post to be created.
///
/// ```
/// use authorstack_core::{Attachment, AttachmentKind, NewPost, Visibility};
///
/// let mut post = NewPost::new("The cover is out!");
/// post.visibility = Visibility::Followers;
/// let cover = "https://covers.example.org/tide.jpg".parse()?;
/// post.attachments.push(Attachment::new(AttachmentKind::IMAGE, cover));
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewPost {
    /// The text; may be empty where something is attached.
    pub content: String,
    /// What is attached.
    pub attachments: Vec<Attachment>,
    /// Who may see it.
    pub visibility: Visibility,
    /// Fields beyond the schema.
    pub extra: Extra,
}

impl NewPost {
    /// A public post of this text.
    #[must_use]
    pub fn new(content: impl Into<String>) -> Self {
        Self {
            content: content.into(),
            attachments: Vec::new(),
            visibility: Visibility::Public,
            extra: Extra::new(),
        }
    }

    /// The record that a store will hold: checked, with a new id and the present moment.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when a field cannot be stored, or the
    /// post has neither text nor attachments.
    pub fn into_post(self, author_id: Id<User>) -> Result<Post> {
        let now = time::now();
        if self.content.trim().is_empty() && self.attachments.is_empty() {
            return Err(empty());
        }
        let post = Post {
            id: Id::new(),
            author_id,
            content: self.content,
            attachments: self.attachments,
            visibility: self.visibility,
            created_at: now,
            updated_at: now,
            extra: self.extra,
        };
        post.check()?;
        Ok(post)
    }
}

fn empty() -> Error {
    Error::invalid("content", "is empty, and nothing is attached")
}

impl Post {
    /// The names of the fields in a stored document; `extra` may not use them.
    pub const FIELDS: &'static [&'static str] = &[
        "_id",
        "authorId",
        "content",
        "attachments",
        "likes",
        "comments",
        "visibility",
        "createdAt",
        "updatedAt",
    ];

    /// Checks what the field types do not: that every backend can hold the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        check_text("content", &self.content)?;
        check_attachments(&self.attachments)?;
        check_extra("", &self.extra, Self::FIELDS)
    }
}

fn check_attachments(attachments: &[Attachment]) -> Result<()> {
    attachments
        .iter()
        .enumerate()
        .try_for_each(|(index, item)| {
            let within = format!("attachments.{index}");
            check_extra(&within, &item.extra, Attachment::FIELDS)
        })
}

/// Edits of a post.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PostPatch {
    /// A new text, not empty.
    pub content: Option<String>,
    /// New attachments, as a whole.
    pub attachments: Option<Vec<Attachment>>,
    /// Who may see it.
    pub visibility: Option<Visibility>,
    /// When set, the post must have been last edited then, or the call answers Conflict.
    pub expected_updated_at: Option<DateTime<Utc>>,
}

impl PostPatch {
    /// Checks what the field types do not.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        if let Some(content) = &self.content {
            if content.trim().is_empty() {
                return Err(Error::invalid("content", "is empty; a post says something"));
            }
            check_text("content", content)?;
        }
        self.attachments
            .as_deref()
            .map_or(Ok(()), check_attachments)
    }

    /// Does it to a post in memory; `updated_at` moves forward.
    pub fn apply(self, post: &mut Post) {
        replace(&mut post.content, self.content);
        replace(&mut post.attachments, self.attachments);
        replace(&mut post.visibility, self.visibility);
        post.updated_at = time::next_update(post.updated_at);
    }
}

/// Which posts, among those that the viewer may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feed {
    /// The viewer's own, and those of the authors whom they follow.
    #[default]
    Following,
    /// Everyone's.
    Everyone,
    /// One author's.
    Author(Id<User>),
}

/// What a host does with community posts.
///
/// A viewer sees public posts, their own, and the `followers` posts of authors whom they follow;
/// the query itself leaves out all others, and a post that a viewer may not see is NotFound to
/// them. On stores without foreign keys a viewer is taken at their word: who calls knows who
/// they are.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait CommunityRepository: std::fmt::Debug + Send + Sync {
    /// Creates a post of an author.
    ///
    /// # Errors
    /// NotFound when there is no such user; Invalid; a store's Timeout or Unavailable, as for
    /// every call.
    async fn create(&self, author_id: Id<User>, post: NewPost) -> Result<Post>;

    /// A post, as the viewer sees it.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, viewer_id: Id<User>, id: Id<Post>) -> Result<PostView>;

    /// A page of a feed, in the order of the posts' ids: it stays right while posts arrive.
    ///
    /// # Errors
    /// Invalid for a cursor of another list.
    async fn feed(
        &self,
        viewer_id: Id<User>,
        feed: Feed,
        page: PageRequest,
    ) -> Result<Page<PostView>>;

    /// Edits a post of the author's: the fields that the patch names.
    ///
    /// # Errors
    /// NotFound, also when it is another author's; Conflict when `expected_updated_at` no longer
    /// holds; Invalid.
    async fn update(&self, author_id: Id<User>, id: Id<Post>, patch: PostPatch) -> Result<Post>;

    /// Deletes a post of the author's, with its likes and comments.
    ///
    /// # Errors
    /// NotFound, also when it is another author's.
    async fn delete(&self, author_id: Id<User>, id: Id<Post>) -> Result<()>;

    /// Likes a post, once: liking it again changes nothing. Answers how many like it then.
    ///
    /// # Errors
    /// NotFound when there is no such user, or they may not see the post.
    async fn like(&self, user_id: Id<User>, id: Id<Post>) -> Result<u64>;

    /// Takes a like back; one that is not there is no error. Answers how many like it then.
    ///
    /// # Errors
    /// NotFound when the user may not see the post.
    async fn unlike(&self, user_id: Id<User>, id: Id<Post>) -> Result<u64>;

    /// A page of the users who like a post, in the order of their ids.
    ///
    /// # Errors
    /// NotFound when the viewer may not see the post; Invalid for a cursor of another list.
    async fn likers(
        &self,
        viewer_id: Id<User>,
        id: Id<Post>,
        page: PageRequest,
    ) -> Result<Page<Id<User>>>;

    /// Comments on a post.
    ///
    /// # Errors
    /// NotFound when there is no such user, or they may not see the post; Invalid.
    async fn comment(&self, author_id: Id<User>, id: Id<Post>, content: String) -> Result<Comment>;

    /// A page of a post's comments, by their dates, then by their ids.
    ///
    /// # Errors
    /// NotFound when the viewer may not see the post; Invalid for a cursor of another list.
    async fn comments(
        &self,
        viewer_id: Id<User>,
        id: Id<Post>,
        page: PageRequest,
    ) -> Result<Page<Comment>>;

    /// Removes a comment: its author may, and the post's.
    ///
    /// # Errors
    /// NotFound, also when the comment is not the user's to remove.
    async fn remove_comment(
        &self,
        user_id: Id<User>,
        id: Id<Post>,
        comment: CommentId,
    ) -> Result<()>;
}
