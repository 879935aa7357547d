//! Connections that are cut, delayed, half-open, or lose an acknowledgement: every record is stored once, and in order.

use std::time::{Duration, Instant};

use nats_server_process::NatsServer;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use super::{SCORE, assert_complete, finish, play, short_episodes};
use crate::support::{Agent, Backend, JetStream, Proxy, WITHIN, Way, http, nats, nats_with_streams};

/// What a stream answers a record with.
const ACKNOWLEDGEMENT: &str = "\"stream\":\"AGENT_EVENTS\"";

fn behind(proxy: &Proxy, state: &TempDir) -> (Agent, String) {
    let agent = short_episodes(Backend::Mock, &proxy.url, state.path()).spawn_ready();
    let address = agent.http();
    (agent, address)
}

/// A server whose stream forgets message ids after the shortest time that it can.
fn forgetful() -> (NatsServer, JetStream) {
    let server = nats();
    let streams = JetStream::open(&server.url());
    streams.create_all();
    streams.change("AGENT_EVENTS", "duplicate_window", json!(100_000_000u64));
    (server, streams)
}

/// Loses the acknowledgement of a record that is stored, and plays on without a connection for longer than ids are remembered.
fn lose_an_acknowledgement(proxy: &Proxy, address: &str, streams: &JetStream, n: usize) {
    play(address, 5.0);
    proxy.lose(Way::ToClient, ACKNOWLEDGEMENT);
    proxy.wait_lost(n);
    let stored = streams.count("AGENT_EVENTS", SCORE);
    play(address, 10.0);
    assert_eq!(streams.count("AGENT_EVENTS", SCORE), stored, "there is no connection");
}

#[test]
fn a_record_whose_acknowledgement_is_lost_for_long_is_stored_once() {
    let ((server, streams), state) = (forgetful(), TempDir::new().unwrap());
    let proxy = Proxy::before(server.port());
    let (agent, address) = behind(&proxy, &state);
    for n in 1..=3 {
        lose_an_acknowledgement(&proxy, &address, &streams, n);
        proxy.refuse(false);
        http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
    }
    let instances = assert_complete(&finish(agent, &address, &streams));
    assert!(instances.len() == 1 && instances[0].1 >= 45, "{instances:?}");
}

#[test]
fn a_record_whose_acknowledgement_is_lost_is_stored_once_over_a_restart() {
    let ((server, streams), state) = (forgetful(), TempDir::new().unwrap());
    for n in 1..=3 {
        let proxy = Proxy::before(server.port());
        let (mut agent, address) = behind(&proxy, &state);
        lose_an_acknowledgement(&proxy, &address, &streams, 1);
        agent.signal(Signal::KILL);
        assert_eq!(agent.wait_exit(WITHIN), -9, "instance {n}");
    }
    let (code, _, err) = short_episodes(Backend::Mock, &server.url(), state.path()).with(&["--episodes", "2"]).run();
    assert_eq!(code, 0, "{err}");
    let instances = assert_complete(&streams.stored("AGENT_EVENTS", SCORE));
    assert!(instances.len() == 4 && instances[..3].iter().all(|(_, n)| *n >= 15) && instances[3].1 == 2, "{instances:?}");
}

#[test]
fn connections_that_are_cut_again_and_again_lose_and_double_no_record() {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let (streams, proxy) = (JetStream::open(&server.url()), Proxy::before(server.port()));
    let (agent, address) = behind(&proxy, &state);
    for _ in 0..15 {
        play(&address, 4.0);
        proxy.cut();
        http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
    }
    let (_, text) = http::get(&address, "/metrics");
    assert!(http::metric(&text, "nats_reconnects") >= 10.0, "{text}");
    let instances = assert_complete(&finish(agent, &address, &streams));
    assert!(instances[0].1 >= 60, "{instances:?}");
}

#[test]
fn a_half_open_connection_is_noticed_within_ten_seconds_and_loses_nothing() {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let (streams, proxy) = (JetStream::open(&server.url()), Proxy::before(server.port()));
    let (agent, address) = behind(&proxy, &state);
    for ways in [&[Way::ToClient][..], &[Way::ToServer], &[Way::ToClient, Way::ToServer]] {
        play(&address, 5.0);
        let since = Instant::now();
        ways.iter().for_each(|way| proxy.swallow(*way, true));
        http::wait_get(&address, "/readyz", "noticed", |status, _| status == 503);
        let noticed = since.elapsed();
        println!("{ways:?}: noticed after {noticed:?}");
        // Ten seconds are promised; the machine may be busy with other tests.
        assert!(noticed < Duration::from_secs(15), "{ways:?}: noticed after {noticed:?}");
        ways.iter().for_each(|way| proxy.swallow(*way, false));
        // A connection that has lost bytes is none any more, whatever passes now.
        proxy.cut();
        http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
    }
    assert_complete(&finish(agent, &address, &streams));
}

#[test]
fn half_a_second_of_latency_changes_neither_the_pace_nor_the_records() {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let (streams, proxy) = (JetStream::open(&server.url()), Proxy::before(server.port()));
    proxy.delay(Duration::from_millis(250));
    let (agent, address) = behind(&proxy, &state);
    let since = Instant::now();
    play(&address, 60.0);
    // An episode takes 50 ms of play; if each waited for one round trip it would be 30 s.
    assert!(since.elapsed() < Duration::from_secs(15), "sixty episodes took {:?}", since.elapsed());
    proxy.delay(Duration::ZERO);
    let instances = assert_complete(&finish(agent, &address, &streams));
    assert!(instances[0].1 >= 60, "{instances:?}");
}

#[test]
fn a_server_that_crashes_and_stays_away_gets_every_record_of_many_short_episodes() {
    let (mut server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let streams = JetStream::open(&server.url());
    let spec = short_episodes(Backend::Mock, &server.url(), state.path()).with(&["--pace", "max", "--mock-fault", "slow=200us"]);
    let agent = spec.spawn_ready();
    let address = agent.http();
    play(&address, 50.0);
    server.kill();
    // More than are held in memory, so that most are read back from the disk.
    play(&address, 3_000.0);
    let (_, text) = http::get(&address, "/metrics");
    assert!(http::metric(&text, "records_spooled") >= 2_500.0, "{text}");
    server.restart().unwrap();
    http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
    // The backlog is sent one at a time; to catch up, the game stands still.
    agent.wait_log("ready");
    let tap = crate::support::Tap::open(&server.url());
    assert_eq!(tap.request("clau-doom.agent.A.control.pause", "")["ok"], true);
    let instances = assert_complete(&finish(agent, &address, &streams));
    assert!(instances.len() == 1 && instances[0].1 >= 3_050, "{instances:?}");
}
