//! What a game that was killed left in its run directory.

use std::{fs, io, path::Path};

/// Removes a run directory that nobody uses any more, and the shared memory of the engine that ran there.
///
/// # Errors
/// What cannot be removed; a directory that is not there is none.
pub fn clear_run_dir(path: &Path) -> io::Result<()> {
    #[cfg(feature = "vizdoom")]
    vizdoom::sweep(path);
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
