//! What browsers may do with checklists, follows, posts, likes, comments, boosts, competitors and
//! prices: as nobody, the owner, a follower, a stranger.

use crate::common;

use authorstack_core::{
    AuthorStack, Boost, Checklist, Competitor, Id, NewBook, NewBoost, NewChecklist, NewCompetitor,
    NewPost, NewTask, NewUser, Post, User, Visibility,
};
use common::{Database, Via, as_role, on_database};

const DENIED: &str = "42501";
const REFUSED: &str = "23514";

/// Of an author with a follower: one record of each table; and a stranger.
struct World {
    author: User,
    follower: User,
    stranger: User,
    book: Id<authorstack_core::Book>,
    strangers_book: Id<authorstack_core::Book>,
    checklist: Checklist,
    public: Post,
    hidden: Post,
    boost: Boost,
    competitor: Competitor,
}

impl World {
    async fn of(store: &AuthorStack) -> Self {
        let user = async |name: &str| {
            let (account, email) = (name.parse(), format!("{name}@example.org").parse());
            let mut user = NewUser::new(account.unwrap(), email.unwrap(), name);
            user.credits = 100;
            store.users().create(user).await.unwrap()
        };
        let (author, follower) = (user("author").await, user("follower").await);
        let stranger = user("stranger").await;
        let book = async |user: &User| {
            let book = store.books().create(user.id, NewBook::new("Tide")).await;
            book.unwrap().id
        };
        let (own_book, strangers_book) = (book(&author).await, book(&stranger).await);
        let mut checklist = NewChecklist::empty(own_book, "Launch");
        checklist.tasks = vec![NewTask::new("One"), NewTask::new("Two")];
        let post = async |visibility| {
            let mut post = NewPost::new("Out now");
            post.visibility = visibility;
            store.community().create(author.id, post).await.unwrap()
        };
        let (public, hidden) = (
            post(Visibility::Public).await,
            post(Visibility::Followers).await,
        );
        store
            .follows()
            .follow(follower.id, author.id)
            .await
            .unwrap();
        let community = store.community();
        community.like(follower.id, hidden.id).await.unwrap();
        let commented = community
            .comment(follower.id, hidden.id, "Bravo".to_owned())
            .await;
        commented.unwrap();
        let boost = NewBoost::new(own_book, 7, 10);
        let rival = NewCompetitor::new("B08N5WRWNW".parse().unwrap());
        let competitor = store.competitors().create(author.id, rival).await.unwrap();
        let price = "4.99".parse().unwrap();
        let now = authorstack_core::time::now();
        let competitors = store.competitors();
        let noted = competitors.record_price(author.id, competitor.id, price, now);
        noted.await.unwrap();
        Self {
            checklist: store
                .checklists()
                .create(author.id, checklist)
                .await
                .unwrap(),
            boost: store.boosts().purchase(author.id, boost).await.unwrap(),
            book: own_book,
            author,
            follower,
            stranger,
            strangers_book,
            public,
            hidden,
            competitor,
        }
    }
}

type Expected = Result<u64, &'static str>;

/// Runs statements as signed-in users, each in a transaction that is rolled back.
async fn check(database: &Database, cases: &[(&User, String, Expected)]) {
    for (user, sql, expected) in cases {
        let found = as_role(database, "authenticated", Some(user), sql).await;
        let found = found.as_ref().map(|rows| *rows).map_err(String::as_str);
        assert_eq!(found, *expected, "{}: {sql}", user.name);
    }
}

const TABLES: &[&str] = &[
    "checklists",
    "follows",
    "community_posts",
    "post_likes",
    "post_comments",
    "marketplace_boosts",
    "competitors",
    "competitor_prices",
];

