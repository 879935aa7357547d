//! `metrics.agent`, `system.error` and `system.lifecycle`: what operators and orchestrators hear beside the game.

use std::collections::BTreeSet;

use rustix::process::Signal;

use crate::support::{
    Backend, Event, JetStream,
    Shape::{Count, Flag, Float, Instant, Object, Text},
    Spec, Tap, WITHIN, assert_shape,
    faults::signal_engine,
    http, nats_with_streams, on_both,
};

on_both!(
    metrics_are_those_of_the_probe_each_on_a_subject_of_its_own,
    an_engine_that_dies_is_told_recovered_and_its_episode_closed_as_a_fault,
    the_lifecycle_tells_ready_and_stopped_with_the_ledger,
);

const ERROR: &str = "clau-doom.system.doom_agent.error";
const LIFECYCLE: &str = "clau-doom.system.doom_agent.lifecycle";

/// Envelope and headers of an event that belongs to no episode.
#[track_caller]
fn check_envelope(event: &Event, backend: Backend, kind: &str, is_record: bool) {
    let body = event.body();
    assert_shape(&body, &[("type", Text), ("version", Text), ("payload", Object), ("trace_id", Text), ("timestamp", Instant)]);
    assert_eq!((&body["type"], &body["version"]), (&kind.into(), &"1.0".into()));
    assert_eq!(body["payload"]["agent_id"], "A");
    assert_eq!(body["payload"]["timestamp"], body["timestamp"]);
    assert_eq!(body["timestamp"], event.header("timestamp"));
    assert_eq!(body["trace_id"], event.header("trace-id"));
    assert_eq!(event.header("trace-id").len(), 32);
    assert_eq!((event.header("source-agent"), event.header("backend")), ("A", backend.name()));
    assert_eq!(event.header("instance").len(), 36);
    assert_eq!(event.header("Content-Type"), "application/json");
    assert_eq!((event.seq(), event.headers.contains_key("Nats-Msg-Id")), (None, is_record));
}

