//! The migration target.

use crate::common;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use authorstack_core::{
    Book, BookMetadata, BookStatus, ConnectedPlatform, ErrorKind, Extra, Id, MemoryStore, NewBook,
    NewUser, Platform, Preferences, SubscriptionTier, Theme, User, limits,
    migrate::{
        BatchLimits, Counts, Destination, Digest, Entry, Kind, Ledger, Load, Loaded, Position,
        Problem, Problems, Record, Reject, Rejected, Settled, Silent, Sink, Snapshot, Step,
        TransactionalSink, plan,
    },
};
use authorstack_supabase::SupabaseMigration;
use common::{Database, Host, Via, fetch, on_database};
use futures::TryStreamExt;
use serde_json::json;

fn user(name: &str) -> User {
    let auth_id = format!("auth-{name}").parse().unwrap();
    let email = format!("{name}@example.org").parse().unwrap();
    NewUser::new(auth_id, email, name).into_user()
}

fn book(user: &User, title: &str) -> Book {
    NewBook::new(title).into_book(user.id)
}

fn records<T: Clone + Into<Record>>(of: &[T]) -> Vec<Record> {
    of.iter().cloned().map(Into::into).collect()
}

fn key(record: &Record) -> String {
    record.key().to_string()
}

fn reject_of(record: &Record, problems: Problems) -> Reject {
    Reject {
        kind: record.kind(),
        key: key(record),
        problems,
        record: record.to_json().to_string(),
        source_digest: Digest::of(record).0,
    }
}

/// A pass in progress.
struct Pass<'t> {
    target: &'t SupabaseMigration,
    kind: Kind,
    at: Option<Position>,
}

impl<'t> Pass<'t> {
    async fn begin(target: &'t SupabaseMigration, kind: Kind) -> Self {
        let at = target.begin_pass(kind, 1).await.unwrap().position;
        Self { target, kind, at }
    }

    async fn try_load(
        &mut self,
        records: &[Record],
        rejects: &[Reject],
    ) -> authorstack_core::Result<Loaded> {
        let to = Position(format!("{}+", self.at.as_ref().map_or("", |at| &at.0)));
        let load = Load {
            set_aside: &[],
            kind: self.kind,
            records,
            rejects,
            from: None,
            reject: &|index, problems| reject_of(&records[index], problems),
            step: Step::Advance {
                from: self.at.as_ref(),
                to: &to,
            },
        };
        let loaded = self.target.load(&load).await?;
        assert!(loaded.counts.balance(), "{loaded:?}");
        self.at = Some(to);
        Ok(loaded)
    }

    async fn load(&mut self, records: &[Record]) -> Counts {
        self.try_load(records, &[]).await.unwrap().counts
    }
}

async fn replay(
    target: &SupabaseMigration,
    kind: Kind,
    records: &[Record],
    keys: &[String],
) -> Counts {
    let known = target.settled(kind, keys).await.unwrap();
    let rejects: Vec<Rejected> = keys
        .iter()
        .map(|key| Rejected {
            key: key.clone(),
            source_digest: known
                .iter()
                .find(|it| it.key == *key)
                .unwrap()
                .source_digest,
        })
        .collect();
    let load = Load {
        set_aside: &[],
        kind,
        records,
        rejects: &[],
        from: None,
        reject: &|index, problems| Reject {
            key: keys[index].clone(),
            source_digest: rejects[index].source_digest,
            ..reject_of(&records[index], problems)
        },
        step: Step::Replay { rejects: &rejects },
    };
    let loaded = target.load(&load).await.unwrap();
    assert!(loaded.counts.balance(), "{loaded:?}");
    loaded.counts
}

async fn move_all(target: &SupabaseMigration, kind: Kind, records: &[Record]) -> Counts {
    let mut pass = Pass::begin(target, kind).await;
    let counts = pass.load(records).await;
    target.finish_pass(kind).await.unwrap();
    counts
}

async fn scan(target: &SupabaseMigration, kind: Kind) -> Vec<Record> {
    common::scan(target, kind).await
}

async fn rejects(target: &SupabaseMigration) -> Vec<Reject> {
    let batches: Vec<Vec<Reject>> = target.rejects().try_collect().await.unwrap();
    batches.into_iter().flatten().collect()
}

