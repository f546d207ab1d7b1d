#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use authorstack_core::{migrate::*, *};
use common::{Via, on_database};
use sqlx::Connection;
use std::time::Instant;

fn sample(n: usize, user: Id<User>) -> Book {
    let mut b = NewBook::new(format!("The Tide House {n}"));
    b.description = Some(format!("{n} lorem ipsum dolor sit amet ").repeat(14));
    b.subtitle = Some("A novel of the sea".into());
    b.author = Some("Ada Lovelace".into());
    b.asin = Some(format!("B{n:09}").parse().unwrap());
    b.isbn = Some("9783161484100".parse().unwrap());
    b.cover_url = Some(format!("https://covers.example.org/{n}.png"));
    b.genres = vec!["Mystery".into(), "Romance".into()];
    b.platforms = vec![Platform::KDP, Platform::GUMROAD];
    b.published_date = Some(time::now());
    b.metadata.page_count = Some(320);
    b.metadata.word_count = Some(90_000);
    b.metadata.series = Some("Tides".into());
    b.metadata.series_position = Some(2.0);
    b.into_book(user).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn speed() {
    const N: usize = 200_000;
    let users: Vec<User> = (0..2000)
        .map(|n| {
            NewUser::new(
                format!("a{n}").parse().unwrap(),
                format!("u{n}@x.y").parse().unwrap(),
                "x",
            )
            .into_user()
            .unwrap()
        })
        .collect();
    let books: Vec<Record> = (0..N)
        .map(|n| sample(n, users[n % users.len()].id).into())
        .collect();
    let users: Vec<Record> = users.into_iter().map(Record::from).collect();
    for _ in 0..2 {
        // bare: rows dumped by COPY TO, then COPY back into the table with all indexes and FK.
        on_database(async |db| {
        let t = db.migrated(Via::Direct).await.target();
        let mv = async |kind, recs: &[Record]| {
            let start = Instant::now();
            t.prepare().await.unwrap();
            let mut at = t.begin(kind).await.unwrap().position;
            for (i, chunk) in recs.chunks(6000).enumerate() {
                let to = Position(i.to_string());
                let l = Load { kind, records: chunk, rejects: &[], reject: &|_, p| panic!("{p}"), step: Step::Advance { from: at.as_ref(), to: &to } };
                t.load(&l).await.unwrap();
                at = Some(to);
            }
            let loaded = start.elapsed();
            t.finish(kind).await.unwrap();
            println!("{kind}: load {loaded:?} total {:?}", start.elapsed());
        };
        mv(Kind::Users, &users).await;
        mv(Kind::Books, &books).await;
        let mut c = db.connection().await;
        let mut dump: Vec<u8> = Vec::new();
        {
            use futures::TryStreamExt;
            let mut s = c.copy_out_raw("copy public.books to stdout").await.unwrap();
            while let Some(b) = s.try_next().await.unwrap() { dump.extend_from_slice(&b); }
        }
        println!("dump {} MB", dump.len() >> 20);
        let mut c = sqlx::PgConnection::connect(&db.url(Via::Direct)).await.unwrap();
        for (what, prep) in [("bare, with indexes, no fk", "truncate public.books; alter table public.books drop constraint books_user_id_fkey"), ("bare, + fk", "truncate public.books; alter table public.books add constraint books_user_id_fkey foreign key (user_id) references public.users on delete cascade")] {
            sqlx::raw_sql(prep).execute(&mut c).await.unwrap();
            let start = Instant::now();
            let mut s = c.copy_in_raw("copy public.books from stdin").await.unwrap();
            for p in dump.chunks(1 << 20) { s.send(p).await.unwrap(); }
            s.finish().await.unwrap();
            println!("{what}: {:?}", start.elapsed());
        }
        // second pass: merge, all unchanged
        let start = Instant::now();
        mv(Kind::Books, &books).await;
        println!("second pass {:?}", start.elapsed());
        let start = Instant::now();
        use futures::TryStreamExt;
        let n: usize = t.scan(Kind::Books).map_ok(|b| b.len()).try_fold(0, async |a, b| Ok(a + b)).await.unwrap();
        println!("scan {n} {:?}", start.elapsed());
    }).await;
    }
}
