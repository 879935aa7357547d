//! `cargo xtask soak`: sets up, builds agent and soak, and becomes the soak.

use std::{ffi::OsString, os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result};

use crate::{
    setup::{Scope, setup},
    workspace::{Workspace, build},
};

/// Returns only where the soak cannot be started.
pub(crate) fn soak(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    setup(workspace, Scope::Play)?;
    let [agent, soak] = build(workspace, &["--package", "doom-agent", "--package", "soak", "--bins"], ["doom-agent", "soak"])?;
    let error = Command::new(&soak).arg("--agent").arg(agent).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", soak.display()))
}
