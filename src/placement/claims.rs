//! Who else plays where: agents of one user on one machine tell each other by locks on files in a common folder.
//!
//! An agent that has made a CPU its home holds the lock on one of the CPU's claims. A lock ends with its process, however that ends, so
//! that nobody need ever tidy up; the files themselves are empty and stay. Where there is no such folder an agent knows of no others.

use std::{
    fs::{DirBuilder, File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use super::turns::Place;

/// Claims of a CPU that are looked at; more agents than this on one CPU are not counted.
const MOST: usize = 256;
/// How often, and how far apart, the choice's own lock is tried.
const TRIES: u32 = 40;
const TRY_EVERY: Duration = Duration::from_millis(5);

/// The common folder.
#[derive(Debug)]
pub(super) struct Claims(PathBuf);

/// Held by an agent for the CPU that is its home.
#[derive(Debug)]
pub(super) struct Claim {
    _lock: File,
}

impl Claims {
    /// In the user's run directory, or among the temporary files; `None` where neither can be used.
    pub(super) fn open() -> Option<Self> {
        let run = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute() && dir.is_dir());
        let dir = run.map_or_else(common, |dir| dir.join("doom-agent"));
        Self::at(&dir).inspect_err(|error| tracing::debug!(%error, dir = %dir.display(), "other agents are not seen")).ok()
    }

    fn at(dir: &Path) -> std::io::Result<Self> {
        let mut builder = DirBuilder::new();
        private::mode(&mut builder);
        match builder.create(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            _ => private::check(dir)?,
        }
        Ok(Self(dir.to_owned()))
    }

    fn file(&self, name: &str) -> std::io::Result<File> {
        File::options().write(true).create(true).truncate(false).open(self.0.join(name))
    }

    /// So that agents that start at one moment choose one after the other. An agent that is stopped in the middle of its choice does
    /// not keep the others for long.
    pub(super) async fn choosing(&self) -> Option<File> {
        let lock = self.file("choosing").ok()?;
        for _ in 0..TRIES {
            match lock.try_lock() {
                Ok(()) => return Some(lock),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(TRY_EVERY).await,
                Err(TryLockError::Error(_)) => return None,
            }
        }
        None
    }

    /// How many agents have made this CPU their home.
    pub(super) fn count(&self, cpu: usize) -> usize {
        let lock = |slot| File::open(self.0.join(name(cpu, slot))).ok();
        (0..MOST).map_while(lock).filter(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock))).count()
    }

    /// Makes this CPU one's home.
    pub(super) fn claim(&self, cpu: usize) -> Option<Claim> {
        (0..MOST).map_while(|slot| self.file(&name(cpu, slot)).ok()).find(|file| file.try_lock().is_ok()).map(|lock| Claim { _lock: lock })
    }

    /// Where the agents of this CPU take turns.
    pub(super) fn place(&self, cpu: usize) -> Option<Place> {
        Some(Place::new(self.file(&format!("cpu-{cpu}.queue")).ok()?, self.file(&format!("cpu-{cpu}.turn")).ok()?))
    }
}

fn name(cpu: usize, slot: usize) -> String {
    format!("cpu-{cpu}.{slot}")
}

/// The register that this user's agents on this host share ([`crate::host`]).
fn common() -> PathBuf {
    crate::host::register_path()
}

mod private {
    use std::{
        fs::{self, DirBuilder},
        io,
        os::unix::fs::{DirBuilderExt, MetadataExt},
        path::Path,
    };

    pub(super) fn mode(builder: &mut DirBuilder) {
        builder.mode(0o700);
    }

    /// Somebody else's folder, or one that others may write to, could be made to stop us.
    pub(super) fn check(dir: &Path) -> io::Result<()> {
        let found = fs::symlink_metadata(dir)?;
        let ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o022 == 0;
        if ours { Ok(()) } else { Err(io::Error::other("it is not a folder of this user alone")) }
    }
}

#[cfg(test)]
impl Claims {
    /// In a folder of its own.
    pub(super) fn of_test(dir: &Path) -> Self {
        Self(dir.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_claim_counts_until_its_agent_ends() {
        let dir = tempfile::tempdir().unwrap();
        let claims = Claims::at(&dir.path().join("new")).unwrap();
        assert_eq!(claims.count(3), 0);
        let first = claims.claim(3).unwrap();
        let second = claims.claim(3).unwrap();
        assert_eq!((claims.count(3), claims.count(1)), (2, 0));
        drop(first);
        assert_eq!(claims.count(3), 1);
        let _third = claims.claim(3).unwrap();
        drop(second);
        assert_eq!(claims.count(3), 1);
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Claims::at(dir.path()).is_err());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/tmp", &link).unwrap();
        assert!(Claims::at(&link).is_err());
    }

    #[tokio::test]
    async fn agents_choose_one_after_the_other_and_none_waits_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let claims = Claims::of_test(dir.path());
        let first = claims.choosing().await;
        assert!(first.is_some());
        assert!(claims.choosing().await.is_none());
        drop(first);
        assert!(claims.choosing().await.is_some());
    }
}
