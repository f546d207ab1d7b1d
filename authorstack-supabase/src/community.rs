//! Community posts, their likes and comments.

use async_trait::async_trait;
use authorstack_core::{
    Comment, CommentId, CommunityRepository, Cursor, Error, Feed, Id, NewPost, Order, Page,
    PageRequest, Post, PostPatch, PostView, Result, User, Visibility, time,
};
use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use crate::{
    error::user_label,
    row::{self, Jsonb, Moment, comment_columns, get, post_columns},
    store::{Statement, SupabaseStore, again},
};

#[derive(Debug)]
pub(crate) struct SupabaseCommunity(pub(crate) SupabaseStore);

/// Whether the viewer `$2` sees `post`.
macro_rules! visible {
    () => {
        "(post.visibility = 'public' or post.author_id = $2 or exists (\
           select from public.follows as follow \
           where follow.follower_id = $2 and follow.author_id = post.author_id))"
    };
}

/// What `post_view` reads of `post`, for the viewer `$2`.
macro_rules! view {
    () => {
        concat!(
            post_columns!(),
            ", like_count, comment_count, exists (\
               select from public.post_likes as own \
               where own.post_id = post.id and own.user_id = $2)"
        )
    };
}

/// The posts of the viewer `$2` and of whom they follow: of each author as many as the page may
/// need, by an index, so that every page costs the same.
macro_rules! circle {
    ($beyond:literal, $order:literal) => {
        concat!(
            "select ",
            view!(),
            " from (select found.* from (\
                 select author_id from public.follows where follower_id = $2 union select $2\
               ) as circle \
               cross join lateral (\
                 select * from public.community_posts as own \
                 where own.author_id = circle.author_id and own.id ",
            $beyond,
            " $1 order by own.id ",
            $order,
            " limit $3) as found \
               order by found.id ",
            $order,
            " limit $3) as post order by id ",
            $order
        )
    };
}

macro_rules! everyone {
    ($beyond:literal, $order:literal) => {
        concat!(
            "select ",
            view!(),
            " from public.community_posts as post where post.id ",
            $beyond,
            " $1 and ",
            visible!(),
            " order by id ",
            $order,
            " limit $3"
        )
    };
}

macro_rules! of_author {
    ($beyond:literal, $order:literal) => {
        concat!(
            "select ",
            view!(),
            " from public.community_posts as post where post.author_id = $4 and post.id ",
            $beyond,
            " $1 and ",
            visible!(),
            " order by id ",
            $order,
            " limit $3"
        )
    };
}

macro_rules! likers {
    ($beyond:literal, $order:literal) => {
        concat!(
            "select liker.user_id from public.community_posts as post \
             left join lateral (\
               select user_id from public.post_likes \
               where post_id = post.id and user_id ",
            $beyond,
            " $3 order by user_id ",
            $order,
            " limit $4) as liker on true \
             where post.id = $1 and ",
            visible!(),
            " order by 1 ",
            $order
        )
    };
}

macro_rules! comments {
    ($beyond:literal, $order:literal) => {
        concat!(
            "select comment.* from public.community_posts as post \
             left join lateral (\
               select ",
            comment_columns!(),
            " from public.post_comments \
               where post_id = post.id and (created_at, id) ",
            $beyond,
            " ($3, $4) order by created_at ",
            $order,
            ", id ",
            $order,
            " limit $5) as comment on true \
             where post.id = $1 and ",
            visible!(),
            " order by comment.created_at ",
            $order,
            ", comment.id ",
            $order
        )
    };
}

/// Where a page of ids starts: behind the cursor, or at the edge of all ids.
fn start<T>(page: &PageRequest) -> Result<Uuid> {
    let edge = match page.sort_order() {
        Order::OldestFirst => Uuid::nil(),
        Order::NewestFirst => Uuid::max(),
    };
    Ok(page.after_id::<T>()?.map_or(edge, Id::to_uuid))
}

