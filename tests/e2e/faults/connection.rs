//! Connections that are cut, delayed, half-open, or lose an acknowledgement: every record is stored once, and in order.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nats_server_process::NatsServer;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{SCORE, assert_complete, assert_rhythm, finish, play, short_episodes};
use crate::support::{
    Agent, Backend, Event, JetStream, Proxy, Side, Spec, Tap, Usage, WITHIN, Way, http,
    ledger::{account, seqs_of},
    nats, nats_with_streams, on_both, seconds_of,
};

on_both!(
    a_record_whose_acknowledgement_is_lost_for_long_is_stored_once,
    a_record_whose_acknowledgement_is_lost_is_stored_once_over_a_restart,
    connections_that_are_cut_again_and_again_lose_and_double_no_record,
    connections_that_are_reset_at_random_lose_and_double_no_record,
    a_partition_that_one_side_sees_loses_and_doubles_no_record,
    a_server_that_is_away_for_minutes_gets_everything_in_order_and_memory_stays_bounded,
    a_half_open_connection_is_noticed_within_ten_seconds_and_loses_nothing,
    half_a_second_of_latency_changes_neither_the_pace_nor_the_records,
    a_server_that_crashes_and_stays_away_gets_every_record_of_many_short_episodes,
    an_answer_that_a_record_is_a_duplicate_counts_as_stored,
    two_who_lose_the_server_together_do_not_come_back_together,
);

/// Waits until health says that the connection is lost; the agent is healthy all the same.
fn wait_lost(address: &str) {
    http::wait_get(address, "/livez", "reconnecting", |status, body| {
        let health: Value = serde_json::from_str(body).unwrap();
        assert_eq!((status, &health["healthy"]), (200, &true.into()), "{health}");
        health["nats"]["state"] == "reconnecting"
    });
}

/// Ends the agent when every record is stored: each once and in order, in an unchanged rhythm; and of every seq it can be said what became of it.
/// Returns how many scores there are.
#[track_caller]
fn all_is_accounted_for(agent: Agent, address: &str, streams: &JetStream, tap: &Tap) -> usize {
    let scores = finish(agent, address, streams);
    let instances = assert_complete(&scores);
    assert_eq!(instances.len(), 1);
    assert_rhythm(&scores);
    let last = tap.lifecycle("A", "stopped");
    tap.catch_up();
    account(&last, seqs_of(&tap.events()));
    instances[0].1
}

/// What a stream answers a record with.
const ACKNOWLEDGEMENT: &str = "\"stream\":\"AGENT_EVENTS\"";

