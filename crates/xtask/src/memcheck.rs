//! `cargo xtask memcheck`: the tests of the engine's binding under valgrind. The engine itself is another process and is not looked into.
//!
//! What libvizdoom and Boost are known for is listed, with the reason, in `crates/vizdoom/valgrind.supp`; everything else is a finding.

use std::{
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    setup,
    workspace::{Workspace, output_of, shown},
};

const PACKAGES: [&str; 2] = ["vizdoom-sys", "vizdoom"];
/// Tests of the bindings' text, which run none of them, and of every name that there is, which take as long as all others together.
const NOT_HERE: [&str; 2] = ["bindings", "names"];
/// No test gives it.
const FINDING: i32 = 99;

/// Builds the tests and runs each program of them; a finding or a failure fails.
pub(crate) fn memcheck(workspace: &Workspace, filter: &[String]) -> Result<ExitCode> {
    setup::setup(workspace, setup::Scope::Test)?;
    setup::provide_valgrind()?;
    find_what_is_planted()?;
    let mut good = true;
    let began = Instant::now();
    for (name, program) in programs(workspace)? {
        if filter.is_empty() && NOT_HERE.contains(&name.as_str()) {
            continue;
        }
        let mut valgrind = valgrind();
        valgrind.arg(format!("--suppressions={}", workspace.root.join("crates/vizdoom/valgrind.supp").display()));
        valgrind.arg(program).arg("--test-threads=1").args(filter).current_dir(workspace.root.join("crates/vizdoom"));
        println!("\n== {name}: {}", shown(&valgrind));
        let status = valgrind.stdin(Stdio::null()).status().context("cannot run valgrind")?;
        if !status.success() {
            good = false;
            let what = if status.code() == Some(FINDING) { "valgrind has found something" } else { "a test failed" };
            println!("== {name}: {what} ({status})");
        }
    }
    println!("\nmemcheck: {} in {:.1} s", if good { "no finding" } else { "FAILED" }, began.elapsed().as_secs_f64());
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn valgrind() -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite", "--num-callers=30"]);
    // A fork that has not become the engine yet is nobody's.
    valgrind.args(["--child-silent-after-fork=yes", "--fair-sched=yes"]).arg(format!("--error-exitcode={FINDING}"));
    valgrind
}

/// A program that reads beyond the end of its memory: were that not found, nothing that is not found would mean anything.
///
/// # Errors
/// Where it is not found.
fn find_what_is_planted() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (source, program) = (dir.path().join("planted.cpp"), dir.path().join("planted"));
    std::fs::write(&source, "int main(int n, char **) { int *p = new int[1]; int x = p[n]; delete[] p; return x == 7; }\n")?;
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    output_of(Command::new(compiler).args(["-O0", "-o"]).args([&program, &source]))?;
    let status = valgrind().arg(&program).stdin(Stdio::null()).stderr(Stdio::null()).status().context("cannot run valgrind")?;
    if status.code() != Some(FINDING) {
        bail!("valgrind does not find a planted read beyond the end of an array ({status})");
    }
    Ok(())
}

/// The test programs, with their names.
fn programs(workspace: &Workspace) -> Result<Vec<(String, PathBuf)>> {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--no-run", "--message-format", "json-render-diagnostics"]);
    cargo.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the tests do not build; what cargo said stands above");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let tests = messages.filter(|m| m["profile"]["test"] == true);
    Ok(tests.filter_map(|m| Some((m["target"]["name"].as_str()?.to_owned(), m["executable"].as_str()?.into()))).collect())
}
