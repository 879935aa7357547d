//! Clients that are not ours, as the orchestrator, the dashboard bridge and analytics are: nats-py on real streams that a real agent feeds.

mod consumers;
mod work;

use std::{path::Path, process::Command};

/// A script of `tests/python`, by the interpreter that has nats-py.
fn python(script: &str) -> Command {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = here.join("vendor/python/bin/python");
    assert!(python.is_file(), "no {}: run `cargo xtask setup`", python.display());
    let mut command = Command::new(python);
    command.arg(here.join("tests/python").join(script));
    command
}

/// Runs one of its patterns to the end; it says the pattern's name where everything was as it should be.
fn run(script: &str, pattern: &str, url: &str) {
    let client = python(script).args([pattern, url]).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&client.stdout), String::from_utf8_lossy(&client.stderr));
    assert!(client.status.success(), "{out}\n{err}");
    assert_eq!(out.trim(), pattern);
}
