//! `serve`: evaluations asked of the queue group and taken from the work queue, workers that die, stop or fail, requests that are wrong.

pub(crate) mod experiment;
mod filters;
mod queue;
mod request;
mod schemas;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nats_server_process::NatsServer;
use serde_json::{Value, json};

use crate::support::{Agent, Backend, JetStream, Spec, Tap, WITHIN};

/// A worker with these further arguments, when it can be reached.
pub(crate) fn worker(backend: Backend, id: &str, server: &NatsServer, arguments: &[&str]) -> Agent {
    let spec = Spec::bare(["serve", "--id", id, "--backend", backend.name(), "--nats", &server.url()]);
    spec.with(arguments).spawn_ready()
}

/// A request for this many episodes of `basic`, in which nothing is done, so that each lasts 300 tics.
fn request(evaluation: &str, episodes: u32) -> Value {
    let seeds: Vec<u32> = (1..=episodes).map(|n| 10 * n).collect();
    json!({"evaluation_id": evaluation, "generation_id": "g1", "scenario": "basic", "policy": "cycle:NOOP", "seeds": seeds})
}

/// Where an evaluation waits.
fn queued(evaluation: &str) -> String {
    format!("clau-doom.evaluation.queued.g1.{evaluation}")
}

/// The work queue, whose evaluations are given to another worker after this silence.
pub(crate) fn queue(server: &NatsServer, ack_wait: Duration) -> JetStream {
    let js = JetStream::open(&server.url());
    js.create("EVALUATIONS", &["clau-doom.evaluation.queued.*.*"], json!({"retention": "workqueue"}));
    let nanos = u64::try_from(ack_wait.as_nanos()).unwrap();
    js.create_consumer("EVALUATIONS", "eval-workers", json!({"ack_wait": nanos, "max_deliver": 10}));
    js
}

/// Asks the queue group until an idle worker has heard it.
fn ask(tap: &Tap, body: &Value) -> Value {
    let until = Instant::now() + WITHIN;
    loop {
        match tap.request_within("clau-doom.generation.g1.evaluate", &body.to_string(), WITHIN) {
            Some(answer) if answer["status"] != "busy" => return answer,
            _ => assert!(Instant::now() < until, "no worker answers"),
        }
        // Where nobody is idle that is said at once, and there is nothing to wait for.
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The result of an evaluation of the work queue.
fn result(js: &JetStream, evaluation: &str) -> Value {
    let subject = format!("clau-doom.generation.g1.evaluation.{evaluation}.result");
    js.wait_count("GENERATION_EVENTS", &subject, 1);
    js.stored("GENERATION_EVENTS", &subject)[0].payload()
}

/// Another program of the workspace, which is built beside the agent.
fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_doom-agent")).with_file_name(name);
    assert!(path.exists(), "{} is not there; cargo build -p {name}, or test the whole workspace", path.display());
    path
}

/// The places and seeds of the scores of a result.
fn played(result: &Value) -> Vec<(u64, u64)> {
    let scores = result["scores"].as_array().unwrap();
    scores.iter().map(|s| (s["evaluation_episode"].as_u64().unwrap(), s["seed"].as_u64().unwrap())).collect()
}

/// Every place once, with its seed.
fn whole(episodes: u64) -> Vec<(u64, u64)> {
    (1..=episodes).map(|n| (n, 10 * n)).collect()
}