fn counts(read: u64, written: u64, unchanged: u64, rejected: u64) -> Counts {
    Counts {
        read,
        written,
        unchanged,
        rejected,
    }
}

/// What the catalogs say of the tables' indexes and constraints.
async fn definitions(database: &Database) -> Vec<String> {
    database
        .texts(
            "select indexdef from pg_indexes where schemaname = 'public' union all \
             select conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) \
             from pg_constraint where connamespace = 'public'::regnamespace union all \
             select oid::regclass || ' ' || unnest(reloptions) \
             from pg_class where relnamespace = 'public'::regnamespace order by 1",
        )
        .await
}

fn extra(value: &serde_json::Value) -> Extra {
    value.as_object().unwrap().clone()
}

fn full_user() -> User {
    let mut user = user("ada");
    user.subscription_tier = SubscriptionTier::Professional;
    user.credits = i64::MAX;
    user.preferences = Preferences {
        email_notifications: Some(true),
        weekly_digest: Some(false),
        theme: Some(Theme::Dark),
        timezone: Some("Europe/Berlin".to_owned()),
        currency: Some("EUR".parse().unwrap()),
        extra: extra(&json!({"beta": {"on": true}})),
    };
    user.connected_platforms = vec![ConnectedPlatform {
        platform: Platform::KDP,
        connected_at: Some("+12000-01-01T00:00:00Z".parse().unwrap()),
        last_sync: Some("-0100-02-28T01:02:03.456Z".parse().unwrap()),
        extra: extra(&json!({"token": {"$oid": "6b0379ca3f6979be1a457c2c"}})),
    }];
    user.extra = extra(&json!({
        "float": 1e16, "whole": 1.0, "small": 5e-324, "large": 1.5e300, "int": 12_345_678_901_234_567_890_u64,
        "text": "\u{1F4DA} \\ \" \n \u{1}", "nested": [[[]], {"": null}], "decimal": {"$numberDecimal": "1.10"},
    }));
    user
}

fn full_book(user: &User) -> Book {
    let mut book = book(user, "The Tide House");
    book.subtitle = Some(String::new());
    book.author = Some("Ada \u{FFFF}".to_owned());
    book.description = Some("ÿ".repeat(limits::LONG_TEXT / 2));
    book.isbn = Some("978-3-16-148410-0".parse().unwrap());
    book.asin = Some("B08N5WRWNW".parse().unwrap());
    book.cover_url = Some("https://covers.example.org/1.png".to_owned());
    book.genres = vec![
        "Mystery".to_owned(),
        String::new(),
        "NULL".to_owned(),
        "{,\"}".to_owned(),
    ];
    book.platforms = vec![Platform::KDP, "lulu".parse().unwrap()];
    book.published_date = Some("-4000-01-01T00:00:00Z".parse().unwrap());
    book.created_at = "+12000-12-31T23:59:59.999Z".parse().unwrap();
    book.status = BookStatus::Archived;
    book.metadata = BookMetadata {
        page_count: Some(u32::MAX),
        word_count: Some(0),
        series: Some("Tides".to_owned()),
        series_position: Some(1.5),
        extra: extra(&json!({"trim": "6x9"})),
    };
    book.extra = extra(&json!({"notes": [], "manuscript": "ÿ".repeat(6 << 20)}));
    book
}

#[tokio::test]
async fn every_value_survives_both_ways_of_loading() {
    for via in [Via::Direct, Via::Pooler, Via::SessionPooler] {
        on_database(async |database| {
            let target = database.migrated(via).await.migration();
            let (plain, full) = (user("zoe"), full_user());
            let mut users = records(&[plain.clone(), full.clone()]);
            users.sort_by_key(Record::key);
            let books = records(&[book(&full, "Plain"), full_book(&full)]);
            assert_eq!(
                move_all(&target, Kind::Users, &users).await,
                counts(2, 2, 0, 0)
            );
            assert_eq!(
                move_all(&target, Kind::Books, &books).await,
                counts(2, 2, 0, 0)
            );
            assert_eq!(scan(&target, Kind::Users).await, users);
            assert_eq!(scan(&target, Kind::Books).await, books);
            let digests = |records: &[Record]| records.iter().map(Digest::of).collect::<Vec<_>>();
            assert_eq!(digests(&scan(&target, Kind::Users).await), digests(&users));
            assert_eq!(digests(&scan(&target, Kind::Books).await), digests(&books));

            // The second pass merges, and finds nothing to change.
            assert_eq!(
                move_all(&target, Kind::Users, &users).await,
                counts(2, 0, 2, 0)
            );
            assert_eq!(
                move_all(&target, Kind::Books, &books).await,
                counts(2, 0, 2, 0)
            );
            database.execute("delete from public.users").await;
            let mut pass = Pass::begin(&target, Kind::Users).await;
            database
                .execute("update authorstack.checkpoints set first_load = false")
                .await;
            assert_eq!(pass.load(&users).await, counts(2, 2, 0, 0));
            assert_eq!(scan(&target, Kind::Users).await, users);
        })
        .await;
    }
}

