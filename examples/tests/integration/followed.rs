//! What changes in the source after the move is followed: other days, exchanged values, rows that were
//! deleted and inserted again. What is gone there, a prune removes. What was written to the target
//! itself stays.

use crate::common;

use std::{
    sync::{Arc, Mutex},
    thread,
};

use authorstack_core::{
    Id,
    migrate::{
        self, BatchLimits, Counts, Destination, DifferenceKind, Kind, Progress, RunOptions, Silent,
        Snapshot, SourceSet, Verification,
    },
    testing::servers,
};
use authorstack_examples::{
    dataset,
    scratch::Scratch,
    tool::{Answer, Tool},
};
use authorstack_mongo::{MongoConfig, MongoStore};
use authorstack_postgres::{IdMap, PostgresConfig, PostgresStore};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use bson::{Document, doc, oid::ObjectId};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use tokio::runtime;

struct Moved {
    scratch: Scratch,
    users: Vec<ObjectId>,
    documents: mongodb::Database,
    old: PgConnection,
    new: PgConnection,
    source: Arc<dyn Snapshot>,
    target: Destination,
    stores: (PostgresStore, SupabaseStore),
}

/// SQL of an id.
fn uuid(id: ObjectId) -> String {
    format!("'{}'", Id::<()>::from_object_id(id).to_uuid())
}

