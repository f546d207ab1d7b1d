//! The rejects file: JSON lines, for its owner's eyes only.

use std::{
    fs,
    io::{self, BufRead, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use authorstack_core::{
    Error, ErrorKind, Result, json,
    migrate::{AcceptedRejects, Destination, Reject, RejectLine},
};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};

/// What `replay` reads, by its name in errors.
pub(crate) const FILE: &str = "FILE";

fn wrong(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::configuration("rejects_file", format!("{}: {reason}", path.display()))
}

/// Makes sure that a file which will be replaced is a rejects file, and that there can be one.
pub(crate) async fn check_place(path: &Path) -> Result<()> {
    const EXISTS: &str = "already exists and is no rejects file; move it, or name another file";
    let place = path.to_owned();
    let is_ours = blocking(move || match fs::metadata(&place) {
        Ok(found) => Ok(found.is_file() && begins_as_rejects(&place)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    });
    if !is_ours.await.map_err(|error| wrong(path, error))? {
        return Err(wrong(path, EXISTS));
    }
    let place = path.to_owned();
    let probe = blocking(move || temporary(&place)).await;
    probe.map(drop).map_err(|error| {
        let problem = match error.kind() {
            io::ErrorKind::NotFound => "its folder does not exist; create it".to_owned(),
            _ => format!("no file can be created in its folder ({error}); allow it"),
        };
        wrong(path, format!("{problem}, or name another file"))
    })
}

/// Whether the first line is one of a rejects file; an empty file has none.
fn begins_as_rejects(path: &Path) -> io::Result<bool> {
    /// More than the line of any record.
    const MOST: u64 = 256 << 20;
    let mut line = Vec::new();
    let file = fs::File::open(path)?.take(MOST);
    io::BufReader::new(file).read_until(b'\n', &mut line)?;
    Ok(line.is_empty()
        || json::parse(&line)
            .and_then(serde_json::from_value::<RejectLine>)
            .is_ok())
}

/// A file in the folder of the rejects file. Its mode is 0600 from the start; it is removed when
/// dropped.
fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    tempfile::Builder::new()
        .prefix(".rejects-")
        .tempfile_in(folder)
}

/// Writes the open rejects; answers how many there are. The file is replaced as a whole; it is
/// removed when there are no rejects.
pub(crate) async fn write(target: &Destination, path: &Path) -> Result<u64> {
    let failed = |error: io::Error| {
        Error::unavailable(format!(
            "the rejects could not be written to {}: {error}; they are kept in the ledger",
            path.display()
        ))
    };
    let place = path.to_owned();
    let file = blocking(move || temporary(&place)).await.map_err(failed)?;
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
            .map_err(io::IntoInnerError::into_error)?;
        if written == 0 {
            return match fs::remove_file(&place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
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

fn append(
    mut writer: BufWriter<NamedTempFile>,
    batch: &[Reject],
) -> io::Result<BufWriter<NamedTempFile>> {
    for reject in batch {
        let line = reject.to_line().map_err(io::Error::other)?;
        serde_json::to_writer(&mut writer, &line)?;
        writer.write_all(b"\n")?;
    }
    Ok(writer)
}

/// Files are written aside from the tasks that wait for the network.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

fn unreadable(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::invalid(FILE, format!("{}: {reason}", path.display()))
}

/// The lines of a rejects file, which is read to its end first: a file with a broken line loads
/// nothing.
pub(crate) async fn read(path: &Path) -> Result<BoxStream<'static, Result<RejectLine>>> {
    let mut all = LineReader::open(path).await?.into_stream();
    while all.try_next().await?.is_some() {}
    Ok(LineReader::open(path).await?.into_stream())
}

/// The rejects that a file lists, for a verification that accepts them.
pub(crate) async fn accepted(path: &Path) -> Result<AcceptedRejects> {
    let accepted = AcceptedRejects::read(read(path).await?).await;
    accepted.map_err(|error| match error.kind() {
        ErrorKind::Invalid { field, reason } if field != FILE => {
            unreadable(path, format!("{field}: {reason}"))
        }
        _ => error,
    })
}

struct LineReader {
    path: PathBuf,
    lines: Lines<BufReader<tokio::fs::File>>,
    number: u64,
}

impl LineReader {
    async fn open(path: &Path) -> Result<Self> {
        let file = tokio::fs::File::open(path)
            .await
            .map_err(|error| unreadable(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            lines: BufReader::new(file).lines(),
            number: 0,
        })
    }

    fn into_stream(self) -> BoxStream<'static, Result<RejectLine>> {
        stream::try_unfold(self, async |mut reader| {
            let line = reader.next().await?;
            Ok(line.map(|line| (line, reader)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<RejectLine>> {
        loop {
            self.number += 1;
            let text = self.lines.next_line().await;
            let Some(text) = text.map_err(|error| self.wrong(&error))? else {
                return Ok(None);
            };
            if !text.trim().is_empty() {
                let line = json::parse(text.as_bytes()).and_then(serde_json::from_value);
                return line.map(Some).map_err(|error| self.wrong(&explain(&error)));
            }
        }
    }

    fn wrong(&self, problem: &dyn std::fmt::Display) -> Error {
        unreadable(&self.path, format!("line {}: {problem}", self.number))
    }
}

/// serde's own message may quote the record.
fn explain(error: &serde_json::Error) -> String {
    let problem = match error.classify() {
        serde_json::error::Category::Data => {
            "is JSON, but not a line of a rejects file; kind, key, reason, problems and record are \
             needed"
        }
        _ => "is not JSON",
    };
    format!("{problem} (column {})", error.column())
}