#[tokio::test]
async fn a_changed_record_is_written_again_also_when_only_a_number_changes_its_type() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let mut ada = user("ada");
        ada.extra = extra(&json!({"n": 1}));
        let bob = user("bob");
        move_all(&target, Kind::Users, &records(&[ada.clone(), bob.clone()])).await;
        ada.extra = extra(&json!({"n": 1.0}));
        let users = records(&[ada, bob]);
        assert_eq!(
            move_all(&target, Kind::Users, &users).await,
            counts(2, 1, 1, 0)
        );
        assert_eq!(scan(&target, Kind::Users).await, users);
    })
    .await;
}

#[tokio::test]
async fn a_pass_resumes_where_it_stopped_and_a_finished_one_starts_anew() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let target = store.migration();
        let users = records(&[user("a"), user("b"), user("c")]);
        let mut pass = Pass::begin(&target, Kind::Users).await;
        pass.load(&users[..2]).await;

        // Another process.
        let target = store.migration();
        let checkpoint = target.begin_pass(Kind::Users, 1).await.unwrap();
        assert_eq!(checkpoint.position, pass.at);
        assert_eq!(checkpoint.counts, counts(2, 2, 0, 0));
        let mut resumed = Pass::begin(&target, Kind::Users).await;
        resumed.load(&users[2..]).await;
        target.finish_pass(Kind::Users).await.unwrap();
        target.finish_pass(Kind::Users).await.unwrap();

        let fresh = target.begin_pass(Kind::Users, 1).await.unwrap();
        assert_eq!(fresh, authorstack_core::migrate::Checkpoint::default());
        assert_eq!(database.count("public.users").await, 3);
    })
    .await;
}

#[tokio::test]
async fn a_writer_that_lost_its_place_changes_nothing() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let users = records(&[user("a"), user("b"), user("c")]);
        let mut one = Pass::begin(&target, Kind::Users).await;
        let mut other = Pass::begin(&target, Kind::Users).await;
        one.load(&users[..1]).await;
        let error = other.try_load(&users[1..2], &[]).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Conflict { .. }),
            "{error:?}"
        );

        let mut other = Pass::begin(&target, Kind::Users).await;
        target.finish_pass(Kind::Users).await.unwrap();
        let error = other.try_load(&users[1..], &[]).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Conflict { .. }),
            "{error:?}"
        );
        assert_eq!(scan(&target, Kind::Users).await, users[..1]);
    })
    .await;
}

#[tokio::test]
async fn doubled_addresses_and_accounts_are_rejected_and_name_the_other_user() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let (first, mut second, mut third, fourth) = (user("a"), user("b"), user("c"), user("d"));
        second.email = first.email.clone();
        third.auth_id = first.auth_id.clone();
        third.email = fourth.email.clone();
        let mut pass = Pass::begin(&target, Kind::Users).await;
        let batch = records(&[first.clone(), second, third, fourth]);
        assert_eq!(pass.load(&batch).await, counts(4, 2, 0, 2));

        // Against the table.
        let mut fifth = user("e");
        fifth.email = first.email.clone();
        let sound = user("f");
        let counted = pass.load(&records(&[fifth.clone(), sound])).await;
        assert_eq!(counted, counts(2, 1, 0, 1));
        let rejects = rejects(&target).await;
        assert_eq!(rejects.len(), 3);
        let last = rejects
            .iter()
            .find(|reject| reject.key == fifth.id.to_string())
            .unwrap();
        let Problem { field, problem } = &last.problems.0[0];
        assert_eq!(field, "email");
        assert!(
            problem.contains(first.email.as_str()) && problem.contains(&first.id.to_string()),
            "{problem}"
        );
        let merged: User = serde_json::from_str(&last.record).unwrap();
        assert_eq!(merged, fifth);
    })
    .await;
}

