//! `health`: asked, answered in bare JSON; the same as a heartbeat.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    Backend,
    Shape::{self, Count, CountOrNull, Flag, Float, FloatOrNull, Instant as Time, Object, Text, TextOrNull},
    Spec, Tap, WITHIN, assert_shape,
    faults::hanging,
    http, instant, nats_with_streams, on_both,
};

on_both!(
    a_health_request_is_answered_with_every_field,
    nulls_say_that_there_is_nothing_yet,
    a_game_that_does_not_answer_is_not_healthy,
    the_heartbeat_is_the_health_reply_every_five_seconds,
    the_ledger_counts_what_was_produced_and_stored,
    the_health_subcommand_asks_over_nats,
);

const HEALTH: &str = "clau-doom.agent.A.health";
const SHAPE: [(&str, Shape); 19] = [
    ("agent_id", Text),
    ("instance", Text),
    ("healthy", Flag),
    ("uptime", Count),
    ("started_at", Time),
    ("state", Text),
    ("episode_id", TextOrNull),
    ("tic", Count),
    ("steps_per_second", Float),
    ("seconds_since_step", FloatOrNull),
    ("episodes_completed", Count),
    ("kill_rate", FloatOrNull),
    ("engine", Object),
    ("nats", Object),
    ("ledger", Object),
    ("records", Object),
    ("backend", Text),
    ("scenario", Text),
    ("version", Text),
];

#[track_caller]
fn check(health: &Value) {
    assert_shape(health, &SHAPE);
    assert_shape(&health["engine"], &[("pid", CountOrNull), ("restarts", Count)]);
    assert_shape(&health["nats"], &[("state", Text), ("reconnects", Count)]);
    assert_shape(&health["ledger"], &[("produced", Count), ("dropped", Count), ("unconfirmed", Count), ("stored", Count)]);
    assert_shape(&health["records"], &[("spooled", Count), ("lost", Count), ("durable", Flag)]);
}

fn a_health_request_is_answered_with_every_field(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let before = Instant::now();
    // The reply is JSON whatever the events' codec.
    let spec = Spec::new(backend, "A", "health_gathering.cfg").nats(&server).with(&["--pace", "350", "--codec", "msgpack"]);
    let _agent = spec.spawn_ready();
    let observed = tap.wait("clau-doom.agent.A.observe", 200);
    let health = tap.request(HEALTH, "any body is fine");
    let longest = before.elapsed();
    check(&health);
    assert_eq!((&health["agent_id"], &health["state"], &health["healthy"]), (&"A".into(), &"running".into(), &true.into()));
    assert_eq!(health["instance"], observed.header("instance"));
    let uptime = Duration::from_nanos(health["uptime"].as_u64().unwrap());
    assert!(uptime > Duration::from_millis(300) && uptime < longest, "{uptime:?} of at most {longest:?}");
    assert!(health["episode_id"].as_str().unwrap().starts_with(observed.header("instance")));
    assert!(health["tic"].as_u64().unwrap() >= observed.payload()["tic"].as_u64().unwrap());
    assert!(health["seconds_since_step"].as_f64().unwrap() < 5.0);
    assert_eq!((&health["nats"]["state"], &health["nats"]["reconnects"]), (&"connected".into(), &0.into()));
    assert_eq!((&health["backend"], &health["scenario"]), (&backend.name().into(), &"health_gathering".into()));
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    match backend {
        Backend::Mock => assert!(health["engine"]["pid"].is_null()),
        Backend::Engine => {
            let pid = health["engine"]["pid"].as_u64().unwrap();
            let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
            assert!(command.contains("vizdoom"), "{command}");
        }
    }
}

fn nulls_say_that_there_is_nothing_yet(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let _agent = Spec::new(backend, "A", "basic.cfg").nats(&server).with(&["--start-paused"]).spawn_ready();
    // A pause that is asked for again is answered when it is reached.
    assert_eq!(tap.request("clau-doom.agent.A.control.pause", "")["state"], "paused");
    let health = tap.request(HEALTH, "");
    check(&health);
    assert!(health["episode_id"].is_null() && health["seconds_since_step"].is_null(), "{health}");
    assert_eq!((&health["healthy"], &health["steps_per_second"]), (&true.into(), &0.0.into()));
}

