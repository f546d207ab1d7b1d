//! Community posts, their likes and comments.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    check::{check_fields, check_part, check_patch},
    fields::{Patch, Shape, fields, part_lists, patch, text_scalars},
    json::{input_json, json, patch_json},
};
use crate::{
    AttachmentKind, CommentId, Error, Extra, Id, Result, User, WebUrl, limits, time,
    values::closed_set,
};

/// A post in the community's feed. Its likes and comments are read on their own: there may be
/// any number of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Post {
    /// The id.
    pub id: Id<Post>,
    /// Who wrote it.
    pub author_id: Id<User>,
    /// The text; may be empty where something is attached.
    pub content: String,
    /// The attachments.
    pub attachments: Vec<Attachment>,
    /// Who may see it.
    pub visibility: Visibility,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last edited; later with every edit. Likes and comments do not count as edits.
    pub updated_at: DateTime<Utc>,
    /// Fields of the document that the schema does not know.
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
#[derive(Debug, Clone, PartialEq)]
pub struct Attachment {
    /// What it is.
    pub kind: AttachmentKind,
    /// Where it is.
    pub url: WebUrl,
    /// Fields of the document that the schema does not know.
    pub extra: Extra,
}

impl Attachment {
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

/// A user's like of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Like {
    /// The post.
    pub post_id: Id<Post>,
    /// Who likes it.
    pub user_id: Id<User>,
}

impl Like {
    /// Every backend can store a like: there is nothing to check.
    ///
    /// # Errors
    /// Never.
    pub fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// A comment on a post.
#[derive(Debug, Clone, PartialEq)]
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
    /// Fields of the document that the schema does not know.
    pub extra: Extra,
}

impl Comment {
    /// A new comment, with a new id and the present moment.
    #[must_use]
    pub fn new(post_id: Id<Post>, author_id: Id<User>, content: String) -> Self {
        Self {
            id: CommentId::new(),
            post_id,
            author_id,
            content,
            created_at: time::now(),
            extra: Extra::new(),
        }
    }

    /// Checks what the field types cannot: every backend can store the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_part("comments", self)
    }
}

/// Checks the text of a new comment. A stored comment may be empty.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is empty or some backend cannot store
/// it.
#[cfg(feature = "stores")]
pub(crate) fn check_comment(content: &str) -> Result<()> {
    if content.trim().is_empty() {
        return Err(Error::invalid(
            "comments.content",
            "is empty; a comment says something",
        ));
    }
    crate::values::check_text("comments.content", content)?;
    if content.len() > limits::LONG_TEXT {
        return Err(Error::invalid(
            "comments.content",
            format!(
                "is {} bytes long, and {} are the most; shorten it",
                content.len(),
                limits::LONG_TEXT
            ),
        ));
    }
    Ok(())
}

json!(Post, Attachment, Like, Comment);

input_json! {
    NewPost, extra: extra;
    content: "content" or(String::new()),
    attachments: "attachments",
    // A missing field must not make a post public.
    visibility: "visibility" or(Visibility::Followers),
}

// The names are those within the post's document, except `postId`.
fields! {
    Comment, extra: extra, outside: ["postId"];
    post_id: "postId" required("the post needs an id that is an objectId"),
    id: "id" required("give the comment an id"),
    author_id: "authorId" required("say who wrote it"),
    content: "content" most(limits::LONG_TEXT) or(String::new()),
    created_at: "createdAt" or(post_id.created_at()),
}

fields! {
    Like;
    post_id: "postId" required("the post needs an id that is an objectId"),
    user_id: "likes" required("remove the item"),
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
    /// The attachments.
    pub attachments: Vec<Attachment>,
    /// Who may see it.
    pub visibility: Visibility,
    /// Fields that the schema does not know.
    pub extra: Extra,
}

impl NewPost {
    /// A public post with this text.
    #[must_use]
    pub fn new(content: impl Into<String>) -> Self {
        Self {
            content: content.into(),
            attachments: Vec::new(),
            visibility: Visibility::Public,
            extra: Extra::new(),
        }
    }

    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field, or when
    /// the post has neither text nor attachments.
    pub fn check(&self) -> Result<()> {
        if self.content.trim().is_empty() && self.attachments.is_empty() {
            return Err(empty());
        }
        self.clone().into_post(Id::new()).check()
    }

    /// The record to store, with a new id and the current time.
    #[must_use]
    pub fn into_post(self, author_id: Id<User>) -> Post {
        let Self {
            content,
            attachments,
            visibility,
            extra,
        } = self;
        let now = time::now();
        Post {
            id: Id::new(),
            author_id,
            content,
            attachments,
            visibility,
            created_at: now,
            updated_at: now,
            extra,
        }
    }
}

fn empty() -> Error {
    Error::invalid("content", "is empty, and nothing is attached")
}

impl Post {
    /// Checks what the field types cannot: every backend can store the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_fields(self)
    }
}

text_scalars!(Shape::Text, Visibility);
part_lists!(Attachment);

fields! {
    Post, extra: extra, reserved: ["likes", "comments"];
    id: "_id" required("a post needs an id"),
    author_id: "authorId" required("say who wrote it"),
    content: "content" most(limits::LONG_TEXT) or(String::new()),
    attachments: "attachments",
    // A missing field must not make a post public.
    visibility: "visibility" vital("it says who may read it") or(Visibility::Followers),
    created_at: "createdAt" or(id.created_at()),
    updated_at: "updatedAt" or(created_at),
}

fields! {
    Attachment, extra: extra;
    kind: "type" column("type") required("say what is attached"),
    url: "url" required("say where it is"),
}

/// Edits of a post.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PostPatch {
    /// A new text, not empty.
    pub content: Option<String>,
    /// New attachments; they replace all old ones.
    pub attachments: Option<Vec<Attachment>>,
    /// Who may see it.
    pub visibility: Option<Visibility>,
    /// If set, the call returns Conflict unless the post was last edited at this time.
    pub expected_updated_at: Option<DateTime<Utc>>,
}

impl PostPatch {
    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        if self
            .content
            .as_ref()
            .is_some_and(|content| content.trim().is_empty())
        {
            return Err(Error::invalid("content", "is empty; a post says something"));
        }
        check_patch(self)
    }

    /// Applies the patch to a post in memory, and moves `updated_at` forward.
    pub fn apply(self, post: &mut Post) {
        self.apply_to(post);
        post.updated_at = time::next_update(post.updated_at);
    }
}

patch! {
    PostPatch, Post, beside: [expected_updated_at];
    content,
    attachments,
    visibility,
}

patch_json!(PostPatch);

/// Which posts, among those that the viewer may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Feed {
    /// The viewer's own, and those of the authors whom they follow.
    #[default]
    Following,
    /// Everyone's.
    Everyone,
    /// One author's.
    Author(Id<User>),
}
