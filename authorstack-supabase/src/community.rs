//! Community posts, their likes and comments.

use std::sync::LazyLock;

use async_trait::async_trait;
use authorstack_core::{
    Comment, CommentId, CommunityRepository, Error, Feed, Id, NewPost, Order, Page, PageRequest,
    Post, PostPatch, PostView, Result, Unreadable, User,
    fields::{Fields as _, Patch as _},
    migrate::{Kind, Stored as _},
    resilience::retry_on_conflict,
    time,
};
use authorstack_sql::{
    ArgumentWriter, Moment, Statement, arguments, check_moment, get, insert, parameter,
    placeholders, postgres_micros, update, width,
};
use sqlx::{Row as _, postgres::PgRow, query, query_with};
use uuid::Uuid;

use crate::{
    error::user_label,
    store::{SupabaseStore, behind_id, behind_moment, listed, record, there},
};

#[derive(Debug)]
pub(crate) struct SupabaseCommunity(pub(crate) SupabaseStore);

/// Whether a viewer sees `post`.
fn visible_to(viewer: &str) -> String {
    format!(
        "(post.visibility = 'public' or post.author_id = {viewer} or exists (\
           select from public.follows as follow \
           where follow.follower_id = {viewer} and follow.author_id = post.author_id))"
    )
}

/// Whether the viewer `$2` sees `post`.
fn visible() -> String {
    visible_to("$2")
}

/// The columns of `post` that [`view_of`] reads, for the viewer `$2`.
fn view() -> String {
    format!(
        "{}, like_count, comment_count, exists (\
           select from public.post_likes as own \
           where own.post_id = post.id and own.user_id = $2)",
        Post::columns()
    )
}

/// Reads a row of [`view`].
fn view_of(row: &PgRow) -> Result<PostView> {
    counted(record(row)?, row)
}

/// Reads a row of [`view`] for a list.
fn listed_view(row: &PgRow) -> Result<PostView, Unreadable> {
    let post: Post = listed(row)?;
    let id = post.id.to_string();
    let view = counted(post, row);
    view.map_err(|_| Unreadable::new(Post::KIND.as_str(), id, vec!["likeCount".to_owned()]))
}

fn counted(post: Post, row: &PgRow) -> Result<PostView> {
    let first = width::<Post>();
    let count = |index| Ok::<u64, Error>(get::<i64>(row, index)?.unsigned_abs());
    Ok(PostView {
        post,
        like_count: count(first)?,
        comment_count: count(first + 1)?,
        liked: get(row, first + 2)?,
    })
}

/// A statement for each order of its pages.
struct Pages {
    oldest_first: String,
    newest_first: String,
}

impl Pages {
    /// Builds the statements with a function of the comparison with the cursor and the order.
    fn new(make: impl Fn(&str, &str) -> String) -> Self {
        Self {
            oldest_first: make(">", "asc"),
            newest_first: make("<", "desc"),
        }
    }

    fn of(&self, page: &PageRequest) -> &str {
        match page.sort_order() {
            Order::OldestFirst => &self.oldest_first,
            Order::NewestFirst => &self.newest_first,
        }
    }
}

/// The posts of the viewer `$2` and of the authors whom they follow. For each author, an index
/// returns as many posts as the page may need, so every page costs the same.
static CIRCLE: LazyLock<Pages> = LazyLock::new(|| {
    Pages::new(|beyond, order| {
        format!(
            "select {} from (select found.* from (\
                 select author_id from public.follows where follower_id = $2 union select $2\
               ) as circle \
               cross join lateral (\
                 select * from public.community_posts as own \
                 where own.author_id = circle.author_id and own.id {beyond} $1 \
                 order by own.id {order} limit $3) as found \
               order by found.id {order} limit $3) as post order by id {order}",
            view()
        )
    })
});

static EVERYONE: LazyLock<Pages> = LazyLock::new(|| {
    Pages::new(|beyond, order| {
        format!(
            "select {} from public.community_posts as post \
             where post.id {beyond} $1 and {} order by id {order} limit $3",
            view(),
            visible()
        )
    })
});

static OF_AUTHOR: LazyLock<Pages> = LazyLock::new(|| {
    Pages::new(|beyond, order| {
        format!(
            "select {} from public.community_posts as post \
             where post.author_id = $4 and post.id {beyond} $1 and {} order by id {order} limit $3",
            view(),
            visible()
        )
    })
});

static LIKERS: LazyLock<Pages> = LazyLock::new(|| {
    Pages::new(|beyond, order| {
        format!(
            "select liker.user_id from public.community_posts as post \
             left join lateral (\
               select user_id from public.post_likes \
               where post_id = post.id and user_id {beyond} $3 \
               order by user_id {order} limit $4) as liker on true \
             where post.id = $1 and {} order by 1 {order}",
            visible()
        )
    })
});

