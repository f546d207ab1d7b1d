//! The analytics where the optional script has partitioned the sales by month.

use crate::common;

use authorstack_core::{
    AuthorStack, Book, Conversion, Days, Id, NewSale, Platform, SaleKey, SalesFilter, TotalsBy,
    User,
};
use chrono::{Months, NaiveDate, Utc};
use common::{Cli, Database, Via, as_role, author, on_database};
use sqlx::Row;

const DENIED: &str = "42501";
const DEFAULT: &str = "authorstack.sales_data_default";

mod conformance {
    use crate::common::{Fresh, Via};

    async fn fresh() -> Fresh {
        Fresh::partitioned(Via::Direct).await
    }

    authorstack_core::analytics_conformance!(fresh);
}

fn sale(book_id: Id<Book>, date: NaiveDate) -> NewSale {
    let key = SaleKey::new(book_id, Platform::KDP, date);
    NewSale::new(key, "27.93".parse().unwrap(), "USD".parse().unwrap())
}

/// Sales of one book, a day each.
async fn sell(store: &AuthorStack, user: &User, book: Id<Book>, dates: &[&str]) {
    let sales: Vec<NewSale> = dates
        .iter()
        .map(|date| sale(book, date.parse().unwrap()))
        .collect();
    let counts = store.sales().upsert(user.id, &sales).await.unwrap();
    assert_eq!(counts.inserted, dates.len() as u64);
}

/// A day of this month, or of one before it.
fn months_ago(months: u32) -> NaiveDate {
    Utc::now().date_naive() - Months::new(months)
}

/// The partition of a day's month.
fn partition(day: NaiveDate) -> String {
    format!("authorstack.sales_data_{}", day.format("%Y_%m"))
}

/// Makes a month's partition; whether it was missing.
async fn make(database: &Database, day: &str) -> bool {
    let made = format!("select authorstack.make_sales_partition('{day}')");
    database.rows(&made).await[0].get(0)
}

/// Each sale with the partition that it is in.
async fn places(database: &Database) -> Vec<String> {
    let places =
        "select format('%s %s', date, tableoid::regclass) from public.sales_data order by date";
    database.texts(places).await
}

/// What the catalogs say of the sales, each with its definition.
async fn described(database: &Database) -> Vec<String> {
    let described = "\
        select format('constraint %s: %s', conname, pg_get_constraintdef(oid)) as line \
        from pg_constraint where conrelid = 'public.sales_data'::regclass \
        union all \
        select format('index %s', replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')) \
        from pg_index where indrelid = 'public.sales_data'::regclass and indisvalid \
        union all \
        select format('column %s', to_jsonb(c) - 'table_catalog') \
        from information_schema.columns as c where table_name = 'sales_data' and table_schema = 'public' \
        union all \
        select format('policy %s', to_jsonb(p)) from pg_policies as p where tablename = 'sales_data' \
        union all \
        select pg_get_triggerdef(oid) from pg_trigger \
        where tgrelid = 'public.sales_data'::regclass and not tgisinternal \
        union all \
        select format('%s of %s: %s, %s', relkind, relowner::regrole, relname, acl) \
        from pg_class left join lateral (select array_agg(one::text order by one::text) \
          from unnest(relacl) as one) as of (acl) on true \
        where oid in ('public.sales_data'::regclass, 'public.sales_data_id_seq'::regclass) \
        union all \
        select format('column grant %s: %s', attname, one) \
        from pg_attribute, unnest(attacl) as one where attrelid = 'public.sales_data'::regclass \
        union all \
        select format('%s, %s, %s', relrowsecurity, relforcerowsecurity, obj_description(oid)) \
        from pg_class where oid = 'public.sales_data'::regclass";
    let mut lines = database.texts(described).await;
    lines.sort();
    lines
}