#[tokio::test]
async fn an_address_that_moves_from_one_user_to_another_moves() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let (mut a, mut b) = (user("a"), user("b"));
        move_all(&target, Kind::Users, &records(&[a.clone(), b.clone()])).await;
        // The earlier record takes what the later one gives up.
        a.email = b.email.clone();
        b.email = "new@example.org".parse().unwrap();
        let users = records(&[a, b]);
        assert_eq!(
            move_all(&target, Kind::Users, &users).await,
            counts(2, 2, 0, 0)
        );
        assert_eq!(scan(&target, Kind::Users).await, users);
    })
    .await;
}

/// For the ledger beside the records, and for the one of the way back.
#[tokio::test]
async fn only_an_open_reject_with_its_digest_is_settled() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let (target, back) = (store.migration(), store.return_ledger());
        let ada = Record::from(user("ada"));
        let reject = reject_of(&ada, Problem::new("email", "is no address").into());
        let note = Entry {
            set_aside: &[],
            kind: Kind::Users,
            step: Step::Aside,
            applied: Counts::default(),
            rejects: std::slice::from_ref(&reject),
            settled: &[],
        };
        assert_eq!(target.note(&note).await.unwrap(), 1);
        assert_eq!(back.note(&note).await.unwrap(), 1);
        let right = Rejected {
            key: reject.key.clone(),
            source_digest: reject.source_digest,
        };
        let digest = Rejected {
            source_digest: [7; 32],
            ..right.clone()
        };
        let other = Rejected {
            key: "other".to_owned(),
            ..right.clone()
        };
        let load = async |rejected: &Rejected| {
            let load = Load {
                set_aside: &[],
                kind: Kind::Users,
                records: std::slice::from_ref(&ada),
                rejects: &[],
                from: None,
                reject: &|_, problems| panic!("{problems}"),
                step: Step::Replay {
                    rejects: std::slice::from_ref(rejected),
                },
            };
            target.load(&load).await
        };
        let settle = async |rejected: &Rejected| {
            let settled = [(rejected.clone(), ada.key())];
            let entry = Entry {
                set_aside: &[],
                kind: Kind::Users,
                step: Step::Replay {
                    rejects: std::slice::from_ref(rejected),
                },
                applied: counts(0, 1, 0, 0),
                rejects: &[],
                settled: &settled,
            };
            back.note(&entry).await
        };
        for wrong in [&digest, &other] {
            let error = load(wrong).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Conflict { .. }),
                "{error}"
            );
            let error = settle(wrong).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Conflict { .. }),
                "{error}"
            );
        }
        assert_eq!(scan(&target, Kind::Users).await, []);
        assert_eq!(load(&right).await.unwrap().counts, counts(1, 1, 0, 0));
        settle(&right).await.unwrap();
        // Settled, it is not loaded again.
        for again in [
            load(&right).await.unwrap_err(),
            settle(&right).await.unwrap_err(),
        ] {
            assert!(
                matches!(again.kind(), ErrorKind::Conflict { .. }),
                "{again}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn orphans_are_rejected_and_replayed_when_their_user_is_there() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let (ada, bob) = (user("ada"), user("bob"));
        move_all(&target, Kind::Users, &records(std::slice::from_ref(&ada))).await;
        let books = records(&[book(&ada, "One"), book(&bob, "Two"), book(&ada, "Three")]);
        assert_eq!(move_all(&target, Kind::Books, &books).await, counts(3, 2, 0, 1));
        let open = rejects(&target).await;
        assert_eq!(open.len(), 1);
        assert_eq!(
            open[0].problems.to_string(),
            format!("userId: there is no user {} in the target; move or fix the user first, then replay", bob.id),
        );
        assert_eq!(open[0].source_digest, Digest::of(&books[1]).0);

        // Too early.
        let keys = [key(&books[1])];
        assert_eq!(replay(&target, Kind::Books, &books[1..2], &keys).await, counts(1, 0, 0, 1));
        assert_eq!(rejects(&target).await.len(), 1);
        move_all(&target, Kind::Users, &records(&[ada.clone(), bob])).await;
        assert_eq!(replay(&target, Kind::Books, &books[1..2], &keys).await, counts(1, 1, 0, 0));
        assert!(rejects(&target).await.is_empty());
        let settled = vec![Settled {
            key: keys[0].clone(),
            source_digest: Digest::of(&books[1]).0,
            replayed_as: Some(books[1].key()),
        }];
        assert_eq!(target.settled(Kind::Books, &keys).await.unwrap(), settled);
        assert_eq!(target.replayed(Kind::Books).await.unwrap(), settled);
        assert!(target.replayed(Kind::Users).await.unwrap().is_empty());
        assert_eq!(fetch(&target, Kind::Books, &[books[1].key()]).await, books[1..2]);
    })
    .await;
}

