//! What an operator reads: a log line for each finished episode, and on a terminal one progress line below the log.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Backend, Spec};

/// The agent's log as JSON, line by line.
fn log(arguments: &[&str]) -> Vec<Value> {
    let spec = Spec::new(Backend::Mock, "A", "basic.cfg").with(&["--log-format", "json"]).with(arguments);
    let (code, _, err) = spec.run();
    assert_eq!(code, 0, "{err}");
    err.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn a_finished_episode_has_a_line_of_its_own() {
    let log = log(&["--episodes", "2", "--pace", "200", "--set", "episode_timeout=100"]);
    let finished: Vec<&Value> = log.iter().filter(|line| line["message"] == "episode finished").collect();
    assert_eq!(finished.len(), 2, "{log:?}");
    for (i, line) in finished.iter().enumerate() {
        assert_eq!((&line["episode"], &line["seed"]), (&Value::from(i + 1), &Value::from(i + 1)));
        assert!(line["end"].is_string() && line["reward"].is_f64() && line["steps"].as_u64() > Some(0), "{line}");
    }
}

#[test]
fn many_episodes_at_once_do_not_flood_the_log() {
    let log = log(&["--episodes", "400", "--set", "episode_timeout=30"]);
    assert!(log.len() < 40, "{} lines", log.len());
    let (mut next, mut lines) = (1, 0);
    for line in &log {
        let (first, last) = match line["message"].as_str() {
            Some("episodes finished") => (line["first"].as_u64().unwrap(), line["last"].as_u64().unwrap()),
            Some("episode finished") => (line["episode"].as_u64().unwrap(), line["episode"].as_u64().unwrap()),
            _ => continue,
        };
        assert_eq!(first, next, "none is left out");
        next = last + 1;
        lines += 1;
    }
    assert_eq!(next, 401, "{lines} lines");
}

#[test]
fn on_a_terminal_a_progress_line_stands_below_the_log() {
    let home = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_doom-agent");
    let arguments =
        "--id A --scenario basic --backend mock --nats off --episodes 1 --seed 1 --policy cycle:NOOP --pace 50 --set episode_timeout=60";
    let command = format!("'{program}' {arguments} --state-dir '{}'", home.path().display());
    // `script` gives it a terminal and passes on what it shows.
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]).stdin(Stdio::null());
    let output = script.output().expect("`script` is a part of every Debian");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    const CLEAR: &str = "\r\u{1b}[2K";
    assert!(shown.contains("A running | episode 1 | "), "{shown:?}");
    for line in shown.split("\r\n").filter(|line| line.contains("INFO") || line.contains("WARN")) {
        let (before, _) = line.split_at(line.find("20").unwrap());
        assert!(before.contains(CLEAR), "a log line stands on a line of its own: {line:?}");
    }
    assert!(shown.trim_end_matches("\r\n").ends_with(CLEAR) || shown.ends_with("\r\n"), "nothing of it is left: {shown:?}");
}