impl SupabaseCommunity {
    async fn insert(&self, post: &Post) -> Result<()> {
        let insert = query(concat!(
            "insert into public.community_posts (",
            post_columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8)"
        ))
        .bind(post.id.to_uuid())
        .bind(post.author_id.to_uuid())
        .bind(&post.content)
        .bind(Jsonb(&post.attachments))
        .bind(post.visibility.as_str())
        .bind(Moment(post.created_at))
        .bind(Moment(post.updated_at))
        .bind(Jsonb(&post.extra));
        match self.0.fetch_optional(insert).await {
            Ok(_) => Ok(()),
            // The one foreign key is the author's.
            Err(error) if error.is_not_found() => Err(error.for_record(user_label(post.author_id))),
            Err(error) => Err(error),
        }
    }

    async fn view(&self, viewer_id: Id<User>, id: Id<Post>) -> Result<PostView> {
        let select = query(concat!(
            "select ",
            view!(),
            " from public.community_posts as post where post.id = $1 and ",
            visible!()
        ))
        .bind(id.to_uuid())
        .bind(viewer_id.to_uuid());
        let row = self.0.fetch_optional(select).await?;
        row::post_view(&row.ok_or_else(Error::not_found)?)
    }

    async fn feed_page(
        &self,
        viewer_id: Id<User>,
        feed: Feed,
        page: &PageRequest,
    ) -> Result<Page<PostView>> {
        let sql = match (feed, page.sort_order()) {
            (Feed::Following, Order::NewestFirst) => circle!("<", "desc"),
            (Feed::Following, Order::OldestFirst) => circle!(">", "asc"),
            (Feed::Everyone, Order::NewestFirst) => everyone!("<", "desc"),
            (Feed::Everyone, Order::OldestFirst) => everyone!(">", "asc"),
            (Feed::Author(_), Order::NewestFirst) => of_author!("<", "desc"),
            (Feed::Author(_), Order::OldestFirst) => of_author!(">", "asc"),
        };
        let mut select = query(sql)
            .bind(start::<Post>(page)?)
            .bind(viewer_id.to_uuid())
            .bind(i64::from(page.limit()) + 1);
        if let Feed::Author(author_id) = feed {
            select = select.bind(author_id.to_uuid());
        }
        let rows = self.0.fetch_all(select).await?;
        let found: Result<Vec<_>> = rows.iter().map(row::post_view).collect();
        Ok(Page::from_one_more(found?, page.limit(), |view| {
            view.post.id
        }))
    }

    async fn patch(&self, author_id: Id<User>, id: Id<Post>, patch: &PostPatch) -> Result<Post> {
        patch.check()?;
        let expected = patch.expected_updated_at;
        if expected.is_none_or(|at| row::postgres_micros(at).is_some()) {
            let update = query(concat!(
                "update public.community_posts set \
                 updated_at = greatest($3, updated_at + interval '1 millisecond'), \
                 content = coalesce($5, content), attachments = coalesce($6, attachments), \
                 visibility = coalesce($7, visibility) \
                 where id = $1 and author_id = $2 and ($4::timestamptz is null or updated_at = $4) \
                 returning ",
                post_columns!()
            ))
            .bind(id.to_uuid())
            .bind(author_id.to_uuid())
            .bind(Moment(time::now()))
            .bind(expected.map(Moment))
            .bind(patch.content.as_deref())
            .bind(patch.attachments.as_ref().map(Jsonb))
            .bind(patch.visibility.map(Visibility::as_str));
            if let Some(row) = self.0.fetch_optional(update).await? {
                return row::post(&row);
            }
        }
        let own = query("select 1 from public.community_posts where id = $1 and author_id = $2")
            .bind(id.to_uuid())
            .bind(author_id.to_uuid());
        match self.0.fetch_optional(own).await? {
            Some(_) => Err(Error::stale()),
            None => Err(Error::not_found()),
        }
    }

    async fn remove(&self, author_id: Id<User>, id: Id<Post>) -> Result<()> {
        let delete = query(
            "delete from public.community_posts where id = $1 and author_id = $2 returning 1",
        )
        .bind(id.to_uuid())
        .bind(author_id.to_uuid());
        match self.0.fetch_optional(delete).await? {
            Some(_) => Ok(()),
            None => Err(Error::not_found()),
        }
    }

    /// Changes the likes by a statement, then counts: the count is a trigger's, who has done its
    /// work once the statement is over.
    async fn set_like(
        &self,
        user_id: Id<User>,
        id: Id<Post>,
        statement: &'static str,
    ) -> Result<u64> {
        let bound =
            |statement: Statement<'static>| statement.bind(id.to_uuid()).bind(user_id.to_uuid());
        let mut unit = self.0.unit().await?;
        unit.fetch_optional(bound(query(statement))).await?;
        let count = query(concat!(
            "select like_count from public.community_posts as post where post.id = $1 and ",
            visible!()
        ));
        let row = unit.fetch_optional(bound(count)).await?;
        let count: i64 = get(&row.ok_or_else(Error::not_found)?, 0)?;
        unit.commit().await?;
        Ok(count.unsigned_abs())
    }

    async fn likers_page(
        &self,
        viewer_id: Id<User>,
        id: Id<Post>,
        page: &PageRequest,
    ) -> Result<Page<Id<User>>> {
        let sql = match page.sort_order() {
            Order::NewestFirst => likers!("<", "desc"),
            Order::OldestFirst => likers!(">", "asc"),
        };
        let select = query(sql)
            .bind(id.to_uuid())
            .bind(viewer_id.to_uuid())
            .bind(start::<User>(page)?)
            .bind(i64::from(page.limit()) + 1);
        let rows = self.0.fetch_all(select).await?;
        // A post that the viewer sees has one row at least.
        rows.first().ok_or_else(Error::not_found)?;
        let mut likers = Vec::new();
        for row in &rows {
            let user: Option<Uuid> = get(row, 0)?;
            likers.extend(user.map(Id::<User>::from_uuid).transpose()?);
        }
        Ok(Page::from_one_more(likers, page.limit(), |user| *user))
    }

    async fn add_comment(&self, comment: &Comment) -> Result<()> {
        let insert = query(concat!(
            "insert into public.post_comments (",
            comment_columns!(),
            ") select post.id, $3, $2, $4, $5, $6 from public.community_posts as post \
             where post.id = $1 and ",
            visible!(),
            " returning 1"
        ))
        .bind(comment.post_id.to_uuid())
        .bind(comment.author_id.to_uuid())
        .bind(comment.id.as_str())
        .bind(&comment.content)
        .bind(Moment(comment.created_at))
        .bind(Jsonb(&comment.extra));
        match self.0.fetch_optional(insert).await? {
            Some(_) => Ok(()),
            None => Err(Error::not_found()),
        }
    }

    async fn comments_page(
        &self,
        viewer_id: Id<User>,
        id: Id<Post>,
        page: &PageRequest,
    ) -> Result<Page<Comment>> {
        let (sql, edge) = match page.sort_order() {
            Order::NewestFirst => (comments!("<", "desc"), LAST_MOMENT),
            Order::OldestFirst => (comments!(">", "asc"), FIRST_MOMENT),
        };
        let (at, key) = page.after_moment()?.unwrap_or((edge, ""));
        row::check_moment("cursor", at)?;
        let select = query(sql)
            .bind(id.to_uuid())
            .bind(viewer_id.to_uuid())
            .bind(Moment(at))
            .bind(key)
            .bind(i64::from(page.limit()) + 1);
        let rows = self.0.fetch_all(select).await?;
        rows.first().ok_or_else(Error::not_found)?;
        let mut comments = Vec::new();
        for row in &rows {
            if get::<Option<Uuid>>(row, 0)?.is_some() {
                comments.push(row::comment(row)?);
            }
        }
        Ok(Page::from_one_more_by(comments, page.limit(), |last| {
            Cursor::behind_moment(last.created_at, last.id.as_str())
        }))
    }

    async fn take_comment(
        &self,
        user_id: Id<User>,
        id: Id<Post>,
        comment: &CommentId,
    ) -> Result<()> {
        let delete = query(
            "delete from public.post_comments as comment using public.community_posts as post \
             where comment.post_id = $1 and comment.id = $2 and post.id = comment.post_id \
               and (comment.author_id = $3 or post.author_id = $3) returning 1",
        )
        .bind(id.to_uuid())
        .bind(comment.as_str())
        .bind(user_id.to_uuid());
        match self.0.fetch_optional(delete).await? {
            Some(_) => Ok(()),
            None => Err(Error::not_found()),
        }
    }
}