#[tokio::test]
async fn nobody_sees_or_does_anything() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        World::of(&store).await;
        for table in TABLES {
            for sql in [
                format!("select from public.{table}"),
                format!("delete from public.{table}"),
                format!("insert into public.{table} default values"),
                format!("update public.{table} set extra = '{{}}'"),
            ] {
                let refused = as_role(database, "anon", None, &sql).await.unwrap_err();
                let missing = *table == "post_likes" && sql.contains("extra");
                assert_eq!(refused, if missing { "42703" } else { DENIED }, "{sql}");
            }
            let signed_out = format!("select from public.{table}");
            let found = as_role(database, "authenticated", None, &signed_out).await;
            // Public posts are for those who are signed in: as is who has no id, but nobody else.
            let posts = u64::from(*table == "community_posts");
            assert_eq!(found, Ok(posts), "{table}");
            let all = as_role(database, "service_role", None, &signed_out).await;
            assert!(all.unwrap() > 0, "{table}");
        }
    })
    .await;
}

#[tokio::test]
async fn checklists_are_their_owners() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let world = World::of(&store).await;
        let (author, stranger) = (&world.author, &world.stranger);
        let (own, theirs) = (author.id.to_uuid(), stranger.id.to_uuid());
        let (book, other) = (world.book.to_uuid(), world.strangers_book.to_uuid());
        let insert = |user, book, tasks: &str| {
            format!(
                "insert into public.checklists (user_id, book_id, name, tasks) \
                 values ('{user}', '{book}', 'x', '{tasks}')"
            )
        };
        let update = |set: &str| format!("update public.checklists set {set}");
        let task = r#"[{"id": "a", "title": "", "completed": true}]"#;
        check(
            database,
            &[
                (author, "select from public.checklists".into(), Ok(1)),
                (stranger, "select from public.checklists".into(), Ok(0)),
                (
                    &world.follower,
                    "select from public.checklists".into(),
                    Ok(0),
                ),
                (author, insert(own, book, task), Ok(1)),
                (author, insert(own, other, task), Err(DENIED)),
                (author, insert(theirs, other, task), Err(DENIED)),
                (stranger, insert(own, book, task), Err(DENIED)),
                (author, insert(own, book, r#"[{"id": "a"}]"#), Err(REFUSED)),
                (author, insert(own, book, r#"{"id": "a"}"#), Err(REFUSED)),
                (
                    author,
                    insert(
                        own,
                        book,
                        r#"[{"id": " ", "title": "x", "completed": true}]"#,
                    ),
                    Err(REFUSED),
                ),
                (author, update("name = 'y'"), Ok(1)),
                (stranger, update("name = 'y'"), Ok(0)),
                (author, update(&format!("book_id = '{other}'")), Err(DENIED)),
                (author, update("progress = 100"), Err("428C9")),
                (stranger, "delete from public.checklists".into(), Ok(0)),
                (author, "delete from public.checklists".into(), Ok(1)),
            ],
        )
        .await;
        // What a browser writes has its progress, and stays readable.
        let done = "jsonb_set(tasks, '{0,completed}', 'true')";
        database.execute(&update(&format!("tasks = {done}"))).await;
        let read = store.checklists().get(author.id, world.checklist.id).await;
        assert_eq!(read.unwrap().progress, 50);
        let stored = database
            .texts("select progress::text from public.checklists")
            .await;
        assert_eq!(stored, ["50"]);
    })
    .await;
}

#[tokio::test]
async fn follows_are_begun_and_ended_by_the_follower() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let world = World::of(&store).await;
        let (author, follower, stranger) = (&world.author, &world.follower, &world.stranger);
        let insert = |follower: &User, author: &User| {
            let (follower, author) = (follower.id.to_uuid(), author.id.to_uuid());
            format!(
                "insert into public.follows (follower_id, author_id) values ('{follower}', '{author}')"
            )
        };
        check(
            database,
            &[
                (author, "select from public.follows".into(), Ok(1)),
                (follower, "select from public.follows".into(), Ok(1)),
                (stranger, "select from public.follows".into(), Ok(0)),
                (stranger, insert(stranger, author), Ok(1)),
                (stranger, insert(stranger, stranger), Err(REFUSED)),
                (author, insert(stranger, author), Err(DENIED)),
                (follower, insert(follower, author), Err("23505")),
                (follower, "update public.follows set created_at = now()".into(), Err(DENIED)),
                (author, "delete from public.follows".into(), Ok(0)),
                (stranger, "delete from public.follows".into(), Ok(0)),
                (follower, "delete from public.follows".into(), Ok(1)),
            ],
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn posts_are_seen_by_whom_they_are_for() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let world = World::of(&store).await;
        let (author, follower, stranger) = (&world.author, &world.follower, &world.stranger);
        let read = "select from public.community_posts";
        let insert = |user: &User, more: &str, values: &str| {
            let user = user.id.to_uuid();
            format!(
                "insert into public.community_posts (author_id, content{more}) \
                 values ('{user}', 'x'{values})"
            )
        };
        let update = |set: &str| {
            let id = world.public.id.to_uuid();
            format!("update public.community_posts set {set} where id = '{id}'")
        };
        let script = r#"attachments = '[{"type": "link", "url": "javascript:alert(1)"}]'"#;
        let link = r#"attachments = '[{"type": "link", "url": "https://example.org"}]'"#;
        check(
            database,
            &[
                (author, read.into(), Ok(2)),
                (follower, read.into(), Ok(2)),
                (stranger, read.into(), Ok(1)),
                (stranger, insert(stranger, "", ""), Ok(1)),
                (stranger, insert(author, "", ""), Err(DENIED)),
                (
                    stranger,
                    insert(stranger, ", like_count", ", 999"),
                    Err(DENIED),
                ),
                (
                    stranger,
                    insert(stranger, ", visibility", ", 'friends'"),
                    Err(REFUSED),
                ),
                (author, update("content = 'y'"), Ok(1)),
                (author, update(link), Ok(1)),
                (author, update(script), Err(REFUSED)),
                (author, update("like_count = 999"), Err(DENIED)),
                (author, update("comment_count = 999"), Err(DENIED)),
                (author, update("author_id = author_id"), Err(DENIED)),
                (follower, update("content = 'y'"), Ok(0)),
                (stranger, update("content = 'y'"), Ok(0)),
                (follower, "delete from public.community_posts".into(), Ok(0)),
                (author, "delete from public.community_posts".into(), Ok(2)),
            ],
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn likes_are_of_those_who_see_the_post() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let world = World::of(&store).await;
        let (author, follower, stranger) = (&world.author, &world.follower, &world.stranger);
        let read = "select from public.post_likes";
        let insert = |post: &Post, user: &User| {
            let (post, user) = (post.id.to_uuid(), user.id.to_uuid());
            format!("insert into public.post_likes (post_id, user_id) values ('{post}', '{user}')")
        };
        check(
            database,
            &[
                (author, read.into(), Ok(1)),
                (follower, read.into(), Ok(1)),
                (stranger, read.into(), Ok(0)),
                (stranger, insert(&world.public, stranger), Ok(1)),
                (stranger, insert(&world.hidden, stranger), Err(DENIED)),
                (stranger, insert(&world.public, follower), Err(DENIED)),
                (author, insert(&world.hidden, author), Ok(1)),
                (follower, insert(&world.hidden, follower), Err("23505")),
                (follower, "update public.post_likes set user_id = user_id".into(), Err(DENIED)),
                (author, "delete from public.post_likes".into(), Ok(0)),
                (stranger, "delete from public.post_likes".into(), Ok(0)),
                (follower, "delete from public.post_likes".into(), Ok(1)),
            ],
        )
        .await;
        // A browser's like is counted, though its user may not write counts.
        let like = insert(&world.public, stranger);
        let sub = stranger.id.to_uuid();
        let both = format!(
            "begin; set local role authenticated; set local request.jwt.claims = '{{\"sub\":\"{sub}\"}}'; \
             {like}; commit"
        );
        database.execute(&both).await;
        let view = store.community().get(author.id, world.public.id).await.unwrap();
        assert_eq!(view.like_count, 1);
    })
    .await;
}

