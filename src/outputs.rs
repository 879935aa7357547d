//! What is written to: standard output and standard error, by what answers there; and places that the agent is told of, looked at before
//! anything starts, without leaving anything there.

use std::{fmt::Display, io::Write, path::Path};

use crate::exit::{self, Failure};

/// Writes to standard error what ends the process, or keeps a command from its answer.
pub fn complain(of: impl Display) {
    // With nobody to read it, the exit code has to do.
    let _ = writeln!(std::io::stderr(), "doom-agent: {of}");
}

/// A file that will be made or overwritten.
///
/// # Errors
/// Exit code 65 where its folder is none, or it is a folder itself.
pub(crate) fn check_file(what: &str, path: &Path) -> Result<(), Failure> {
    let refuse = |why: &str| Failure::new(exit::DATA, format!("the {what} {} cannot be written: {why}", path.display()));
    if path.is_dir() {
        return Err(refuse("it is a folder; name a file in it"));
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => Err(refuse(&format!("{} is not a folder", folder.display()))),
        _ => Ok(()),
    }
}

/// A folder that will be made, with those above it, where it is missing.
///
/// # Errors
/// Exit code 65 where something that is no folder is in the way.
pub(crate) fn check_folder(what: &str, path: &Path) -> Result<(), Failure> {
    match path.ancestors().find(|p| p.exists()) {
        Some(there) if !there.is_dir() => {
            let text = format!("the {what} {} cannot be made: {} is not a folder", path.display(), there.display());
            Err(Failure::new(exit::DATA, text))
        }
        _ => Ok(()),
    }
}