/// In 4000 BC: before every comment.
const FIRST_MOMENT: DateTime<Utc> = moment(-188_395_027_200);
/// In the year 200000: behind every comment.
const LAST_MOMENT: DateTime<Utc> = moment(6_249_223_180_800);

const fn moment(seconds: i64) -> DateTime<Utc> {
    match DateTime::from_timestamp(seconds, 0) {
        Some(moment) => moment,
        None => DateTime::UNIX_EPOCH,
    }
}

const LIKE: &str = concat!(
    "insert into public.post_likes (post_id, user_id) \
     select post.id, $2 from public.community_posts as post where post.id = $1 and ",
    visible!(),
    " on conflict do nothing"
);

const UNLIKE: &str = concat!(
    "delete from public.post_likes as own using public.community_posts as post \
     where own.post_id = $1 and own.user_id = $2 and post.id = own.post_id and ",
    visible!()
);

fn about<T>(result: Result<T>, operation: &'static str, id: Id<Post>) -> Result<T> {
    result.map_err(|error| error.in_operation(operation).for_record(id))
}

fn named<T>(result: Result<T>, operation: &'static str) -> Result<T> {
    result.map_err(|error| error.in_operation(operation))
}

#[async_trait]
impl CommunityRepository for SupabaseCommunity {
    async fn create(&self, author_id: Id<User>, post: NewPost) -> Result<Post> {
        let create = async {
            let post = post.into_post(author_id)?;
            self.insert(&post).await?;
            Ok(post)
        };
        named(create.await, "community.create")
    }

