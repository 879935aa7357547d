//! The commands that answer instead of playing, and what the program says of itself.

use std::{
    fs,
    io::pipe,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Backend, Spec, free_port, nats, nats_with_streams, on_both};

on_both!(
    check_says_what_would_be_played_and_where_records_go,
    check_leaves_nothing_running_and_the_id_free,
    check_ends_with_the_code_that_playing_would_end_with,
);

fn check_of(backend: Backend) -> Spec {
    Spec::new(backend, "A", "basic.cfg").with(&["check"])
}

/// The line of `check` that is about this.
#[track_caller]
fn line<'a>(out: &'a str, what: &str) -> &'a str {
    out.lines().find(|line| line.starts_with(what)).unwrap_or_else(|| panic!("no line about {what} in: {out}"))
}

#[track_caller]
fn says(line: &str, all: &[&str]) {
    for text in all {
        assert!(line.contains(text), "{text:?} is not in {line:?}");
    }
}

fn engine_says(backend: Backend) -> &'static [&'static str] {
    match backend {
        Backend::Mock => &["mock-1", "invented"],
        Backend::Engine => &["ViZDoom 1.3.2 in /"],
    }
}

fn check_says_what_would_be_played_and_where_records_go(backend: Backend) {
    let server = nats_with_streams();
    let (code, out, err) = check_of(backend).with(&["--policy", "cycle:ATTACK"]).nats(&server).run();
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    says(line(&out, "agent"), &["A"]);
    says(line(&out, "scenario"), &["basic", "3 buttons", "sha256"]);
    says(line(&out, "policy"), &["cycle", "sha256"]);
    says(line(&out, "state"), &["free"]);
    says(line(&out, "engine"), engine_says(backend));
    says(line(&out, "nats"), &[&server.url(), "nats-server 2."]);
    says(&out, &["clau-doom.agent.A.score is stored by AGENT_EVENTS", "clau-doom.system.doom_agent.error is stored by SYSTEM_EVENTS"]);
    says(&out, &["seed=1 (command line)"]);
    let (code, out, err) = check_of(backend).nats(&nats()).run();
    assert_eq!(code, 0, "{out} {err}");
    says(&out, &["clau-doom.agent.A.score is taken by no stream"]);
}

fn check_leaves_nothing_running_and_the_id_free(backend: Backend) {
    let (state, temporary) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (code, out, err) = check_of(backend).state_dir(state.path()).env("TMPDIR", temporary.path()).run();
    assert_eq!(code, 0, "{out} {err}");
    assert!(!state.path().join("clau-doom/A/run").exists(), "a run directory is left");
    // The engine's own run directory is gone, which it is when the engine is.
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
    let (code, _, err) = Spec::new(backend, "A", "basic.cfg").with(&["--episodes", "1"]).state_dir(state.path()).run();
    assert_eq!(code, 0, "{err}");
}

fn check_ends_with_the_code_that_playing_would_end_with(backend: Backend) {
    let (code, _, err) = check_of(backend).with(&["--set", "doom_skill=9"]).run();
    assert_eq!(code, 65, "{err}");
    let nobody = format!("nats://127.0.0.1:{}", free_port());
    let (code, out, err) = check_of(backend).with(&["--nats", &nobody]).run();
    assert_eq!(code, 69, "{err}");
    says(line(&out, "engine"), engine_says(backend));
    says(&err, &["no NATS server answers", &nobody]);
    let state = TempDir::new().unwrap();
    let playing = Spec::new(backend, "A", "basic.cfg").with(&["--pace", "35", "--http", "127.0.0.1:0"]).state_dir(state.path()).spawn();
    playing.http();
    let (code, _, err) = check_of(backend).state_dir(state.path()).run();
    assert_eq!(code, 69, "{err}");
    says(&err, &["agent A is already running on this host", &playing.pid().to_string()]);
}

#[test]
fn health_is_1_where_no_server_or_nobody_answers_and_2_without_a_way_to_ask() {
    let nobody = format!("nats://127.0.0.1:{}", free_port());
    let ask = |url: &str| Spec::bare(["health", "--id", "A", "--nats", url]).run();
    let (code, out, err) = ask(&nobody);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    says(&err, &["no NATS server answers"]);
    let (code, out, err) = ask(&nats().url());
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    says(&err, &["agent A does not answer on clau-doom.agent.A.health"]);
    let (code, _, err) = ask("off");
    assert_eq!(code, 2, "{err}");
    says(&err, &["give --nats URL"]);
}

#[test]
fn the_version_names_the_commit_and_the_engine() {
    let (code, out, _) = Spec::bare(["--version"]).run();
    assert_eq!(code, 0);
    let head = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let head = String::from_utf8(head.stdout).unwrap();
    let engine = if cfg!(feature = "vizdoom") { "ViZDoom 1.3.2" } else { "mock only" };
    says(&out, &["doom-agent 0.", &format!("commit {}", head.trim()), engine]);
}

