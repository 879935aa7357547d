//! The work queue: an evaluation survives its worker, and no episode is played twice.

use std::{collections::BTreeSet, time::Duration};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{played, queue, queued, request, result, whole, worker};
use crate::support::{Agent, Backend, JetStream, WITHIN, nats_with_streams, on_both};

on_both!(
    an_evaluation_whose_worker_is_killed_is_finished_by_another_and_no_episode_is_played_twice,
    a_worker_that_is_told_to_stop_gives_its_evaluation_back,
);

const EPISODES: u64 = 6;
/// An episode of 300 tics lasts half a second.
const PACE: [&str; 2] = ["--pace", "600"];

/// Two workers, an evaluation, and which of the workers has it when an episode is recorded.
fn under_way(backend: Backend, ack_wait: Duration) -> (nats_server_process::NatsServer, JetStream, Agent, Agent) {
    let server = nats_with_streams();
    let js = queue(&server, ack_wait);
    let [a, b] = ["A", "B"].map(|id| worker(backend, id, &server, &PACE));
    assert_eq!(js.publish(&queued("e1"), &request("e1", 6))["stream"], "EVALUATIONS");
    js.wait_count("GENERATION_EVENTS", "clau-doom.generation.g1.evaluation.e1.episode.2", 1);
    let first = js.stored("GENERATION_EVENTS", "clau-doom.generation.g1.evaluation.e1.episode.1").remove(0).payload();
    let (having, idle) = if first["agent_id"] == "A" { (a, b) } else { (b, a) };
    (server, js, having, idle)
}

/// Every episode is there once: in the result, among the evaluation's copies, and among the agents' own scores.
#[track_caller]
fn assert_whole(js: &JetStream, result: &Value) {
    assert_eq!((&result["ok"], &result["episodes_total"]), (&json!(true), &json!(EPISODES)), "{result}");
    assert_eq!(played(result), whole(EPISODES));
    assert_eq!(js.count("GENERATION_EVENTS", "clau-doom.generation.g1.evaluation.e1.episode.*"), EPISODES);
    let scores = js.stored("GENERATION_EVENTS", "clau-doom.generation.g1.agent.*.score");
    let ended = scores.iter().map(|s| s.payload()).filter(|s| s["end_reason"] == "timeout");
    let places: Vec<u64> = ended.map(|s| s["evaluation_episode"].as_u64().unwrap()).collect();
    assert_eq!(places.len() as u64, EPISODES, "{places:?}");
    assert_eq!(places.iter().collect::<BTreeSet<_>>().len() as u64, EPISODES, "{places:?}");
    assert_eq!(js.count("EVALUATIONS", ">"), 0);
}

fn an_evaluation_whose_worker_is_killed_is_finished_by_another_and_no_episode_is_played_twice(backend: Backend) {
    let (_server, js, mut having, _idle) = under_way(backend, Duration::from_secs(3));
    having.signal(Signal::KILL);
    having.wait_exit(WITHIN);
    let result = result(&js, "e1");
    assert_whole(&js, &result);
    assert!(result["episodes_skipped"].as_u64().unwrap() >= 2 && result["delivery"].as_u64().unwrap() >= 2, "{result}");
}

fn a_worker_that_is_told_to_stop_gives_its_evaluation_back(backend: Backend) {
    // Nobody waits for the silence of a worker that stops.
    let (_server, js, mut having, _idle) = under_way(backend, Duration::from_secs(600));
    having.signal(Signal::TERM);
    assert_eq!(having.wait_exit(WITHIN), 0);
    let result = result(&js, "e1");
    assert_whole(&js, &result);
    assert_eq!(result["delivery"], 2, "{result}");
}

#[test]
fn an_evaluation_that_lasts_longer_than_the_queue_waits_is_played_by_one_worker_alone() {
    let server = nats_with_streams();
    // Silent for a second, it would be given to the other one; each episode lasts longer than that.
    let js = queue(&server, Duration::from_secs(1));
    let _workers = ["A", "B"].map(|id| worker(Backend::Mock, id, &server, &["--pace", "200"]));
    js.publish(&queued("e1"), &request("e1", 3));
    let result = result(&js, "e1");
    assert_eq!((&result["ok"], &result["delivery"], &result["episodes_skipped"]), (&json!(true), &json!(1), &json!(0)), "{result}");
    assert!(result["wall_seconds"].as_f64().unwrap() > 4.0, "{result}");
    assert_eq!(played(&result), whole(3));
    let by: BTreeSet<_> = result["scores"].as_array().unwrap().iter().map(|s| s["agent_id"].as_str().unwrap()).collect();
    assert_eq!(by.len(), 1, "{by:?}");
}