fn behind(backend: Backend, proxy: &Proxy, state: &TempDir) -> (Agent, String) {
    let agent = short_episodes(backend, &proxy.url, state.path()).spawn_ready();
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

fn a_record_whose_acknowledgement_is_lost_for_long_is_stored_once(backend: Backend) {
    let ((server, streams), state) = (forgetful(), TempDir::new().unwrap());
    let proxy = Proxy::before(server.port());
    let (agent, address) = behind(backend, &proxy, &state);
    for n in 1..=3 {
        lose_an_acknowledgement(&proxy, &address, &streams, n);
        proxy.refuse(false);
        http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
    }
    let scores = finish(agent, &address, &streams);
    let instances = assert_complete(&scores);
    assert!(instances.len() == 1 && instances[0].1 >= 45, "{instances:?}");
    assert_rhythm(&scores);
}

fn a_record_whose_acknowledgement_is_lost_is_stored_once_over_a_restart(backend: Backend) {
    let ((server, streams), state) = (forgetful(), TempDir::new().unwrap());
    for n in 1..=3 {
        let proxy = Proxy::before(server.port());
        let (mut agent, address) = behind(backend, &proxy, &state);
        lose_an_acknowledgement(&proxy, &address, &streams, 1);
        agent.signal(Signal::KILL);
        assert_eq!(agent.wait_exit(WITHIN), -9, "instance {n}");
    }
    let (code, _, err) = short_episodes(backend, &server.url(), state.path()).with(&["--episodes", "2"]).run();
    assert_eq!(code, 0, "{err}");
    let instances = assert_complete(&streams.stored("AGENT_EVENTS", SCORE));
    assert!(instances.len() == 4 && instances[..3].iter().all(|(_, n)| *n >= 15) && instances[3].1 == 2, "{instances:?}");
}

fn connections_that_are_cut_again_and_again_lose_and_double_no_record(backend: Backend) {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let (streams, proxy, tap) = (JetStream::open(&server.url()), Proxy::before(server.port()), Tap::open(&server.url()));
    let (agent, address) = behind(backend, &proxy, &state);
    for _ in 0..15 {
        play(&address, 4.0);
        proxy.cut();
        http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
    }
    let (_, text) = http::get(&address, "/metrics");
    assert!(http::metric(&text, "nats_reconnects") >= 10.0, "{text}");
    let scores = all_is_accounted_for(agent, &address, &streams, &tap);
    assert!(scores >= 60, "{scores}");
}

fn connections_that_are_reset_at_random_lose_and_double_no_record(backend: Backend) {
    let (server, states) = (nats_with_streams(), [(); 3].map(|()| TempDir::new().unwrap()));
    let (streams, proxy) = (JetStream::open(&server.url()), Proxy::before(server.port()));
    let agents: Vec<_> = states
        .iter()
        .zip(["A", "B", "C"])
        .collect::<Vec<_>>()
        .into_iter()
        .map(|(state, id)| {
            let agent = short_episodes(backend, &proxy.url, state.path()).with(&["--id", id]).spawn_ready();
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
        let scores = streams.stored("AGENT_EVENTS", &format!("clau-doom.agent.{id}.score"));
        let instances = assert_complete(&scores);
        assert!(instances[0].1 >= 100, "{id}: {instances:?}");
        assert_rhythm(&scores);
    }
}

fn a_partition_that_one_side_sees_loses_and_doubles_no_record(backend: Backend) {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let (streams, proxy, tap) = (JetStream::open(&server.url()), Proxy::before(server.port()), Tap::open(&server.url()));
    let (agent, address) = behind(backend, &proxy, &state);
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
    let scores = all_is_accounted_for(agent, &address, &streams, &tap);
    assert!(scores >= 30, "{scores}");
}

/// Ten seconds; `DOOM_TEST_AWAY_SECONDS=600` for as long as is promised.
fn a_server_that_is_away_for_minutes_gets_everything_in_order_and_memory_stays_bounded(backend: Backend) {
    let away = seconds_of("DOOM_TEST_AWAY_SECONDS", 10);
    let (mut server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let streams = JetStream::open(&server.url());
    let agent = short_episodes(backend, &server.url(), state.path()).spawn_ready();
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
    let scores = finish(agent, &address, &streams);
    let instances = assert_complete(&scores);
    assert_rhythm(&scores);
    assert!(instances[0].1 as f64 >= away.as_secs_f64() * 14.0, "{instances:?}");
}

fn a_half_open_connection_is_noticed_within_ten_seconds_and_loses_nothing(backend: Backend) {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let (streams, proxy, tap) = (JetStream::open(&server.url()), Proxy::before(server.port()), Tap::open(&server.url()));
    let (agent, address) = behind(backend, &proxy, &state);
    for ways in [&[Way::ToClient][..], &[Way::ToServer], &[Way::ToClient, Way::ToServer]] {
        play(&address, 5.0);
        let since = Instant::now();
        ways.iter().for_each(|way| proxy.swallow(*way, true));
        http::wait_get(&address, "/readyz", "noticed", |status, _| status == 503);
        let noticed = since.elapsed();
        println!("{ways:?}: noticed after {noticed:?}");
        assert!(noticed < Duration::from_secs(10), "{ways:?}: noticed after {noticed:?}");
        wait_lost(&address);
        ways.iter().for_each(|way| proxy.swallow(*way, false));
        // A connection that has lost bytes is none any more, whatever passes now.
        proxy.cut();
        http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
    }
    all_is_accounted_for(agent, &address, &streams, &tap);
}

fn half_a_second_of_latency_changes_neither_the_pace_nor_the_records(backend: Backend) {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let (streams, proxy, tap) = (JetStream::open(&server.url()), Proxy::before(server.port()), Tap::open(&server.url()));
    proxy.delay(Duration::from_millis(250));
    let (agent, address) = behind(backend, &proxy, &state);
    // An episode takes 50 ms of play; if each waited for one round trip there were two a second.
    play(&address, 60.0);
    proxy.delay(Duration::ZERO);
    let scores = all_is_accounted_for(agent, &address, &streams, &tap);
    assert!(scores >= 60, "{scores}");
}

fn a_server_that_crashes_and_stays_away_gets_every_record_of_many_short_episodes(backend: Backend) {
    let (mut server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let streams = JetStream::open(&server.url());
    let spec = short_episodes(backend, &server.url(), state.path()).with(&["--pace", "max"]);
    let spec = if backend == Backend::Mock { spec.with(&["--mock-fault", "slow=200us"]) } else { spec };
    let agent = spec.spawn_ready();
    let address = agent.http();
    play(&address, 50.0);
    server.kill();
    wait_lost(&address);
    // More than are held in memory, so that most are read back from the disk.
    let many = if backend == Backend::Mock { 3_000 } else { 700 };
    (0..many / 100).for_each(|_| play(&address, 100.0));
    let (_, text) = http::get(&address, "/metrics");
    assert!(http::metric(&text, "records_spooled") >= f64::from(many) - 100.0, "{text}");
    server.restart().unwrap();
    http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
    // The backlog is sent one at a time; to catch up, the game stands still.
    agent.wait_log("ready");
    let tap = crate::support::Tap::open(&server.url());
    assert_eq!(tap.request("clau-doom.agent.A.control.pause", "")["ok"], true);
    let instances = assert_complete(&finish(agent, &address, &streams));
    assert!(instances.len() == 1 && instances[0].1 >= many as usize + 50, "{instances:?}");
}

/// Of a subject with many writers nothing but the id tells a repetition: the stream answers that it has it.
fn an_answer_that_a_record_is_a_duplicate_counts_as_stored(backend: Backend) {
    const RUN: &str = "clau-doom.experiment.e.run.7";
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let (streams, proxy, tap) = (JetStream::open(&server.url()), Proxy::before(server.port()), Tap::open(&server.url()));
    let spec = short_episodes(backend, &proxy.url, state.path()).with(&["--experiment", "e", "--run", "7"]);
    let agent = spec.spawn_ready();
    let address = agent.http();
    for n in 1..=3 {
        play(&address, 5.0);
        proxy.lose(Way::ToClient, "\"stream\":\"EXPERIMENT_EVENTS\"");
        proxy.wait_lost(n);
        play(&address, 5.0);
        proxy.refuse(false);
        http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
    }
    // It ends with nothing left to send, so each has been answered.
    let scores = finish(agent, &address, &streams);
    assert_complete(&scores);
    let runs = streams.stored("EXPERIMENT_EVENTS", RUN);
    let ids = |events: &[&Event]| events.iter().map(|e| e.header("Nats-Msg-Id").to_owned()).collect::<BTreeSet<_>>();
    assert_eq!((runs.len(), ids(&runs.iter().collect::<Vec<_>>()).len()), (scores.len(), scores.len()), "each once");
    tap.catch_up();
    let heard = tap.on(RUN);
    let repeated = heard.len() - ids(&heard.iter().map(|e| &**e).collect::<Vec<_>>()).len();
    println!("{repeated} of {} were sent twice", runs.len());
    assert!(repeated >= 3, "{repeated} were sent twice");
}

/// When somebody came to a port where whoever comes is sent away.
fn doorkeeper() -> (String, Arc<Mutex<Vec<Instant>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, came) = (format!("nats://{}", listener.local_addr().unwrap()), Arc::new(Mutex::new(Vec::new())));
    let times = Arc::clone(&came);
    std::thread::spawn(move || listener.incoming().for_each(|_| times.lock().unwrap().push(Instant::now())));
    (url, came)
}

fn two_who_lose_the_server_together_do_not_come_back_together(backend: Backend) {
    const TRIES: usize = 9;
    let doors = [doorkeeper(), doorkeeper()];
    let agents = doors.each_ref().map(|(url, _)| Spec::new(backend, "A", "basic.cfg").with(&["--pace", "70", "--nats", url]).spawn());
    let until = Instant::now() + WITHIN;
    while doors.iter().any(|(_, came)| came.lock().unwrap().len() < TRIES) {
        assert!(Instant::now() < until, "not {TRIES} tries each within {WITHIN:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pauses = doors.map(|(_, came)| came.lock().unwrap()[..TRIES].windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>());
    println!("{pauses:?}");
    for pauses in &pauses {
        let (first, last) = (pauses[0], pauses[pauses.len() - 1]);
        assert!(first < Duration::from_secs(1) && last > Duration::from_secs(1) && last < Duration::from_secs(6), "they grow: {pauses:?}");
    }
    let apart = pauses[0].iter().zip(&pauses[1]).filter(|(a, b)| a.abs_diff(**b) > Duration::from_millis(20)).count();
    assert!(apart >= 3, "they are the same for both: {pauses:?}");
    assert!(agents.iter().all(|agent| !agent.has_ended()));
}
