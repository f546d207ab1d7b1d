//! The rejects file: JSON lines, for its owner's eyes only.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use authorstack_core::{
    Error, ErrorKind, Result, json,
    migrate::{AcceptedRejects, Destination, Kind, Reject, RejectLine, SetAside},
};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use serde::{Serialize, de::DeserializeOwned};
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines, Take};

/// The open rejects of each kind, by field.
pub(crate) type Reasons = BTreeMap<Kind, BTreeMap<String, u64>>;

/// The most fields of a kind that are counted apart.
const MOST_FIELDS: usize = 100;

/// What `replay` reads, by its name in errors.
pub(crate) const FILE: &str = "FILE";

/// What a file lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
    /// The open rejects.
    Rejects,
    /// The fields that were set aside.
    SetAside,
}

impl Listing {
    fn wrong(self, path: &Path, reason: impl std::fmt::Display) -> Error {
        let setting = match self {
            Self::Rejects => "rejects_file",
            Self::SetAside => "set_aside_file",
        };
        Error::configuration(setting, format!("{}: {reason}", path.display()))
    }

    /// Whether a file begins as such a file; an empty file does.
    async fn begins(self, path: &Path) -> bool {
        /// More than the line of any record.
        const MOST: u64 = 256 << 20;
        let Ok(mut lines) = LineReader::open(path, MOST).await else {
            return false;
        };
        match self {
            Self::Rejects => lines.next::<RejectLine>().await.is_ok(),
            Self::SetAside => lines.next::<SetAside>().await.is_ok(),
        }
    }
}

/// Makes sure that a file which will be replaced is of its kind, and that there can be one.
pub(crate) async fn check_place(listing: Listing, path: &Path) -> Result<()> {
    let exists = match listing {
        Listing::Rejects => "already exists and is no rejects file; move it, or name another file",
        Listing::SetAside => {
            "already exists and is no list of fields set aside; move it, or name another file"
        }
    };
    let place = path.to_owned();
    let is_file = blocking(move || match fs::metadata(&place) {
        Ok(found) => Ok(Some(found.is_file())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    });
    let is_file = is_file.await.map_err(|error| listing.wrong(path, error))?;
    let is_ours = match is_file {
        Some(is_file) => is_file && listing.begins(path).await,
        None => true,
    };
    if !is_ours {
        return Err(listing.wrong(path, exists));
    }
    let place = path.to_owned();
    let probe = blocking(move || temporary(&place)).await;
    probe.map(drop).map_err(|error| {
        let problem = match error.kind() {
            io::ErrorKind::NotFound => "its folder does not exist; create it".to_owned(),
            _ => format!("no file can be created in its folder ({error}); allow it"),
        };
        listing.wrong(path, format!("{problem}, or name another file"))
    })
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
    let rejects = target.rejects();
    let lines = rejects.and_then(async |batch| batch.iter().map(Reject::to_line).collect());
    write_lines(path, "rejects", lines.boxed(), |_: &RejectLine| 1).await
}

/// Writes the fields that were set aside; answers how many there are. The file is replaced as a
/// whole; it is removed when there are none.
pub(crate) async fn write_set_aside(target: &Destination, path: &Path) -> Result<u64> {
    let fields = |line: &SetAside| line.fields.0.len() as u64;
    write_lines(path, "fields set aside", target.set_aside(), fields).await
}

/// Writes lines of JSON to a file that replaces another; answers how many things they hold.
async fn write_lines<L: Serialize + Send + 'static>(
    path: &Path,
    what: &str,
    mut lines: BoxStream<'_, Result<Vec<L>>>,
    holds: impl Fn(&L) -> u64,
) -> Result<u64> {
    let failed = |error: io::Error| {
        Error::unavailable(format!(
            "the {what} could not be written to {}: {error}; they are kept in the ledger",
            path.display()
        ))
    };
    let place = path.to_owned();
    let file = blocking(move || temporary(&place)).await.map_err(failed)?;
    let mut writer = BufWriter::new(file);
    let mut written = 0;
    while let Some(batch) = lines.try_next().await? {
        written += batch.iter().map(&holds).sum::<u64>();
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

/// How many of the open rejects of each kind have a problem with a field.
pub(crate) async fn by_field(target: &Destination) -> Result<Reasons> {
    let mut reasons = Reasons::new();
    let mut rejects = target.rejects();
    while let Some(batch) = rejects.try_next().await? {
        for reject in batch {
            let fields: BTreeSet<String> =
                reject.problems.0.into_iter().map(|it| it.field).collect();
            let counts = reasons.entry(reject.kind).or_default();
            for field in fields {
                // Names in data are not bounded.
                let place = counts.len() < MOST_FIELDS || counts.contains_key(&field);
                let field = if place { field } else { "…".to_owned() };
                *counts.entry(field).or_default() += 1;
            }
        }
    }
    Ok(reasons)
}

fn append<L: Serialize>(
    mut writer: BufWriter<NamedTempFile>,
    batch: &[L],
) -> io::Result<BufWriter<NamedTempFile>> {
    for line in batch {
        serde_json::to_writer(&mut writer, line)?;
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
    let mut all = LineReader::open(path, u64::MAX).await?.into_stream();
    while all.try_next().await?.is_some() {}
    Ok(LineReader::open(path, u64::MAX).await?.into_stream())
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
    lines: Lines<BufReader<Take<tokio::fs::File>>>,
    number: u64,
}

impl LineReader {
    /// Opens a file, of which at most so many bytes are read.
    async fn open(path: &Path, most: u64) -> Result<Self> {
        let file = tokio::fs::File::open(path)
            .await
            .map_err(|error| unreadable(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            lines: BufReader::new(file.take(most)).lines(),
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

    /// The next line. An editor may have begun the file with a byte-order mark, and broken an
    /// object into several lines: it ends at the brace below its first one.
    async fn next<L: DeserializeOwned>(&mut self) -> Result<Option<L>> {
        let mut object = String::new();
        let mut started = 0;
        loop {
            self.number += 1;
            let text = self.lines.next_line().await;
            let text = text.map_err(|error| self.wrong(self.number, &error))?;
            let is_end = text.is_none();
            let text = text.unwrap_or_default();
            let text = match self.number {
                1 => text.trim_start_matches('\u{feff}'),
                _ => text.as_str(),
            };
            if object.is_empty() {
                match (is_end, text.trim().is_empty()) {
                    (true, _) => return Ok(None),
                    (_, true) => continue,
                    (_, false) => started = self.number,
                }
            }
            let goes_on = !object.is_empty();
            let starts_another = goes_on && (is_end || indent(text, '{') == indent(&object, '{'));
            if !starts_another {
                object.push_str(text);
                object.push('\n');
                if goes_on && indent(text, '}') != indent(&object, '{') {
                    continue;
                }
            }
            let line = json::parse(object.as_bytes()).and_then(serde_json::from_value);
            match line {
                Ok(line) => return Ok(Some(line)),
                Err(error) if error.is_eof() && !starts_another => {}
                Err(error) => return Err(self.wrong(started, &explain(&error))),
            }
        }
    }

    fn wrong(&self, number: u64, problem: &dyn std::fmt::Display) -> Error {
        unreadable(&self.path, format!("line {number}: {problem}"))
    }
}

/// How far a line is indented that begins with a brace.
fn indent(text: &str, brace: char) -> Option<usize> {
    let rest = text.trim_start();
    rest.starts_with(brace).then(|| text.len() - rest.len())
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