#[tokio::test]
async fn everything_but_the_primary_key_is_as_before() {
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        // What a host may have added.
        database
            .execute(
                "comment on table public.sales_data is 'what''s sold'; \
                 grant select (date, revenue) on public.sales_data to anon; \
                 grant select on public.sales_data to authenticator with grant option; \
                 create index by_synced_at on public.sales_data (synced_at) where units > 0; \
                 alter table public.sales_data add column note text default 'none'; \
                 create policy \"Nobody's\" on public.sales_data as restrictive for update \
                   to anon, authenticated using (units > 0) with check (units > 1)",
            )
            .await;
        let mut expected: Vec<String> = described(database)
            .await
            .into_iter()
            .map(|line| {
                line.replace("PRIMARY KEY (id)", "PRIMARY KEY (id, date)")
                    .replace("USING btree (id)", "USING btree (id, date)")
                    .replace("r of postgres: sales_data,", "p of postgres: sales_data,")
            })
            .collect();
        expected.sort();
        database.partition().await.unwrap();
        pretty_equal(&described(database).await, &expected);
        let leftovers = database
            .texts("select relname::text from pg_class where relnamespace = 'authorstack'::regnamespace and relname in ('sales_data', 'sales_data_id_seq')")
            .await;
        assert!(leftovers.is_empty(), "{leftovers:?}");
    })
    .await;
}

fn pretty_equal(found: &[String], expected: &[String]) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

#[tokio::test]
async fn rows_keep_their_numbers_and_the_sequence_goes_on() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, book) = author(&store, "ada").await;
        let (before, today) = (months_ago(1).to_string(), months_ago(0).to_string());
        let dates = ["0001-01-01", &before, &today, "9999-12-31"];
        sell(&store, &ada, book, &dates).await;
        // Numbers that a transaction drew and did not use.
        database
            .execute("select nextval('public.sales_data_id_seq') from generate_series(1, 10)")
            .await;
        let rows = "select to_jsonb(s)::text from public.sales_data as s order by id";
        let held = database.texts(rows).await;
        database.partition().await.unwrap();
        assert_eq!(database.texts(rows).await, held);
        assert_eq!(
            places(database).await,
            [
                format!("0001-01-01 {DEFAULT}"),
                format!("{before} {}", partition(months_ago(1))),
                format!("{today} {}", partition(months_ago(0))),
                format!("9999-12-31 {DEFAULT}"),
            ]
        );
        sell(&store, &ada, book, &["1999-01-01"]).await;
        let key = sale(book, "1999-01-01".parse().unwrap()).key;
        assert_eq!(store.sales().get(ada.id, &key).await.unwrap().id, 15);
        let sequence = "select pg_get_serial_sequence('public.sales_data', 'id')";
        assert_eq!(database.texts(sequence).await, ["public.sales_data_id_seq"]);
    })
    .await;
}

#[tokio::test]
async fn owners_read_through_the_parent_only() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, book) = author(&store, "ada").await;
        let (stranger, _) = author(&store, "stranger").await;
        sell(
            &store,
            &ada,
            book,
            &["1999-01-01", &months_ago(1).to_string()],
        )
        .await;
        database.partition().await.unwrap();
        let read = "select from public.sales_data";
        let as_user = |user| as_role(database, "authenticated", user, read);
        assert_eq!(as_user(Some(&ada)).await, Ok(2));
        assert_eq!(as_user(Some(&stranger)).await, Ok(0));
        assert_eq!(as_user(None).await, Ok(0));
        assert_eq!(as_role(database, "service_role", None, read).await, Ok(2));
        let denied = Err(DENIED.to_owned());
        assert_eq!(as_role(database, "anon", None, read).await, denied);
        let month = partition(months_ago(1));
        for sql in [
            &format!("select from {month}"),
            "select from authorstack.sales_data_default",
            "select authorstack.make_sales_partitions(3)",
            "select authorstack.make_sales_partition('2024-03-01')",
        ] {
            for role in ["anon", "authenticated", "service_role"] {
                let refused = as_role(database, role, Some(&ada), sql).await;
                assert_eq!(refused, denied, "{role}: {sql}");
            }
        }
        for sql in [
            "insert into public.sales_data default values",
            "update public.sales_data set units = 0",
            "delete from public.sales_data",
        ] {
            let refused = as_role(database, "authenticated", Some(&ada), sql).await;
            assert_eq!(refused, denied, "{sql}");
        }
        // Where somebody opens the schema, the tables stay closed.
        database
            .execute("grant usage on schema authorstack to anon, authenticated, service_role")
            .await;
        for role in ["anon", "authenticated", "service_role"] {
            for table in [month.as_str(), DEFAULT] {
                let read = format!("select from {table}");
                assert_eq!(as_role(database, role, Some(&ada), &read).await, denied);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn supabases_advisors_find_nothing() {
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        database.partition().await.unwrap();
        let findings = Cli::new().advisors(database);
        assert!(findings.is_empty(), "{findings:#?}");
    })
    .await;
}

