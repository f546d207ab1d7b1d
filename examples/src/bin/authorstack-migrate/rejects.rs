//! The rejects file: JSON lines, for its owner's eyes only.

use std::{
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use authorstack_core::{
    Error, Result,
    migrate::{Reject, RejectLine, Target},
};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};

fn wrong(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::configuration("rejects_file", format!("{}: {reason}", path.display()))
}

/// Makes sure that a file which will be replaced is a rejects file, and that there can be one.
pub(crate) async fn check_place(path: &Path) -> Result<()> {
    if tokio::fs::try_exists(path)
        .await
        .map_err(|error| wrong(path, error))?
    {
        let mut lines = open(path).await?;
        if let Some(line) = next(path, &mut lines).await?
            && serde_json::from_str::<RejectLine>(&line).is_err()
        {
            let reason = "is there already and is no rejects file; move it, or name another file";
            return Err(wrong(path, reason));
        }
    }
    let folder = folder(path);
    match tokio::fs::metadata(&folder).await {
        Ok(found) if found.is_dir() => Ok(()),
        _ => Err(wrong(
            path,
            "its folder does not exist; make it, or name another file",
        )),
    }
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Writes the open rejects; answers how many there are. The file is replaced at once and whole;
/// where there is no reject, it is removed.
pub(crate) async fn write(target: &dyn Target, path: &Path) -> Result<u64> {
    let at = folder(path);
    let failed = |error: std::io::Error| wrong(path, error);
    // Made with mode 0600.
    let file = blocking(move || tempfile::Builder::new().prefix(".rejects-").tempfile_in(at))
        .await
        .map_err(failed)?;
    let mut writer = BufWriter::new(file);
    let mut written = 0;
    let mut rejects = target.rejects();
    while let Some(batch) = rejects.try_next().await? {
        written += batch.len() as u64;
        writer = blocking(move || append(writer, &batch))
            .await
            .map_err(failed)?;
    }
    let place = path.to_owned();
    blocking(move || {
        let file = writer
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        if written == 0 {
            return match std::fs::remove_file(&place) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        file.as_file().sync_all()?;
        file.persist(&place).map(drop).map_err(|error| error.error)
    })
    .await
    .map_err(failed)?;
    Ok(written)
}

type Writer = BufWriter<tempfile::NamedTempFile>;

fn append(mut writer: Writer, batch: &[Reject]) -> std::io::Result<Writer> {
    for reject in batch {
        let line = reject.to_line().map_err(std::io::Error::other)?;
        serde_json::to_writer(&mut writer, &line)?;
        writer.write_all(b"\n")?;
    }
    Ok(writer)
}

/// Files are written aside from the tasks that wait for the network.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(std::io::Error::other)?
}

async fn open(path: &Path) -> Result<Lines<BufReader<tokio::fs::File>>> {
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|error| unreadable(path, error))?;
    Ok(BufReader::new(file).lines())
}

fn unreadable(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::invalid("FILE", format!("{}: {reason}", path.display()))
}

async fn next(
    path: &Path,
    lines: &mut Lines<BufReader<tokio::fs::File>>,
) -> Result<Option<String>> {
    lines
        .next_line()
        .await
        .map_err(|error| unreadable(path, error))
}

/// The lines of a rejects file, which is read to its end first: a file with a broken line loads
/// nothing.
pub(crate) async fn read(path: &Path) -> Result<BoxStream<'static, Result<RejectLine>>> {
    let mut all = lines(path).await?;
    while all.try_next().await?.is_some() {}
    lines(path).await
}

async fn lines(path: &Path) -> Result<BoxStream<'static, Result<RejectLine>>> {
    let start = (open(path).await?, 0_u64, path.to_owned());
    Ok(
        stream::try_unfold(start, async |(mut lines, mut number, path)| {
            while let Some(text) = next(&path, &mut lines).await? {
                number += 1;
                if text.trim().is_empty() {
                    continue;
                }
                let line = serde_json::from_str(&text).map_err(|error| {
                // serde's message may quote the record.
                let column = error.column();
                let reason = match error.classify() {
                    serde_json::error::Category::Data => {
                        "is JSON, but no line of a rejects file; kind, key and record are needed"
                    }
                    _ => "is not JSON",
                };
                unreadable(&path, format!("line {number} {reason} (column {column})"))
            })?;
                return Ok(Some((line, (lines, number, path))));
            }
            Ok(None)
        })
        .boxed(),
    )
}
