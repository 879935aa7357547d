//! The queue group: a request, its answer, and what a worker is besides.

use serde_json::json;

use super::{ask, played, request, result, whole, worker};
use crate::support::{Backend, JetStream, Spec, Tap, nats, nats_with_streams, on_both};

on_both!(a_request_is_answered_with_the_scores_of_all_its_episodes);

fn a_request_is_answered_with_the_scores_of_all_its_episodes(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let _worker = worker(backend, "W", &server, &[]);
    let mut body = request("e1", 3);
    body["frame_skip"] = json!(4);
    body["experiment_id"] = json!("x");
    body["run_id"] = json!(7);
    body["factors"] = json!({"skip": 4});
    body["set"] = json!({"episode_timeout": 120});
    let answer = ask(&tap, &body);
    assert_eq!((&answer["ok"], &answer["status"], &answer["agent_id"]), (&json!(true), &json!("complete"), &json!("W")), "{answer}");
    assert_eq!(played(&answer), whole(3));
    let score = &answer["scores"][1];
    assert_eq!(score["evaluation_id"], "e1");
    assert_eq!((&score["frame_skip"], &score["backend"], &score["end_reason"]), (&json!(4), &json!(backend.name()), &json!("timeout")));
    assert_eq!((&score["experiment_id"], &score["run_id"], &score["generation_id"]), (&json!("x"), &json!(7), &json!("g1")));

    // The same scores are records, with a copy for the generation, the evaluation and the experiment's run.
    let js = JetStream::open(&server.url());
    for (stream, subject) in [
        ("AGENT_RECORDS", "clau-doom.agent.W.score"),
        ("GENERATION_EVENTS", "clau-doom.generation.g1.agent.W.score"),
        ("GENERATION_EVENTS", "clau-doom.generation.g1.evaluation.e1.episode.*"),
        ("EXPERIMENT_EVENTS", "clau-doom.experiment.x.run.7"),
    ] {
        js.wait_count(stream, subject, 3);
        assert_eq!(js.count(stream, subject), 3, "{subject}");
    }
    let runs: Vec<_> =
        js.stored("EXPERIMENT_EVENTS", "clau-doom.experiment.x.run.7").iter().map(|e| e.payload()["status"].clone()).collect();
    assert_eq!(runs, ["in_progress", "in_progress", "complete"]);
    assert_eq!(result(&js, "e1")["scores"].as_array().unwrap().len(), 3);

    // Asked again, nothing is played.
    let again = ask(&tap, &body);
    assert_eq!((&again["episodes_skipped"], &again["episodes_completed"]), (&json!(3), &json!(3)));
    assert_eq!(played(&again), whole(3));
    assert_eq!(js.count("AGENT_RECORDS", "clau-doom.agent.W.score"), 3);
    // Progress was told, to the last episode.
    let progress = tap.on("clau-doom.generation.g1.evaluation.e1.progress");
    assert!(progress.iter().any(|p| p.payload()["episodes_completed"] == 3), "{} of progress", progress.len());
}

#[test]
fn requests_at_once_are_shared_by_idle_workers_and_a_busy_one_is_asked_nothing() {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let _workers = ["A", "B"].map(|id| worker(Backend::Mock, id, &server, &["--pace", "600"]));
    let by: Vec<String> = std::thread::scope(|scope| {
        let asked = ["e1", "e2"].map(|evaluation| {
            let tap = &tap;
            scope.spawn(move || ask(tap, &request(evaluation, 3)))
        });
        asked.into_iter().map(|one| one.join().unwrap()["agent_id"].as_str().unwrap().to_owned()).collect()
    });
    assert!(by[0] != by[1], "both were played by {}", by[0]);
}

#[test]
fn without_jetstream_a_request_is_answered_all_the_same() {
    let server = nats_server_process::NatsServer::builder().start().unwrap();
    let tap = Tap::open(&server.url());
    let _worker = worker(Backend::Mock, "W", &server, &[]);
    assert_eq!(played(&ask(&tap, &request("e1", 2))), whole(2));
}

