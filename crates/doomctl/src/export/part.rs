//! The unfinished file, `FILE.part`, and beside it, for an export that can be gone on with, `FILE.part.json`: how far it is and of what.
//!
//! The order is: the rows are on the disk, then the note of how far they go, then the server is told. So whatever breaks in between, the next run cuts
//! the file to what the note says, passes over what it has, and the file has every event once.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use cli_common::exit::{self, Failure};
use serde::{Deserialize, Serialize};

use super::sink::Progress;

/// What an unfinished export is of; another may not go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Purpose {
    pub(crate) format: String,
    pub(crate) durable: String,
    pub(crate) streams: Vec<String>,
    pub(crate) subjects: Vec<String>,
    pub(crate) condition: String,
}

/// The note.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) purpose: Purpose,
    /// The stream that is being read, by its place in the purpose.
    pub(crate) stream: usize,
    /// The last sequence of that stream that the file has.
    pub(crate) sequence: u64,
    pub(crate) progress: Progress,
}

/// Where everything of one export is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) out: PathBuf,
    pub(crate) part: PathBuf,
    note: PathBuf,
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

impl Place {
    /// Looks whether a file may be made here.
    ///
    /// # Errors
    /// Exit code 65 where there is one already, or no folder.
    pub(crate) fn of(out: &Path, force: bool) -> Result<Self, Failure> {
        let refuse = |why: String| Failure::new(exit::DATA, format!("--out {}: {why}", out.display()));
        if out.file_name().is_none() || out.is_dir() {
            return Err(refuse("is a folder; name a file".to_owned()));
        }
        if out.exists() && !force {
            return Err(refuse("exists already; give --force to replace it".to_owned()));
        }
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(refuse(format!("there is no folder {}", folder.display())));
        }
        Ok(Self { out: out.to_owned(), part: with(out, ".part"), note: with(out, ".part.json") })
    }

    /// What an earlier run left, if it was of the same; without a durable name nothing is gone on with.
    ///
    /// # Errors
    /// Exit code 65 where what was left is of something else or cannot be read.
    pub(crate) fn left(&self, purpose: &Purpose) -> Result<Option<Note>, Failure> {
        let text = match fs::read(&self.note) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| self.trouble(&self.note, &e))?,
        };
        let advice = "remove it to begin anew, or give another --out";
        let note: Note = serde_json::from_slice(&text)
            .map_err(|e| Failure::new(exit::DATA, format!("{} is no note of an unfinished export ({e}); {advice}", self.note.display())))?;
        if note.purpose != *purpose {
            let other = &note.purpose;
            return Err(Failure::new(
                exit::DATA,
                format!(
                    "{} is of another export ({} of {} under the name {:?}); {advice}",
                    self.note.display(),
                    other.format,
                    other.subjects.join(" "),
                    other.durable
                ),
            ));
        }
        // A note without its file is what a crash behind the last step leaves.
        let some = self.part.exists() || note.progress.parts > 0 || note.progress.bytes == 0;
        Ok(some.then_some(note))
    }

    /// Notes how far the file is; whole or not at all.
    pub(crate) fn note(&self, note: &Note) -> io::Result<()> {
        let new = with(&self.note, ".new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(note)?)?;
        file.sync_data()?;
        fs::rename(new, &self.note)
    }

    /// Gives the finished file its name.
    pub(crate) fn finish(&self, made: &Path) -> io::Result<()> {
        fs::rename(made, &self.out)?;
        self.forget_note()
    }

    /// Removes everything that is not finished.
    pub(crate) fn remove(&self) {
        // What is not there need not be removed, and what cannot be is a temporary file by its name.
        let _ = fs::remove_file(&self.part);
        let _ = self.forget_note();
        for number in 0.. {
            if fs::remove_file(self.part.with_extension(format!("part.{number}"))).is_err() {
                break;
            }
        }
    }

    fn forget_note(&self) -> io::Result<()> {
        match fs::remove_file(&self.note) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A file that cannot be written or read.
    pub(crate) fn trouble(&self, path: &Path, error: &io::Error) -> Failure {
        Failure::new(exit::DATA, format!("{}: {error}", path.display()))
    }
}