#[tokio::test]
async fn comments_are_removed_by_their_author_or_the_posts() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let world = World::of(&store).await;
        let (author, follower, stranger) = (&world.author, &world.follower, &world.stranger);
        let read = "select from public.post_comments";
        let insert = |post: &Post, user: &User| {
            let (post, user) = (post.id.to_uuid(), user.id.to_uuid());
            format!(
                "insert into public.post_comments (post_id, author_id, content) \
                 values ('{post}', '{user}', 'x')"
            )
        };
        let remove = "delete from public.post_comments";
        check(
            database,
            &[
                (author, read.into(), Ok(1)),
                (follower, read.into(), Ok(1)),
                (stranger, read.into(), Ok(0)),
                (stranger, insert(&world.public, stranger), Ok(1)),
                (stranger, insert(&world.hidden, stranger), Err(DENIED)),
                (stranger, insert(&world.public, follower), Err(DENIED)),
                (follower, insert(&world.hidden, follower), Ok(1)),
                (
                    follower,
                    "update public.post_comments set content = 'y'".into(),
                    Err(DENIED),
                ),
                (stranger, remove.into(), Ok(0)),
                (follower, remove.into(), Ok(1)),
                (author, remove.into(), Ok(1)),
            ],
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn boosts_are_read_by_who_paid_and_written_by_the_host() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let world = World::of(&store).await;
        let (author, stranger) = (&world.author, &world.stranger);
        let read = "select from public.marketplace_boosts";
        let (user, book) = (author.id.to_uuid(), world.book.to_uuid());
        let insert = format!(
            "insert into public.marketplace_boosts (user_id, book_id, duration, position, \
             credits_spent, started_at, expires_at) \
             values ('{user}', '{book}', 1, 9, 0, now(), now())"
        );
        check(
            database,
            &[
                (author, read.into(), Ok(1)),
                (stranger, read.into(), Ok(0)),
                (&world.follower, read.into(), Ok(0)),
                (author, insert, Err(DENIED)),
                (
                    author,
                    "update public.marketplace_boosts set position = 1".into(),
                    Err(DENIED),
                ),
                (
                    author,
                    "delete from public.marketplace_boosts".into(),
                    Err(DENIED),
                ),
            ],
        )
        .await;
        // The database itself keeps positions apart.
        let id = world.boost.id.to_uuid();
        let again = format!(
            "insert into public.marketplace_boosts (user_id, book_id, duration, position, \
             credits_spent, started_at, expires_at) \
             select user_id, book_id, duration, position, 0, started_at, expires_at \
             from public.marketplace_boosts where id = '{id}'"
        );
        let refused = as_role(database, "service_role", None, &again).await;
        assert_eq!(refused, Err("23P01".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn competitors_and_prices_are_their_owners() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let world = World::of(&store).await;
        let (author, stranger) = (&world.author, &world.stranger);
        let rival = world.competitor.id.to_uuid();
        let track = |user: &User, asin: &str| {
            let user = user.id.to_uuid();
            format!("insert into public.competitors (user_id, asin) values ('{user}', '{asin}')")
        };
        let price = |price: &str| {
            format!(
                "insert into public.competitor_prices (competitor_id, date, price) \
                 values ('{rival}', '2024-01-01', {price})"
            )
        };
        let update = "update public.competitors set title = 'x'";
        let update_price = "update public.competitor_prices set price = 1";
        let read_prices = "select from public.competitor_prices";
        let delete_prices = "delete from public.competitor_prices";
        check(
            database,
            &[
                (author, "select from public.competitors".into(), Ok(1)),
                (stranger, "select from public.competitors".into(), Ok(0)),
                (
                    &world.follower,
                    "select from public.competitors".into(),
                    Ok(0),
                ),
                (author, track(author, "B000000000"), Ok(1)),
                (author, track(author, "B08N5WRWNW"), Err("23505")),
                (author, track(author, "b000000000"), Err(REFUSED)),
                (author, track(stranger, "B000000000"), Err(DENIED)),
                (author, update.into(), Ok(1)),
                (stranger, update.into(), Ok(0)),
                (
                    author,
                    "update public.competitors set currency = 'usd'".into(),
                    Err(REFUSED),
                ),
                (author, read_prices.into(), Ok(1)),
                (stranger, read_prices.into(), Ok(0)),
                (author, price("1.5"), Ok(1)),
                (author, price("-1"), Err(REFUSED)),
                (author, price("'NaN'"), Err(REFUSED)),
                (stranger, price("1.5"), Err(DENIED)),
                (author, update_price.into(), Ok(1)),
                (stranger, update_price.into(), Ok(0)),
                (stranger, delete_prices.into(), Ok(0)),
                (author, delete_prices.into(), Ok(1)),
                (stranger, "delete from public.competitors".into(), Ok(0)),
                (author, "delete from public.competitors".into(), Ok(1)),
            ],
        )
        .await;
    })
    .await;
}

