//! `cargo xtask demo`: sets up, builds agent and viewer in one go (so that they share what they are made of), and becomes the viewer.

use std::{os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result};

use crate::{
    setup::{Scope, setup},
    workspace::{Workspace, build},
};

/// The whole workflow on the real engine; returns only where it cannot be started.
pub(crate) fn full(workspace: &Workspace) -> Result<()> {
    setup(workspace, Scope::Play)?;
    let packages = ["--package", "doom-agent", "--package", "doomctl", "--package", "demo", "--bins"];
    let [agent, doomctl, demo] = build(workspace, &packages, ["doom-agent", "doomctl", "demo"])?;
    let mut command = Command::new(&demo);
    command.arg("--full").arg("--agent").arg(agent).arg("--doomctl").arg(doomctl);
    let error = command.arg("--state-dir").arg(workspace.root.join("target/demo-full")).exec();
    Err(error).with_context(|| format!("cannot start {}", demo.display()))
}

/// Returns only where the viewer cannot be started; `more` arguments go to the agent after the demo's own.
pub(crate) fn demo(workspace: &Workspace, every_step: bool, more: &[String]) -> Result<()> {
    setup(workspace, Scope::Play)?;
    // In the dev profile, in which the agent plays many times faster than realtime.
    let packages = ["--package", "doom-agent", "--package", "demo", "--bins"];
    let [agent, viewer] = build(workspace, &packages, ["doom-agent", "demo"])?;
    let mut command = Command::new(&viewer);
    command.arg("--agent").arg(agent).arg("--state-dir").arg(workspace.root.join("target/demo"));
    if every_step {
        command.arg("--every-step");
    }
    let error = command.arg("--").args(more).exec();
    Err(error).with_context(|| format!("cannot start {}", viewer.display()))
}