#[test]
fn bad_requests_are_refused_with_a_reason() {
    let server = nats();
    let tap = Tap::open(&server.url());
    let _worker = worker(Backend::Mock, "W", &server, &["--most-episodes", "5"]);
    for (key, value, reason) in [
        ("scenario", json!("no_such_game"), "no_such_game"),
        ("scenario", json!("/etc/passwd"), "no name of a scenario"),
        ("policy", json!("clever"), "clever"),
        ("policy", json!("cycle:JUMP_FOR_JOY"), "JUMP_FOR_JOY"),
        ("policy", json!("rules:/etc/passwd"), "policy_text"),
        ("policy_params", json!({"x": 1.0}), "it has none"),
        ("set", json!({"no_such_key": 1}), "no_such_key"),
        ("episodes", json!(6), "at most 5"),
        ("seeds", json!([]), "seeds is empty"),
        ("seeds", json!([-1]), "no evaluation"),
        ("frame_skip", json!(0), "frame_skip is 0"),
        ("generation_id", json!("a.b"), "position 2"),
    ] {
        let mut body = request("e1", 1);
        body[key] = value;
        let answer = ask(&tap, &body);
        assert_eq!((&answer["ok"], &answer["status"]), (&json!(false), &json!("refused")), "{body}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(reason), "{body}: {answer}");
    }
    assert_eq!(ask(&tap, &json!("no request"))["status"], "refused");
    // And it goes on working.
    let rules = "version = 1\n";
    let mut body = request("e2", 1);
    body["policy"] = json!("rules:mine.toml");
    body["policy_text"] = json!(rules);
    let error = ask(&tap, &body)["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("mine.toml"), "{error}");
    body["policy_text"] = json!(include_str!("../../../configs/rules/basic.toml"));
    assert_eq!(ask(&tap, &body)["scores"][0]["policy"], "rules:mine.toml");
}

#[test]
fn a_worker_is_an_agent_in_all_else() {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let mut worker = worker(Backend::Mock, "W", &server, &["--pace", "350"]);
    let health = || tap.request("clau-doom.agent.W.health", "");
    assert_eq!((&health()["state"], &health()["healthy"]), (&json!("idle"), &json!(true)));
    // Paused while idle, it takes nothing; and goes on with what it is given afterwards.
    let paused = tap.request("clau-doom.agent.W.control.pause", "");
    assert_eq!((&paused["ok"], &paused["state"]), (&json!(true), &json!("paused")), "{paused}");
    assert_eq!(tap.request("clau-doom.agent.W.control.resume", "")["ok"], true);
    tap.publish("clau-doom.generation.g1.evaluate", &request("e1", 50).to_string());
    tap.wait("clau-doom.agent.W.observe", 5);
    assert_eq!(health()["state"], "running");
    assert_eq!(tap.request("clau-doom.agent.W.control.pause", "")["state"], "paused");
    assert_eq!(health()["healthy"], true);
    assert_eq!(tap.request("clau-doom.agent.W.control.resume", "")["ok"], true);
    assert_eq!(tap.request("clau-doom.agent.W.control.shutdown", "")["ok"], true);
    assert_eq!(worker.wait_exit(crate::support::WITHIN), 0);
    assert_eq!(tap.lifecycle("W", "stopped")["exit_code"], 0);
}

#[test]
fn what_a_worker_cannot_use_is_refused_at_the_start() {
    for (arguments, reason) in [
        (&["--nats", "off"][..], "--nats off"),
        (&["--frames", "png"], "--frames"),
        (&["--experiment", "x", "--run", "1"], "--experiment"),
        (&["--record", "."], "--record"),
    ] {
        let spec = Spec::bare(["serve", "--id", "W", "--backend", "mock"]).with(arguments);
        let (code, _, err) = spec.run();
        assert!(code == 2 && err.contains(reason), "{arguments:?}: {code} {err}");
    }
}
