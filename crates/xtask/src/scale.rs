//! `cargo xtask scale`: sets up, builds agent and scale for release, and becomes the scale.

use std::{ffi::OsString, os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result};

use crate::{
    setup::{Scope, setup},
    workspace::{Workspace, build},
};

/// Returns only where it cannot be started.
pub(crate) fn scale(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    setup(workspace, Scope::Play)?;
    let packages = ["--release", "--package", "doom-agent", "--package", "bench", "--bins"];
    let [agent, scale] = build(workspace, &packages, ["doom-agent", "scale"])?;
    let mut command = Command::new(&scale);
    command.arg("--agent").arg(agent).arg("--root").arg(&workspace.root);
    let error = command.args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", scale.display()))
}