    async fn get(&self, viewer_id: Id<User>, id: Id<Post>) -> Result<PostView> {
        about(self.view(viewer_id, id).await, "community.get", id)
    }

    async fn feed(
        &self,
        viewer_id: Id<User>,
        feed: Feed,
        page: PageRequest,
    ) -> Result<Page<PostView>> {
        named(
            self.feed_page(viewer_id, feed, &page).await,
            "community.feed",
        )
    }

    async fn update(&self, author_id: Id<User>, id: Id<Post>, patch: PostPatch) -> Result<Post> {
        let updated = self.patch(author_id, id, &patch).await;
        about(updated, "community.update", id)
    }

    async fn delete(&self, author_id: Id<User>, id: Id<Post>) -> Result<()> {
        let deleted = again(|| self.remove(author_id, id)).await;
        about(deleted, "community.delete", id)
    }

    async fn like(&self, user_id: Id<User>, id: Id<Post>) -> Result<u64> {
        let liked = again(|| self.set_like(user_id, id, LIKE)).await;
        about(liked, "community.like", id)
    }

    async fn unlike(&self, user_id: Id<User>, id: Id<Post>) -> Result<u64> {
        let unliked = again(|| self.set_like(user_id, id, UNLIKE)).await;
        about(unliked, "community.unlike", id)
    }

    async fn likers(
        &self,
        viewer_id: Id<User>,
        id: Id<Post>,
        page: PageRequest,
    ) -> Result<Page<Id<User>>> {
        let found = self.likers_page(viewer_id, id, &page).await;
        about(found, "community.likers", id)
    }

    async fn comment(&self, author_id: Id<User>, id: Id<Post>, content: String) -> Result<Comment> {
        let comment = async {
            let comment = Comment::new(id, author_id, content)?;
            again(|| self.add_comment(&comment)).await?;
            Ok(comment)
        };
        about(comment.await, "community.comment", id)
    }

    async fn comments(
        &self,
        viewer_id: Id<User>,
        id: Id<Post>,
        page: PageRequest,
    ) -> Result<Page<Comment>> {
        let found = self.comments_page(viewer_id, id, &page).await;
        about(found, "community.comments", id)
    }

    async fn remove_comment(
        &self,
        user_id: Id<User>,
        id: Id<Post>,
        comment: CommentId,
    ) -> Result<()> {
        let removed = again(|| self.take_comment(user_id, id, &comment)).await;
        removed.map_err(|error| {
            error
                .in_operation("community.remove_comment")
                .for_record(format_args!("{id}.{comment}"))
        })
    }
}