#[tokio::test]
async fn a_month_takes_its_rows_out_of_the_default_partition() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        database.partition().await.unwrap();
        let (ada, book) = author(&store, "ada").await;
        let dates = ["1999-01-31", "1999-02-01", "1999-02-28", "1999-03-01"];
        sell(&store, &ada, book, &dates).await;
        assert_eq!(database.count(DEFAULT).await, 4);
        assert!(make(database, "1999-02-10").await);
        assert!(!make(database, "1999-02-28").await);
        assert_eq!(
            places(database).await,
            [
                "1999-01-31 authorstack.sales_data_default",
                "1999-02-01 authorstack.sales_data_1999_02",
                "1999-02-28 authorstack.sales_data_1999_02",
                "1999-03-01 authorstack.sales_data_default",
            ]
        );
        let all = Days::new(dates[0].parse().unwrap(), dates[3].parse().unwrap()).unwrap();
        let (sales, all) = (store.sales(), SalesFilter::of(all));
        let totals = sales.totals(ada.id, &all, TotalsBy::Month);
        assert_eq!(totals.await.unwrap().len(), 3);
        // The month's own indexes, keys and checks are there.
        let again = store
            .sales()
            .upsert(ada.id, &[sale(book, dates[1].parse().unwrap())])
            .await;
        assert_eq!(again.unwrap().unchanged, 1);
        let invalid = "select conname::text from pg_constraint where not convalidated \
                         and conrelid::regclass::text like '%sales_data%' \
                       union all \
                       select indexrelid::regclass::text from pg_index where not indisvalid";
        assert!(database.texts(invalid).await.is_empty());
        store.users().delete(ada.id).await.unwrap();
        assert_eq!(database.count("public.sales_data").await, 0);
    })
    .await;
}

#[tokio::test]
async fn coming_months_are_made_once() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        database.partition().await.unwrap();
        let (ada, book) = author(&store, "ada").await;
        let later = Utc::now().date_naive() + Months::new(6);
        let counts = store.sales().upsert(ada.id, &[sale(book, later)]).await;
        assert_eq!(counts.unwrap().inserted, 1);
        assert_eq!(database.count(DEFAULT).await, 1);
        // The script has made three; at the turn of a month one more is missing.
        let made = |months| {
            let make = format!("select authorstack.make_sales_partitions({months})");
            async move { database.rows(&make).await[0].get::<i32, _>(0) }
        };
        assert!((3..=4).contains(&made(6).await));
        assert_eq!(database.count(DEFAULT).await, 0);
        assert!(made(6).await <= 1);
        assert_eq!(database.count("public.sales_data").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_is_made_beside_writers_and_other_makers() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        database.partition().await.unwrap();
        let (ada, _) = author(&store, "ada").await;
        let writers = (0..4).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for day in 1..=25 {
                    let date = NaiveDate::from_ymd_opt(1999, 2, day).unwrap();
                    let counts = store.sales().upsert(ada.id, &[sale(Id::new(), date)]).await;
                    assert_eq!(counts.unwrap().inserted, 1);
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        let made = futures::join!(
            make(database, "1999-02-01"),
            make(database, "1999-02-01"),
            make(database, "1999-03-01"),
        );
        assert!(made.0 != made.1 && made.2, "{made:?}");
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(database.count("authorstack.sales_data_1999_02").await, 100);
        assert_eq!(database.count(DEFAULT).await, 0);
    })
    .await;
}

