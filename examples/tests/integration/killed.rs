//! A run that is killed, or loses a server, is resumed and ends with the same rows.

use std::{
    fs::{self, File},
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use authorstack_core::{migrate::Kind, testing::servers};
use authorstack_examples::{
    dataset::{self, Size},
    scratch::Scratch,
    tool::Tool,
};
use rand::Rng;
use sqlx::{AssertSqlSafe, Row};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use url::Url;

const TOOL: &str = env!("CARGO_BIN_EXE_authorstack-migrate");
const RUN: &[&str] = &["run", "--batch-records", "100"];
const SIZE: Size = Size {
    users: 200,
    books: 6_000,
};

async fn scratch() -> Scratch {
    let (mongodb, supabase) = (servers::mongodb_url(), servers::supabase_db_url());
    Scratch::create(&servers::fresh_name(), &mongodb, &supabase)
        .await
        .unwrap()
}

/// Documents and analytics as an old app leaves them.
async fn filled(seed: u64) -> Scratch {
    let postgres = servers::setting("AUTHORSTACK_TEST_POSTGRES_URL");
    let scratch = scratch().await.with_postgres(&postgres).await.unwrap();
    let data = dataset::generate(seed, SIZE);
    data.insert(&scratch.mongodb().await.unwrap())
        .await
        .unwrap();
    let analytics = data.analytics(seed, SIZE, 3);
    let mut database = scratch.postgres().await.unwrap();
    analytics.insert(&mut database).await.unwrap();
    scratch
}

/// What a migration left behind: a digest of all rows, rejects, indexes and constraints, how many
/// there are, and how many records moved.
async fn outcome(scratch: &Scratch) -> (String, i64, i64) {
    let tables = Kind::DATA.iter();
    let rows: Vec<String> = tables
        .map(|kind| {
            format!("select concat('{kind}', record::text) as row from public.{kind} as record")
        })
        .collect();
    let rows = rows.join(" union all ");
    let sql = format!(
        "with moved as ({rows}), everything as (
            select row from moved
            union all select concat(kind, key, problems, record) from authorstack.rejects
            union all select concat(tablename, indexdef) from pg_indexes where schemaname = 'public'
            union all select concat(conrelid::regclass, conname, pg_get_constraintdef(oid))
                from pg_constraint where connamespace = 'public'::regnamespace
            union all select concat(oid::regclass, reloptions)
                from pg_class where relnamespace = 'public'::regnamespace
            union all select concat(kind, complete, read, written + unchanged, rejected)
                from authorstack.checkpoints
            union all select concat(kind, name) from authorstack.deferred_ddl
            union all select concat(kind, after) from authorstack.done_ranges
            union all select concat(sequencename, last_value) from pg_sequences where schemaname = 'public'
        )
        select md5(string_agg(row, e'\n' order by row)), count(*), (select count(*) from moved)
        from everything"
    );
    let mut database = scratch.supabase().await.unwrap();
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut database);
    let row = row.await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

#[tokio::test]
async fn twenty_kills_at_random_moments_change_nothing() {
    const KILLS: u32 = 20;
    let source = filled(21).await;
    let undisturbed = Tool::new(TOOL, &source).unwrap();
    let started = Instant::now();
    let run = undisturbed.ask(RUN).unwrap();
    let whole = started.elapsed();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let expected = outcome(&source).await;
    assert!(expected.2 > 30_000);

    let seed = rand::random();
    println!("the moments follow from seed {seed}");
    let mut random: rand::rngs::StdRng = rand::SeedableRng::seed_from_u64(seed);
    let (mut kills, mut in_a_first_load) = (0, 0);
    while kills < KILLS {
        // Each completed target is replaced by a fresh one, so that most kills hit a first load.
        let target = scratch().await;
        let mut tool = Tool::new(TOOL, &target).unwrap();
        tool.mongodb_url = source.mongodb_url().to_owned();
        tool.postgres_url = source.postgres_url();
        let mut since = 0;
        let said = tool.folder().join("said.txt");
        loop {
            let mut child = tool
                .command(RUN)
                .stdout(Stdio::null())
                .stderr(File::create(&said).unwrap())
                .spawn()
                .unwrap();
            let moment = whole.mul_f64(random.random_range(0.02..0.6));
            tokio::time::sleep(moment).await;
            if kills < KILLS && child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
                since += 1;
                continue;
            }
            let status = tokio::task::spawn_blocking(move || child.wait())
                .await
                .unwrap()
                .unwrap();
            let said = fs::read_to_string(&said).unwrap();
            assert_eq!(status.code(), Some(1), "after {since} kills: {said}");
            break;
        }
        in_a_first_load += u32::from(since > 0);
        assert_eq!(outcome(&target).await, expected, "after {since} kills");
        let verified = tool.ask(&["verify"]).unwrap();
        assert_eq!(verified.sum("differing"), 0, "{}", verified.json);
        assert_eq!(
            tool.rejects().unwrap().len() as u64,
            verified.sum("rejected")
        );
        target.remove().await.unwrap();
    }
    assert!(in_a_first_load > 0, "no run was killed");
    source.remove().await.unwrap();
}

/// A stand-in for a server: it passes bytes on until it is cut off.
struct Proxy {
    address: SocketAddr,
    cut: watch::Sender<bool>,
}

