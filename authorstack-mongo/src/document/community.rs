//! Community posts, their likes and comments.

use authorstack_core::{
    Attachment, AttachmentKind, Comment, CommentId, Extra, Id, Like, Post, PostView, User,
    Visibility, WebUrl, migrate::Problems,
};
use chrono::{DateTime, Utc};

use super::{Parts, Reader, raw::Raw, require};
use crate::extended_json::Path;

/// Reads a post's document, without its likes and comments.
pub(crate) fn post(bytes: &[u8]) -> Result<Post, Problems> {
    let mut reader = Reader::default();
    let mut post = PostParts::default();
    reader.fields(bytes, &Path::Root, Post::FIELDS, &mut post);
    post.finish(reader.problems)
}

/// Reads `{post, likeCount, commentCount, liked}`.
pub(crate) fn post_view(bytes: &[u8]) -> Result<PostView, Problems> {
    const FIELDS: &[&str] = &["post", "likeCount", "commentCount", "liked"];
    let mut reader = Reader::default();
    let mut view = ViewParts::default();
    reader.fields(bytes, &Path::Root, FIELDS, &mut view);
    let post = view.post.finish(reader.problems)?;
    Ok(PostView {
        post,
        like_count: view.like_count.unwrap_or_default(),
        comment_count: view.comment_count.unwrap_or_default(),
        liked: view.liked.unwrap_or_default(),
    })
}

#[derive(Debug, Default)]
struct ViewParts {
    post: PostParts,
    like_count: Option<u64>,
    comment_count: Option<u64>,
    liked: Option<bool>,
    extra: Extra,
}

