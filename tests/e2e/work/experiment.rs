//! `doomctl evaluate` and `doomctl experiment` over real workers: tables, restarts, time that is up.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use nats_server_process::NatsServer;
use serde_json::Value;
use tempfile::TempDir;

use super::{program, queue, worker};
use crate::support::{Backend, JetStream, nats_with_streams};

/// Two factors, two levels each, two replicates, three episodes: 8 runs, 24 episodes.
pub(crate) const DESIGN: &str = r#"
experiment = "x"
scenario = "basic"
policy = "cycle:ATTACK,NOOP"
episodes = 3
replicates = 2
order_seed = 5
response = ["total_reward", "tics"]
[[factor]]
name = "skip"
sets = "frame_skip"
levels = [1, 4]
[[factor]]
name = "timeout"
sets = "set.episode_timeout"
levels = [100, 200]
"#;

pub(crate) fn doomctl(server: &NatsServer, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("doomctl"));
    command.args(arguments).env_clear().env("NATS_URL", server.url()).current_dir(folder);
    command
}

#[track_caller]
pub(crate) fn run(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// A CSV file as rows of column and value; nothing of ours is quoted.
fn csv(path: &Path) -> Vec<std::collections::BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines.map(|line| head.iter().map(|h| (*h).to_owned()).zip(line.split(',').map(str::to_owned)).collect()).collect()
}

/// The names of what stands in an object, those of what stands deeper with a dot.
fn leaves(name: &str, value: &Value) -> Vec<String> {
    match value.as_object() {
        None => vec![name.to_owned()],
        Some(map) => {
            let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
            map.iter().flat_map(|(key, value)| leaves(&below(key), value)).collect()
        }
    }
}

fn events(js: &JetStream, kind: &str) -> Vec<Value> {
    let all = js.stored("EXPERIMENT_EVENTS", "clau-doom.experiment.x.>");
    let of_doomctl = all.iter().filter(|e| e.header("source-agent") == "doomctl");
    of_doomctl.map(|e| e.json()).filter(|e| e["type"] == kind).map(|e| e["payload"].clone()).collect()
}

/// The experiment's tables and events are whole, and nothing was played twice.
#[track_caller]
fn assert_complete(js: &JetStream, folder: &Path) {
    let rows = csv(&folder.join("x/episodes.csv"));
    assert_eq!(rows.len(), 24);
    for (skip, timeout) in [("1", "100"), ("1", "200"), ("4", "100"), ("4", "200")] {
        let mut of: Vec<_> = rows.iter().filter(|r| r["skip"] == skip && r["timeout"] == timeout).collect();
        of.sort_by_key(|r| r["seed"].parse::<u32>().unwrap());
        let seeds: Vec<&str> = of.iter().map(|r| r["seed"].as_str()).collect();
        assert_eq!(seeds, ["1", "2", "3", "4", "5", "6"], "skip {skip}, timeout {timeout}");
        assert!(of.iter().all(|r| r["frame_skip"] == skip && r["backend"] == "mock" && !r["decision_us.p99"].is_empty()));
    }
    // Every column of the score record is there, whatever it is of.
    let record = js.stored("GENERATION_EVENTS", "clau-doom.generation.x.evaluation.*.episode.*")[0].payload();
    let missing: Vec<_> = leaves("", &record).into_iter().filter(|name| !rows[0].contains_key(name)).collect();
    assert_eq!(missing, [] as [String; 0]);
    let effects = csv(&folder.join("x/effects.csv"));
    let of_timeout = effects.iter().find(|r| r["factor"] == "timeout" && r["response"] == "tics").unwrap();
    assert_eq!((of_timeout["error"].as_str(), of_timeout["error_df"].as_str()), ("blocked by seed", "15"));
    assert_eq!(csv(&folder.join("x/conditions.csv")).iter().filter(|r| r["n"] == "6").count(), 8);

    let mut complete: Vec<u64> = events(js, "experiment.run")
        .iter()
        .filter(|r| r["status"] == "complete")
        .map(|r| r["metadata"]["run_id"].as_u64().unwrap())
        .collect();
    complete.sort_unstable();
    assert_eq!(complete, (1..=8).collect::<Vec<_>>());
    assert_eq!(events(js, "experiment.complete").len(), 1);
    let ended = js.stored("GENERATION_EVENTS", "clau-doom.generation.x.agent.*.score");
    assert_eq!(ended.iter().filter(|s| s.payload()["end_reason"] != "aborted").count(), 24);
}