#[tokio::test]
async fn a_settled_reject_stays_settled_until_its_source_changes() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let fixed = Record::from(user("ada"));
        let problems = || Problems::from(Problem::new("email", "is none \0"));
        let reject = Reject {
            kind: Kind::Users,
            key: "not\0an id".repeat(2000),
            problems: problems(),
            record: r#"{"_id":"x\u0000","email":"none"}"#.to_owned(),
            source_digest: [1; 32],
        };
        let mut pass = Pass::begin(&target, Kind::Users).await;
        let loaded = pass
            .try_load(&[], std::slice::from_ref(&reject))
            .await
            .unwrap();
        assert_eq!(loaded.counts, counts(1, 0, 0, 1));
        assert_eq!(rejects(&target).await, std::slice::from_ref(&reject));
        target.finish_pass(Kind::Users).await.unwrap();
        let keys = [reject.key.clone()];
        replay(&target, Kind::Users, std::slice::from_ref(&fixed), &keys).await;

        // The next pass reads the same record, then a changed one.
        let mut pass = Pass::begin(&target, Kind::Users).await;
        let loaded = pass
            .try_load(&[], std::slice::from_ref(&reject))
            .await
            .unwrap();
        assert_eq!(loaded.counts, counts(1, 0, 1, 0));
        assert!(rejects(&target).await.is_empty());
        let changed = Reject {
            source_digest: [2; 32],
            ..reject
        };
        let loaded = pass
            .try_load(&[], std::slice::from_ref(&changed))
            .await
            .unwrap();
        assert_eq!(loaded.counts, counts(1, 0, 0, 1));
        assert_eq!(rejects(&target).await, [changed]);

        // A new pass clears what is open.
        target.finish_pass(Kind::Users).await.unwrap();
        target.begin_pass(Kind::Users, 1).await.unwrap();
        assert!(rejects(&target).await.is_empty());
        assert!(target.settled(Kind::Users, &keys).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_the_server_refuses_is_found_among_many() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        database
            .execute(
                "alter table public.users drop constraint users_name_check, \
             add constraint users_name_check check (name not like '%7')",
            )
            .await;
        let users: Vec<User> = (0..40).map(|n| user(&format!("u{n}"))).collect();
        let mut pass = Pass::begin(&target, Kind::Users).await;
        assert_eq!(pass.load(&records(&users)).await, counts(40, 36, 0, 4));
        let rejects = rejects(&target).await;
        assert_eq!(rejects.len(), 4);
        for reject in rejects {
            assert_eq!(reject.problems.0[0].field, "name");
            assert!(
                reject.problems.0[0].problem.contains("users_name_check"),
                "{:?}",
                reject.problems
            );
        }
        assert_eq!(database.count("public.users").await, 36);
    })
    .await;
}

#[tokio::test]
async fn dates_before_postgresqls_first_are_rejected() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let ada = user("ada");
        move_all(&target, Kind::Users, &records(std::slice::from_ref(&ada))).await;
        let mut early = book(&ada, "Early");
        early.published_date = Some("-4713-01-01T00:00:00Z".parse().unwrap());
        let books = records(&[early, book(&ada, "Late")]);
        assert_eq!(
            move_all(&target, Kind::Books, &books).await,
            counts(2, 1, 0, 1)
        );
        assert_eq!(
            rejects(&target).await[0].problems.0[0].field,
            "publishedDate"
        );
    })
    .await;
}

