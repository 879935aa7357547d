//! Debian's nats-server, which is older than ours: unpacked for the tests that say what works there. It is not installed, for then its service
//! would start and take the port of everybody's server.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use super::system;
use crate::{
    progress::Step,
    workspace::{in_path, output_of},
};

/// Where it is put, below `vendor`.
const DIRECTORY: &str = "nats-server-debian";
/// Names another one in its place.
const INSTEAD: &str = "NATS_SERVER_OLDER";

/// Fetches it where it is missing; `true` then.
///
/// # Errors
/// What to do where it cannot be fetched.
pub(crate) fn provide(vendor: &Path) -> Result<bool> {
    let place = vendor.join(DIRECTORY);
    if place.join("nats-server").is_file() || std::env::var_os(INSTEAD).is_some_and(|named| !named.is_empty()) {
        return Ok(false);
    }
    if !in_path("apt-get") || !in_path("dpkg-deb") {
        bail!(
            "the tests want an older nats-server (2.9) beside ours, and this machine has no apt-get to fetch Debian's; name one with {INSTEAD}"
        );
    }
    system::provide_package_lists()?;
    let step = Step::begin("Debian's nats-server".to_owned(), None);
    let fetching = vendor.join(".fetching-nats-server-debian");
    fs::create_dir_all(&fetching).with_context(|| format!("cannot make {}", fetching.display()))?;
    output_of(Command::new("apt-get").args(["download", "nats-server"]).current_dir(&fetching))?;
    let package = fs::read_dir(&fetching)?.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "deb"));
    let package = package.context("apt-get download left no package")?;
    output_of(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(fetching.join("root")))?;
    fs::create_dir_all(&place)?;
    fs::rename(fetching.join("root/usr/sbin/nats-server"), place.join("nats-server")).context("the package has no usr/sbin/nats-server")?;
    fs::remove_dir_all(&fetching)?;
    step.done();
    Ok(true)
}