fn comments(after: &str, limit: &str, order: &str) -> String {
    format!(
        "select comment.* from public.community_posts as post \
         left join lateral (\
           select {} from public.post_comments \
           where post_id = post.id {after} \
           order by created_at {order}, id {order} limit {limit}) as comment on true \
         where post.id = $1 and {} \
         order by comment.created_at {order}, comment.id {order}",
        Comment::columns(),
        visible()
    )
}

/// The first comments, whatever their dates.
static FIRST_COMMENTS: LazyLock<Pages> =
    LazyLock::new(|| Pages::new(|_, order| comments("", "$3", order)));

static COMMENTS: LazyLock<Pages> = LazyLock::new(|| {
    Pages::new(|beyond, order| {
        let after = format!("and (created_at, id) {beyond} ($3, $4)");
        comments(&after, "$5", order)
    })
});

static INSERT: LazyLock<String> = LazyLock::new(insert::<Post>);

static GET: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {} from public.community_posts as post where post.id = $1 and {}",
        view(),
        visible()
    )
});

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    update::<PostPatch>(
        "updated_at = greatest($3, updated_at + interval '1 millisecond'), ",
        "id = $1 and author_id = $2 and ($4::timestamptz is null or updated_at = $4)",
        4,
    )
});

static LIKE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "insert into public.post_likes (post_id, user_id) \
         select post.id, $2 from public.community_posts as post where post.id = $1 and {} \
         on conflict do nothing",
        visible()
    )
});

static UNLIKE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "delete from public.post_likes as own using public.community_posts as post \
         where own.post_id = $1 and own.user_id = $2 and post.id = own.post_id and {}",
        visible()
    )
});

static LIKE_COUNT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select like_count from public.community_posts as post where post.id = $1 and {}",
        visible()
    )
});

/// Adds a comment to a post that its author sees.
static COMMENT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "insert into public.post_comments ({}) select {} from public.community_posts as post \
         where post.id = {} and {} returning 1",
        Comment::columns(),
        placeholders::<Comment>(),
        parameter::<Comment>("post_id"),
        visible_to(&parameter::<Comment>("author_id")),
    )
});

/// The id after which a page starts: the cursor, or the limit of all ids.
fn start(page: &PageRequest) -> Result<Uuid> {
    let edge = match page.sort_order() {
        Order::OldestFirst => Uuid::nil(),
        Order::NewestFirst => Uuid::max(),
    };
    Ok(page.after_uuid()?.unwrap_or(edge))
}

impl SupabaseCommunity {
    /// Changes the likes with one statement, then reads the count with another. A trigger updates
    /// the count at the end of the first statement.
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
        let row = unit
            .fetch_optional(bound(query(LIKE_COUNT.as_str())))
            .await?;
        let count: i64 = get(&row.ok_or_else(Error::not_found)?, 0)?;
        unit.commit().await?;
        Ok(count.unsigned_abs())
    }
}

