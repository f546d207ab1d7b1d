//! The fast lane's end: passes, ranges, and what becomes of keys that a first load does without.

use crate::common;

use authorstack_core::{
    ErrorKind, Id, User,
    migrate::{
        Checkpoint, Counts, Kind, Load, Problem, Problems, Record, RefusedRow, Reject, RowMode,
        RowRange, RowSink, RowsWritten, Sink, Step, TransactionalSink,
    },
    testing::author,
};
use authorstack_supabase::SupabaseMigration;
use common::{Database, Host, Via, on_database};
use futures::{StreamExt, stream};

const KIND: Kind = Kind::SalesData;
const ALL: RowRange = RowRange::ALL;

fn lane(target: &SupabaseMigration) -> &dyn RowSink {
    Sink::rows(target, KIND).unwrap()
}

async fn ready(database: &Database) -> (Host, SupabaseMigration, Id<User>) {
    let store = database.migrated(Via::Direct).await;
    let user = author(&store, "ada").await.id;
    let target = store.migration();
    (store, target, user)
}

/// Rows as a source's server would send them, made by this one.
async fn rows(database: &Database, numbers: &[i64], user: Id<User>, revenue: &str) -> Vec<u8> {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let sql = format!(
        "copy (select id, '{user}'::uuid, '{user}'::uuid, 'kdp'::text, date '2024-01-01' + id::int, \
           {revenue}::numeric(10,2), 1, 0, 'USD'::text, null::timestamptz, null::jsonb \
         from unnest(array[{}]::bigint[]) as id) to stdout (format binary)",
        numbers.join(", "),
        user = user.to_uuid(),
    );
    database.copy_out(&sql).await
}

async fn write(
    target: &SupabaseMigration,
    pass: &authorstack_core::migrate::RowPass,
    range: RowRange,
    bytes: Vec<u8>,
) -> RowsWritten {
    let mut writer = lane(target)
        .open(KIND, range, Some(pass), None)
        .await
        .unwrap();
    let written = writer
        .write(pass.mode, stream::iter([Ok(bytes)]).boxed())
        .await
        .unwrap();
    let RowsWritten::Taken { written: count, .. } = written else {
        return written;
    };
    let counts = Counts {
        read: count,
        written: count,
        ..Counts::default()
    };
    writer.commit(counts).await.unwrap();
    written
}

const KEYS: &str = "select conname::text from pg_constraint \
                    where conrelid = 'public.sales_data'::regclass and contype in ('p', 'u', 'f') order by 1";

