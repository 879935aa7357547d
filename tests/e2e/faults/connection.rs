//! Connections that are cut, delayed, half-open, or lose an acknowledgement: every record is stored once, and in order.

use std::time::{Duration, Instant};

use nats_server_process::NatsServer;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use super::{SCORE, assert_complete, finish, play, short_episodes};
use crate::support::{Agent, Backend, JetStream, Proxy, Side, Usage, WITHIN, Way, http, nats, nats_with_streams, seconds_of};

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
fn connections_that_are_reset_at_random_lose_and_double_no_record() {
    let (server, states) = (nats_with_streams(), [(); 3].map(|()| TempDir::new().unwrap()));
    let (streams, proxy) = (JetStream::open(&server.url()), Proxy::before(server.port()));
    let agents: Vec<_> = states
        .iter()
        .zip(["A", "B", "C"])
        .collect::<Vec<_>>()
        .into_iter()
        .map(|(state, id)| {
            let agent = short_episodes(Backend::Mock, &proxy.url, state.path()).with(&["--id", id]).spawn_ready();
            let address = agent.http();
            (id, agent, address)
        })
        .collect();
    // One chunk of a hundred, each way: some resets a second.
    proxy.reset_one_in(Some(100));
    agents.iter().for_each(|(_, _, address)| play(address, 100.0));
    proxy.reset_one_in(None);
    println!("{} connections reset", proxy.resets());
    assert!(proxy.resets() >= 10, "{}", proxy.resets());
    for (id, mut agent, address) in agents {
        http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
        http::wait_get(&address, "/metrics", "nothing waiting", |_, text| http::metric(text, "records_spooled") == 0.0);
        agent.signal(Signal::TERM);
        assert_eq!(agent.wait_exit(WITHIN), 0);
        let instances = assert_complete(&streams.stored("AGENT_EVENTS", &format!("clau-doom.agent.{id}.score")));
        assert!(instances[0].1 >= 100, "{id}: {instances:?}");
    }
}

#[test]
fn a_partition_that_one_side_sees_loses_and_doubles_no_record() {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let (streams, proxy) = (JetStream::open(&server.url()), Proxy::before(server.port()));
    let (agent, address) = behind(&proxy, &state);
    for side in [Side::Client, Side::Server, Side::Client] {
        play(&address, 5.0);
        let (_, text) = http::get(&address, "/metrics");
        let before = http::metric(&text, "nats_reconnects");
        let since = Instant::now();
        proxy.cut_seen_by(side);
        // The client sees it at once, or by the silence; the server still has the old connection when the new one comes.
        http::wait_get(&address, "/metrics", "reconnected", |_, text| http::metric(text, "nats_reconnects") > before);
        http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
        println!("seen by the {side:?}: ready again after {:?}", since.elapsed());
        assert!(!agent.has_ended(), "its own old connection is no namesake");
        play(&address, 5.0);
        proxy.rejoin();
        http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
    }
    let instances = assert_complete(&finish(agent, &address, &streams));
    assert!(instances.len() == 1 && instances[0].1 >= 30, "{instances:?}");
}

/// Ten seconds; `DOOM_TEST_AWAY_SECONDS=600` for as long as is promised.
#[test]
fn a_server_that_is_away_for_minutes_gets_everything_in_order_and_memory_stays_bounded() {
    let away = seconds_of("DOOM_TEST_AWAY_SECONDS", 10);
    let (mut server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let streams = JetStream::open(&server.url());
    let agent = short_episodes(Backend::Mock, &server.url(), state.path()).spawn_ready();
    let address = agent.http();
    play(&address, 10.0);
    let (before, since) = (Usage::of(agent.pid()), Instant::now());
    let episodes = |text: &str| http::metric(text, "episodes_completed");
    let played = episodes(&http::get(&address, "/metrics").1);
    server.kill();
    while since.elapsed() < away {
        play(&address, 10.0);
        let (_, text) = http::get(&address, "/livez");
        let health: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&health["healthy"], &health["nats"]["state"]), (&true.into(), &"reconnecting".into()), "{health}");
    }
    // Twenty episodes a second: the rhythm is what it was.
    let rate = (episodes(&http::get(&address, "/metrics").1) - played) / since.elapsed().as_secs_f64();
    let after = Usage::of(agent.pid());
    println!("away for {:?}: {rate:.1} episodes a second, {before:?}, then {after:?}", since.elapsed());
    assert!(rate > 14.0, "{rate} episodes a second");
    assert!(after.memory < before.memory + 48 * 1024, "{before:?}, then {after:?}");
    server.restart().unwrap();
    let since = Instant::now();
    http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
    println!("ready {:?} after the server was back", since.elapsed());
    let instances = assert_complete(&finish(agent, &address, &streams));
    assert!(instances[0].1 as f64 >= away.as_secs_f64() * 14.0, "{instances:?}");
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
