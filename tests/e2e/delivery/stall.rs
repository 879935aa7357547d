//! A server that stops answering does not slow the game down, and of every seq it can be said what became of it.

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead, BufReader},
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    Backend, JetStream,
    Shape::{Count, Instant, Object, Ranges, Text},
    Spec, Tap, WITHIN, assert_shape, instant, nats_with_streams, on_both,
};

on_both!(a_stopped_server_neither_blocks_the_game_nor_leaves_a_seq_unexplained);

/// How long the server answers nothing.
const STOPPED: Duration = Duration::from_secs(20);
/// Observations before the server is stopped, and after it goes on.
const AROUND: usize = 8_000;

fn a_stopped_server_neither_blocks_the_game_nor_leaves_a_seq_unexplained(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    // A step of the mock takes no time; a fifth of a millisecond makes it a game like the engine's.
    let pace: &[&str] = if backend == Backend::Mock { &["--mock-fault", "slow=200us"] } else { &["--frame-skip", "4"] };
    let spec = Spec::new(backend, "A", "health_gathering.cfg").nats(&server).with(&["--pace", "max", "--events", "events.jsonl"]);
    let mut agent = spec.with(pace).spawn_ready();
    tap.wait("clau-doom.agent.A.observe", AROUND);
    let stopped_at = now();
    server.pause();
    // The stop itself is what is tested; there is nothing to wait for.
    std::thread::sleep(STOPPED);
    let went_on_at = now();
    server.unpause();
    // The first event that was made after the server went on, and many more.
    let late = |e: &crate::support::Event| e.leaf() == "observe" && instant(&e.header("timestamp").into()) > went_on_at;
    tap.nth(AROUND, "observations after the stop", late);
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let last = tap.lifecycle("A", "stopped");
    tap.catch_up();

    let events = read(&agent.home().join("events.jsonl"));
    check_steps(&events, stopped_at, went_on_at);
    // A record whose acknowledgement was lost is sent again: stored once, but heard twice, under one id.
    let mut records = HashSet::new();
    let heard = tap.events();
    let first_time = heard.iter().filter(|e| e.headers.get("Nats-Msg-Id").is_none_or(|id| records.insert(id.clone())));
    check_ledger(&last, first_time.filter_map(|e| e.seq()), &events);
    // Other than the telemetry, all of them are there in the end.
    let streams = JetStream::open(&server.url());
    let stored = ["score", "death"].map(|leaf| streams.count("AGENT_EVENTS", &format!("clau-doom.agent.A.{leaf}")));
    assert_eq!(last["ledger"]["stored"], stored.iter().sum::<u64>());
    assert_eq!(last["records"], json!({"spooled": 0, "lost": 0}));
}

fn now() -> i64 {
    i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap()
}

/// What the test needs of a line of the events file.
struct Line {
    seq: u64,
    is_observe: bool,
    at: i64,
}

fn read(path: &Path) -> Vec<Line> {
    let lines = BufReader::new(std::fs::File::open(path).unwrap()).lines();
    let line = |text: String| {
        let line: Value = serde_json::from_str(&text).unwrap();
        let seq = line["headers"]["seq"].as_str()?.parse().unwrap();
        Some(Line { seq, is_observe: line["subject"] == "clau-doom.agent.A.observe", at: instant(&line["headers"]["timestamp"]) })
    };
    let mut events: Vec<_> = lines.filter_map(|l| line(l.unwrap())).collect();
    events.sort_by_key(|e| e.seq);
    events
}

/// Median, 99th percentile and maximum in microseconds, and how many.
#[derive(Debug)]
struct Times {
    p50: i64,
    p99: i64,
    max: i64,
    n: usize,
}