#[tokio::test]
async fn a_record_with_a_refused_date_takes_no_value_from_another() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let mut early = user("ada");
        early.created_at = "-4713-01-01T00:00:00Z".parse().unwrap();
        let mut second = user("bob");
        second.email = early.email.clone();
        assert_eq!(
            move_all(&target, Kind::Users, &records(&[early, second])).await,
            counts(2, 1, 0, 1)
        );
        let rejects = rejects(&target).await;
        let problem = &rejects[0].problems.0[0].problem;
        assert!(problem.contains("4713"), "{problem}");
    })
    .await;
}

#[tokio::test]
async fn one_id_twice_in_a_batch_counts_once() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let ada = user("ada");
        let mut other = ada.clone();
        other.name = "Other".to_owned();
        let batch = records(&[ada.clone(), ada, other]);
        assert_eq!(
            move_all(&target, Kind::Users, &batch).await,
            counts(3, 1, 1, 1)
        );
    })
    .await;
}

#[tokio::test]
async fn a_first_load_goes_on_beside_rows_that_came_meanwhile() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let users = [user("a"), user("b"), user("c")];
        let mut pass = Pass::begin(&target, Kind::Users).await;
        let mut replayed = users[1].clone();
        replayed.name = "Replayed".to_owned();
        let load = Load {
            set_aside: &[],
            kind: Kind::Users,
            records: &[replayed.into()],
            rejects: &[],
            from: None,
            reject: &|_, problems| panic!("{problems}"),
            step: Step::Aside,
        };
        target.load(&load).await.unwrap();
        assert_eq!(pass.load(&records(&users)).await, counts(3, 3, 0, 0));
        assert_eq!(scan(&target, Kind::Users).await, records(&users));
    })
    .await;
}

#[tokio::test]
async fn indexes_and_constraints_come_back_as_they_were() {
    for via in [Via::Direct, Via::Pooler] {
        on_database(async |database| {
            let target = database.migrated(via).await.migration();
            database
                .execute(
                    "create index \"own Index\" on public.books (lower(title) desc) where status <> 'draft'; \
                     create function public.is_fine(title text) returns boolean immutable \
                       language sql return title <> 'x'; \
                     alter table public.books \
                       add constraint own_check check (public.is_fine(title)) not valid, \
                       add constraint own_pattern check (asin ~ '^B') not valid; \
                     alter table public.users set (autovacuum_enabled = off); \
                     alter table public.books set (autovacuum_vacuum_threshold = 99)",
                )
                .await;
            let before = definitions(database).await;
            let ada = user("ada");
            move_all(&target, Kind::Users, &records(std::slice::from_ref(&ada))).await;
            let mut pass = Pass::begin(&target, Kind::Books).await;
            let during = definitions(database).await;
            let gone: Vec<&String> = before.iter().filter(|it| !during.contains(it)).collect();
            let checks = gone.iter().filter(|it| it.contains("CHECK")).count();
            assert_eq!((gone.len(), checks), (12, 7), "{gone:?}");
            let new: Vec<&String> = during.iter().filter(|it| !before.contains(it)).collect();
            assert_eq!(new, ["books autovacuum_enabled=off"]);
            let is_ours = |it: &str| it.contains("authorstack.") || it.contains("books_asin_check");
            assert!(gone.iter().all(|it| !it.contains("CHECK") || is_ours(it)));
            let to = Destination::transactional(Arc::new(target.clone()));
            let plan = plan(Arc::new(MemoryStore::new()), &to, &[Kind::Books], &Silent).await;
            let note = plan.unwrap().notes.join("\n");
            assert!(note.contains("13 indexes, constraints or settings of books are to be restored"), "{note}");
            pass.load(&records(&[book(&ada, "One")])).await;
            // Killed here, and run again.
            target.begin_pass(Kind::Books, 1).await.unwrap();
            // Or killed in the middle of the end.
            database.execute("delete from authorstack.deferred_ddl where name = 'books_asin_idx'").await;
            database.execute("create index books_asin_idx on public.books (asin) where asin is not null").await;
            database.execute("create index books_user_id_id_idx on public.books (user_id, id)").await;
            target.finish_pass(Kind::Books).await.unwrap();
            assert_eq!(definitions(database).await, before);
            assert_eq!(database.count("authorstack.deferred_ddl").await, 0);
            // The server adds those of the other columns.
            let analyzed = "select attname::text from pg_stats \
                            where schemaname = 'public' and tablename = 'books' order by 1";
            assert_eq!(database.texts(analyzed).await, ["asin", "id", "status", "user_id"]);
            assert_eq!(database.texts("select kind from authorstack.checkpoints where complete order by 1").await, ["books", "users"]);
        })
        .await;
    }
}

