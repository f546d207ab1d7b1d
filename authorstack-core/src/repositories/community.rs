use async_trait::async_trait;

use crate::{
    Comment, CommentId, Feed, Id, NewPost, Page, PageRequest, Post, PostPatch, PostView, Result,
    User,
};

/// The operations on community posts.
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
