//! Who follows whom.

use std::sync::LazyLock;

use async_trait::async_trait;
use authorstack_core::{
    Error, Follow, FollowCounts, FollowRepository, Id, Page, PageRequest, Result, User,
    fields::Fields as _,
};
use authorstack_sql::{arguments, get, insert, select};
use sqlx::{QueryBuilder, query, query_with};

use crate::store::{SupabaseStore, push_page};

#[derive(Debug)]
pub(crate) struct SupabaseFollows(pub(crate) SupabaseStore);

/// Returns the follow, even if it already exists. The update changes nothing; it is needed to see a
/// follow that another transaction has just created.
static UPSERT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{} on conflict (follower_id, author_id) do update set author_id = excluded.author_id \
         returning {}",
        insert::<Follow>(),
        Follow::columns()
    )
});

static SELECT: LazyLock<String> = LazyLock::new(|| select::<Follow>("where "));

/// Whose follows a page shows.
enum Side {
    Followers(Id<User>),
    Following(Id<User>),
}

impl SupabaseFollows {
    async fn page(&self, side: Side, page: &PageRequest) -> Result<Page<Follow>> {
        let mut select = QueryBuilder::new(SELECT.as_str());
        match side {
            Side::Followers(author) => select.push("author_id = ").push_bind(author.to_uuid()),
            Side::Following(follower) => {
                select.push("follower_id = ").push_bind(follower.to_uuid())
            }
        };
        push_page(&mut select, page)?;
        self.0.page(select.build(), page).await
    }
}

#[async_trait]
impl FollowRepository for SupabaseFollows {
    async fn follow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<Follow> {
        let follow = Follow::new(follower_id, author_id);
        let upsert = query_with(UPSERT.as_str(), arguments(&follow)?);
        self.0.one(upsert).await
    }

    async fn unfollow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<()> {
        let delete = query("delete from public.follows where follower_id = $1 and author_id = $2")
            .bind(follower_id.to_uuid())
            .bind(author_id.to_uuid());
        self.0.fetch_optional(delete).await.map(drop)
    }

    async fn is_following(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<bool> {
        let select =
            query("select 1 from public.follows where follower_id = $1 and author_id = $2")
                .bind(follower_id.to_uuid())
                .bind(author_id.to_uuid());
        Ok(self.0.fetch_optional(select).await?.is_some())
    }

    async fn followers(&self, author_id: Id<User>, page: PageRequest) -> Result<Page<Follow>> {
        self.page(Side::Followers(author_id), &page).await
    }

    async fn following(&self, follower_id: Id<User>, page: PageRequest) -> Result<Page<Follow>> {
        self.page(Side::Following(follower_id), &page).await
    }

    async fn counts(&self, user_id: Id<User>) -> Result<FollowCounts> {
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
    }
}
