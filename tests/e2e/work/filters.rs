//! A worker is of the experiment and of the generation whose evaluation it plays: in its events, in its health, and for commands.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    experiment::{doomctl, run},
    queue, request, worker,
};
use crate::support::{Backend, JetStream, Tap, WITHIN, nats_with_streams, on_both};

on_both!(a_worker_is_chosen_by_the_evaluation_that_it_plays);

/// Silence is an answer; so long it is listened for.
const SILENCE: Duration = Duration::from_secs(1);

/// Puts an evaluation into the queue.
fn hand_out(js: &JetStream, evaluation: &str, generation: &str, experiment: &str, run: u64, episodes: u32) {
    let mut body = request(evaluation, episodes);
    body["generation_id"] = json!(generation);
    body["experiment_id"] = json!(experiment);
    body["run_id"] = json!(run);
    js.publish(&format!("clau-doom.evaluation.queued.{generation}.{evaluation}"), &body);
}

/// What it is of, as it says in a health reply or in an event.
fn belongs(said: &Value) -> [Value; 3] {
    ["experiment_id", "run_id", "generation_id"].map(|name| said[name].clone())
}

fn a_worker_is_chosen_by_the_evaluation_that_it_plays(backend: Backend) {
    let server = nats_with_streams();
    let (tap, js) = (Tap::open(&server.url()), queue(&server, Duration::from_secs(15)));
    let _worker = worker(backend, "W", &server, &["--pace", "350"]);
    let health = || tap.request("clau-doom.agent.W.health", "");
    let of_x = [json!("x"), json!(7), json!("g1")];
    hand_out(&js, "e1", "g1", "x", 7, 3);
    tap.wait("clau-doom.agent.W.observe", 5);

    // Paused by its experiment, it stays in its evaluation, and everything that is asked finds it there.
    let paused = tap.request("clau-doom.system.control.pause", r#"{"experiment_id":"x","generation_id":"g1"}"#);
    assert_eq!((&paused["agent_id"], &paused["ok"], &paused["state"]), (&json!("W"), &json!(true), &json!("paused")), "{paused}");
    for event in tap.events().iter().filter(|e| matches!(e.leaf(), "action" | "observe")) {
        assert_eq!(belongs(&event.payload()), of_x, "{}", event.subject);
    }
    let said = health();
    assert_eq!((belongs(&said), &said["evaluation_id"]), (of_x.clone(), &json!("e1")), "{said}");
    let beat = tap.nth(1, "a heartbeat of the evaluation", |e| {
        e.subject == "clau-doom.system.doom_agent.health" && e.payload()["evaluation_id"] == "e1"
    });
    assert_eq!(belongs(&beat.payload()), of_x);
    let folder = TempDir::new().unwrap();
    let doomctl = |arguments: &[&str]| run(doomctl(&server, folder.path(), arguments));
    for (arguments, code) in [
        (&["pause", "--experiment", "x", "--wait"][..], 0),
        (&["pause", "--generation", "g1", "--wait"], 0),
        (&["pause", "--experiment", "y", "--wait"], 1),
        (&["pause", "--experiment", "x", "--generation", "g2", "--wait"], 1),
    ] {
        let (got, out, err) = doomctl(arguments);
        assert!(got == Some(code) && (code != 0 || out.contains('W')), "{arguments:?}: {got:?} {out} {err}");
    }
    assert!(doomctl(&["agents", "--experiment", "x"]).1.contains("W "));
    assert!(!doomctl(&["agents", "--experiment", "y"]).1.contains("W "));
    assert_eq!(tap.request_many("clau-doom.system.control.resume", r#"{"experiment_id":"y"}"#, 1, SILENCE).len(), 0);
    assert_eq!(doomctl(&["resume", "--experiment", "x", "--wait"]).0, Some(0));

    // Between two evaluations it is of none.
    js.wait_count("GENERATION_EVENTS", "clau-doom.generation.g1.evaluation.e1.result", 1);
    let until = Instant::now() + WITHIN;
    let at_rest = loop {
        let said = health();
        if said["state"] == "idle" {
            break said;
        }
        assert!(Instant::now() < until, "{said}");
    };
    assert_eq!(belongs(&at_rest), [Value::Null, Value::Null, Value::Null], "{at_rest}");
    assert_eq!(at_rest["evaluation_id"], Value::Null);
    assert_eq!(tap.request_many("clau-doom.system.control.pause", r#"{"experiment_id":"x"}"#, 1, SILENCE).len(), 0);

    // The next one is of another experiment, and an export of either has its events alone.
    hand_out(&js, "e2", "g2", "y", 1, 1);
    // An action for each step of its scores.
    let steps = [("g1", "e1"), ("g2", "e2")].map(|(generation, evaluation)| {
        let subject = format!("clau-doom.generation.{generation}.evaluation.{evaluation}.result");
        js.wait_count("GENERATION_EVENTS", &subject, 1);
        let result = js.stored("GENERATION_EVENTS", &subject)[0].payload();
        result["scores"].as_array().unwrap().iter().map(|score| score["steps"].as_u64().unwrap()).sum::<u64>()
    });
    js.wait_count("AGENT_EVENTS", "clau-doom.agent.W.action", steps.iter().sum());
    for (steps, chosen, experiment) in [(steps[0], ["--experiment", "x"], "x"), (steps[1], ["--generation", "g2"], "y")] {
        let name = format!("{experiment}.jsonl");
        let (code, out, err) = doomctl(&[&["export", "--event", "action", "--out", &name], &chosen[..]].concat());
        assert_eq!(code, Some(0), "{out} {err}");
        let text = std::fs::read_to_string(folder.path().join(&name)).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len() as u64, steps, "{name}");
        assert!(lines.iter().all(|line| line["event"]["payload"]["experiment_id"] == experiment), "{name}");
    }
}