#[tokio::test]
async fn a_pass_resumes_where_its_ranges_end() {
    on_database(async |database| {
        let (store, target, user) = ready(database).await;
        let pass = lane(&target).begin_rows(KIND, "one", false).await.unwrap();
        assert_eq!((pass.mode, pass.done.len()), (RowMode::Append, 0));
        assert!(database.texts(KEYS).await.is_empty());
        let first = RowRange {
            after: i64::MIN,
            until: 3,
        };
        let bytes = rows(database, &[1, 2, 3], user, "1.10").await;
        write(&target, &pass, first, bytes).await;

        // A range that is not committed leaves nothing.
        let mut writer = lane(&target)
            .open(KIND, RowRange { after: 3, until: 5 }, Some(&pass), None)
            .await
            .unwrap();
        let bytes = rows(database, &[4, 5], user, "1.10").await;
        writer
            .write(pass.mode, stream::iter([Ok(bytes)]).boxed())
            .await
            .unwrap();
        drop(writer);

        let resumed = lane(&target).begin_rows(KIND, "one", false).await.unwrap();
        assert_eq!(
            (resumed.mode, resumed.done.as_slice()),
            (RowMode::Append, &[first][..])
        );
        assert_eq!((resumed.counts.read, resumed.counts.written), (3, 3));
        let digest = lane(&target).digest(KIND, ALL).await.unwrap();
        assert_eq!(digest.rows, 3);

        // A writer of the run before is refused.
        let Err(error) = lane(&target).open(KIND, ALL, Some(&pass), None).await else {
            panic!("a writer of an earlier run was let in");
        };
        assert!(
            matches!(error.kind(), ErrorKind::Conflict { .. }),
            "{error}"
        );

        target.finish_pass(KIND).await.unwrap();
        assert_eq!(database.texts(KEYS).await.len(), 3);
        // Rows that are converted otherwise are a pass of their own, and so is the other lane.
        let anew = lane(&target).begin_rows(KIND, "two", false).await.unwrap();
        assert_eq!(
            (anew.mode, anew.done.len(), anew.counts.read),
            (RowMode::Merge, 0, 0)
        );
        assert_eq!(
            target.begin_pass(KIND, 1).await.unwrap(),
            Checkpoint::default()
        );
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn rows_are_merged_and_what_another_record_holds_is_named() {
    on_database(async |database| {
        let (store, target, user) = ready(database).await;
        let pass = lane(&target).begin_rows(KIND, "one", true).await.unwrap();
        // Rows that may collide are never loaded without keys.
        assert_eq!(pass.mode, RowMode::Merge);
        assert_eq!(database.texts(KEYS).await.len(), 2);
        let bytes = rows(database, &[1, 2, 3], user, "1.10").await;
        write(&target, &pass, ALL, bytes).await;

        let other = author(&store, "grace").await.id;
        let mut writer = lane(&target).open(KIND, ALL, None, None).await.unwrap();
        let bytes = rows(
            database,
            &[2, 3, 4],
            user,
            "case id when 3 then 9.99 else 1.10 end",
        )
        .await;
        let written = writer
            .write(RowMode::Merge, stream::iter([Ok(bytes)]).boxed())
            .await
            .unwrap();
        let RowsWritten::Taken {
            written,
            unchanged,
            refused,
        } = written
        else {
            panic!()
        };
        assert_eq!((written, unchanged, refused.len()), (2, 1, 0));
        writer.commit(Counts::default()).await.unwrap();

        // The number is another sale's; the sale is there by another number.
        let mut writer = lane(&target).open(KIND, ALL, None, None).await.unwrap();
        let strange = rows(database, &[1], other, "5").await;
        let written = writer
            .write(RowMode::Merge, stream::iter([Ok(strange)]).boxed())
            .await
            .unwrap();
        let RowsWritten::Taken { refused, .. } = written else {
            panic!()
        };
        assert_eq!(refused[0].number, 1);
        assert_eq!(refused[0].problems.0[0].field, "id");
        drop(writer);
        database
            .execute("update public.sales_data set id = 40 where id = 4")
            .await;
        let mut writer = lane(&target).open(KIND, ALL, None, None).await.unwrap();
        let bytes = rows(database, &[4], user, "1.10").await;
        let written = writer
            .write(RowMode::Merge, stream::iter([Ok(bytes)]).boxed())
            .await
            .unwrap();
        let RowsWritten::Taken {
            written, refused, ..
        } = written
        else {
            panic!()
        };
        assert_eq!((written, refused[0].number), (0, 4));
        let shown = refused[0].problems.to_string();
        assert!(
            shown.contains("date: sale 40 is of the same user, book, platform and day"),
            "{shown}"
        );
        drop(writer);
        let revenue = "select concat(id, ' ', revenue) from public.sales_data order by id";
        assert_eq!(
            database.texts(revenue).await,
            ["1 1.10", "2 1.10", "3 9.99", "40 1.10"]
        );
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_range_and_its_rejects_are_one() {
    on_database(async |database| {
        let (store, target, user) = ready(database).await;
        let pass = lane(&target).begin_rows(KIND, "one", false).await.unwrap();
        let reject = Reject {
            kind: KIND,
            key: "9".to_owned(),
            problems: Problem::new("revenue", "is no number").into(),
            record: "{}".to_owned(),
            source_digest: [7; 32],
        };
        for commit in [false, true] {
            let mut writer = lane(&target).open(KIND, ALL, Some(&pass), None).await.unwrap();
            let bytes = rows(database, &[1], user, "1.10").await;
            writer.write(pass.mode, stream::iter([Ok(bytes)]).boxed()).await.unwrap();
            assert_eq!(writer.reject(std::slice::from_ref(&reject)).await.unwrap(), 1);
            if commit {
                let counts = Counts { read: 2, written: 1, unchanged: 0, rejected: 1 };
                writer.commit(counts).await.unwrap();
            }
            let count = "select concat((select count(*) from public.sales_data), ' ', \
                         (select count(*) from authorstack.rejects))";
            let expected = if commit { "1 1" } else { "0 0" };
            assert_eq!(database.texts(count).await, [expected]);
        }
        // A row that the table refuses is named, and the others of the range are written.
        let mut writer = lane(&target).open(KIND, ALL, None, None).await.unwrap();
        let bytes = rows(database, &[2, 3], user, "case id when 3 then 'NaN'::numeric else 1 end").await;
        let written = writer.write(RowMode::Merge, stream::iter([Ok(bytes)]).boxed()).await.unwrap();
        let RowsWritten::Taken { written: 1, unchanged: 0, refused } = written else {
            panic!("{written:?}");
        };
        let [RefusedRow { number: 3, problems, .. }] = refused.as_slice() else {
            panic!("{refused:?}");
        };
        assert_eq!(problems.0[0].field, "revenue");
        // What is not committed is not there.
        drop(writer);
        assert_eq!(database.texts("select id::text from public.sales_data").await, ["1"]);
        target.finish_pass(KIND).await.unwrap();
        let pass = "select concat(complete, ' ', read, ' ', written, ' ', rejected) from authorstack.checkpoints";
        assert_eq!(database.texts(pass).await, ["t 2 1 1"]);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_else_wrote_during_a_first_load_is_said() {
    on_database(async |database| {
        let (store, target, user) = ready(database).await;
        let pass = lane(&target).begin_rows(KIND, "one", false).await.unwrap();
        let bytes = rows(database, &[1, 2], user, "1.10").await;
        write(&target, &pass, ALL, bytes).await;
        database
            .execute("insert into public.sales_data (id, user_id, book_id, platform, date, revenue, units) \
                      select 1, user_id, book_id, 'lulu', date, 3, 1 from public.sales_data where id = 1")
            .await;
        let error = target.finish_pass(KIND).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Blocked { .. }), "{error}");
        let shown = error.to_string();
        assert!(shown.contains("sales_data_pkey") && shown.contains("twice"), "{shown}");
        assert!(shown.contains("more than once in (id): (1); delete all but one"), "{shown}");
        database.execute("delete from public.sales_data where platform = 'lulu'").await;
        target.finish_pass(KIND).await.unwrap();
        assert_eq!(
            database.texts(KEYS).await,
            [
                "sales_data_pkey",
                "sales_data_user_id_book_id_platform_date_key",
                "sales_data_user_id_fkey"
            ]
        );
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn absent_records_are_found() {
    on_database(async |database| {
        let (store, target, user) = ready(database).await;
        let gone = Id::new();
        let asked = [user.cast(), gone];
        let absent = lane(&target).absent(Kind::Users, &asked).await.unwrap();
        assert_eq!(absent, [gone]);
        store.users().delete(user).await.unwrap();
        let absent = lane(&target).absent(Kind::Users, &asked).await.unwrap();
        assert_eq!(absent.len(), 2);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_record_whose_number_is_another_s_is_refused_by_either_lane() {
    on_database(async |database| {
        let (store, target, user) = ready(database).await;
        let other = author(&store, "grace").await.id;
        let sale = |user: Id<User>, revenue: &str| {
            let json = serde_json::json!({
                "id": 1, "user_id": user, "book_id": user, "platform": "kdp",
                "date": "2024-01-02", "revenue": revenue, "units": 1, "page_reads": 0,
                "currency": "USD",
            });
            Record::from_json(KIND, json).unwrap()
        };
        let load = async |record: Record| {
            let reject = |_: usize, problems: Problems| Reject {
                kind: KIND,
                key: "1".to_owned(),
                problems,
                record: "{}".to_owned(),
                source_digest: [7; 32],
            };
            let load = Load {
                set_aside: &[],
                kind: KIND,
                records: &[record],
                rejects: &[],
                from: None,
                reject: &reject,
                step: Step::Aside,
            };
            let counts = target.load(&load).await.unwrap().counts;
            (counts.written, counts.unchanged, counts.rejected)
        };
        assert_eq!(load(sale(user, "1.10")).await, (1, 0, 0));
        assert_eq!(load(sale(user, "1.10")).await, (0, 1, 0));
        assert_eq!(load(sale(user, "2.20")).await, (1, 0, 0));
        assert_eq!(load(sale(other, "5.00")).await, (0, 0, 1));
        let problems = "select problems from authorstack.rejects";
        let problems = database.texts(problems).await;
        assert!(
            problems[0].contains("number of another sale"),
            "{problems:?}"
        );
        let revenue = "select revenue::text from public.sales_data";
        assert_eq!(database.texts(revenue).await, ["2.20"]);
        store.close().await;
    })
    .await;
}