impl Parts for ViewParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match (name, value) {
            // The problems name the fields as they stand in the post's own document.
            ("post", Raw::Document(bytes)) => {
                reader.fields(bytes, &Path::Root, Post::FIELDS, &mut self.post);
            }
            ("likeCount", _) => self.like_count = reader.count(path, value, i64::MAX),
            ("commentCount", _) => self.comment_count = reader.count(path, value, i64::MAX),
            ("liked", _) => self.liked = reader.bool(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

#[derive(Debug, Default)]
struct PostParts {
    id: Option<Id<Post>>,
    author_id: Option<Id<User>>,
    content: Option<String>,
    attachments: Vec<Attachment>,
    visibility: Option<Visibility>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    extra: Extra,
}

impl Parts for PostParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "_id" => self.id = reader.id(path, value),
            "authorId" => self.author_id = reader.id(path, value),
            "content" => self.content = reader.string(path, value),
            "attachments" => reader.objects(path, value, |reader, path, bytes| {
                let mut attachment = AttachmentParts::default();
                reader.fields(bytes, path, Attachment::FIELDS, &mut attachment);
                let attachment = attachment.finish(path, &mut reader.problems);
                self.attachments.extend(attachment);
            }),
            "visibility" => self.visibility = reader.value(path, value),
            "createdAt" => self.created_at = reader.date(path, value),
            "updatedAt" => self.updated_at = reader.date(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl PostParts {
    fn finish(self, mut problems: Problems) -> Result<Post, Problems> {
        require(
            &mut problems,
            "_id",
            self.id.is_some(),
            "a post needs an id",
        );
        let author = self.author_id.is_some();
        require(&mut problems, "authorId", author, "say who wrote it");
        let (Some(id), Some(author_id), true) = (self.id, self.author_id, problems.is_empty())
        else {
            return Err(problems);
        };
        let created_at = self.created_at.unwrap_or_else(|| id.created_at());
        Ok(Post {
            id,
            author_id,
            content: self.content.unwrap_or_default(),
            attachments: self.attachments,
            // Nothing becomes public by a missing field.
            visibility: self.visibility.unwrap_or(Visibility::Followers),
            created_at,
            updated_at: self.updated_at.unwrap_or(created_at),
            extra: self.extra,
        })
    }
}

#[derive(Debug, Default)]
struct AttachmentParts {
    kind: Option<AttachmentKind>,
    url: Option<WebUrl>,
    extra: Extra,
}

impl Parts for AttachmentParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "type" => self.kind = reader.value(path, value),
            "url" => self.url = reader.value(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

impl AttachmentParts {
    fn finish(self, path: &Path<'_>, problems: &mut Problems) -> Option<Attachment> {
        let (kind, url) = (format!("{path}.type"), format!("{path}.url"));
        require(problems, &kind, self.kind.is_some(), "say what is attached");
        require(problems, &url, self.url.is_some(), "say where it is");
        Some(Attachment {
            kind: self.kind?,
            url: self.url?,
            extra: self.extra,
        })
    }
}

/// Reads `{postId, likes: <one element>}`.
pub(crate) fn like(bytes: &[u8]) -> Result<Like, Problems> {
    let mut reader = Reader::default();
    let mut like = LikeParts::default();
    reader.fields(bytes, &Path::Root, &["postId", "likes"], &mut like);
    let mut problems = reader.problems;
    require_post(&mut problems, like.post_id.is_some());
    require(
        &mut problems,
        "likes",
        like.user_id.is_some(),
        "say who likes the post, or remove the item",
    );
    match (like.post_id, like.user_id) {
        (Some(post_id), Some(user_id)) if problems.is_empty() => Ok(Like { post_id, user_id }),
        _ => Err(problems),
    }
}

fn require_post(problems: &mut Problems, present: bool) {
    require(
        problems,
        "postId",
        present,
        "the post needs an id that is an objectId",
    );
}

#[derive(Debug, Default)]
struct LikeParts {
    post_id: Option<Id<Post>>,
    user_id: Option<Id<User>>,
    extra: Extra,
}

impl Parts for LikeParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "postId" => self.post_id = reader.id(path, value),
            "likes" => self.user_id = reader.id(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

/// Reads `{postId, comments: <one element>}`. A comment without a date has that of its post,
/// `parentCreatedAt` there.
pub(crate) fn comment(bytes: &[u8]) -> Result<Comment, Problems> {
    const FIELDS: &[&str] = &["postId", "comments", "parentCreatedAt"];
    let mut reader = Reader::default();
    let mut parts = CommentParts::default();
    reader.fields(bytes, &Path::Root, FIELDS, &mut parts);
    let mut problems = reader.problems;
    require_post(&mut problems, parts.post_id.is_some());
    let text = parts.text;
    let (id, author) = (text.id.is_some(), text.author_id.is_some());
    if parts.is_object {
        require(&mut problems, "comments.id", id, "give the comment an id");
        require(
            &mut problems,
            "comments.authorId",
            author,
            "say who wrote it",
        );
    }
    require(
        &mut problems,
        "comments",
        parts.is_object,
        "remove the item",
    );
    match (parts.post_id, text.id, text.author_id) {
        (Some(post_id), Some(id), Some(author_id)) if problems.is_empty() => {
            let created_at = text.created_at.or(parts.parent_created_at);
            Ok(Comment {
                id,
                post_id,
                author_id,
                content: text.content.unwrap_or_default(),
                created_at: created_at.unwrap_or_else(|| post_id.created_at()),
                extra: text.extra,
            })
        }
        _ => Err(problems),
    }
}

#[derive(Debug, Default)]
struct CommentParts {
    post_id: Option<Id<Post>>,
    parent_created_at: Option<DateTime<Utc>>,
    is_object: bool,
    text: TextParts,
    extra: Extra,
}

impl Parts for CommentParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "postId" => self.post_id = reader.id(path, value),
            "comments" => {
                self.is_object = matches!(value, Raw::Document(_));
                reader.nested(path, value, Comment::FIELDS, &mut self.text);
            }
            // What is wrong with it is the post's problem.
            "parentCreatedAt" => {
                if let Raw::Date(millis) = value {
                    self.parent_created_at = DateTime::from_timestamp_millis(millis);
                }
            }
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}

#[derive(Debug, Default)]
struct TextParts {
    id: Option<CommentId>,
    author_id: Option<Id<User>>,
    content: Option<String>,
    created_at: Option<DateTime<Utc>>,
    extra: Extra,
}

impl Parts for TextParts {
    fn take(&mut self, reader: &mut Reader, path: &Path<'_>, name: &str, value: Raw<'_>) {
        match name {
            "id" => self.id = reader.value(path, value),
            "authorId" => self.author_id = reader.id(path, value),
            "content" => self.content = reader.string(path, value),
            "createdAt" => self.created_at = reader.date(path, value),
            _ => {}
        }
    }

    fn extra(&mut self) -> &mut Extra {
        &mut self.extra
    }
}