#[test]
fn an_experiment_whose_command_is_killed_is_gone_on_with_and_nothing_is_repeated() {
    let server = nats_with_streams();
    let js = JetStream::open(&server.url());
    let _workers = ["A", "B"].map(|id| worker(Backend::Mock, id, &server, &["--pace", "600"]));
    let folder = folder(&[("x.toml", DESIGN)]);
    let command = || doomctl(&server, folder.path(), &["experiment", "run", "x.toml", "--timeout", "5m"]);
    let mut first = command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    js.wait_count("GENERATION_EVENTS", "clau-doom.generation.x.evaluation.*.result", 2);
    first.kill().unwrap();
    first.wait().unwrap();
    let (code, out, err) = run(command());
    assert_eq!(code, Some(0), "{out}\n{err}");
    assert_complete(&js, folder.path());
    let starts = events(&js, "experiment.start");
    assert_eq!((starts.len(), &starts[0]["resumed"], &starts[1]["resumed"]), (2, &false.into(), &true.into()));
    // Once more there is nothing to do, and the tables are the same.
    let before = std::fs::read(folder.path().join("x/episodes.csv")).unwrap();
    assert_eq!(run(command()).0, Some(0));
    assert_eq!(std::fs::read(folder.path().join("x/episodes.csv")).unwrap(), before);
    assert_complete(&js, folder.path());
    // Another design under the same name is another experiment.
    std::fs::write(folder.path().join("x.toml"), DESIGN.replace("order_seed = 5", "order_seed = 6")).unwrap();
    let (code, _, err) = run(command());
    assert!(code == Some(65) && err.contains("another design"), "{code:?} {err}");
}

#[test]
fn time_that_is_up_is_an_error_that_can_be_gone_on_from() {
    let server = nats_with_streams();
    let js = JetStream::open(&server.url());
    let folder = folder(&[("x.toml", DESIGN)]);
    let (code, _, err) = run(doomctl(&server, folder.path(), &["experiment", "run", "x.toml", "--timeout", "1s"]));
    assert!(code == Some(1) && err.contains("0 of 8 runs are complete"), "{code:?} {err}");
    assert_eq!(events(&js, "experiment.error").len(), 1);
    let _worker = worker(Backend::Mock, "A", &server, &[]);
    let (code, out, err) = run(doomctl(&server, folder.path(), &["experiment", "run", "x.toml", "--timeout", "5m"]));
    assert_eq!(code, Some(0), "{out}\n{err}");
    assert_complete(&js, folder.path());
}