#[async_trait]
impl CommunityRepository for SupabaseCommunity {
    async fn create(&self, author_id: Id<User>, post: NewPost) -> Result<Post> {
        let post = post.into_post(author_id);
        let insert = query_with(INSERT.as_str(), arguments(&post)?);
        match self.0.fetch_optional(insert).await {
            Ok(_) => Ok(post),
            // The only foreign key is the author's.
            Err(error) if error.is_not_found() => Err(error.for_record(user_label(author_id))),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, viewer_id: Id<User>, id: Id<Post>) -> Result<PostView> {
        let select = query(GET.as_str())
            .bind(id.to_uuid())
            .bind(viewer_id.to_uuid());
        let row = self.0.fetch_optional(select).await?;
        view_of(&row.ok_or_else(Error::not_found)?)
    }

    async fn feed(
        &self,
        viewer_id: Id<User>,
        feed: Feed,
        page: PageRequest,
    ) -> Result<Page<PostView>> {
        let pages = match feed {
            Feed::Following => &CIRCLE,
            Feed::Everyone => &EVERYONE,
            Feed::Author(_) => &OF_AUTHOR,
        };
        let mut select = query(LazyLock::force(pages).of(&page))
            .bind(start(&page)?)
            .bind(viewer_id.to_uuid())
            .bind(i64::from(page.limit()) + 1);
        if let Feed::Author(author_id) = feed {
            select = select.bind(author_id.to_uuid());
        }
        let rows = self.0.fetch_all(select).await?;
        Ok(Page::from_rows(&rows, page.limit(), listed_view, behind_id))
    }

    async fn update(&self, author_id: Id<User>, id: Id<Post>, patch: PostPatch) -> Result<Post> {
        let expected = patch.expected_updated_at;
        // No record has a moment that PostgreSQL cannot hold.
        if expected.is_none_or(|at| postgres_micros(at).is_some()) {
            let mut arguments = ArgumentWriter::default();
            arguments.push(id.to_uuid())?;
            arguments.push(author_id.to_uuid())?;
            arguments.push(Moment(time::now()))?;
            arguments.push(expected.map(Moment))?;
            patch.write(&mut arguments)?;
            let update = query_with(UPDATE.as_str(), arguments.into_arguments());
            if let Some(row) = self.0.fetch_optional(update).await? {
                return record(&row);
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

    async fn delete(&self, author_id: Id<User>, id: Id<Post>) -> Result<()> {
        retry_on_conflict(|| {
            let delete = query(
                "delete from public.community_posts where id = $1 and author_id = $2 returning 1",
            );
            self.0
                .delete(delete.bind(id.to_uuid()).bind(author_id.to_uuid()))
        })
        .await
    }

    async fn like(&self, user_id: Id<User>, id: Id<Post>) -> Result<u64> {
        retry_on_conflict(|| self.set_like(user_id, id, LIKE.as_str())).await
    }

    async fn unlike(&self, user_id: Id<User>, id: Id<Post>) -> Result<u64> {
        retry_on_conflict(|| self.set_like(user_id, id, UNLIKE.as_str())).await
    }

    async fn likers(
        &self,
        viewer_id: Id<User>,
        id: Id<Post>,
        page: PageRequest,
    ) -> Result<Page<Id<User>>> {
        let select = query(LazyLock::force(&LIKERS).of(&page))
            .bind(id.to_uuid())
            .bind(viewer_id.to_uuid())
            .bind(start(&page)?)
            .bind(i64::from(page.limit()) + 1);
        let rows = self.0.fetch_all(select).await?;
        // A post that the viewer sees gives at least one row.
        rows.first().ok_or_else(Error::not_found)?;
        let liker = |row: &PgRow| {
            let user = get::<Uuid>(row, 0).unwrap_or_default();
            Id::<User>::from_uuid(user).map_err(|_| {
                let key = format!("{id}.{user}");
                Unreadable::new(Kind::PostLikes.as_str(), key, vec!["likes".to_owned()])
            })
        };
        let there = there(rows)?;
        Ok(Page::from_rows(&there, page.limit(), liker, behind_id))
    }

    async fn comment(&self, author_id: Id<User>, id: Id<Post>, content: String) -> Result<Comment> {
        let comment = Comment::new(id, author_id, content);
        retry_on_conflict(async || {
            let insert = query_with(COMMENT.as_str(), arguments(&comment)?);
            let row = self.0.fetch_optional(insert).await?;
            row.map(drop).ok_or_else(Error::not_found)
        })
        .await?;
        Ok(comment)
    }

    async fn comments(
        &self,
        viewer_id: Id<User>,
        id: Id<Post>,
        page: PageRequest,
    ) -> Result<Page<Comment>> {
        let after = page.after_moment()?;
        let pages = match after {
            None => &FIRST_COMMENTS,
            Some(_) => &COMMENTS,
        };
        let mut select = query(LazyLock::force(pages).of(&page))
            .bind(id.to_uuid())
            .bind(viewer_id.to_uuid());
        if let Some((at, key)) = after {
            check_moment("cursor", at)?;
            select = select.bind(Moment(at)).bind(key);
        }
        let select = select.bind(i64::from(page.limit()) + 1);
        let rows = self.0.fetch_all(select).await?;
        rows.first().ok_or_else(Error::not_found)?;
        let there = there(rows)?;
        let behind = |last: &PgRow| {
            let key = last.try_get("id").ok()?;
            behind_moment(last, "created_at", key, page.sort_order())
        };
        Ok(Page::from_rows(
            &there,
            page.limit(),
            listed::<Comment>,
            behind,
        ))
    }

    async fn delete_comment(
        &self,
        user_id: Id<User>,
        id: Id<Post>,
        comment: CommentId,
    ) -> Result<()> {
        retry_on_conflict(|| {
            let delete = query(
                "delete from public.post_comments as comment using public.community_posts as post \
                 where comment.post_id = $1 and comment.id = $2 and post.id = comment.post_id \
                   and (comment.author_id = $3 or post.author_id = $3) returning 1",
            );
            let delete = delete.bind(id.to_uuid()).bind(comment.as_str());
            self.0.delete(delete.bind(user_id.to_uuid()))
        })
        .await
    }
}
