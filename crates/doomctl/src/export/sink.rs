//! What writes a format, and what is needed to go on after an interruption.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use doom_bus::consume::Delivered;
use doom_protocol::EventKind;
use serde::{Deserialize, Serialize};

use super::{Format, csv::Csv, parquet::Parquet};
use crate::events::lines;

/// How far the file has come; what stands in it beyond this does not count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Bytes of the unfinished file.
    pub(crate) bytes: u64,
    /// Rows in it.
    pub(crate) rows: u64,
    /// Messages that were no events.
    pub(crate) broken: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) named: Vec<Broken>,
    /// CSV: the names of the columns, and from which byte on there were how many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) columns: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) widths: Vec<(u64, usize)>,
    /// Parquet: finished parts beside the file.
    #[serde(default)]
    pub(crate) parts: usize,
}

/// A message that is no event of the kind that is exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Broken {
    /// Where it is.
    pub(crate) stream: String,
    /// Its sequence there.
    pub(crate) sequence: u64,
    /// Its dead letter; none where it could not be stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter: Option<u64>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, sequence, dead_letter } = self;
        write!(f, "{stream} sequence {sequence}")?;
        dead_letter.map_or(Ok(()), |letter| write!(f, " (dead letter {letter})"))
    }
}

/// Why a message is not in the file.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// It is no event of this kind; the file is as it was.
    NoEvent(String),
    /// The file cannot be written.
    File(io::Error),
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

/// One file that is being written.
pub(crate) trait Sink: Send {
    /// Adds an event.
    fn add(&mut self, delivered: &Delivered, sequence: u64) -> Result<(), Unwritten>;
    /// How far it is, to note in it what is left out.
    fn progress(&mut self) -> &mut Progress;
    /// Whether a checkpoint is worth its price now.
    fn is_due(&self) -> bool;
    /// Everything so far is on the disk, even if the machine stops now.
    fn checkpoint(&mut self) -> io::Result<Progress>;
    /// The file is whole, at this path.
    fn finish(self: Box<Self>) -> io::Result<PathBuf>;
}

/// Begins a file, or goes on with one.
pub(crate) fn open(format: Format, kind: Option<EventKind>, path: &Path, progress: Progress) -> io::Result<Box<dyn Sink>> {
    match (format, kind) {
        (Format::Csv, Some(kind)) => Ok(Box::new(Csv::open(kind, path, progress)?)),
        (Format::Parquet, Some(kind)) => Ok(Box::new(Parquet::open(kind, path, progress)?)),
        _ => Ok(Box::new(JsonLines::open(path, progress)?)),
    }
}

/// Opens the unfinished file at what counts of it.
pub(crate) fn at(path: &Path, bytes: u64) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
    file.set_len(bytes)?;
    io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
    Ok(file)
}

/// One line an event.
struct JsonLines {
    out: BufWriter<File>,
    line: Vec<u8>,
    path: PathBuf,
    progress: Progress,
}

impl JsonLines {
    fn open(path: &Path, progress: Progress) -> io::Result<Self> {
        let out = BufWriter::with_capacity(1 << 18, at(path, progress.bytes)?);
        Ok(Self { out, line: Vec::with_capacity(4096), path: path.to_owned(), progress })
    }
}

impl Sink for JsonLines {
    fn add(&mut self, delivered: &Delivered, sequence: u64) -> Result<(), Unwritten> {
        self.line.clear();
        if let Some(why) = lines::append(delivered, sequence, &mut self.line)? {
            return Err(Unwritten::NoEvent(why));
        }
        self.out.write_all(&self.line)?;
        self.progress.bytes += self.line.len() as u64;
        self.progress.rows += 1;
        Ok(())
    }

    fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    fn is_due(&self) -> bool {
        true
    }

    fn checkpoint(&mut self) -> io::Result<Progress> {
        self.out.flush()?;
        self.out.get_ref().sync_data()?;
        Ok(self.progress.clone())
    }

    fn finish(mut self: Box<Self>) -> io::Result<PathBuf> {
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        Ok(self.path)
    }
}