#[test]
fn the_help_names_every_group_of_settings_and_every_exit_code() {
    let (code, out, _) = Spec::bare(["--help"]).run();
    assert_eq!(code, 0);
    for heading in ["The agent and its game", "Episodes", "What is published", "The connection to NATS", "The process"] {
        assert!(out.contains(&format!("\n{heading}:\n")), "{heading}");
    }
    let codes = out.split("Exit codes:\n").nth(1).unwrap();
    let codes: Vec<&str> = codes.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(codes, ["0", "2", "65", "69", "70", "71", "130"]);
    assert!(out.contains("doom-agent --id A --scenario basic.cfg"), "{out}");
    // The short one has what a newcomer needs, and says where the rest is.
    let (_, short, _) = Spec::bare(["-h"]).run();
    says(&short, &["--scenario", "--nats", "doom-agent --help has the other settings"]);
    assert!(short.lines().count() < 60 && !short.contains("--nats-creds"), "{short}");
}

/// What bash offers for the last of these words.
fn completed(script: &Path, words: &str) -> Vec<String> {
    let steps = format!(
        "source '{}' || exit 9; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         [[ $(complete -p doom-agent) =~ -F\\ ([^ ]+) ]] || exit 8; \
         ${{BASH_REMATCH[1]}} doom-agent \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display()
    );
    let output = Command::new("bash").args(["--noprofile", "--norc", "-c", &steps]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_flags_values_and_commands() {
    let (code, out, err) = Spec::bare(["completions", "bash"]).run();
    assert_eq!((code, err.as_str()), (0, ""));
    let dir = TempDir::new().unwrap();
    let script = dir.path().join("doom-agent");
    fs::write(&script, out).unwrap();
    assert_eq!(completed(&script, "doom-agent --sc"), ["--scenario"]);
    assert_eq!(completed(&script, "doom-agent --backend mo"), ["mock"]);
    assert_eq!(completed(&script, "doom-agent ch"), ["check"]);
    assert_eq!(completed(&script, "doom-agent check --sc"), ["--scenario"]);
    let (code, _, err) = Spec::bare(["completions", "tcsh"]).run();
    assert_eq!(code, 2);
    says(&err, &["bash", "zsh", "fish"]);
}

/// The exit code of a process whose standard output nobody reads, and whose standard error may be as deaf; what it wrote there.
fn unheard(arguments: &[&str], errors_too: bool) -> (Option<i32>, String) {
    let deaf = || {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let home = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_doom-agent"));
    command.args(arguments).current_dir(home.path()).env("DOOM_AGENT_STATE_DIR", home.path()).stdin(Stdio::null()).stdout(deaf());
    command.stderr(if errors_too { deaf() } else { Stdio::piped() });
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_reader_that_has_heard_enough_is_no_fault() {
    let server = nats_with_streams();
    let url = server.url();
    let _agent = Spec::new(Backend::Mock, "H", "basic").nats(&server).with(&["--pace", "350"]).spawn_ready();
    let play = ["--id", "A", "--scenario", "basic", "--backend", "mock", "--nats", "off", "--episodes", "1"];
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["completions", "bash"], 0),
        (&["completions", "zsh"], 0),
        (&["health", "--id", "H", "--nats", &url], 0),
        (&[&["check"][..], &play].concat(), 0),
        (&play, 0),
        (&["--frame-skip", "0"], 2),
        (&["--id", "A", "--scenario", "nowhere"], 65),
    ] {
        let (ended, err) = unheard(arguments, false);
        assert_eq!(ended, Some(code), "{arguments:?}: {err}");
        assert!(!err.contains("panicked"), "{arguments:?}: {err}");
        assert_eq!(unheard(arguments, true).0, Some(code), "{arguments:?} with nobody at standard error either");
    }
}

#[test]
fn health_prints_the_reply_as_json_and_ends_with_0_where_the_agent_is_healthy() {
    let server = nats_with_streams();
    let _agent = Spec::new(Backend::Mock, "A", "basic").nats(&server).with(&["--pace", "350"]).spawn_ready();
    let (code, out, err) = Spec::bare(["health", "--id", "A"]).env("NATS_URL", server.url()).run();
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let reply: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&reply["agent_id"], &reply["healthy"]), (&"A".into(), &true.into()));
}

#[test]
fn health_at_the_http_address_needs_no_nats_and_answers_for_the_agent_of_that_id_alone() {
    let agent = Spec::new(Backend::Mock, "A", "basic").with(&["--pace", "350", "--http", "127.0.0.1:0"]).spawn();
    let address = agent.http();
    let ask = |id: &str, address: &str| Spec::bare(["health", "--id", id, "--nats", "off", "--http", address]).run();
    // Where an agent listens on every address it is asked at loopback.
    for address in [address.clone(), address.replace("127.0.0.1", "0.0.0.0")] {
        let (code, out, err) = ask("A", &address);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["agent_id"], "A");
    }
    let (code, out, err) = ask("B", &address);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    says(&err, &["is agent A, not B"]);
    let (code, _, err) = ask("A", &format!("127.0.0.1:{}", free_port()));
    assert_eq!(code, 1, "{err}");
    says(&err, &["agent A does not answer at http://127.0.0.1:", "/livez"]);
}

#[test]
fn the_id_may_be_the_name_of_the_host() {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let (code, out, err) = check_of(Backend::Mock).env("AGENT_ID", "Z").with(&["--id", "@hostname"]).run();
    assert_eq!(code, 0, "{err}");
    let id = name.trim().split('.').next().unwrap();
    says(&out, &["id=@hostname (command line)", &format!("agent      {id}")]);
}