/// Three users with two books and 50 sales each, a roll-up a day and a sync log an hour.
async fn filled() -> Moved {
    let (scratch, _) = common::fresh().await;
    let postgres = servers::setting("AUTHORSTACK_TEST_POSTGRES_URL");
    let scratch = scratch.with_postgres(&postgres).await.unwrap();
    let documents = scratch.mongodb().await.unwrap();
    let (users, made) = dataset::sound_users(7, 3);
    dataset::insert(&documents, "users", &made).await.unwrap();
    let books = dataset::sound_books(100, &users, 6);
    dataset::insert(&documents, "books", &books).await.unwrap();
    let mut old = scratch.postgres().await.unwrap();
    for user in &users {
        let user = uuid(*user);
        let sql = format!(
            "insert into sales_data (user_id, book_id, platform, date, revenue, units) \
               select {user}, {user}, 'kdp', date '2024-01-01' + n, n + 0.5, n \
               from generate_series(1, 50) as n; \
             insert into daily_aggregates (user_id, date, total_revenue, total_units) \
               select {user}, date '2024-01-01' + n, n + 0.5, n from generate_series(1, 50) as n; \
             insert into sync_logs (user_id, platform, status, synced_at) \
               select {user}, 'kdp', 'success', timestamp '2024-01-01' + n * interval '1 hour' \
               from generate_series(1, 50) as n"
        );
        old.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    let azure = PostgresConfig::new(scratch.postgres_url().unwrap());
    let azure = PostgresStore::connect(azure).await.unwrap();
    let mongo = MongoStore::connect(MongoConfig::new(scratch.mongodb_url()));
    let supabase = SupabaseConfig::new(scratch.supabase_db_url());
    let supabase = SupabaseStore::connect(supabase).await.unwrap();
    let source = SourceSet::new(vec![
        Arc::new(mongo.await.unwrap()),
        Arc::new(azure.migration(IdMap::default())),
    ]);
    Moved {
        new: scratch.supabase().await.unwrap(),
        target: Destination::transactional(Arc::new(supabase.migration())),
        source: Arc::new(source),
        stores: (azure, supabase),
        scratch,
        users,
        documents,
        old,
    }
}

/// The same, moved.
async fn moved(batch: usize) -> Moved {
    let mut moved = filled().await;
    let rejected = moved.run(batch).await;
    assert_eq!(rejected, 0);
    assert_eq!(moved.verify().await, Vec::<String>::new());
    moved
}

impl Moved {
    /// Runs again with batches of so many records. Returns how many are rejected.
    async fn run(&mut self, batch: usize) -> u64 {
        let options = RunOptions {
            limits: BatchLimits {
                records: batch,
                ..BatchLimits::default()
            },
            ..RunOptions::default()
        };
        let source = Arc::clone(&self.source);
        let plan = migrate::plan(source, &self.target, Kind::DATA, &Silent).await;
        let source = Arc::clone(&self.source);
        let report = migrate::run(source, &self.target, &options, &Silent).await;
        let kinds = report.unwrap().kinds;
        // What the plan says is what the run does.
        for (planned, moved) in plan.unwrap().kinds.iter().zip(&kinds) {
            let (planned, counts) = (&planned.report, moved.counts);
            assert_eq!(
                (planned.kind, planned.counts.read, planned.counts.rejected),
                (moved.kind, counts.read, counts.rejected)
            );
        }
        kinds.iter().map(|kind| kind.counts.rejected).sum()
    }

    /// What differs.
    async fn verify(&self) -> Vec<String> {
        let source = Arc::clone(&self.source);
        let found = migrate::verify(source, &self.target, Kind::DATA, &Silent).await;
        differences(&found.unwrap())
    }

    async fn prune(&self) -> (u64, Vec<String>) {
        let source = Arc::clone(&self.source);
        let found = migrate::prune(source, &self.target, Kind::DATA, &Silent).await;
        let found = found.unwrap();
        let pruned = found.kinds.iter().map(|kind| kind.pruned).sum();
        (pruned, differences(&found))
    }

    async fn repair(&self) -> Vec<String> {
        let source = Arc::clone(&self.source);
        let found = migrate::repair(source, &self.target, Kind::DATA, &Silent).await;
        differences(&found.unwrap())
    }

    async fn in_source(&mut self, sql: &str) {
        self.old
            .execute(AssertSqlSafe(sql.to_owned()))
            .await
            .unwrap();
    }

    async fn in_target(&mut self, sql: &str) {
        self.new
            .execute(AssertSqlSafe(sql.to_owned()))
            .await
            .unwrap();
    }

    /// A text of the target.
    async fn text(&mut self, sql: &str) -> String {
        let sql = AssertSqlSafe(format!("select coalesce(({sql})::text, 'null')"));
        let row = self.new.fetch_one(sql).await.unwrap();
        row.get(0)
    }

    async fn set(&self, collection: &str, id: ObjectId, set: Document) {
        let collection = self.documents.collection::<Document>(collection);
        let change = collection.update_one(doc! {"_id": id}, doc! {"$set": set});
        assert_eq!(change.await.unwrap().matched_count, 1);
    }

    async fn delete(&self, collection: &str, filter: Document) -> u64 {
        let collection = self.documents.collection::<Document>(collection);
        collection.delete_many(filter).await.unwrap().deleted_count
    }

    async fn remove(self) {
        self.stores.0.close().await;
        self.stores.1.close().await;
        self.scratch.remove().await.unwrap();
    }
}

fn differences(found: &Verification) -> Vec<String> {
    let kinds = found.kinds.iter();
    let all = kinds.flat_map(|kind| {
        let one = kind.report.kind.one();
        kind.differences.iter().map(move |it| format!("{one} {it}"))
    });
    all.collect()
}

/// A batch of ten makes ranges of 200 rows, so that all rows of a kind are in one; one of one makes
/// ranges of twenty.
const BATCHES: [usize; 2] = [10, 1];

#[tokio::test]
async fn corrected_days_platforms_and_moments_move() {
    for batch in BATCHES {
        let mut moved = moved(batch).await;
        moved
            .in_source(
                "update sales_data set date = date + 400 where id in (3, 70); \
                 update sales_data set platform = 'ingram' where id in (4, 71, 72); \
                 update daily_aggregates set date = date + 400 where id = 5; \
                 update sync_logs set synced_at = synced_at + interval '1 s' where id in (6, 140)",
            )
            .await;
        assert_eq!(moved.verify().await.len(), 8);
        assert_eq!(moved.run(batch).await, 0, "batches of {batch}");
        assert_eq!(moved.verify().await, Vec::<String>::new());
        let moments = "select count(distinct id) from public.sales_data where date > '2025-01-01'";
        assert_eq!(moved.text(moments).await, "2");
        moved.remove().await;
    }
}

#[tokio::test]
async fn repair_follows_as_a_run_does() {
    let mut moved = moved(1).await;
    moved
        .in_source(
            "update sales_data set date = date + 400 where id in (3, 70); \
             update sync_logs set platform = 'ingram' where id = 6",
        )
        .await;
    assert_eq!(moved.repair().await, Vec::<String>::new());
    assert_eq!(moved.verify().await, Vec::<String>::new());
    moved.remove().await;
}

/// Days that every row of a user gets from another one: within a range and over ranges.
#[tokio::test]
async fn exchanged_days_move() {
    for batch in BATCHES {
        let mut moved = moved(batch).await;
        for (one, other) in [(2, 3), (4, 44), (49, 5)] {
            let mut sql = String::new();
            for table in ["sales_data", "daily_aggregates"] {
                let swap = format!(
                    "create temp table kept as select id, date from {table} where id in ({one}, {other}); \
                     update {table} set date = '1999-01-01' where id = {one}; \
                     update {table} set date = (select date from kept where id = {one}) where id = {other}; \
                     update {table} set date = (select date from kept where id = {other}) where id = {one}; \
                     drop table kept;"
                );
                sql.push_str(&swap);
            }
            moved.in_source(&sql).await;
        }
        // All days of a user, each moved to the next day.
        moved
            .in_source(
                "alter table sales_data drop constraint sales_data_user_id_book_id_platform_date_key; \
                 update sales_data set date = date + 1 where id > 100",
            )
            .await;
        assert_eq!(moved.run(batch).await, 0, "batches of {batch}");
        assert_eq!(
            moved.verify().await,
            Vec::<String>::new(),
            "batches of {batch}"
        );
        moved.remove().await;
    }
}

/// The same beside rows that cannot be read any more: their neighbours move one by one, and over
/// batches.
#[tokio::test]
async fn exchanged_days_move_beside_rows_that_cannot_be_read() {
    for batch in BATCHES {
        let mut moved = moved(batch).await;
        moved
            .in_source(
                "alter table sales_data drop constraint sales_data_user_id_book_id_platform_date_key; \
                 update sales_data set platform = '' where id % 20 = 10; \
                 create temp table kept as select id, date from sales_data; \
                 update sales_data as s set date = kept.date from kept \
                   join (values (2, 3), (3, 2), (4, 44), (44, 4), (49, 5), (5, 49)) as swap (one, other) \
                   on kept.id = swap.other where s.id = swap.one; \
                 update sales_data set date = date + 1 where id > 110 and id < 130",
            )
            .await;
        // The last of the moved days is that of a row that moved before, and cannot be read now.
        assert_eq!(moved.run(batch).await, 8 + 1, "batches of {batch}");
        let found = moved.verify().await;
        // What moved of them before is still there. The rejected row has left its old day to another.
        let left = found.iter().filter(|it| it.ends_with("only in the target"));
        assert_eq!((found.len(), left.count()), (8, 8), "{found:?}");
        let sold = moved.text("select count(*) from public.sales_data").await;
        assert_eq!(sold, "149");
        moved.remove().await;
    }
}

/// Days shuffled among the rows of a user, rows deleted and inserted again, moments and platforms:
/// whatever happens between two runs, the second one follows.
#[tokio::test]
async fn any_change_of_the_source_is_followed() {
    let mut moved = moved(1).await;
    let drop =
        "alter table sales_data drop constraint sales_data_user_id_book_id_platform_date_key";
    moved.in_source(drop).await;
    for (round, batch) in [10, 3, 1, 10, 3, 1].into_iter().enumerate() {
        let seed = f64::from(u8::try_from(round + 1).unwrap()) / 100.0;
        let sql = format!(
            "select setseed({seed}); \
             create temp table places as select *, row_number() over (partition by user_id order by random()) as place, \
                 row_number() over (partition by user_id order by id) as at \
               from sales_data where random() < 0.4; \
             update sales_data as s set date = b.date, platform = b.platform from places as a \
               join places as b on b.user_id = a.user_id and b.place = a.at where s.id = a.id; \
             create temp table again as select * from sales_data where random() < 0.1; \
             delete from sales_data where id in (select id from again); \
             insert into sales_data (user_id, book_id, platform, date, revenue, units) \
               select user_id, book_id, platform, date, revenue, units + 1 from again; \
             update sales_data set date = date + 1000 where random() < 0.05 and date < '2025-01-01'; \
             update sync_logs set synced_at = synced_at + interval '1 s' where random() < 0.1; \
             drop table places; drop table again; \
             alter table sales_data add constraint still unique (user_id, book_id, platform, date); \
             alter table sales_data drop constraint still"
        );
        moved.in_source(&sql).await;
        assert_eq!(moved.run(batch).await, 0, "round {round}");
        let found = moved.verify().await;
        let lost = found
            .iter()
            .filter(|it| !it.contains("gone from the source"));
        assert_eq!(lost.count(), 0, "round {round}: {found:?}");
        let (_, left) = moved.prune().await;
        assert_eq!(left, Vec::<String>::new(), "round {round}");
        assert_eq!(moved.verify().await, Vec::<String>::new(), "round {round}");
    }
    moved.remove().await;
}

#[tokio::test]
async fn rows_deleted_and_inserted_again_move() {
    for batch in BATCHES {
        let mut moved = moved(batch).await;
        moved
            .in_source(
                "create temp table again as select * from sales_data where id in (2, 60, 150); \
                 delete from sales_data where id in (2, 60, 150); \
                 insert into sales_data (user_id, book_id, platform, date, revenue, units) \
                   select user_id, book_id, platform, date, revenue + 1, units from again",
            )
            .await;
        assert_eq!(moved.run(batch).await, 0, "batches of {batch}");
        assert_eq!(moved.verify().await, Vec::<String>::new());
        let sum = moved
            .text("select sum(revenue) from public.sales_data")
            .await;
        let expected = moved
            .old
            .fetch_one("select sum(revenue)::text from sales_data");
        assert_eq!(sum, expected.await.unwrap().get::<String, _>(0));
        moved.remove().await;
    }
}

/// Two rows of the source with the same day: the second is rejected, whatever was moved before.
#[tokio::test]
async fn a_row_that_is_still_there_gives_no_way() {
    let mut moved = moved(1).await;
    moved
        .in_source(
            "alter table sales_data drop constraint sales_data_user_id_book_id_platform_date_key; \
             update sales_data set date = (select date from sales_data where id = 44) where id = 4",
        )
        .await;
    assert_eq!(moved.run(1).await, 1);
    let kept = moved.text("select count(*) from public.sales_data where id in (4, 44)");
    assert_eq!(kept.await, "2");
    moved.remove().await;
}

/// What an app has written to the target itself is not taken for a row of the source.
#[tokio::test]
async fn rows_that_were_written_to_the_target_stay() {
    for batch in BATCHES {
        let mut moved = moved(batch).await;
        let user = uuid(moved.users[0]);
        // The source numbers on from where the target does.
        moved
            .in_target(&format!(
                "insert into public.sales_data (id, user_id, book_id, platform, date, revenue, units) values \
                   (151, {user}, {user}, 'itch', '2030-01-01', 77, 7), \
                   (9000, {user}, {user}, 'itch', '2030-01-02', 78, 8)"
            ))
            .await;
        moved
            .in_source(&format!(
                "insert into sales_data (id, user_id, book_id, platform, date, revenue, units) values \
                   (151, {user}, {user}, 'itch', '2030-02-01', 1, 1), \
                   (152, {user}, {user}, 'itch', '2030-01-02', 2, 2); \
                 update sales_data set platform = 'itch', date = '2030-01-01' where id = 9"
            ))
            .await;
        assert_eq!(moved.run(batch).await, 3, "batches of {batch}");
        let here = "select string_agg(concat(id, ' ', date, ' ', revenue), ', ' order by id) \
                    from public.sales_data where id in (9, 151, 152, 9000)";
        assert_eq!(
            moved.text(here).await,
            "9 2024-01-10 9.50, 151 2030-01-01 77.00, 9000 2030-01-02 78.00"
        );
        let (pruned, left) = moved.prune().await;
        assert_eq!(pruned, 0, "{left:?}");
        moved.remove().await;
    }
}

/// E-mail addresses and accounts that users exchange, within a batch and over batches.
#[tokio::test]
async fn exchanged_addresses_and_accounts_move() {
    for batch in BATCHES {
        let mut moved = moved(batch).await;
        let users = moved.users.clone();
        let collection = moved.documents.collection::<Document>("users");
        let mut held = Vec::new();
        for user in &users {
            held.push(
                collection
                    .find_one(doc! {"_id": user})
                    .await
                    .unwrap()
                    .unwrap(),
            );
        }
        // Each gets the address of the next, and the first two exchange their accounts.
        for (at, user) in users.iter().enumerate() {
            let next = &held[(at + 1) % 3];
            let email = next.get_str("email").unwrap();
            moved.set("users", *user, doc! {"email": email}).await;
        }
        for (user, other) in [(0, 1), (1, 0)] {
            let account = held[other].get_str("authId").unwrap();
            moved
                .set("users", users[user], doc! {"authId": account})
                .await;
        }
        assert_eq!(moved.verify().await.len(), 3);
        assert_eq!(moved.run(batch).await, 0, "batches of {batch}");
        assert_eq!(moved.verify().await, Vec::<String>::new());
        let parked = "select count(*) from public.users where email like '%invalid' or auth_id like 'moving%'";
        assert_eq!(moved.text(parked).await, "0");
        let books = "select count(*) from public.books";
        assert_eq!(moved.text(books).await, "6");
        moved.remove().await;
    }
}

/// Whoever signs up again with the address of a deleted account is named with the way out.
#[tokio::test]
async fn a_deleted_account_gives_its_address_back_after_a_prune() {
    let mut moved = moved(10).await;
    let gone = moved.users[0];
    let collection = moved.documents.collection::<Document>("users");
    let mut again = collection
        .find_one(doc! {"_id": gone})
        .await
        .unwrap()
        .unwrap();
    let id = ObjectId::parse_str("6fffffffffffffffffffffff").unwrap();
    again.insert("_id", id);
    again.insert("authId", "another");
    collection.delete_one(doc! {"_id": gone}).await.unwrap();
    let books = moved.delete("books", doc! {"userId": gone}).await;
    let user = uuid(gone);
    for table in ["sales_data", "daily_aggregates", "sync_logs"] {
        let sql = format!("delete from {table} where user_id = {user}");
        moved.in_source(&sql).await;
    }
    collection.insert_one(again).await.unwrap();
    assert_eq!(moved.run(10).await, 1);
    let (pruned, left) = moved.prune().await;
    assert_eq!(pruned, 1 + 150 + books, "{left:?}");
    assert_eq!(moved.run(10).await, 0);
    assert_eq!(moved.verify().await, Vec::<String>::new());
    moved.remove().await;
}

#[tokio::test]
async fn a_prune_removes_what_is_gone_and_nothing_else() {
    let mut moved = moved(10).await;
    let [gone, writes, stays] = moved.users[..] else {
        unreachable!("there are three users");
    };
    let of = |user: ObjectId| doc! {"userId": user};
    let books = moved.delete("books", of(gone)).await + moved.delete("books", of(writes)).await;
    for user in [gone, writes] {
        assert_eq!(moved.delete("users", doc! {"_id": user}).await, 1);
        let user = uuid(user);
        for table in ["sales_data", "daily_aggregates", "sync_logs"] {
            let sql = format!("delete from {table} where user_id = {user}");
            moved.in_source(&sql).await;
        }
    }
    moved
        .in_source("delete from sales_data where id = 110")
        .await;
    // This user makes no sense any more, but is there.
    moved.set("users", stays, doc! {"email": 5}).await;
    // Written after the move: a book keeps its user, and a sale has a number of its own.
    let (of_writer, of_stayer) = (uuid(writes), uuid(stays));
    moved
        .in_target(&format!(
            "insert into public.books (user_id, title, author, status) \
               values ({of_writer}, 'New', 'A', 'draft'); \
             insert into public.sales_data (user_id, book_id, platform, date, revenue, units) \
               values ({of_stayer}, {of_stayer}, 'itch', '2030-01-01', 5, 5)"
        ))
        .await;

    let mut found = moved.verify().await;
    found.retain(|line| !line.contains("gone from the source"));
    assert_eq!(found.len(), 3, "{found:?}");
    let (pruned, left) = moved.prune().await;
    assert_eq!(pruned, 2 * 150 + 1 + books + 1, "{left:?}");
    let left = left.join("\n");
    let lines = [
        format!("user {writes}: gone from the source since it moved"),
        "only in the target".to_owned(),
        format!("user {stays}: cannot be read in the source: email"),
    ];
    for line in lines {
        assert!(left.contains(&line), "{line} in {left}");
    }
    let now = "select concat((select count(*) from public.users), ' ', \
                 (select count(*) from public.books), ' ', (select count(*) from public.sales_data), \
                 ' ', (select count(*) from public.sync_logs))";
    let kept = 6 - books + 1;
    assert_eq!(moved.text(now).await, format!("2 {kept} 50 50"));
    assert_eq!(moved.prune().await.0, 0);
    moved.remove().await;
}

/// What has no key that can be read may be any part of its record: none of them is removed.
#[tokio::test]
async fn a_prune_leaves_parts_alone_while_one_of_them_has_no_key() {
    let mut moved = moved(10).await;
    let [author, ..] = moved.users[..] else {
        unreachable!("there are three users");
    };
    let (one, other) = (ObjectId::new(), ObjectId::new());
    let comment = |n: i32| {
        let at = bson::DateTime::from_millis(1_700_000_000_000 + i64::from(n));
        doc! {"id": format!("c{n}"), "authorId": author, "content": "Well done.", "createdAt": at}
    };
    let posts = moved.documents.collection::<Document>("community_posts");
    for id in [one, other] {
        let comments = [comment(1), comment(2)];
        let post = doc! {
            "_id": id, "authorId": author, "content": "Hello", "comments": comments.to_vec(),
            "likes": moved.users.clone(), "createdAt": bson::DateTime::now(),
        };
        posts.insert_one(post).await.unwrap();
    }
    assert_eq!(moved.run(10).await, 0);
    let held = "select concat((select count(*) from public.post_comments), ' ', \
                  (select count(*) from public.post_likes))";
    assert_eq!(moved.text(held).await, "4 6");

    // Where a kind has nothing left, a prune removes nothing.
    let fewer = doc! {"comments": [comment(1)], "likes": [author]};
    moved.set("community_posts", other, fewer).await;
    let unread = doc! {
        "comments": [{"id": {"a": 1}, "authorId": author, "content": "1"}], "likes": [{"a": 1}],
    };
    moved.set("community_posts", one, unread).await;
    let (pruned, left) = moved.prune().await;
    assert_eq!(pruned, 1 + 2, "{left:?}");
    assert_eq!(moved.text(held).await, "3 4");
    // Once they can be read, what is gone is gone.
    moved
        .set("community_posts", one, doc! {"comments": [], "likes": []})
        .await;
    assert_eq!(moved.prune().await, (2 + 3, Vec::new()));
    moved.remove().await;
}

/// A source that is empty, or another one, is more likely a wrong address.
#[tokio::test]
async fn another_or_an_empty_source_prunes_nothing() {
    let mut one = moved(10).await;
    let before = "select concat((select count(*) from public.users), ' ', \
                    (select count(*) from public.sales_data))";
    let held = one.text(before).await;
    let (other, _) = common::fresh().await;
    let postgres = servers::setting("AUTHORSTACK_TEST_POSTGRES_URL");
    let other = other.with_postgres(&postgres).await.unwrap();
    let documents = other.mongodb().await.unwrap();
    let (users, made) = dataset::sound_users(8, 1);
    dataset::insert(&documents, "users", &made).await.unwrap();
    let mut rows = other.postgres().await.unwrap();
    let user = uuid(users[0]);
    let sql = format!(
        "insert into sales_data (id, user_id, book_id, platform, date, revenue, units) \
         values (1000, {user}, {user}, 'kdp', '2024-01-01', 1, 1)"
    );
    rows.execute(AssertSqlSafe(sql)).await.unwrap();
    let azure = PostgresConfig::new(other.postgres_url().unwrap());
    let azure = PostgresStore::connect(azure).await.unwrap();
    let mongo = MongoStore::connect(MongoConfig::new(other.mongodb_url()));
    let stranger: Arc<dyn Snapshot> = Arc::new(SourceSet::new(vec![
        Arc::new(mongo.await.unwrap()),
        Arc::new(azure.migration(IdMap::default())),
    ]));
    let found = migrate::prune(stranger, &one.target, Kind::DATA, &Silent).await;
    for kind in found.unwrap().kinds {
        assert_eq!(kind.pruned, 0, "{}", kind.report.kind);
        let gone = DifferenceKind::GoneFromSource;
        assert!(kind.differences.iter().all(|it| it.difference != gone));
    }
    one.in_source("delete from sales_data").await;
    assert_eq!(one.delete("users", doc! {}).await, 3);
    let (pruned, left) = one.prune().await;
    assert_eq!((pruned, left.len()), (0, 3 + 100), "{left:?}");
    assert_eq!(one.text(before).await, held);
    azure.close().await;
    other.remove().await.unwrap();
    one.remove().await;
}

/// A plan says what a user who cannot move takes with them, sales too.
#[tokio::test]
async fn a_plan_counts_the_rows_of_a_rejected_user() {
    let moved = moved(10).await;
    let user = moved.users[1];
    moved.set("users", user, doc! {"email": 5}).await;
    let books = moved.documents.collection::<Document>("books");
    let books = books.count_documents(doc! {"userId": user}).await.unwrap();
    let source = Arc::clone(&moved.source);
    let plan = migrate::plan(source, &moved.target, Kind::DATA, &Silent).await;
    let [takes] = plan.unwrap().kinds[0].takes.clone().try_into().unwrap();
    let mut expected = vec![
        (Kind::Books, books),
        (Kind::SalesData, 50),
        (Kind::DailyAggregates, 50),
        (Kind::SyncLogs, 50),
    ];
    expected.retain(|(_, count)| *count > 0);
    assert_eq!(takes.key, user.to_string());
    assert_eq!(takes.with_it, expected.into_iter().collect());
    moved.remove().await;
}

#[tokio::test]
async fn the_tool_prunes_when_it_is_asked_to() {
    let mut moved = moved(10).await;
    let tool = Tool::new(common::TOOL, &moved.scratch).unwrap();
    moved
        .in_source("delete from sales_data where id in (7, 90)")
        .await;
    moved
        .in_source("update sales_data set revenue = 1.25 where id = 8")
        .await;
    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.code, Some(1));
    let said = verified.json.to_string();
    assert_eq!(said.matches("gone_from_source").count(), 2, "{said}");
    let repaired = tool.ask(&["repair"]).unwrap();
    assert_eq!(repaired.code, Some(1), "{}", repaired.stderr);
    let pruned = |answer: &Answer| answer.sum("pruned");
    assert_eq!(pruned(&repaired), 0);
    let repaired = tool.ask(&["repair", "--prune"]).unwrap();
    assert_eq!(repaired.code, Some(0), "{}", repaired.stderr);
    assert_eq!(pruned(&repaired), 2, "{}", repaired.json);
    assert_eq!(tool.ask(&["verify"]).unwrap().code, Some(0));
    moved.remove().await;
}