#[test]
fn a_file_of_evaluations_becomes_a_table_by_either_way() {
    let server = nats_with_streams();
    let _workers = ["A", "B"].map(|id| worker(Backend::Mock, id, &server, &[]));
    let file = "scenario = \"basic\"\nepisodes = 2\n[[evaluation]]\nid = \"idle\"\npolicy = \"cycle:NOOP\"\n[[evaluation]]\nid = \"shy\"\n\
                policy = \"rules:shy.toml\"\nset = { episode_timeout = 60 }\n";
    let folder = folder(&[("q.toml", file), ("c.toml", file), ("shy.toml", include_str!("../../../configs/rules/basic.toml"))]);
    for (name, way) in [("q.toml", &[][..]), ("c.toml", &["--core"])] {
        let arguments = [&["evaluate", name, "--save", "t.csv", "--timeout", "2m"], way].concat();
        let (code, out, err) = run(doomctl(&server, folder.path(), &arguments));
        assert_eq!(code, Some(0), "{name}: {out}\n{err}");
        assert!(out.contains("idle") && out.contains("complete") && out.contains("2/2"), "{out}");
        // A line of progress for each, where no terminal has one that moves.
        assert!(err.contains("idle complete by ") && err.contains("2 of 2 episodes (1 of 2)") && err.contains("(2 of 2)"), "{err}");
        let rows = csv(&folder.path().join("t.csv"));
        let of = |id: &str| {
            rows.iter().filter(|r| r["evaluation_id"] == id).map(|r| (r["seed"].clone(), r["policy"].clone())).collect::<Vec<_>>()
        };
        assert_eq!(of("shy"), [("1".to_owned(), "rules:shy.toml".to_owned()), ("2".to_owned(), "rules:shy.toml".to_owned())]);
        assert_eq!(of("idle").len(), 2);
    }
    // What the workers refuse is said, and the answer is no.
    std::fs::write(folder.path().join("bad.toml"), "scenario = \"no_such_game\"\n[[evaluation]]\nid = \"a\"\n").unwrap();
    let (code, out, err) = run(doomctl(&server, folder.path(), &["evaluate", "bad.toml", "--timeout", "2m"]));
    assert!(code == Some(1) && out.contains("refused") && err.contains("no_such_game"), "{code:?} {out} {err}");
}

#[test]
fn evaluations_that_nobody_takes_have_no_figures_and_are_counted() {
    let server = nats_with_streams();
    queue(&server, Duration::from_secs(15));
    let folder = folder(&[("g.toml", "scenario = \"basic\"\n[[evaluation]]\nid = \"a\"\n[[evaluation]]\nid = \"b\"\n")]);
    for way in [&[][..], &["--core"]] {
        let (code, out, err) = run(doomctl(&server, folder.path(), &[&["evaluate", "g.toml", "--timeout", "1s"], way].concat()));
        assert_eq!((code, out.matches("no answer").count(), out.contains("0.00")), (Some(1), 2, false), "{out}");
        assert!(err.contains("2 of 2 evaluations had no answer within 1s"), "{err}");
    }
}

#[test]
fn bad_input_is_refused_before_anything_is_sent() {
    let server = crate::support::nats();
    let folder = folder(&[
        ("x.toml", DESIGN),
        ("none.toml", "scenario = \"basic\"\n"),
        ("key.toml", "scenari = \"basic\"\n[[evaluation]]\nid = \"a\"\n"),
        ("twice.toml", "scenario = \"basic\"\n[[evaluation]]\nid = \"a\"\n[[evaluation]]\nid = \"a\"\n"),
        ("good.toml", "scenario = \"basic\"\n[[evaluation]]\nid = \"a\"\n"),
    ]);
    for (arguments, code, reason) in [
        (&["evaluate", "missing.toml"][..], 65, "missing.toml cannot be read"),
        (&["evaluate", "none.toml"], 65, "no [[evaluation]]"),
        (&["evaluate", "key.toml"], 65, "unknown key `scenari`"),
        (&["evaluate", "twice.toml"], 65, "twice"),
        (&["evaluate", "good.toml", "--save", "t.xls"], 65, ".csv"),
        (&["evaluate", "good.toml", "--timeout", "soon"], 2, "write it like"),
        (&["evaluate", "good.toml", "--timeout", "5s"], 69, "doomctl streams apply"),
        (&["experiment", "run", "x.toml", "--timeout", "5s"], 69, "doomctl streams apply"),
        (&["experiment", "run", "good.toml"], 65, "not a design"),
    ] {
        let (got, out, err) = run(doomctl(&server, folder.path(), arguments));
        assert!(got == Some(code) && err.contains(reason), "{arguments:?}: {got:?} {out} {err}");
    }
    // A plan needs no server.
    let mut plan = Command::new(program("doomctl"));
    let (code, out, _) = run({
        plan.args(["experiment", "plan", "x.toml"]).env_clear().current_dir(folder.path());
        plan
    });
    assert_eq!((code, out.lines().count()), (Some(0), 9), "{out}");
}
