//! `cargo xtask fuzz`: hostile bytes for every decoder of bytes from outside, all at once and for a bounded time.
//!
//! The targets are in `fuzz/`, a workspace of their own: libFuzzer from the crates index, and the compiler's own coverage instrumentation,
//! which a stable toolchain has. What `fuzz/corpus` keeps is tried first; what a run finds interesting stays below `target/fuzz`.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    progress::Step,
    workspace::{Workspace, output_of, shown},
};

/// Each a function of `fuzz/src/lib.rs`.
pub(crate) const TARGETS: [&str; 8] =
    ["control", "evaluation", "envelope_json", "envelope_msgpack", "scenario", "rules", "settings", "streams"];
/// Its defect is planted.
const CANARY: &str = "canary";

/// Inline counters for each edge, and what is compared with what, for libFuzzer to read.
const INSTRUMENTED: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions --cfg=fuzzing";
/// The canary is found in less than a second; a machine may be busy.
const CANARY_WITHIN: Duration = Duration::from_secs(60);
/// One input may take this long.
const TIMEOUT: &str = "-timeout=10";

/// How one target fared.
struct Outcome {
    target: &'static str,
    good: bool,
    executions: String,
    log: PathBuf,
}

/// Builds the targets and runs them, each for so many seconds; a finding fails, and says how to see it again. First the canary is run, whose
/// defect must be found.
pub(crate) fn fuzz(workspace: &Workspace, seconds: u64, only: &[String], keep: bool) -> Result<ExitCode> {
    let targets: Vec<&'static str> = TARGETS.into_iter().filter(|t| only.is_empty() || only.iter().any(|o| o == t)).collect();
    if let Some(unknown) = only.iter().find(|o| !TARGETS.contains(&o.as_str())) {
        bail!("there is no target {unknown}; there are {}", TARGETS.join(", "));
    }
    let binaries = build(workspace)?;
    let step = Step::begin("the planted defect", None);
    find_the_canary(workspace, &binaries)?;
    step.done();
    let step = Step::begin(format!("{} targets, {seconds} s each, at once", targets.len()), None);
    let running = targets.iter().map(|target| start(workspace, &binaries, target, seconds)).collect::<Result<Vec<_>>>()?;
    let outcomes = running.into_iter().map(Running::wait).collect::<Result<Vec<_>>>()?;
    step.done();
    for Outcome { target, good, executions, log } in &outcomes {
        println!("  {target:<20} {:<8} {executions:>10} inputs  {}", if *good { "ok" } else { "FINDING" }, log.display());
        if !good {
            let text = fs::read_to_string(log).unwrap_or_default();
            let tail: Vec<&str> = text.lines().filter(|line| is_telling(line)).collect();
            println!("    {}", tail.join("\n    "));
        }
    }
    if keep {
        targets.iter().try_for_each(|target| merge(workspace, &binaries, target))?;
    }
    Ok(if outcomes.iter().all(|o| o.good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What of libFuzzer's long log a person wants to read.
fn is_telling(line: &str) -> bool {
    line.contains("panicked at")
        || line.contains("ERROR: libFuzzer")
        || line.contains("Test unit written to")
        || line.starts_with("assertion")
}

/// Builds every target; the folder of the executables.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let facts = output_of(rustc.arg("-vV"))?;
    let host = facts.lines().find_map(|l| l.strip_prefix("host: ")).context("rustc does not say what it builds for")?;
    let mut cargo = workspace.cargo();
    // With a target named, what runs while building is not instrumented.
    cargo.args(["build", "--bins", "--target", host, "--target-dir"]).arg(place(workspace).join("build"));
    cargo.current_dir(workspace.root.join("fuzz")).env("RUSTFLAGS", INSTRUMENTED).env_remove("CARGO_ENCODED_RUSTFLAGS");
    eprintln!("Building the fuzz targets (a few minutes the first time)");
    let status = cargo.stdin(Stdio::null()).status().with_context(|| format!("cannot run {}", shown(&cargo)))?;
    if !status.success() {
        bail!("the fuzz targets do not build; what cargo said stands above");
    }
    Ok(place(workspace).join("build").join(host).join("debug"))
}

/// Below cargo's own folder, which nobody commits.
fn place(workspace: &Workspace) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    workspace.root.join(target).join("fuzz")
}

struct Running {
    target: &'static str,
    child: Child,
    log: PathBuf,
}

fn start(workspace: &Workspace, binaries: &Path, target: &'static str, seconds: u64) -> Result<Running> {
    let place = place(workspace);
    let (found, artifacts) = (place.join("corpus").join(target), place.join("artifacts").join(target));
    for dir in [&found, &artifacts] {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let log = place.join(format!("{target}.log"));
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(binaries.join(target));
    command.arg(&found);
    let kept = workspace.root.join("fuzz/corpus").join(target);
    if kept.is_dir() {
        command.arg(kept);
    }
    command.args([TIMEOUT, "-rss_limit_mb=1024", "-max_len=16384", "-print_final_stats=1"]).arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn();
    Ok(Running { target, child: child.with_context(|| format!("cannot run {}", shown(&command)))?, log })
}

impl Running {
    fn wait(mut self) -> Result<Outcome> {
        let good = self.child.wait()?.success();
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let executions = text.lines().find_map(|l| l.strip_prefix("stat::number_of_executed_units:")).unwrap_or("?").trim().to_owned();
        Ok(Outcome { target: self.target, good, executions, log: self.log })
    }
}

/// # Errors
/// Where the planted defect is not found: then nothing that the others do not find means anything.
fn find_the_canary(workspace: &Workspace, binaries: &Path) -> Result<()> {
    let began = Instant::now();
    // Not from what an earlier run knew.
    let known = place(workspace).join("corpus").join(CANARY);
    if known.exists() {
        fs::remove_dir_all(&known).with_context(|| format!("cannot remove {}", known.display()))?;
    }
    let outcome = start(workspace, binaries, CANARY, CANARY_WITHIN.as_secs())?.wait()?;
    let text = fs::read_to_string(&outcome.log).unwrap_or_default();
    if outcome.good || !text.contains("the canary was found") {
        bail!("the planted defect was not found within {:.0} s; see {}", began.elapsed().as_secs_f64(), outcome.log.display());
    }
    Ok(())
}

/// Adds what reached new code to the corpus that is kept.
fn merge(workspace: &Workspace, binaries: &Path, target: &str) -> Result<()> {
    let mut command = Command::new(binaries.join(target));
    command.arg("-merge=1").arg(workspace.root.join("fuzz/corpus").join(target)).arg(place(workspace).join("corpus").join(target));
    output_of(&mut command).map(drop)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_target_has_its_function_its_program_and_its_corpus() {
        let root = Workspace::find().unwrap().root.join("fuzz");
        let names = |dir: &str| -> BTreeSet<String> {
            let entries = fs::read_dir(root.join(dir)).unwrap().map(|e| e.unwrap().path());
            entries.map(|p| p.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
        };
        let targets: BTreeSet<String> = TARGETS.map(str::to_owned).into();
        assert_eq!(names("corpus"), targets);
        assert_eq!(names("src/bin"), &targets | &BTreeSet::from([CANARY.to_owned()]));
        for target in TARGETS {
            assert!(fs::read_dir(root.join("corpus").join(target)).unwrap().count() >= 3, "{target}");
        }
    }

    #[test]
    fn of_a_log_the_telling_lines_are_shown() {
        assert!(is_telling("thread '<unnamed>' panicked at src/lib.rs:1:1:") && !is_telling("#2 INITED cov: 9 ft: 10"));
    }
}