impl Times {
    /// From one of these observations to the next, between two instants.
    fn between(observations: &[&Line], from: i64, to: i64) -> Self {
        let within = observations.windows(2).filter(|w| w[0].at >= from && w[1].at <= to);
        let gaps: Vec<_> = within.map(|w| (w[1].at - w[0].at, w[1].seq - w[0].seq)).collect();
        // Between two observations there are an action, and at an episode's end a death and a score; else the file has a gap.
        let mut steps: Vec<_> = gaps.iter().filter(|(_, seqs)| *seqs <= 4).map(|(time, _)| *time).collect();
        steps.sort_unstable();
        let at = |q: f64| steps[((steps.len() - 1) as f64 * q) as usize];
        // The longest of all, gaps too: in a game that waits nothing is dropped.
        Self { p50: at(0.5), p99: at(0.99), max: gaps.iter().map(|(time, _)| *time).max().unwrap(), n: steps.len() }
    }
}

/// The time from one observation to the next (an episode's end, its records and its reset included), before the stop and during it.
fn check_steps(events: &[Line], stopped_at: i64, went_on_at: i64) {
    let observations: Vec<_> = events.iter().filter(|e| e.is_observe).collect();
    // The first half second is the start's.
    let before = Times::between(&observations, observations[0].at + 500_000, stopped_at);
    let during = Times::between(&observations, stopped_at, went_on_at);
    println!("before {before:?}, during {during:?}");
    assert!(before.n > 1_000, "{before:?}");
    // Other tests share the machine, so the bounds are wide; a step that waited for the server would have taken seconds.
    assert!(during.p50 <= before.p50 * 3 / 2 + 200, "p50: before {before:?}, during {during:?}");
    assert!(during.p99 <= before.p99 * 3 + 10_000, "p99: before {before:?}, during {during:?}");
    assert!(during.max <= (before.max * 3).max(1_000_000), "max: before {before:?}, during {during:?}");
}

/// Received, reported dropped or reported unconfirmed: every seq is one of these, and a dropped one was not received.
fn check_ledger(last: &Value, received: impl Iterator<Item = u64>, events: &[Line]) {
    let produced = last["ledger"]["produced"].as_u64().unwrap();
    let shape = [("agent_id", Text), ("timestamp", Instant), ("instance", Text), ("state", Text), ("exit_code", Count), ("ledger", Object)];
    assert_shape(last, &[shape.as_slice(), &[("records", Object), ("dropped", Ranges), ("unconfirmed", Ranges)]].concat());
    let mut fate: HashMap<u64, [bool; 3]> = HashMap::new();
    for seq in received {
        assert!(!std::mem::replace(&mut fate.entry(seq).or_default()[0], true), "seq {seq} came twice");
    }
    for (i, name) in [(1, "dropped"), (2, "unconfirmed")] {
        let mut total = 0;
        for range in last.get(name).and_then(Value::as_array).into_iter().flatten() {
            for seq in range[0].as_u64().unwrap()..=range[1].as_u64().unwrap() {
                assert!(!std::mem::replace(&mut fate.entry(seq).or_default()[i], true), "seq {seq} is reported {name} twice");
                total += 1;
            }
        }
        assert_eq!(last["ledger"][name], total, "the count and the ranges of {name}");
        println!("{name}: {total} of {produced}");
    }
    let mut in_file = events.iter().map(|e| e.seq).peekable();
    for seq in 1..=produced {
        let [received, dropped, unconfirmed] = fate.remove(&seq).unwrap_or_default();
        assert!(received || dropped || unconfirmed, "nobody knows what became of seq {seq}");
        assert!(!dropped || !(received || unconfirmed), "seq {seq} is reported dropped, and more is known of it");
        let filed = in_file.next_if_eq(&seq).is_some();
        assert!(filed || dropped, "seq {seq} was given to the broker, but not to the file");
    }
    assert_eq!(in_file.next(), None, "the file has each seq once");
    assert!(fate.is_empty(), "seqs that were never given: {:?}", fate.keys().take(5).collect::<Vec<_>>());
    assert!(last["ledger"]["dropped"].as_u64().unwrap() > 0, "twenty seconds at this pace are more than can be kept");
}
