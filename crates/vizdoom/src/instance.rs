//! Shared memory that a killed host left behind. Its files are named by the engine's instance id, so the shim notes the id in the run
//! directory before there is any of them. The host holds a lock on the note for as long as it lives: a note that can be locked is that of a
//! dead one, whatever process has its number now, and what it names may be removed.

use std::{
    fs::{self, File, TryLockError},
    io::Read,
    path::{Path, PathBuf},
};

/// The note's name in the run directory; the shim writes the id into it.
const NOTE: &str = "engine.instance";

/// A live game's note.
pub(crate) struct Note {
    path: PathBuf,
    /// `None` where the run directory cannot be written, or another game has its note there.
    lock: Option<File>,
}

impl Note {
    /// Removes what a dead host left in the run directory, and locks the note that the shim is about to write.
    pub(crate) fn begin(run_dir: &Path) -> Self {
        sweep(run_dir);
        let path = run_dir.join(NOTE);
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let lock = file.ok().filter(|file| file.try_lock().is_ok());
        if lock.is_none() {
            tracing::debug!(note = %path.display(), "the engine's instance cannot be noted; another game may be there");
        }
        Self { path, lock }
    }

    /// The game has removed its shared memory itself.
    pub(crate) fn end(&mut self) {
        if self.lock.take().is_some() {
            // Without a note nothing is swept, which is right now.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the shared memory that a host left which was killed while its game ran in `run_dir`. A live game's is never touched.
/// Returns how many files were removed.
pub fn sweep(run_dir: &Path) -> usize {
    let path = run_dir.join(NOTE);
    let Ok(mut file) = File::options().read(true).write(true).open(&path) else { return 0 };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return 0,
    }
    let mut instance = String::new();
    let sound = file.read_to_string(&mut instance).is_ok()
        && (1..=64).contains(&instance.len())
        && instance.bytes().all(|b| b.is_ascii_alphanumeric());
    let mut removed = 0;
    for base in ["ViZDoomSM", "ViZDoomMQCtr", "ViZDoomMQDoom"].into_iter().filter(|_| sound) {
        let file = Path::new("/dev/shm").join(format!("{base}{instance}"));
        if fs::remove_file(&file).is_ok() {
            removed += 1;
            tracing::info!(file = %file.display(), "removed shared memory that a killed host left");
        }
    }
    // Gone already where two sweep at once.
    let _ = fs::remove_file(&path);
    removed
}
