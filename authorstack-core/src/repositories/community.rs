use async_trait::async_trait;

use crate::{
    Comment, CommentId, Feed, Id, NewPost, Page, PageRequest, Post, PostPatch, PostView, Result,
    User,
};

/// The operations on community posts.
///
/// A viewer sees public posts, their own posts, and the `followers` posts of authors whom they
/// follow. The query itself leaves out all others: a post that a viewer may not see is NotFound.
/// Stores without foreign keys do not check that the viewer exists: the caller has signed them in.
///
/// ```
/// use authorstack_core::{AuthorStack, Feed, NewPost, NewUser, PageRequest};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// # let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// # let ada = stack.users().create(ada).await?;
/// let post = stack.community().create(ada.id, NewPost::new("Chapter one is done.")).await?;
/// assert_eq!(stack.community().like(ada.id, post.id).await?, 1);
/// stack.community().comment(ada.id, post.id, "On to chapter two.".to_owned()).await?;
///
/// let feed = stack.community().feed(ada.id, Feed::Everyone, PageRequest::first(20)).await?;
/// assert_eq!((feed.items[0].comment_count, feed.items[0].liked), (1, true));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait CommunityRepository: std::fmt::Debug + Send + Sync {
    /// Creates a post of an author.
    ///
    /// # Errors
    /// NotFound when there is no such user; Invalid; Timeout or Unavailable of a store, as for
    /// every call.
    async fn create(&self, author_id: Id<User>, post: NewPost) -> Result<Post>;

    /// A post, as the viewer sees it.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, viewer_id: Id<User>, id: Id<Post>) -> Result<PostView>;

    /// A page of a feed, in the order of the posts' ids. Pages stay right while posts are added.
    ///
    /// # Errors
    /// Invalid for a cursor of a different list.
    async fn feed(
        &self,
        viewer_id: Id<User>,
        feed: Feed,
        page: PageRequest,
    ) -> Result<Page<PostView>>;

    /// Edits a post of the author: the fields that the patch sets.
    ///
    /// # Errors
    /// NotFound, also when it is another author's; Conflict when `expected_updated_at` no longer
    /// holds; Invalid.
    async fn update(&self, author_id: Id<User>, id: Id<Post>, patch: PostPatch) -> Result<Post>;

    /// Deletes a post of the author, with its likes and comments.
    ///
    /// # Errors
    /// NotFound, also when it is another author's.
    async fn delete(&self, author_id: Id<User>, id: Id<Post>) -> Result<()>;

    /// Likes a post. Liking it again changes nothing. Returns the number of likes afterwards.
    ///
    /// # Errors
    /// NotFound when there is no such user, or they may not see the post.
    async fn like(&self, user_id: Id<User>, id: Id<Post>) -> Result<u64>;

    /// Removes a like. It is no error if there is none. Returns the number of likes afterwards.
    ///
    /// # Errors
    /// NotFound when the user may not see the post.
    async fn unlike(&self, user_id: Id<User>, id: Id<Post>) -> Result<u64>;

    /// A page of the users who like a post, in the order of their ids.
    ///
    /// # Errors
    /// NotFound when the viewer may not see the post; Invalid for a cursor of a different list.
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

    /// A page of a post's comments, ordered by date, then by id.
    ///
    /// # Errors
    /// NotFound when the viewer may not see the post; Invalid for a cursor of a different list.
    async fn comments(
        &self,
        viewer_id: Id<User>,
        id: Id<Post>,
        page: PageRequest,
    ) -> Result<Page<Comment>>;

    /// Removes a comment. Its author and the post's author may do so.
    ///
    /// # Errors
    /// NotFound, also if the user may not remove the comment.
    async fn delete_comment(
        &self,
        user_id: Id<User>,
        id: Id<Post>,
        comment: CommentId,
    ) -> Result<()>;
}
