//! Streams that are full, or deleted while agents play: records wait, and are stored once there is a place.

use nats_server_process::NatsServer;
use serde_json::json;
use tempfile::TempDir;

use super::{SCORE, assert_complete, assert_rhythm, finish, play, restart::server_on, short_episodes};
use crate::support::{Backend, JetStream, Tap, free_port, http, nats, nats_with_streams, on_both};

on_both!(
    records_wait_for_a_full_stream,
    records_made_while_a_stream_is_gone_are_stored_when_it_is_back,
    records_wait_for_a_server_that_is_without_jetstream,
);

fn records_wait_for_a_full_stream(backend: Backend) {
    let (server, state) = (nats(), TempDir::new().unwrap());
    let streams = JetStream::open(&server.url());
    streams.create("AGENT_EVENTS", &[SCORE], json!({"discard": "new", "max_msgs": 5}));
    let agent = short_episodes(backend, &server.url(), state.path()).spawn_ready();
    let address = agent.http();
    streams.wait_count("AGENT_EVENTS", SCORE, 5);
    play(&address, 20.0);
    let (_, text) = http::get(&address, "/metrics");
    assert!(http::metric(&text, "records_spooled") >= 15.0 && http::metric(&text, "healthy") == 1.0, "{text}");
    assert_eq!(streams.count("AGENT_EVENTS", SCORE), 5);
    streams.create("SYSTEM_EVENTS", &["clau-doom.system.doom_agent.lifecycle"], json!({}));
    streams.change("AGENT_EVENTS", "max_msgs", json!(100_000));
    let scores = finish(agent, &address, &streams);
    let instances = assert_complete(&scores);
    assert!(instances[0].1 >= 25, "{instances:?}");
    assert_rhythm(&scores);
}

fn records_made_while_a_stream_is_gone_are_stored_when_it_is_back(backend: Backend) {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let (streams, tap) = (JetStream::open(&server.url()), Tap::open(&server.url()));
    let agent = short_episodes(backend, &server.url(), state.path()).spawn_ready();
    let address = agent.http();
    play(&address, 5.0);
    assert_eq!(tap.request("clau-doom.agent.A.control.pause", "")["ok"], true);
    http::wait_get(&address, "/metrics", "nothing waiting", |_, text| http::metric(text, "records_spooled") == 0.0);
    let before = assert_complete(&streams.stored("AGENT_EVENTS", SCORE))[0].1;
    // What was stored goes with its stream; what comes now must not.
    streams.delete("AGENT_EVENTS");
    assert_eq!(tap.request("clau-doom.agent.A.control.resume", "")["ok"], true);
    play(&address, 20.0);
    // Live viewers miss nothing.
    tap.wait(SCORE, before + 15);
    let subjects = ["action", "observe", "score", "death"].map(|leaf| format!("clau-doom.agent.*.{leaf}"));
    streams.create("AGENT_EVENTS", &subjects.each_ref().map(String::as_str), json!({}));
    let stored = finish(agent, &address, &streams);
    let numbers: Vec<u64> = stored.iter().map(|e| e.payload()["episode_number"].as_u64().unwrap()).collect();
    let first = before as u64 + 1;
    assert_eq!(numbers, (first..first + numbers.len() as u64).collect::<Vec<_>>());
    assert!(numbers.len() >= 20, "{numbers:?}");
}

fn records_wait_for_a_server_that_is_without_jetstream(backend: Backend) {
    let (port, state) = (free_port(), TempDir::new().unwrap());
    let without = NatsServer::builder().port(port).start().unwrap();
    let url = without.url();
    let tap = Tap::open(&url);
    let agent = short_episodes(backend, &url, state.path()).spawn_ready();
    let address = agent.http();
    play(&address, 20.0);
    // Live viewers miss nothing.
    tap.wait(SCORE, 15);
    let (_, text) = http::get(&address, "/metrics");
    assert!(http::metric(&text, "records_spooled") >= 15.0 && http::metric(&text, "healthy") == 1.0, "{text}");
    drop(without);
    let (_server, streams) = server_on(port);
    http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
    let scores = finish(agent, &address, &streams);
    let instances = assert_complete(&scores);
    assert!(instances.len() == 1 && instances[0].1 >= 20, "{instances:?}");
    assert_rhythm(&scores);
}
