//! The agent's own folder: one live agent per id on a host (a lock), a run directory for the engine's files, and the
//! spool of records, which outlives the run. Whoever takes one also clears up after agents of the host that were killed.

use std::{
    fs::{self, File, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use doom_protocol::{Id, SubjectRoot};

use crate::{
    exit::{self, Failure},
    host::HostEntry,
};

/// Another agent that clears up holds the lock of a dead one for a moment.
const CLEARING_MAY_TAKE: Duration = Duration::from_millis(300);

/// Held for the life of the agent; the lock ends with the process, however it ends.
#[derive(Debug)]
pub(crate) struct StateDir {
    _lock: File,
    _entry: Option<HostEntry>,
    run_dir: PathBuf,
    spool: PathBuf,
}

impl StateDir {
    /// Takes the id's folder below `base`, or says which process has it.
    pub(crate) fn claim(base: &Path, root: &SubjectRoot, id: &Id) -> Result<Self, Failure> {
        let dir = base.join(root.as_str()).join(id.as_str());
        let fail = |what: &str, e: std::io::Error| {
            Failure::new(exit::DATA, format!("the state directory {} {what}: {e}; choose another with --state-dir", dir.display()))
        };
        fs::create_dir_all(&dir).map_err(|e| fail("cannot be made", e))?;
        let path = dir.join("lock");
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        // A disk that can only be read can be locked all the same.
        let mut lock = opened.or_else(|error| File::open(&path).map_err(|_| error)).map_err(|e| fail("cannot be written", e))?;
        match lock_within(&lock, CLEARING_MAY_TAKE) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // The text only helps the message; a lock without one is a lock all the same.
                let _ = lock.read_to_string(&mut owner);
                let owner = owner.trim();
                return Err(Failure::new(
                    exit::UNAVAILABLE,
                    format!(
                        "agent {id} is already running on this host (process {owner}, lock {}); stop it or choose another --id",
                        path.display()
                    ),
                ));
            }
            Err(TryLockError::Error(e)) => return Err(fail("cannot be locked", e)),
        }
        let noted = lock.set_len(0).and_then(|()| lock.seek(SeekFrom::Start(0))).and_then(|_| writeln!(lock, "{}", std::process::id()));
        if let Err(error) = noted {
            tracing::warn!(file = %path.display(), %error, "the state directory cannot be written; is its disk full?");
        }
        let run_dir = dir.join("run");
        // What an agent that was killed left behind is ours to remove: the lock says that nobody uses it.
        doom_game::clear_run_dir(&run_dir).map_err(|e| fail("has a run directory that cannot be cleared", e))?;
        fs::create_dir_all(&run_dir).map_err(|e| fail("cannot hold a run directory", e))?;
        let entry = HostEntry::make(&dir);
        Ok(Self { _lock: lock, _entry: entry, run_dir, spool: dir.join("records.sqlite") })
    }

    /// Where records wait, from one run to the next.
    pub(crate) fn spool(&self) -> PathBuf {
        self.spool.clone()
    }

    /// Where the engine may write.
    pub(crate) fn run_dir(&self) -> &Path {
        &self.run_dir
    }
}

fn lock_within(file: &File, bound: Duration) -> Result<(), TryLockError> {
    let until = Instant::now() + bound;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        if let Err(error) = doom_game::clear_run_dir(&self.run_dir) {
            tracing::debug!(%error, "the run directory could not be removed");
        }
    }
}
