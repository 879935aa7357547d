//! `cargo xtask test`: every test there is, in three builds, one after the other; a failure in one does not hide those of the next.

use std::{
    io::{BufRead, BufReader, IsTerminal, Write},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context, Result};

use crate::{
    image,
    setup::{
        Scope, setup,
        system::{Wanted, provide},
    },
    workspace::{Workspace, shown},
};

/// One build and its tests.
#[derive(Clone, Copy)]
pub(crate) struct Suite {
    what: &'static str,
    /// For cargo: which packages, with which features.
    pub(crate) arguments: &'static [&'static str],
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// How many tests run at once for each CPU.
    at_once: usize,
}

pub(crate) const WORKSPACE: Suite =
    Suite { what: "the workspace, on the real engine", arguments: &["--workspace"], environment: &[], at_once: WAITING };

/// No C++ compiler and no engine, so it is shown that this build does without.
pub(crate) const MOCK: Suite = Suite {
    what: "the mock alone, without engine and C++",
    arguments: &["--package", "doom-agent", "--package", "doom-game", "--no-default-features"],
    environment: &[("CXX", "/bin/false"), ("VIZDOOM_DIR", "/nonexistent"), ("BOOST_LIB_DIR", "/nonexistent")],
    at_once: WAITING,
};

const BINDINGS: Suite = Suite {
    what: "the bindings, made afresh",
    arguments: &["--package", "vizdoom-sys", "--features", "buildtime-bindgen"],
    environment: &[],
    at_once: WAITING,
};

const SUITES: [Suite; 3] = [WORKSPACE, MOCK, BINDINGS];

/// Populations in containers: not among the others, since they need a Docker engine and its images.
const CONTAINERS: Suite = Suite {
    what: "agents in containers",
    // Of the whole workspace, so that it shares what the other tests have built.
    arguments: &["--workspace", "--test", "containers"],
    environment: &[],
    // They hold games in real time to their rhythm.
    at_once: 1,
};

/// The harness's own variable: how many tests run at once.
const THREADS: &str = "RUST_TEST_THREADS";
/// They wait for servers and for time more than they work: one at a time leaves nine tenths of a CPU idle.
const WAITING: usize = 2;

/// What the test harness said, added up.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Adds a line such as `test result: ok. 3 passed; 0 failed; 0 ignored; …`; other lines add nothing.
    fn add_line(&mut self, line: &str) {
        let Some((_, counts)) = line.split_once("test result: ").and_then(|(_, rest)| rest.split_once(". ")) else { return };
        for part in counts.split(';') {
            if let Some((number, name)) = part.trim().split_once(' ') {
                let number: u64 = number.parse().unwrap_or(0);
                match name {
                    "passed" => self.passed += number,
                    "failed" => self.failed += number,
                    "ignored" => self.ignored += number,
                    _ => {}
                }
            }
        }
    }

    fn plus(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed, ignored: self.ignored + other.ignored }
    }
}

/// What the harness printed of the tests that failed, to be repeated at the end: among the output of a thousand others it is not found, and who
/// reads a log that was cut sees its end.
#[derive(Debug, Default)]
struct Failures {
    text: String,
    within: bool,
}

impl Failures {
    /// A harness names its failures twice, under the same heading: first with what each printed, then in a list, which its result ends.
    fn add_line(&mut self, line: &str) {
        match line.trim_end() {
            "failures:" => self.within = !self.within,
            _ if self.within => self.text += line,
            _ => {}
        }
    }
}

/// What became of a suite.
struct Outcome {
    what: &'static str,
    counts: Counts,
    failures: String,
    good: bool,
    seconds: f64,
}

