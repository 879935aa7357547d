//! Records are stored exactly once: where a stream takes them, as soon as one does, and over a restart of the server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::{
    faults::assert_rhythm,
    support::{Backend, Event, JetStream, Spec, Tap, WITHIN, http, nats, nats_with_streams, on_both},
};

on_both!(
    a_stream_holds_every_record_once_and_sources_it_once,
    without_a_stream_records_are_published_live_and_stored_when_one_appears,
    without_jetstream_records_are_published_live_and_the_agent_ends_at_once,
    records_are_stored_once_over_a_restart_of_the_server,
    a_stream_over_all_of_an_agents_subjects_is_found_out,
);

const SCORE: &str = "clau-doom.agent.A.score";
const DEATH: &str = "clau-doom.agent.A.death";
const NO_STREAM: &str = "no stream takes this record";

/// Each has an id of its own, and the episodes are numbered from 1 without a gap.
#[track_caller]
fn assert_complete(scores: &[Event]) {
    let ids: BTreeSet<_> = scores.iter().map(|e| e.header("Nats-Msg-Id")).collect();
    assert_eq!(ids.len(), scores.len(), "a record is stored twice");
    let numbers: Vec<u64> = scores.iter().map(|e| e.payload()["episode_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=scores.len() as u64).collect::<Vec<_>>(), "in the order of the episodes, and all of them");
    assert!(scores.iter().map(Event::seq).is_sorted_by(|a, b| a < b), "in the order of seq");
}

fn a_stream_holds_every_record_once_and_sources_it_once(backend: Backend) {
    let server = nats_with_streams();
    let streams = JetStream::open(&server.url());
    let spec = Spec::new(backend, "A", "defend_the_center.cfg").nats(&server);
    let mut agent = spec.with(&["--policy", "cycle:TURN_LEFT", "--frame-skip", "8", "--episodes", "3"]).spawn();
    assert_eq!(agent.wait_exit(WITHIN), 0);
    for subject in [SCORE, DEATH] {
        streams.wait_count("AGENT_RECORDS", subject, 3);
        let (stored, sourced) = (streams.stored("AGENT_EVENTS", subject), streams.stored("AGENT_RECORDS", subject));
        assert_eq!((stored.len(), sourced.len()), (3, 3), "{subject}");
        let ids: BTreeSet<_> = stored.iter().map(|e| e.header("Nats-Msg-Id").to_owned()).collect();
        assert_eq!(ids.len(), 3);
        assert_eq!(ids, sourced.iter().map(|e| e.header("Nats-Msg-Id").to_owned()).collect());
    }
    assert_complete(&streams.stored("AGENT_EVENTS", SCORE));
    assert!(!agent.log().iter().any(|l| l.contains(NO_STREAM)));
}

fn without_a_stream_records_are_published_live_and_stored_when_one_appears(backend: Backend) {
    let server = nats();
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "basic.cfg").nats(&server);
    let mut agent = spec.with(&["--set", "episode_timeout=35", "--pace", "70"]).spawn_ready();
    let live = tap.wait(SCORE, 3);
    assert_eq!(tap.request("clau-doom.agent.A.control.pause", "")["ok"], true);
    assert!(tap.request("clau-doom.agent.A.health", "")["records"]["spooled"].as_u64().unwrap() >= 3);
    let streams = JetStream::open(&server.url());
    streams.create_all();
    streams.wait_count("AGENT_EVENTS", SCORE, 3);
    streams.wait_count("SYSTEM_EVENTS", "clau-doom.system.doom_agent.lifecycle", 1);
    tap.publish("clau-doom.agent.A.control.shutdown", "");
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let stored = streams.stored("AGENT_EVENTS", SCORE);
    assert_complete(&stored);
    assert_eq!(stored[2].header("Nats-Msg-Id"), live.header("Nats-Msg-Id"), "live and stored under one id");
    assert_eq!(stored[2].bytes, live.bytes);
    let last = tap.lifecycle("A", "stopped");
    assert_eq!((&last["records"]["spooled"], &last["ledger"]["stored"]), (&0.into(), &stored.len().into()));
    assert_eq!(agent.log().iter().filter(|l| l.contains(NO_STREAM)).count(), 1, "said once");
}

fn without_jetstream_records_are_published_live_and_the_agent_ends_at_once(backend: Backend) {
    let server = nats_server_process::NatsServer::builder().start().unwrap();
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "basic.cfg").nats(&server);
    let mut agent = spec.with(&["--set", "episode_timeout=35", "--episodes", "2", "--shutdown-timeout", "30s"]).spawn();
    assert_eq!(agent.wait_exit(std::time::Duration::from_secs(20)), 0, "it does not wait for an acknowledgement that cannot come");
    tap.wait(SCORE, 2);
    let last = tap.lifecycle("A", "stopped");
    assert!(last["records"]["spooled"].as_u64().unwrap() >= 2, "both scores: {last}");
}

