//! Which state directories are in use on this host, so that any agent that starts can clear up after one that was killed: the engine's
//! shared memory and the run directory.
//!
//! The register is a directory of ours alone beside the shared memory (it goes when that goes), with a file for each agent that says where its
//! state is. Only the lock on that state directory decides whether its agent lives; what a live one uses is never touched.

use std::{
    fs::{self, DirBuilder, File},
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

/// An agent's entry; it goes when the agent ends by itself.
#[derive(Debug)]
pub(crate) struct HostEntry(PathBuf);

impl HostEntry {
    /// Clears up after agents that are gone, and enters the one whose state is in `dir`. `None` where there is no place for a register: then
    /// an agent's remains are cleared by the next start of its own id alone.
    pub(crate) fn make(dir: &Path) -> Option<Self> {
        let dir = dir.canonicalize().ok()?;
        let register = register().inspect_err(|why| tracing::debug!(why, "no register of this host's agents")).ok()?;
        clear_up(&register, &dir);
        let mut hasher = DefaultHasher::new();
        dir.hash(&mut hasher);
        let path = register.join(format!("{:016x}", hasher.finish()));
        fs::write(&path, dir.as_os_str().as_bytes()).ok()?;
        Some(Self(path))
    }
}

impl Drop for HostEntry {
    fn drop(&mut self) {
        // At worst the next start looks at it in vain.
        let _ = fs::remove_file(&self.0);
    }
}

/// Where the register of this user's agents is.
pub(crate) fn register_path() -> PathBuf {
    let shared = Path::new("/dev/shm");
    let base = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    base.join(format!("doom-agent-{}", rustix::process::geteuid().as_raw()))
}

/// The register; one that another user could have made or written is none.
fn register() -> Result<PathBuf, String> {
    let us = rustix::process::geteuid().as_raw();
    let path = register_path();
    // It may be there.
    let _ = DirBuilder::new().mode(0o700).create(&path);
    let found = fs::symlink_metadata(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    if found.is_dir() && found.uid() == us && found.mode() & 0o077 == 0 {
        Ok(path)
    } else {
        Err(format!("{} is not a directory of ours alone", path.display()))
    }
}

fn clear_up(register: &Path, own: &Path) {
    for entry in fs::read_dir(register).into_iter().flatten().flatten() {
        let Ok(text) = fs::read(entry.path()) else { continue };
        let dir = PathBuf::from(std::ffi::OsString::from_vec(text));
        if !dir.is_absolute() || dir == own {
            continue;
        }
        let run_dir = dir.join("run");
        match File::options().read(true).write(true).open(dir.join("lock")) {
            Ok(lock) => {
                // Held until everything is removed: who starts there meanwhile waits for it.
                if lock.try_lock().is_err() {
                    continue;
                }
                match doom_game::clear_run_dir(&run_dir) {
                    Ok(()) => tracing::info!(state = %dir.display(), "cleared up after an agent that was killed"),
                    Err(error) => {
                        tracing::debug!(state = %dir.display(), %error, "cannot clear up after an agent that was killed");
                        continue;
                    }
                }
                let _ = fs::remove_file(entry.path());
            }
            // The state is gone, or not ours to see; with it goes what could be found.
            Err(_) => drop(fs::remove_file(entry.path())),
        }
    }
}