#[test]
fn the_work_queue_is_shared_by_all_workers() {
    let server = nats_with_streams();
    let js = queue(&server, Duration::from_secs(600));
    let _workers = ["A", "B", "C"].map(|id| worker(Backend::Mock, id, &server, &PACE));
    // Half a second each: three at once are played in turn by whoever is idle.
    let evaluations: Vec<String> = (1..=9).map(|n| format!("e{n}")).collect();
    for evaluation in &evaluations {
        js.publish(&queued(evaluation), &request(evaluation, 1));
    }
    let by: BTreeSet<String> = evaluations.iter().map(|e| result(&js, e)["agent_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(by.into_iter().collect::<Vec<_>>(), ["A", "B", "C"]);
    assert_eq!(js.count("EVALUATIONS", ">"), 0);
}

#[test]
fn an_engine_fault_gives_the_evaluation_back_and_what_was_played_counts() {
    let server = nats_with_streams();
    let js = queue(&server, Duration::from_secs(600));
    // Each engine plays one episode and dies in the next.
    let _worker = worker(Backend::Mock, "A", &server, &["--mock-fault", "crash@episode=2"]);
    js.publish(&queued("e1"), &request("e1", 3));
    let result = result(&js, "e1");
    assert_eq!((&result["ok"], &result["delivery"], &result["episodes_skipped"]), (&json!(true), &json!(3), &json!(2)), "{result}");
    assert_eq!(played(&result), whole(3));
    assert_eq!(js.count("EVALUATIONS", ">"), 0);
}

#[test]
fn an_evaluation_that_fails_at_every_delivery_becomes_a_dead_letter() {
    let server = nats_with_streams();
    let js = queue(&server, Duration::from_secs(600));
    js.create("DEAD_LETTERS", &["clau-doom.deadletter.>"], json!({}));
    let _worker = worker(Backend::Mock, "A", &server, &["--mock-fault", "crash@episode=1"]);
    js.publish(&queued("e1"), &request("e1", 1));
    let result = result(&js, "e1");
    assert_eq!((&result["ok"], &result["status"], &result["delivery"]), (&json!(false), &json!("failed"), &json!(5)), "{result}");
    js.wait_count("DEAD_LETTERS", ">", 1);
    let letter = &js.stored("DEAD_LETTERS", "clau-doom.deadletter.evaluation.queued.g1.e1")[0];
    let body: Value = serde_json::from_slice(&letter.bytes).unwrap();
    assert_eq!(body, request("e1", 1));
}

#[test]
fn bad_evaluations_leave_the_queue_with_a_reason_and_are_never_retried() {
    let server = nats_with_streams();
    let js = queue(&server, Duration::from_secs(600));
    js.publish(&queued("no-json"), &json!("nothing"));
    let mut unknown = request("unknown", 1);
    unknown["scenario"] = json!("no_such_game");
    js.publish(&queued("unknown"), &unknown);
    let mut late = request("late", 1);
    late["deadline"] = json!("2020-01-01T00:00:00.000000Z");
    js.publish(&queued("late"), &late);
    let _worker = worker(Backend::Mock, "A", &server, &[]);
    for (evaluation, status, reason) in
        [("no-json", "refused", "no evaluation"), ("unknown", "refused", "no_such_game"), ("late", "deadline", "deadline")]
    {
        let result = result(&js, evaluation);
        assert_eq!((&result["ok"], &result["status"], &result["delivery"]), (&json!(false), &json!(status), &json!(1)), "{result}");
        assert!(result["error"].as_str().unwrap().contains(reason), "{result}");
    }
    js.publish(&queued("good"), &request("good", 1));
    assert_eq!(result(&js, "good")["ok"], true);
    assert_eq!(js.count("EVALUATIONS", ">"), 0);
}

#[test]
fn a_deadline_ends_an_evaluation_in_its_middle() {
    let server = nats_with_streams();
    let js = queue(&server, Duration::from_secs(600));
    let _worker = worker(Backend::Mock, "A", &server, &["--pace", "350"]);
    let mut body = request("e1", 50);
    let soon = std::time::SystemTime::now() + Duration::from_secs(4);
    body["deadline"] = json!(humantime::format_rfc3339_micros(soon).to_string());
    js.publish(&queued("e1"), &body);
    let result = result(&js, "e1");
    let recorded = js.count("GENERATION_EVENTS", "clau-doom.generation.g1.evaluation.e1.episode.*");
    assert_eq!((&result["status"], &result["episodes_completed"]), (&json!("deadline"), &json!(recorded)), "{result}");
}
