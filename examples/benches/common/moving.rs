//! What the benchmarks of migrations share: the tool, watched, and COPY.

use std::{
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use authorstack_examples::{scratch::Scratch, tool::resident_peak};
use futures::TryStreamExt;
use sqlx::{PgConnection, postgres::PgPoolCopyExt};

use super::setting;

/// What one run of the tool took.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) seconds: f64,
    pub(crate) peak_mb: f64,
}

/// How COPY writes rows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Format {
    Binary,
    /// As files and `pg_dump` have them.
    Text,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Text => "text",
        }
    }
}

/// The rows of a table in a format of COPY. `columns` may follow the table's name.
pub(crate) async fn copy_out(target: &Scratch, table: &str, format: Format) -> Result<Vec<u8>> {
    let pool = sqlx::PgPool::connect(&target.supabase_db_url()).await?;
    let mut bytes = Vec::new();
    let copy = format!("copy {table} to stdout (format {})", format.name());
    let mut stream = pool.copy_out_raw(&copy).await?;
    while let Some(part) = stream.try_next().await? {
        bytes.extend_from_slice(&part);
    }
    drop(stream);
    pool.close().await;
    Ok(bytes)
}

/// Copies such rows into a table.
pub(crate) async fn copy_in(
    connection: &mut PgConnection,
    table: &str,
    format: Format,
    rows: &[u8],
) -> Result<()> {
    let copy = format!("copy {table} from stdin (format {})", format.name());
    let mut copy = connection.copy_in_raw(&copy).await?;
    for part in rows.chunks(1 << 20) {
        copy.send(part).await?;
    }
    copy.finish().await?;
    Ok(())
}

pub(crate) fn fresh_name() -> String {
    format!("as_bench_{:08x}", rand::random::<u32>())
}

/// Moves records by the tool, watching its memory.
pub(crate) fn run(source: &Scratch, target: &Scratch, more: &[&str]) -> Result<Taken> {
    tool(source, target, "run", more)
}

/// Runs a command of the tool with more arguments, watching its memory.
pub(crate) fn tool(
    source: &Scratch,
    target: &Scratch,
    command: &str,
    more: &[&str],
) -> Result<Taken> {
    tool_with(source, target, command, more, &[])
}

/// Runs a command of the tool with more settings, too.
pub(crate) fn tool_with(
    source: &Scratch,
    target: &Scratch,
    command: &str,
    more: &[&str],
    settings: &[(&str, String)],
) -> Result<Taken> {
    let folder = tempfile::tempdir()?;
    let started = Instant::now();
    let mut tool = Command::new(setting("AUTHORSTACK_TEST_MIGRATE_BIN")?)
        .args([command, "--output", "json", "--quiet"])
        .args(more)
        .env("AUTHORSTACK_MONGODB_URL", source.mongodb_url())
        .env("AUTHORSTACK_SUPABASE_DB_URL", target.supabase_db_url())
        .envs(
            source
                .postgres_url()
                .map(|url| ("AUTHORSTACK_POSTGRES_URL", url)),
        )
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("starting the tool")?;
    let mut peak_mb: f64 = 0.0;
    let status = loop {
        if let Some(status) = tool.try_wait()? {
            break status;
        }
        peak_mb = peak_mb.max(resident_peak(tool.id()));
        sleep(Duration::from_millis(5));
    };
    let seconds = started.elapsed().as_secs_f64();
    ensure!(status.success(), "the tool ended with {status}");
    Ok(Taken { seconds, peak_mb })
}