#[tokio::test]
async fn a_table_in_use_keeps_its_indexes() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let ada = user("ada");
        move_all(&target, Kind::Users, &records(std::slice::from_ref(&ada))).await;
        let before = definitions(database).await;
        let mut reader = database.connection().await;
        sqlx::raw_sql("begin; select from public.books")
            .execute(&mut reader)
            .await
            .unwrap();
        let mut pass = Pass::begin(&target, Kind::Books).await;
        assert_eq!(definitions(database).await, before);
        assert_eq!(
            pass.load(&records(&[book(&ada, "One")])).await,
            counts(1, 1, 0, 0)
        );
        target.finish_pass(Kind::Books).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn users_deleted_during_a_load_block_its_end_with_a_way_out() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let ada = user("ada");
        move_all(&target, Kind::Users, &records(std::slice::from_ref(&ada))).await;
        let mut pass = Pass::begin(&target, Kind::Books).await;
        pass.load(&records(&[book(&ada, "One")])).await;
        database.execute("delete from public.users").await;
        let error = target.finish_pass(Kind::Books).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Blocked { .. }),
            "{error:?}"
        );
        database.execute("delete from public.books").await;
        target.finish_pass(Kind::Books).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_run_at_a_time_holds_the_lock() {
    for via in [Via::Direct, Via::SessionPooler, Via::Pooler] {
        on_database(async |database| {
            let store = database.migrated(via).await;
            let (one, other) = (store.migration(), database.store(Via::Direct).await.migration());
            let held = one.lock().await.unwrap();
            let error = other.lock().await.unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Locked);
            drop(held);
            drop(other.lock().await.unwrap());

            // The holder's connection dies.
            let _held = one.lock().await.unwrap();
            let killed = database
                .rows("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' \
                       and database = (select oid from pg_database where datname = current_database())")
                .await;
            assert_eq!(killed.len(), 1);
            drop(other.lock().await.unwrap());
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_is_dropped_leaves_all_or_nothing() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let users: Vec<User> = (0..2000).map(|n| user(&format!("u{n}"))).collect();
        let users = records(&users);
        for millis in [1, 3, 10, 20, 40] {
            let mut pass = Pass::begin(&target, Kind::Users).await;
            let before = pass.at.clone();
            let load = pass.try_load(&users, &[]);
            let _ = tokio::time::timeout(Duration::from_millis(millis), load).await;
            // `begin` waits for what the dropped load left on the server.
            let now = target.begin_pass(Kind::Users, 1).await.unwrap();
            let read = if now.position == before { 0 } else { 2000 };
            assert!(now.counts.read == 0 || now.counts.read >= read);
            let rows = database.count("public.users").await;
            assert_eq!(
                rows,
                if now.counts.read == 0 { 0 } else { 2000 },
                "{millis} ms"
            );
        }
        let mut pass = Pass::begin(&target, Kind::Users).await;
        pass.load(&users).await;
        assert_eq!(scan(&target, Kind::Users).await, users);
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_dropped_frees_its_connection() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let users: Vec<User> = (0..5000).map(|n| user(&format!("u{n}"))).collect();
        move_all(&target, Kind::Users, &records(&users)).await;
        let limits = BatchLimits {
            records: 2000,
            ..BatchLimits::default()
        };
        let first = target.scan(Kind::Users, None, limits).try_next().await;
        assert_eq!(first.unwrap().unwrap().items.len(), 2000);
        assert_eq!(scan(&target, Kind::Users).await, records(&users));
        let connected = "select count(*)::text from pg_stat_activity where datname = current_database() \
                         and application_name = 'authorstack' and state <> 'idle'";
        for _ in 0..50 {
            if database.texts(connected).await == ["0"] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("a dropped scan still runs");
    })
    .await;
}

#[tokio::test]
async fn a_large_table_is_not_counted_to_its_end() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let ada = user("ada");
        move_all(&target, Kind::Users, &records(std::slice::from_ref(&ada))).await;
        for (more, says) in [
            (10_000, "holds 10000 records"),
            (5, "more than 10000 records"),
        ] {
            let fill = format!(
                "insert into public.sync_logs (user_id, platform, status) \
                 select '{}', 'kdp', 'success' from generate_series(1, {more})",
                ada.id.to_uuid()
            );
            database.execute(&fill).await;
            let state = target.inspect().await.unwrap();
            let notes = state.notes.join("\n");
            assert!(notes.contains(says), "{notes}");
        }
        let state = target.inspect().await.unwrap();
        assert!(state.records.contains(&(Kind::SyncLogs, 10_001)));
    })
    .await;
}