/// Sets up what is missing and runs every suite; `filter` goes to the test harness.
pub(crate) fn test(workspace: &Workspace, filter: &[String]) -> Result<ExitCode> {
    let began = Instant::now();
    setup(workspace, Scope::Test)?;
    let outcomes = SUITES.iter().map(|suite| run(workspace, suite, filter)).collect::<Result<Vec<_>>>()?;
    println!("\n{}", summary(&outcomes, began.elapsed().as_secs_f64()));
    Ok(if outcomes.iter().all(|outcome| outcome.good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the images (`quick` ones where that is asked for) and runs what needs them, some tests at a time: they wait more than they work.
/// Says so, loudly, where no Docker engine answers.
pub(crate) fn containers(workspace: &Workspace, quick: bool, filter: &[String]) -> Result<ExitCode> {
    let began = Instant::now();
    if let Err(why) = image::docker_answers() {
        println!("\n!!! THE CONTAINERS WERE NOT TESTED: {why:#}\n!!! Run this where one does:\n!!!     cargo xtask test --containers\n");
        return Ok(ExitCode::SUCCESS);
    }
    setup(workspace, Scope::Test)?;
    provide(Wanted { compose: true, ..Wanted::default() })?;
    image::image(workspace, &image::Image::all(quick))?;
    let suite = Suite { environment: if quick { &[("DOOM_TEST_IMAGES", "quick")] } else { &[] }, ..CONTAINERS };
    let outcome = run(workspace, &suite, filter)?;
    println!("\n{}", summary(std::slice::from_ref(&outcome), began.elapsed().as_secs_f64()));
    Ok(if outcome.good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(workspace: &Workspace, suite: &Suite, filter: &[String]) -> Result<Outcome> {
    let began = Instant::now();
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--no-fail-fast"]).args(suite.arguments).envs(suite.environment.iter().copied());
    if std::env::var_os(THREADS).is_none() {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        cargo.env(THREADS, (cpus * suite.at_once).to_string());
    }
    cargo.arg("--").args(filter);
    if std::io::stdout().is_terminal() {
        // It writes to us, and we to the terminal.
        cargo.arg("--color=always");
    }
    let variables: String = suite.environment.iter().map(|(name, value)| format!("{name}={value} ")).collect();
    println!("\n== {}: {variables}{}", suite.what, shown(&cargo));
    let (counts, failures, good) = tee(&mut cargo)?;
    Ok(Outcome { what: suite.what, counts, failures, good, seconds: began.elapsed().as_secs_f64() })
}

/// Passes standard output on line by line, counts, and keeps what is said of failures.
fn tee(cargo: &mut Command) -> Result<(Counts, String, bool)> {
    let mut child = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let (mut counts, mut failures) = (Counts::default(), Failures::default());
    let mut lines = BufReader::new(child.stdout.take().context("cargo has no standard output")?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().write_all(&line)?;
        let plain = anstream::adapter::strip_str(&String::from_utf8_lossy(&line)).to_string();
        counts.add_line(&plain);
        failures.add_line(&plain);
        line.clear();
    }
    Ok((counts, failures.text, child.wait()?.success()))
}

fn summary(outcomes: &[Outcome], seconds: f64) -> String {
    let mut text = String::new();
    for Outcome { what, failures, .. } in outcomes.iter().filter(|outcome| !outcome.failures.is_empty()) {
        text += &format!("What failed of {what}\n{failures}\n");
    }
    text += "Summary\n";
    for Outcome { what, counts, good, seconds, .. } in outcomes {
        let verdict = if *good { "ok" } else { "FAILED" };
        let Counts { passed, failed, ignored } = counts;
        text += &format!("  {what:<40} {verdict:<6} {passed:>5} passed {failed:>4} failed {ignored:>4} ignored {seconds:>8.1} s\n");
    }
    let Counts { passed, failed, ignored } = outcomes.iter().map(|o| o.counts).fold(Counts::default(), Counts::plus);
    let verdict = if outcomes.iter().all(|o| o.good) { "ok" } else { "FAILED" };
    text + &format!("test result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored; finished in {seconds:.1}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_results_are_added_up() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests\n",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
            "test a_test_result ... ok\n",
            "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.50s\n",
        ] {
            counts.add_line(line);
        }
        assert_eq!(counts, Counts { passed: 5, failed: 4, ignored: 1 });
    }

    #[test]
    fn a_suite_that_does_not_build_fails_the_whole() {
        let good = |good| {
            let counts = Counts { passed: 1, failed: 0, ignored: 0 };
            Outcome { what: "x", counts, failures: String::new(), good, seconds: 1.0 }
        };
        assert!(summary(&[good(true), good(true)], 2.0).ends_with("test result: ok. 2 passed; 0 failed; 0 ignored; finished in 2.0s"));
        assert!(summary(&[good(true), good(false)], 2.0).contains("test result: FAILED."));
    }

    #[test]
    fn what_failed_tests_printed_is_kept_without_the_list_of_their_names() {
        let mut failures = Failures::default();
        let printed = "test a ... FAILED\nfailures:\n---- a stdout ----\nfour is not five\nfailures:\n    a\ntest result: FAILED. 0 passed; 1 failed\n\
                       test b ... ok\ntest result: ok. 1 passed\nfailures:\n---- c stdout ----\nno\nfailures:\n    c\n";
        printed.lines().for_each(|line| failures.add_line(&format!("{line}\n")));
        assert_eq!(failures.text, "---- a stdout ----\nfour is not five\n---- c stdout ----\nno\n");
    }
}