fn a_game_that_does_not_answer_is_not_healthy(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let agent = hanging(backend, &server, &tap, &["--step-timeout", "2s", "--http", "127.0.0.1:0"]);
    // The watchdog looks ten times a second; whoever asks more often sees the moments in which the step has taken too long already.
    let address = agent.http();
    let body = http::wait_get(&address, "/livez", "unhealthy or recovering", |status, body| status == 503 || body.contains("recovering"));
    check(&serde_json::from_str(&body).unwrap());
    http::wait_get(&address, "/livez", "healthy again", |status, body| status == 200 && body.contains("\"restarts\":1"));
}

fn the_heartbeat_is_the_health_reply_every_five_seconds(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let _agent = Spec::new(backend, "A", "health_gathering.cfg").nats(&server).with(&["--pace", "70"]).spawn_ready();
    let beats = [1, 2, 3].map(|n| tap.wait("clau-doom.system.doom_agent.health", n));
    for beat in &beats {
        let body = beat.body();
        assert_shape(&body, &[("type", Text), ("version", Text), ("payload", Object), ("trace_id", Text), ("timestamp", Time)]);
        assert_eq!(body["type"], "system.health");
        check(&body["payload"]);
        assert_eq!(body["timestamp"], beat.header("timestamp"));
        assert_eq!(body["trace_id"], beat.header("trace-id"));
        assert_eq!((beat.header("source-agent"), beat.header("backend")), ("A", backend.name()));
        assert_eq!((beat.seq(), beat.headers.get("Nats-Msg-Id")), (None, None));
    }
    let seconds = (instant(&beats[2].body()["timestamp"]) - instant(&beats[0].body()["timestamp"])) as f64 / 1e6;
    assert!((9.0..14.0).contains(&seconds), "two beats in {seconds} s");
}

fn the_ledger_counts_what_was_produced_and_stored(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "basic.cfg").nats(&server).with(&["--set", "episode_timeout=30", "--pace", "700"]);
    let mut agent = spec.spawn_ready();
    tap.wait("clau-doom.agent.A.score", 3);
    assert_eq!(tap.request("clau-doom.agent.A.control.pause", "")["ok"], true);
    let produced = tap.request(HEALTH, "")["ledger"]["produced"].as_u64().unwrap();
    let last = tap.nth(1, "the last seq", |e| e.seq() == Some(produced));
    tap.publish("clau-doom.agent.A.control.shutdown", "");
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let stopped = tap.lifecycle("A", "stopped");
    let records = tap.events().iter().filter(|e| e.seq().is_some() && e.headers.contains_key("Nats-Msg-Id")).count();
    assert_eq!(stopped["ledger"]["stored"], records);
    let aborted = u64::from(last.leaf() != "score");
    assert_eq!(stopped["ledger"]["produced"], produced + aborted, "and the aborted episode's score, where one was open");
    assert_eq!(stopped["records"], serde_json::json!({"spooled": 0, "lost": 0, "durable": true}));
}

fn the_health_subcommand_asks_over_nats(backend: Backend) {
    let server = nats_with_streams();
    let ask = |id: &str| Spec::bare(["health", "--id", id, "--nats", &server.url()]).run();
    let (code, out, err) = ask("A");
    assert_eq!((code, out.as_str()), (1, ""), "nobody is there: {err}");
    assert!(err.contains("does not answer"), "{err}");
    let _agent = Spec::new(backend, "A", "health_gathering.cfg").nats(&server).with(&["--pace", "350"]).spawn_ready();
    let (code, out, err) = ask("A");
    assert_eq!(code, 0, "{out} {err}");
    check(&serde_json::from_str(&out).unwrap());
}
