//! `cargo xtask demo`: sets up, builds agent and viewer in one go (so that they share what they are made of), and becomes the viewer.

use std::{
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    setup::{Scope, setup},
    workspace::Workspace,
};

/// Returns only where the viewer cannot be started; `more` arguments go to the agent after the demo's own.
pub(crate) fn demo(workspace: &Workspace, every_step: bool, more: &[String]) -> Result<()> {
    setup(workspace, Scope::Play)?;
    let [agent, viewer] = build(workspace, ["doom-agent", "demo"])?;
    let mut command = Command::new(&viewer);
    command.arg("--agent").arg(agent).arg("--state-dir").arg(workspace.root.join("target/demo"));
    if every_step {
        command.arg("--every-step");
    }
    let error = command.arg("--").args(more).exec();
    Err(error).with_context(|| format!("cannot start {}", viewer.display()))
}

/// Builds the packages (in the dev profile, in which the agent plays many times faster than realtime) and returns their executables.
fn build<const N: usize>(workspace: &Workspace, packages: [&str; N]) -> Result<[PathBuf; N]> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--bins", "--message-format", "json-render-diagnostics"]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    eprintln!("Building {} (a few minutes the first time)", packages.join(" and "));
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the build failed; what cargo said stands above");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages: Vec<Value> = messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut executables = packages.map(|_| PathBuf::new());
    for (executable, package) in executables.iter_mut().zip(packages) {
        let built = messages.iter().filter(|m| m["target"]["name"] == package).find_map(|m| m["executable"].as_str());
        *executable = built.with_context(|| format!("cargo did not say where it put {package}"))?.into();
    }
    Ok(executables)
}
