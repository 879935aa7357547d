//! Clients that are not ours, as the orchestrator, the dashboard bridge and analytics are: nats-py on real streams that a real agent feeds.

mod consumers;
mod subjects;
mod work;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

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

/// A client that is not ours and runs beside us, when the server has its subscriptions. Killed when dropped.
struct Stranger {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Stranger {
    fn start(script: &str, pattern: &str, url: &str) -> Self {
        let mut child = python(script).args([pattern, url]).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready");
        Self { child, said }
    }

    /// It has done everything that it was to.
    fn assert_done(mut self, pattern: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), pattern);
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