/// Calls a function once, when the first sales have moved.
struct Once<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send> Progress for Once<F> {
    fn started(&self, _: Kind, _: u64, _: Counts) {}

    fn advanced(&self, kind: Kind, _: Counts) {
        let takes = kind == Kind::SalesData;
        let call = takes.then(|| self.0.lock().unwrap().take()).flatten();
        if let Some(call) = call {
            call();
        }
    }

    fn finishing(&self, _: Kind) {}

    fn finished(&self, _: Kind, _: Counts) {}
}

/// An id that becomes wrong after all ids were looked at, and before its row is read, is never moved
/// as it is.
#[tokio::test]
async fn an_id_that_changes_during_a_run_is_refused() {
    const STRAY: &str = "0b5ad0ab-6d5c-4d6f-9c3c-5d8a1c1b7d11";
    for column in ["book_id", "user_id"] {
        let mut moved = filled().await;
        // Many ranges: the last is read long after the first.
        let user = uuid(moved.users[0]);
        moved
            .in_source(&format!(
                "insert into sales_data (user_id, book_id, platform, date, revenue, units) \
                   select {user}, {user}, 'kdp', date '2020-01-01' + n, n, n \
                   from generate_series(1, 600) as n"
            ))
            .await;
        let postgres = moved.scratch.postgres_url();
        let change = move || {
            let update = format!("update sales_data set {column} = '{STRAY}' where id = 750");
            let changed = async {
                let mut old = PgConnection::connect(postgres.unwrap().as_str()).await?;
                old.execute(AssertSqlSafe(update)).await
            };
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let changed = thread::spawn(move || runtime.unwrap().block_on(changed)).join();
            assert_eq!(changed.unwrap().unwrap().rows_affected(), 1);
        };
        let progress = Once(Mutex::new(Some(change)));
        let options = RunOptions {
            limits: BatchLimits {
                records: 1,
                ..BatchLimits::default()
            },
            ..RunOptions::default()
        };
        let source = Arc::clone(&moved.source);
        let first = migrate::run(source, &moved.target, &options, &progress).await;
        let called = progress.0.lock().unwrap().is_none();
        assert!(called);
        if column == "book_id" {
            // The target's own check finds the row.
            let kinds = first.unwrap().kinds;
            let rejected: u64 = kinds.iter().map(|kind| kind.counts.rejected).sum();
            assert_eq!(rejected, 1);
        } else {
            // The foreign key is back at the end only.
            let error = first.unwrap_err().to_string();
            for part in ["sales_data_user_id_fkey", "750", STRAY, "delete from"] {
                assert!(error.contains(part), "{error}");
            }
            let remove = format!("delete from public.sales_data where user_id = '{STRAY}'");
            moved.in_target(&remove).await;
            // The pass ends; the next one reads the row again.
            let source = Arc::clone(&moved.source);
            let ended = migrate::run(source, &moved.target, &options, &Silent).await;
            ended.unwrap();
            assert_eq!(moved.run(1).await, 1);
        }
        let reject =
            "select string_agg(concat_ws(' ', problems, record), '; ') from authorstack.rejects";
        let reject = moved.text(reject).await;
        assert!(reject.contains(STRAY), "{reject}");
        let held = "select count(*) from public.sales_data";
        assert_eq!(moved.text(held).await, "749");
        assert_eq!(moved.verify().await, Vec::<String>::new());
        moved.remove().await;
    }
}