#[tokio::test]
async fn inspecting_says_what_is_there_and_changes_nothing() {
    on_database(async |database| {
        let store = database.store(Via::Direct).await;
        let target = store.migration();
        let state = target.inspect().await.unwrap();
        assert_eq!(state.pending_migrations, store.pending().await.unwrap());
        assert!(state.records.is_empty() && state.blockers.is_empty());
        target.prepare().await.unwrap();
        move_all(&target, Kind::Users, &records(&[user("a")])).await;
        let state = target.inspect().await.unwrap();
        let records: BTreeMap<Kind, u64> = state.records.into_iter().collect();
        let none = Kind::DATA.iter().map(|kind| (*kind, 0));
        let mut expected: BTreeMap<Kind, u64> = none.collect();
        expected.insert(Kind::Users, 1);
        assert_eq!(records, expected);
        assert!(
            state.notes[0].contains("public.users holds 1 record already"),
            "{:?}",
            state.notes
        );
    })
    .await;
}

#[tokio::test]
async fn a_role_without_privileges_is_a_blocker() {
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        let role = format!("{}_reader", database.name);
        database
            .execute(&format!(
                "create role {role} login password 'reader'; grant {role} to postgres"
            ))
            .await;
        let mut url: url::Url = database.url(Via::Direct).parse().unwrap();
        url.set_username(&role).unwrap();
        url.set_password(Some("reader")).unwrap();
        let config = authorstack_supabase::SupabaseConfig::new(url);
        let store = Host::connect(config).await.unwrap();
        let state = store.migration().inspect().await;
        store.close().await;
        database.execute(&format!("drop role {role}")).await;
        let blockers = state.unwrap().blockers.join("\n");
        assert!(
            blockers.contains("connect as the project's role postgres"),
            "{blockers}"
        );
    })
    .await;
}

#[tokio::test]
async fn an_unknown_id_is_no_error() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let unknown = [Id::<Record>::new().into()];
        assert!(fetch(&target, Kind::Users, &unknown).await.is_empty());
        assert!(
            target
                .settled(Kind::Users, &["x".to_owned()])
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn a_database_that_can_only_be_read_is_a_blocker() {
    on_database(async |database| {
        database.migrated(Via::Direct).await;
        let name = &database.name;
        database
            .execute(&format!(
                "alter database {name} set default_transaction_read_only = on"
            ))
            .await;
        let target = database.store(Via::Direct).await.migration();
        let blockers = target.inspect().await.unwrap().blockers.join("\n");
        assert!(blockers.contains("takes no writes"), "{blockers}");
    })
    .await;
}

/// A foreign key locks the tables at both of its ends. The server counts the deadlocks.
#[tokio::test]
async fn empty_kinds_side_by_side_do_not_deadlock() {
    on_database(async |database| {
        let target = database.migrated(Via::Direct).await.migration();
        let repeat = |kind: Kind| {
            let target = &target;
            async move {
                for _ in 0..30 {
                    target.begin_pass(kind, 1).await.unwrap();
                    target.finish_pass(kind).await.unwrap();
                    if let Some(rows) = Sink::rows(target, kind) {
                        rows.begin_rows(kind, "test", false).await.unwrap();
                        target.finish_pass(kind).await.unwrap();
                    }
                }
            }
        };
        let kinds = Kind::DATA.iter().copied();
        futures::future::join_all(kinds.map(repeat)).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let deadlocks = "select deadlocks::text from pg_stat_database \
                         where datname = current_database()";
        assert_eq!(database.texts(deadlocks).await, ["0"]);
        assert!(
            database
                .texts("select name from authorstack.deferred_ddl")
                .await
                .is_empty()
        );
    })
    .await;
}
