//! What the builder gets: the files that git knows or would know, and, where it is wanted, the engine that setup has fetched, as one tar stream.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// Written to `to`, which is closed at the end. `.dockerignore` leaves out of it what no stage copies.
pub(crate) fn send(workspace: &Workspace, engine: bool, to: impl Into<Stdio>) -> Result<()> {
    let list = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&workspace.root)
        .output()
        .context("cannot run git")?;
    if !list.status.success() {
        bail!("git does not list the working tree's files: {}", String::from_utf8_lossy(&list.stderr).trim());
    }
    let names = list.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let names = names.filter(|name| workspace.root.join(String::from_utf8_lossy(name).as_ref()).is_file());
    let names: Vec<u8> = names.flat_map(|name| name.iter().copied().chain([0])).collect();
    let mut tar = Command::new("tar");
    tar.current_dir(&workspace.root).args(["--create", "--dereference", "--null", "--files-from", "-"]);
    // Where VIZDOOM_DIR stands in for what is fetched, the builder fetches it itself.
    if engine && workspace.vendor.join("vizdoom/engine").is_dir() {
        tar.arg("vendor/vizdoom");
    }
    let mut tar = tar.stdin(Stdio::piped()).stdout(to).spawn().context("cannot run tar")?;
    let written = tar.stdin.take().context("tar has no standard input")?.write_all(&names);
    if !tar.wait()?.success() {
        bail!("the files could not be sent to the builder");
    }
    written.context("the list of files could not be given to tar")
}
