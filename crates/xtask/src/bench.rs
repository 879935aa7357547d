//! `cargo xtask bench`: sets up, builds everything that is measured for release in one go, and becomes the bench.

use std::{ffi::OsString, os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result};

use crate::{
    setup::{Scope, setup},
    workspace::{Workspace, build},
};

/// Returns only where the bench cannot be started.
pub(crate) fn bench(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    setup(workspace, Scope::Test)?;
    let packages =
        ["--release", "--package", "doom-agent", "--package", "doomctl", "--package", "bench", "--bins", "--example", "bare_loop"];
    let [agent, bare_loop, doomctl, bench] = build(workspace, &packages, ["doom-agent", "bare_loop", "doomctl", "bench"])?;
    let mut command = Command::new(&bench);
    command.arg("--agent").arg(agent).arg("--bare-loop").arg(bare_loop).arg("--doomctl").arg(doomctl).arg("--root").arg(&workspace.root);
    let error = command.args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", bench.display()))
}