/// Whatever refers to users must go with them: asked of the catalogue, not of a list.
#[tokio::test]
async fn a_deleted_user_leaves_nothing_behind() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let world = World::of(&store).await;
        store.users().delete(world.author.id).await.unwrap();
        let references = database
            .rows(
                "select format('select count(*) from %s where %I = ', conrelid::regclass, attname) \
                 from pg_constraint join pg_attribute \
                   on attrelid = conrelid and attnum = conkey[1] \
                 where contype = 'f' and confrelid = 'public.users'::regclass",
            )
            .await;
        assert!(references.len() >= 9, "{}", references.len());
        for reference in references {
            let sql: String = sqlx::Row::get(&reference, 0);
            let user = world.author.id.to_uuid();
            let left = database.rows(&format!("{sql} '{user}'")).await;
            assert_eq!(sqlx::Row::get::<i64, _>(&left[0], 0), 0, "{sql}");
        }
        assert_eq!(database.count("public.post_likes").await, 0);
        assert_eq!(database.count("public.competitor_prices").await, 0);
    })
    .await;
}

/// Users who like and unlike each other's posts in opposite orders, and one who goes meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_stay_right_among_writers_in_opposite_orders() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let world = World::of(&store).await;
        let users = [&world.author, &world.follower, &world.stranger];
        let mut posts = Vec::new();
        for n in 0..10 {
            let new = NewPost::new(format!("post {n}"));
            let created = store.community().create(world.author.id, new).await;
            posts.push(created.unwrap().id);
        }
        let mut writers = tokio::task::JoinSet::new();
        for (place, user) in users.into_iter().enumerate() {
            let (store, user, mut posts) = (store.clone(), user.id, posts.clone());
            if place % 2 == 1 {
                posts.reverse();
            }
            writers.spawn(async move {
                for round in 0..3 {
                    for post in &posts {
                        store.community().like(user, *post).await.unwrap();
                        if round < 2 {
                            store.community().unlike(user, *post).await.unwrap();
                        }
                    }
                }
            });
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        store.users().delete(world.stranger.id).await.unwrap();
        let wrong = "select from public.community_posts as post where like_count <> \
            (select count(*) from public.post_likes where post_id = post.id) or comment_count <> \
            (select count(*) from public.post_comments where post_id = post.id)";
        assert!(database.rows(wrong).await.is_empty());
        let view = store
            .community()
            .get(world.author.id, posts[0])
            .await
            .unwrap();
        assert_eq!(view.like_count, 2);
    })
    .await;
}