fn metrics_are_those_of_the_probe_each_on_a_subject_of_its_own(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "my_way_home.cfg").nats(&server).with(&["--pace", "350"]);
    let agent = spec.with(&["--metrics-interval", "200ms", "--http", "127.0.0.1:0"]).spawn_ready();
    let (status, text) = http::get(&agent.http(), "/metrics");
    assert_eq!(status, 200);
    let probed: BTreeSet<_> =
        text.lines().filter_map(|l| l.strip_prefix("doom_agent_")).map(|l| l.split('{').next().unwrap().to_owned()).collect();
    assert!(probed.len() > 10, "{text}");
    assert!(text.contains(r#"doom_agent_healthy{agent="A","#), "{text}");
    for name in ["kill_rate", "steps_per_second", "decision_us_p99", "telemetry_dropped", "engine_restarts", "records_spooled"] {
        assert!(probed.contains(name), "{name}: {text}");
    }
    for name in &probed {
        let event = tap.wait(&format!("clau-doom.metrics.agent.A.{name}"), 2);
        check_envelope(&event, backend, "metrics.agent", false);
        let payload = event.payload();
        assert_shape(&payload, &[("agent_id", Text), ("timestamp", Instant), ("metric_name", Text), ("value", Float)]);
        assert_eq!(payload["metric_name"], name.as_str());
    }
    let steps = |e: &Event| e.payload()["value"].as_f64().unwrap();
    let first = steps(&tap.wait("clau-doom.metrics.agent.A.steps_total", 1));
    tap.nth(1, "more steps", |e| e.subject == "clau-doom.metrics.agent.A.steps_total" && steps(e) > first);
    tap.catch_up();
    let heard: BTreeSet<_> =
        tap.events().iter().filter_map(|e| e.subject.strip_prefix("clau-doom.metrics.agent.A.").map(str::to_owned)).collect();
    assert_eq!(heard, probed);
}

fn an_engine_that_dies_is_told_recovered_and_its_episode_closed_as_a_fault(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "basic.cfg").nats(&server).with(&["--seed", "100", "--policy", "cycle:MOVE_LEFT"]);
    let spec = spec.with(&["--pace", "350", "--set", "episode_timeout=150", "--episodes", "4"]);
    let mut agent = match backend {
        Backend::Mock => spec.with(&["--mock-fault", "crash@episode=2"]).spawn_ready(),
        Backend::Engine => {
            let agent = spec.spawn_ready();
            tap.nth(3, "the second episode's steps", |e| {
                e.leaf() == "action" && e.payload()["episode_id"].as_str().unwrap().ends_with("-000002")
            });
            signal_engine(&tap, "A", Signal::KILL);
            agent
        }
    };
    let error = tap.wait(ERROR, 1);
    check_envelope(&error, backend, "system.error", true);
    let payload = error.payload();
    let shape = [("agent_id", Text), ("timestamp", Instant), ("instance", Text), ("kind", Text), ("message", Text), ("fatal", Flag)];
    assert_shape(&payload, &[shape.as_slice(), &[("episode_id", Text)]].concat());
    assert_eq!((&payload["kind"], &payload["fatal"]), (&"engine_died".into(), &false.into()));
    let recovering = tap.nth(1, "recovering", |e| e.subject == LIFECYCLE && e.payload()["state"] == "recovering");
    check_envelope(&recovering, backend, "system.lifecycle", true);
    tap.wait("clau-doom.agent.A.score", 3);
    let health = tap.request("clau-doom.agent.A.health", "");
    assert_eq!(health["engine"]["restarts"], 1, "{health}");
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let scores: Vec<_> = [1, 2, 3, 4].map(|n| tap.wait("clau-doom.agent.A.score", n)).iter().map(|e| e.payload()).collect();
    let figures: Vec<_> = scores
        .iter()
        .map(|s| (s["episode_number"].as_u64().unwrap(), s["seed"].as_u64().unwrap(), s["end_reason"].as_str().unwrap()))
        .collect();
    let expected = [(1, 100, "timeout"), (2, 101, "engine_fault"), (3, 102, "timeout"), (4, 103, "timeout")];
    assert_eq!(figures, expected, "a faulted episode uses up its number and seed");
    assert_eq!(payload["episode_id"], scores[1]["episode_id"]);
    let last =
        tap.events().iter().filter(|e| e.leaf() == "observe").map(|e| e.payload()).rfind(|p| p["episode_id"] == scores[1]["episode_id"]);
    let last = last.unwrap();
    assert_eq!((&last["terminated"], &last["truncated"]), (&false.into(), &false.into()), "a fault adds no observation");
    // The action that the engine did not survive was sent, and counts.
    assert_eq!(scores[1]["steps"], last["step"].as_u64().unwrap() + 1);
    let system = JetStream::open(&server.url());
    assert_eq!((system.stored("SYSTEM_EVENTS", ERROR).len(), system.stored("SYSTEM_EVENTS", LIFECYCLE).len()), (1, 3));
}

fn the_lifecycle_tells_ready_and_stopped_with_the_ledger(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "my_way_home.cfg").nats(&server);
    let mut agent = spec.with(&["--pace", "350"]).spawn_ready();
    let ready = tap.wait(LIFECYCLE, 1);
    check_envelope(&ready, backend, "system.lifecycle", true);
    let common = [("agent_id", Text), ("timestamp", Instant), ("instance", Text), ("state", Text)];
    assert_shape(&ready.payload(), &common);
    assert_eq!(ready.payload()["state"], "ready");
    tap.wait("clau-doom.agent.A.observe", 20);
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let stopped = tap.wait(LIFECYCLE, 2);
    check_envelope(&stopped, backend, "system.lifecycle", true);
    assert_ne!(stopped.header("Nats-Msg-Id"), ready.header("Nats-Msg-Id"));
    let payload = stopped.payload();
    assert_shape(&payload, &[common.as_slice(), &[("exit_code", Count), ("ledger", Object), ("records", Object)]].concat());
    assert_eq!((&payload["state"], &payload["exit_code"]), (&"stopped".into(), &0.into()));
    tap.catch_up();
    let most = tap.events().iter().filter_map(|e| e.seq()).max().unwrap();
    assert_eq!(payload["ledger"], serde_json::json!({"produced": most, "dropped": 0, "unconfirmed": 0, "stored": 1}));
    assert_eq!(JetStream::open(&server.url()).stored("SYSTEM_EVENTS", LIFECYCLE).len(), 2);
}
