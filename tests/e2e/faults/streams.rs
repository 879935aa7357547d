//! Streams that are full, or deleted while agents play: records wait, and are stored once there is a place.

use serde_json::json;
use tempfile::TempDir;

use super::{SCORE, assert_complete, finish, play, short_episodes};
use crate::support::{Backend, JetStream, Tap, http, nats, nats_with_streams};

#[test]
fn records_wait_for_a_full_stream() {
    let (server, state) = (nats(), TempDir::new().unwrap());
    let streams = JetStream::open(&server.url());
    streams.create("AGENT_EVENTS", &[SCORE], json!({"discard": "new", "max_msgs": 5}));
    let agent = short_episodes(Backend::Mock, &server.url(), state.path()).spawn_ready();
    let address = agent.http();
    streams.wait_count("AGENT_EVENTS", SCORE, 5);
    play(&address, 20.0);
    let (_, text) = http::get(&address, "/metrics");
    assert!(http::metric(&text, "records_spooled") >= 15.0 && http::metric(&text, "healthy") == 1.0, "{text}");
    assert_eq!(streams.count("AGENT_EVENTS", SCORE), 5);
    streams.create("SYSTEM_EVENTS", &["clau-doom.system.doom_agent.lifecycle"], json!({}));
    streams.change("AGENT_EVENTS", "max_msgs", json!(100_000));
    let instances = assert_complete(&finish(agent, &address, &streams));
    assert!(instances[0].1 >= 25, "{instances:?}");
}

#[test]
fn records_made_while_a_stream_is_gone_are_stored_when_it_is_back() {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let (streams, tap) = (JetStream::open(&server.url()), Tap::open(&server.url()));
    let agent = short_episodes(Backend::Mock, &server.url(), state.path()).spawn_ready();
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
