use async_trait::async_trait;

use super::{
    pages::{page, page_by_moment},
    store::{MemoryStore, Records},
};
use crate::{
    Comment, CommentId, CommunityRepository, Error, Feed, Id, Like, NewPost, Order, Page,
    PageRequest, Post, PostPatch, PostView, Result, User, Visibility,
};

#[derive(Debug)]
pub(super) struct MemoryCommunity(pub(super) MemoryStore);

const FIRST: [u8; 12] = [0; 12];
const LAST: [u8; 12] = [u8::MAX; 12];

impl Records {
    fn sees(&self, viewer_id: Id<User>, post: &Post) -> bool {
        post.visibility == Visibility::Public
            || post.author_id == viewer_id
            || self.follow(viewer_id, post.author_id).is_some()
    }

    fn visible(&self, viewer_id: Id<User>, id: Id<Post>) -> Result<&Post> {
        let post = self.posts.get(&id);
        post.filter(|post| self.sees(viewer_id, post))
            .ok_or_else(Error::not_found)
    }

    fn own_post(&mut self, author_id: Id<User>, id: Id<Post>) -> Result<&mut Post> {
        let post = self.posts.get_mut(&id);
        post.filter(|post| post.author_id == author_id)
            .ok_or_else(Error::not_found)
    }

    fn likers(&self, id: Id<Post>) -> impl DoubleEndedIterator<Item = Id<User>> {
        let range = (id, Id::from_bytes(FIRST))..=(id, Id::from_bytes(LAST));
        self.likes.range(range).map(|(_, like)| like.user_id)
    }

    fn comments_of(&self, id: Id<Post>) -> impl Iterator<Item = &Comment> {
        self.comments
            .iter()
            .filter(move |((post, _), _)| *post == id)
            .map(|(_, comment)| comment)
    }

    fn view(&self, viewer_id: Id<User>, post: Post) -> PostView {
        let id = post.id;
        PostView {
            post,
            like_count: self.likers(id).count() as u64,
            comment_count: self.comments_of(id).count() as u64,
            liked: self.likes.contains_key(&(id, viewer_id)),
        }
    }
}

#[async_trait]
impl CommunityRepository for MemoryCommunity {
    async fn create(&self, author_id: Id<User>, post: NewPost) -> Result<Post> {
        let post = post.into_post(author_id);
        let mut records = self.0.lock();
        records.known_user(author_id)?;
        records.posts.insert(post.id, post.clone());
        Ok(post)
    }

    async fn get(&self, viewer_id: Id<User>, id: Id<Post>) -> Result<PostView> {
        let records = self.0.lock();
        let post = records.visible(viewer_id, id).cloned();
        post.map(|post| records.view(viewer_id, post))
    }

    async fn feed(
        &self,
        viewer_id: Id<User>,
        feed: Feed,
        request: PageRequest,
    ) -> Result<Page<PostView>> {
        let records = self.0.lock();
        let matches = |post: &Post| {
            let wanted = match feed {
                Feed::Everyone => true,
                Feed::Author(author_id) => post.author_id == author_id,
                Feed::Following => {
                    post.author_id == viewer_id
                        || records.follow(viewer_id, post.author_id).is_some()
                }
            };
            wanted && records.sees(viewer_id, post)
        };
        page(&records.posts, &request, |post| post.id, matches)
            .map(|page| page.map(|post| records.view(viewer_id, post)))
    }

    async fn update(&self, author_id: Id<User>, id: Id<Post>, patch: PostPatch) -> Result<Post> {
        let mut records = self.0.lock();
        let post = records.own_post(author_id, id)?;
        let expected = patch.expected_updated_at;
        if expected.is_some_and(|expected| expected != post.updated_at) {
            return Err(Error::stale());
        }
        patch.apply(post);
        Ok(post.clone())
    }

    async fn delete(&self, author_id: Id<User>, id: Id<Post>) -> Result<()> {
        let mut records = self.0.lock();
        let own = records.own_post(author_id, id).map(drop);
        own?;
        records.posts.remove(&id);
        records.remove_dependents();
        Ok(())
    }

    async fn like(&self, user_id: Id<User>, id: Id<Post>) -> Result<u64> {
        let mut records = self.0.lock();
        records.known_user(user_id)?;
        records.visible(user_id, id)?;
        let like = Like {
            post_id: id,
            user_id,
        };
        records.likes.insert((id, user_id), like);
        Ok(records.likers(id).count() as u64)
    }

    async fn unlike(&self, user_id: Id<User>, id: Id<Post>) -> Result<u64> {
        let mut records = self.0.lock();
        records.visible(user_id, id)?;
        records.likes.remove(&(id, user_id));
        Ok(records.likers(id).count() as u64)
    }

    async fn likers(
        &self,
        viewer_id: Id<User>,
        id: Id<Post>,
        request: PageRequest,
    ) -> Result<Page<Id<User>>> {
        let after = request.after_id::<User>()?;
        let records = self.0.lock();
        records.visible(viewer_id, id)?;
        let one_more = request.limit() as usize + 1;
        let found = match request.sort_order() {
            Order::OldestFirst => {
                let likers = records.likers(id);
                let behind = likers.filter(|user| after.is_none_or(|after| *user > after));
                behind.take(one_more).collect()
            }
            Order::NewestFirst => {
                let likers = records.likers(id).rev();
                let behind = likers.filter(|user| after.is_none_or(|after| *user < after));
                behind.take(one_more).collect()
            }
        };
        Ok(Page::from_one_more(found, request.limit(), |user| *user))
    }

    async fn comment(&self, author_id: Id<User>, id: Id<Post>, content: String) -> Result<Comment> {
        let comment = Comment::new(id, author_id, content);
        let mut records = self.0.lock();
        records.known_user(author_id)?;
        records.visible(author_id, id)?;
        let key = (id, comment.id.clone());
        records.comments.insert(key, comment.clone());
        Ok(comment)
    }

    async fn comments(
        &self,
        viewer_id: Id<User>,
        id: Id<Post>,
        request: PageRequest,
    ) -> Result<Page<Comment>> {
        request.after_moment()?;
        let records = self.0.lock();
        records.visible(viewer_id, id)?;
        let comments = records.comments_of(id).cloned().collect();
        page_by_moment(comments, &request, |comment: &Comment| {
            (comment.created_at, comment.id.as_str().to_owned())
        })
    }

    async fn delete_comment(
        &self,
        user_id: Id<User>,
        id: Id<Post>,
        comment: CommentId,
    ) -> Result<()> {
        let mut records = self.0.lock();
        let key = (id, comment);
        let by = records.comments.get(&key).map(|comment| comment.author_id);
        let of = records.posts.get(&id).map(|post| post.author_id);
        if by.is_some() && (by == Some(user_id) || of == Some(user_id)) {
            records.comments.remove(&key);
            return Ok(());
        }
        Err(Error::not_found().for_record(format_args!("{id}.{}", key.1)))
    }
}