fn records_are_stored_once_over_a_restart_of_the_server(backend: Backend) {
    let mut server = nats_with_streams();
    let streams = JetStream::open(&server.url());
    let spec = Spec::new(backend, "A", "basic.cfg").nats(&server);
    let agent = spec.with(&["--set", "episode_timeout=35", "--pace", "700", "--frame-skip", "4", "--http", "127.0.0.1:0"]).spawn_ready();
    let address = agent.http();
    let played = || http::metric(&http::get(&address, "/metrics").1, "episodes_completed");
    for _ in 0..2 {
        let before = played();
        server.kill();
        // Episodes are played while there is no server.
        http::wait_get(&address, "/metrics", "five episodes further", |_, text| http::metric(text, "episodes_completed") >= before + 5.0);
        server.restart().unwrap();
        let so_far = played() as u64;
        streams.wait_count("AGENT_EVENTS", SCORE, so_far);
    }
    let mut agent = agent;
    agent.signal(rustix::process::Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let stored = streams.stored("AGENT_EVENTS", SCORE);
    assert_complete(&stored);
    assert_rhythm(&stored);
    let lifecycle = streams.stored("SYSTEM_EVENTS", "clau-doom.system.doom_agent.lifecycle");
    let states: Vec<_> = lifecycle.iter().map(|e| e.payload()["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["ready", "stopped"]);
    let last = lifecycle[1].payload();
    assert_eq!(last["ledger"]["stored"], stored.len());
    assert_eq!(last["records"], json!({"spooled": 0, "lost": 0, "durable": true}));
}

fn a_stream_over_all_of_an_agents_subjects_is_found_out(backend: Backend) {
    let server = nats();
    let streams = JetStream::open(&server.url());
    streams.create("GREEDY", &["clau-doom.agent.>"], json!({}));
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "health_gathering.cfg").nats(&server);
    let agent = spec.with(&["--pace", "350", "--http", "127.0.0.1:0"]).spawn();
    let warning = agent.wait_log("GREEDY");
    assert!(warning.contains("WARN") && warning.contains("health"), "{warning}");
    let address = agent.http();
    let (status, reason) = http::get(&address, "/readyz");
    assert_eq!(status, 503);
    assert!(reason.contains("GREEDY"), "it says why: {reason}");
    assert_eq!(http::get(&address, "/livez").0, 200, "the game goes on");
    // The stream is the first to answer: that is the trap.
    let answers = tap.request_many("clau-doom.agent.A.health", "", 2, WITHIN);
    let by_kind: BTreeMap<_, _> = answers.iter().map(|a| (a.json().get("stream").is_some(), a.json())).collect();
    assert_eq!(by_kind[&true]["stream"], "GREEDY");
    assert_eq!(by_kind[&false]["agent_id"], "A");
    // Our own clients are not taken in.
    let (code, out, _) = Spec::bare(["health", "--id", "A", "--nats", &server.url()]).run();
    assert_eq!((code, serde_json::from_str::<serde_json::Value>(&out).unwrap()["agent_id"].as_str()), (0, Some("A")));
    let check = || Spec::bare(["check", "--id", "B", "--scenario", "basic.cfg", "--backend", backend.name(), "--nats", &server.url()]);
    let (code, _, err) = check().run();
    assert_eq!(code, 69);
    assert!(err.contains("GREEDY") && err.contains("clau-doom.agent.B.health"), "{err}");
    // Once it is mended the agent is ready, without a new connection.
    streams.update("GREEDY", &["clau-doom.agent.*.action", "clau-doom.agent.*.observe", "clau-doom.agent.*.score"]);
    http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
    assert_eq!(check().run().0, 0);
}
