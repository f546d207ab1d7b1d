//! Who follows whom.

use async_trait::async_trait;
use authorstack_core::{
    Error, Follow, FollowCounts, FollowRepository, Id, Page, PageRequest, Result, User,
};
use sqlx::{QueryBuilder, query};

use crate::{
    row::{self, Jsonb, Moment, follow_columns, get},
    store::{SupabaseStore, push_page},
};

#[derive(Debug)]
pub(crate) struct SupabaseFollows(pub(crate) SupabaseStore);

/// Whose follows a page shows.
enum Side {
    Followers(Id<User>),
    Following(Id<User>),
}

impl SupabaseFollows {
    async fn start(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<Follow> {
        let follow = Follow::new(follower_id, author_id)?;
        // A follow that is there already is answered, which takes an update of nothing: only so
        // does the statement see one that another transaction has just made.
        let upsert = query(concat!(
            "insert into public.follows (",
            follow_columns!(),
            ") values ($1, $2, $3, $4, $5) \
             on conflict (follower_id, author_id) do update set author_id = excluded.author_id \
             returning ",
            follow_columns!()
        ))
        .bind(follow.id.to_uuid())
        .bind(follower_id.to_uuid())
        .bind(author_id.to_uuid())
        .bind(Moment(follow.created_at))
        .bind(Jsonb(&follow.extra));
        match self.0.fetch_optional(upsert).await? {
            Some(row) => row::follow(&row),
            None => Err(Error::internal("an upsert answered nothing")),
        }
    }

    async fn page(&self, side: Side, page: &PageRequest) -> Result<Page<Follow>> {
        let mut select = QueryBuilder::new(concat!(
            "select ",
            follow_columns!(),
            " from public.follows where "
        ));
        match side {
            Side::Followers(author) => select.push("author_id = ").push_bind(author.to_uuid()),
            Side::Following(follower) => {
                select.push("follower_id = ").push_bind(follower.to_uuid())
            }
        };
        push_page::<Follow>(&mut select, page)?;
        let rows = self.0.fetch_all(select.build()).await?;
        let found: Result<Vec<_>> = rows.iter().map(row::follow).collect();
        Ok(Page::from_one_more(found?, page.limit(), |follow| {
            follow.id
        }))
    }
}

fn named<T>(result: Result<T>, operation: &'static str) -> Result<T> {
    result.map_err(|error| error.in_operation(operation))
}

#[async_trait]
impl FollowRepository for SupabaseFollows {
    async fn follow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<Follow> {
        named(self.start(follower_id, author_id).await, "follows.follow")
    }

    async fn unfollow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<()> {
        let delete = query("delete from public.follows where follower_id = $1 and author_id = $2")
            .bind(follower_id.to_uuid())
            .bind(author_id.to_uuid());
        let deleted = self.0.fetch_optional(delete).await;
        named(deleted.map(drop), "follows.unfollow")
    }

    async fn is_following(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<bool> {
        let select =
            query("select 1 from public.follows where follower_id = $1 and author_id = $2")
                .bind(follower_id.to_uuid())
                .bind(author_id.to_uuid());
        let found = self.0.fetch_optional(select).await;
        named(found.map(|row| row.is_some()), "follows.is_following")
    }

    async fn followers(&self, author_id: Id<User>, page: PageRequest) -> Result<Page<Follow>> {
        let found = self.page(Side::Followers(author_id), &page).await;
        named(found, "follows.followers")
    }

    async fn following(&self, follower_id: Id<User>, page: PageRequest) -> Result<Page<Follow>> {
        let found = self.page(Side::Following(follower_id), &page).await;
        named(found, "follows.following")
    }

    async fn counts(&self, user_id: Id<User>) -> Result<FollowCounts> {
        let count = async {
            let select = query(
                "select (select count(*) from public.follows where author_id = $1), \
                        (select count(*) from public.follows where follower_id = $1)",
            )
            .bind(user_id.to_uuid());
            let row = self.0.fetch_optional(select).await?;
            let row = row.ok_or_else(|| Error::internal("no counts"))?;
            let (followers, following): (i64, i64) = (get(&row, 0)?, get(&row, 1)?);
            Ok(FollowCounts {
                followers: followers.unsigned_abs(),
                following: following.unsigned_abs(),
            })
        };
        named(count.await, "follows.counts")
    }
}
