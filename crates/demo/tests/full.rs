//! The whole workflow, as `cargo xtask demo --full` runs it: at its end produced, stored, delivered, acknowledged and dead-lettered agree.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Another program of the workspace, which is built beside this one.
fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_demo")).with_file_name(name);
    assert!(path.exists(), "{} is not there; cargo build --workspace --bins, or test the whole workspace", path.display());
    path
}

fn every_count_agrees(backend: &str) {
    let folder = tempfile::TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.arg("--full").arg("--agent").arg(program("doom-agent")).arg("--doomctl").arg(program("doomctl"));
    command.arg("--state-dir").arg(folder.path()).args(["--backend", backend]);
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("The ledger agrees.") && out.contains("designed 16"), "{out}");
}

#[test]
fn in_the_whole_workflow_on_the_engine_every_count_agrees() {
    every_count_agrees("vizdoom");
}

#[test]
fn in_the_whole_workflow_on_the_mock_every_count_agrees() {
    every_count_agrees("mock");
}