#[tokio::test]
async fn an_old_month_is_detached() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, book) = author(&store, "ada").await;
        sell(&store, &ada, book, &["1999-02-28", "1999-03-01"]).await;
        database.partition().await.unwrap();
        assert!(make(database, "1999-02-01").await && make(database, "1999-03-01").await);
        let detach = "begin; lock table public.users in access exclusive mode; \
             alter table public.sales_data detach partition authorstack.sales_data_1999_02; \
             drop table authorstack.sales_data_1999_02; \
             commit";
        database.execute(detach).await;
        let march = "1999-03-01 authorstack.sales_data_1999_03";
        assert_eq!(places(database).await, [march]);
        let month = Days::month("1999-02-01".parse().unwrap());
        let dollars = Conversion::into("USD".parse().unwrap());
        let refreshed = store.aggregates().refresh(ada.id, month, &dollars).await;
        assert_eq!(refreshed.unwrap().written, 0);
        // A late sale of it finds the default partition.
        sell(&store, &ada, book, &["1999-02-28"]).await;
        assert_eq!(database.count(DEFAULT).await, 1);
        assert!(make(database, "1999-02-01").await);
        assert_eq!(database.count(DEFAULT).await, 0);
        // What is detached only still goes with its user.
        database
            .execute(
                "alter table public.sales_data detach partition authorstack.sales_data_1999_03",
            )
            .await;
        assert_eq!(database.count("authorstack.sales_data_1999_03").await, 1);
        store.users().delete(ada.id).await.unwrap();
        assert_eq!(database.count("authorstack.sales_data_1999_03").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_later_migration_reaches_every_partition() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, book) = author(&store, "ada").await;
        sell(&store, &ada, book, &["1998-02-28", "1999-02-28"]).await;
        database.partition().await.unwrap();
        make(database, "1999-02-01").await;
        database
            .execute(
                "alter table public.sales_data drop constraint sales_data_platform_check; \
                 alter table public.sales_data add constraint sales_data_platform_check \
                   check (length(platform) < 40) not valid; \
                 alter table public.sales_data validate constraint sales_data_platform_check; \
                 create index by_synced_at on public.sales_data (synced_at)",
            )
            .await;
        make(database, "1999-03-01").await;
        let without = "select relid::text from pg_partition_tree('public.sales_data') \
             where not exists (select from pg_constraint where conrelid = relid \
                 and conname = 'sales_data_platform_check' and convalidated \
                 and pg_get_constraintdef(oid) = 'CHECK ((length(platform) < 40))') \
               or (select count(*) from pg_index where indrelid = relid and indisvalid) <> 6";
        let without = database.texts(without).await;
        assert!(without.is_empty(), "{without:?}");
        assert!(store.pending().await.unwrap().is_empty());
        store.migrate().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_stands_in_the_way_is_named_and_nothing_changes() {
    on_database(async |database| {
        let missing = database.partition().await.unwrap_err().to_string();
        assert!(
            missing.contains("apply the migrations of AuthorStack first"),
            "{missing}"
        );
        let store = database.migrated(Via::Direct).await;
        let (ada, book) = author(&store, "ada").await;
        sell(&store, &ada, book, &["1999-03-01"]).await;
        database
            .execute(
                "create view public.revenues with (security_invoker = on) as \
                   select revenue from public.sales_data; \
                 create table public.notes (sale_id bigint, \
                   constraint about foreign key (sale_id) references public.sales_data); \
                 create function public.touch() returns trigger language plpgsql \
                   as 'begin return new; end'; \
                 create trigger touched before update on public.sales_data \
                   for each row execute function public.touch(); \
                 create publication live for table public.sales_data; \
                 create unique index one_a_book on public.sales_data (user_id, book_id); \
                 insert into authorstack.deferred_ddl \
                   values ('sales_data', 'sales_data_user_id_date_idx', true, '')",
            )
            .await;
        let before = described(database).await;
        let refused = database.partition().await.unwrap_err().to_string();
        for obstacle in [
            "public.revenues reads it",
            "the foreign key about of public.notes refers to it",
            "the trigger touched is on it",
            "the publication live names it",
            "the unique index public.one_a_book is without its date",
            "a migration has put off sales_data_user_id_date_idx",
        ] {
            assert!(refused.contains(obstacle), "{obstacle}: {refused}");
        }
        pretty_equal(&described(database).await, &before);
        assert_eq!(database.count("public.sales_data").await, 1);
        assert_eq!(database.count("public.revenues").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_second_time_is_refused() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (ada, book) = author(&store, "ada").await;
        sell(&store, &ada, book, &["1999-03-01"]).await;
        database.partition().await.unwrap();
        let refused = database.partition().await.unwrap_err().to_string();
        assert!(
            refused.contains("public.sales_data is partitioned already"),
            "{refused}"
        );
        assert_eq!(places(database).await, [format!("1999-03-01 {DEFAULT}")]);
    })
    .await;
}