impl Proxy {
    /// Passes on what goes to a server, and goes away once it has passed this many bytes to the
    /// side that is asked for.
    async fn until(server: String, bytes: u64, from_server: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, mut is_cut) = watch::channel(false);
        let passed = Arc::new(AtomicU64::new(0));
        let cutter = cut.clone();
        tokio::spawn(async move {
            loop {
                let client = tokio::select! {
                    client = listener.accept() => client.unwrap().0,
                    _ = is_cut.wait_for(|cut| *cut) => return,
                };
                let server = TcpStream::connect(&server).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_peer, to_peer) = server.into_split();
                let count =
                    |wanted: bool| wanted.then(|| (Arc::clone(&passed), bytes, cutter.clone()));
                tokio::spawn(pass(
                    from_client,
                    to_peer,
                    is_cut.clone(),
                    count(!from_server),
                ));
                tokio::spawn(pass(
                    from_peer,
                    to_client,
                    is_cut.clone(),
                    count(from_server),
                ));
            }
        });
        Self { address, cut }
    }

    fn was_cut(&self) -> bool {
        *self.cut.borrow()
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut is_cut: watch::Receiver<bool>,
    count: Option<(Arc<AtomicU64>, u64, watch::Sender<bool>)>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = is_cut.wait_for(|cut| *cut) => return,
        };
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        if let Some((passed, most, cut)) = &count
            && passed.fetch_add(read as u64, Ordering::Relaxed) > *most
        {
            cut.send_replace(true);
            return;
        }
    }
}

fn host(url: &str) -> String {
    let url = Url::parse(url).unwrap();
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())
}

/// Runs against a server that goes away, then resumes without the stand-in.
async fn loses(setting: &str, redirect: impl Fn(&mut Tool, SocketAddr), server: &str, bytes: u64) {
    let scratch = filled(22).await;
    let proxy = Proxy::until(host(server), bytes, setting != "supabase_db").await;
    let mut tool = Tool::new(TOOL, &scratch).unwrap();
    redirect(&mut tool, proxy.address);
    let (tool, failed) = tokio::task::spawn_blocking(move || {
        let failed = tool.ask(RUN).unwrap();
        (tool, failed)
    })
    .await
    .unwrap();
    assert!(
        proxy.was_cut(),
        "the run ended before: {} {}",
        failed.json,
        failed.stderr
    );
    assert_eq!(failed.code, Some(3), "{} {}", failed.json, failed.stderr);
    assert_eq!(failed.json["status"], "failed");
    let error = failed.json["error"].as_str().unwrap();
    assert!(
        !error.is_empty() && failed.stderr.contains("run again"),
        "{error} {}",
        failed.stderr
    );

    let mut whole = tool;
    whole.mongodb_url = scratch.mongodb_url().to_owned();
    whole.postgres_url = scratch.postgres_url();
    whole.supabase_db_url = scratch.supabase_db_url();
    let resumed = whole.ask(RUN).unwrap();
    assert_eq!(resumed.code, Some(1), "{}", resumed.stderr);
    let verified = whole.ask(&["verify"]).unwrap();
    assert_eq!(verified.sum("differing"), 0, "{}", verified.json);
    assert_eq!(resumed.sum("read"), verified.sum("read"));
    let there = resumed.sum("written") + resumed.sum("unchanged");
    assert_eq!(there, verified.sum("unchanged"));
    scratch.remove().await.unwrap();
}

#[tokio::test]
async fn a_target_that_goes_away_is_said_and_resumed() {
    let redirect = |tool: &mut Tool, to: SocketAddr| {
        let mut url = Url::parse(&tool.supabase_db_url).unwrap();
        url.set_port(Some(to.port())).unwrap();
        tool.supabase_db_url = url.into();
    };
    loses(
        "supabase_db",
        redirect,
        &servers::supabase_db_url(),
        2_000_000,
    )
    .await;
}

#[tokio::test]
async fn a_source_that_goes_away_is_said_and_resumed() {
    let redirect = |tool: &mut Tool, to: SocketAddr| {
        let mut url = Url::parse(&tool.mongodb_url).unwrap();
        url.set_port(Some(to.port())).unwrap();
        // Otherwise the driver asks the replica set for its members, and bypasses the stand-in.
        url.set_query(Some("directConnection=true&serverSelectionTimeoutMS=1500"));
        tool.mongodb_url = url.into();
    };
    loses("mongodb", redirect, &servers::mongodb_url(), 2_000_000).await;
}

#[tokio::test]
async fn a_source_of_rows_that_goes_away_is_said_and_resumed() {
    let redirect = |tool: &mut Tool, to: SocketAddr| {
        let mut url = Url::parse(tool.postgres_url.as_ref().unwrap()).unwrap();
        url.set_port(Some(to.port())).unwrap();
        tool.postgres_url = Some(url.into());
    };
    let server = servers::setting("AUTHORSTACK_TEST_POSTGRES_URL");
    loses("postgres", redirect, &server, 700_000).await;
}

#[tokio::test]
async fn a_killed_run_gives_its_lock_back() {
    let scratch = filled(23).await;
    let tool = Tool::new(TOOL, &scratch).unwrap();
    let mut child = tool
        .command(RUN)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let run = tool.ask(RUN).unwrap();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    scratch.remove().await.unwrap();
}
