//! A server that stops answering does not slow the game down, and of every seq it can be said what became of it.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    Backend, Event, JetStream,
    Shape::{Count, Instant, Object, Ranges, Text},
    Spec, Tap, WITHIN, assert_shape,
    http::{metric, wait_get},
    instant,
    ledger::{account, seqs_of},
    nats_with_streams, on_both, seconds_of,
};

on_both!(a_stopped_server_does_not_slow_the_steps_of_the_game, a_stopped_server_does_not_slow_a_game_whose_lane_is_full,);

/// How long the server answers nothing; `DOOM_TEST_STOP_SECONDS=60` for as long as is promised.
fn stopped() -> Duration {
    seconds_of("DOOM_TEST_STOP_SECONDS", 20)
}
/// Observations before the server is stopped, and after it goes on.
const AROUND: usize = 8_000;

/// What is known after a run in which the server was stopped.
struct Run {
    /// The last lifecycle record.
    last: Value,
    /// Seqs that arrived.
    received: Vec<u64>,
    /// Every score, in order.
    scores: Vec<Value>,
    /// By the events file, where there is one.
    filed: Vec<Line>,
    stopped_at: i64,
    went_on_at: i64,
}

fn play(backend: Backend, more: &[&str]) -> Run {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    // A step of the mock takes no time; a fifth of a millisecond makes it a game like the engine's.
    let steps: &[&str] = if backend == Backend::Mock { &["--mock-fault", "slow=200us"] } else { &["--frame-skip", "4"] };
    let spec = Spec::new(backend, "A", "health_gathering.cfg").nats(&server).with(&["--pace", "max", "--http", "127.0.0.1:0"]).with(steps);
    let mut agent = spec.with(more).spawn_ready();
    tap.wait("clau-doom.agent.A.observe", AROUND);
    let stopped_at = now();
    server.pause();
    // The stop itself is what is tested; there is nothing to wait for, but that on a busy machine, too, it is too long for the lane.
    std::thread::sleep(stopped());
    wait_get(&agent.http(), "/livez", "of an agent that says so", |status, body| {
        status == 200 && body.contains("\"nats\":{\"state\":\"reconnecting\"")
    });
    wait_get(&agent.http(), "/metrics", "of an agent that drops", |_, text| metric(text, "telemetry_dropped") > 0.0);
    let went_on_at = now();
    server.unpause();
    // The first event that was made after the server went on, and many more.
    let late = |e: &Event| e.leaf() == "observe" && instant(&e.header("timestamp").into()) > went_on_at;
    tap.nth(AROUND, "observations after the stop", late);
    // What was played meanwhile is a backlog of records, which takes longer than the end of an agent may.
    assert_eq!(tap.request("clau-doom.agent.A.control.pause", "")["ok"], true);
    let until = std::time::Instant::now() + WITHIN;
    while tap.request("clau-doom.agent.A.health", "")["records"]["spooled"] != 0 {
        assert!(std::time::Instant::now() < until, "records are not stored within {WITHIN:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let last = tap.lifecycle("A", "stopped");
    let shape = [("agent_id", Text), ("timestamp", Instant), ("instance", Text), ("state", Text), ("exit_code", Count), ("ledger", Object)];
    assert_shape(&last, &[shape.as_slice(), &[("records", Object), ("dropped", Ranges), ("unconfirmed", Ranges)]].concat());
    tap.catch_up();
    let heard = tap.events();
    let received = seqs_of(&heard);
    // Other than the telemetry, all of them are there in the end.
    let streams = JetStream::open(&server.url());
    let stored = ["score", "death"].map(|leaf| streams.count("AGENT_EVENTS", &format!("clau-doom.agent.A.{leaf}")));
    assert_eq!(last["ledger"]["stored"], stored.iter().sum::<u64>());
    assert_eq!(last["records"], json!({"spooled": 0, "lost": 0, "durable": true}));
    let in_stream = streams.stored("AGENT_EVENTS", "clau-doom.agent.A.score");
    assert!(in_stream.iter().map(|e| e.seq()).is_sorted_by(|a, b| a < b), "in the order of seq");
    let scores: BTreeMap<_, _> = heard.iter().filter(|e| e.leaf() == "score").map(|e| (e.seq(), e.payload())).collect();
    assert_eq!(scores.len() as u64, stored[0]);
    let file = agent.home().join("events.jsonl");
    let filed = if file.exists() { read(&file) } else { Vec::new() };
    Run { last, received, scores: scores.into_values().collect(), filed, stopped_at, went_on_at }
}

/// With an events file, which is written whatever the broker does, every step is seen.
fn a_stopped_server_does_not_slow_the_steps_of_the_game(backend: Backend) {
    let run = play(backend, &["--events", "events.jsonl"]);
    let observations: Vec<_> = run.filed.iter().filter(|e| e.is_observe).collect();
    // The first half second is the start's.
    let before = Times::between(&observations, observations[0].at + 500_000, run.stopped_at);
    compare(before, Times::between(&observations, run.stopped_at, run.went_on_at));
    let dropped = account(&run.last, run.received);
    assert!(!dropped.is_empty(), "the agent counted drops and names none");
    // The file has each seq once, but for what did not even fit into the lane.
    let mut filed = run.filed.iter().map(|e| e.seq).peekable();
    for seq in 1..=run.last["ledger"]["produced"].as_u64().unwrap() {
        assert!(filed.next_if_eq(&seq).is_some() || dropped.contains(&seq), "seq {seq} was given to the broker, but not to the file");
    }
    assert_eq!(filed.next(), None);
}

/// Without a file the lane is full for most of the stop, and what does not fit is dropped by the game itself. Then the scores, none
/// of which is lost, tell how long the steps of each of many short episodes took.
fn a_stopped_server_does_not_slow_a_game_whose_lane_is_full(backend: Backend) {
    let timeout = if backend == Backend::Mock { "episode_timeout=30" } else { "episode_timeout=120" };
    let run = play(backend, &["--set", timeout]);
    let ends = |from: i64, to: i64| {
        let mut episodes = Vec::new();
        for pair in run.scores.windows(2) {
            let (begin, end) = (instant(&pair[0]["completed_at"]), instant(&pair[1]["completed_at"]));
            if (from..to).contains(&begin) {
                episodes.push((end - begin, pair[1]["steps"].as_i64().unwrap()));
            }
        }
        Times::of(episodes.iter().map(|(time, steps)| time / steps).collect(), episodes.iter().map(|(time, _)| *time).max().unwrap())
    };
    compare(ends(instant(&run.scores[0]["completed_at"]) + 500_000, run.stopped_at), ends(run.stopped_at, run.went_on_at));
    assert!(!account(&run.last, run.received).is_empty(), "the agent counted drops and names none");
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
    /// From each of these observations that was made between two instants to the next, whenever that was.
    fn between(observations: &[&Line], from: i64, to: i64) -> Self {
        let within = observations.windows(2).filter(|w| (from..to).contains(&w[0].at));
        let gaps: Vec<_> = within.map(|w| (w[1].at - w[0].at, w[1].seq - w[0].seq)).collect();
        // Between two observations there are an action, and at an episode's end a death and a score; else the file has a gap.
        let steps = gaps.iter().filter(|(_, seqs)| *seqs <= 4).map(|(time, _)| *time).collect();
        // The longest of all, gaps too: in a game that waits nothing is dropped.
        Self::of(steps, gaps.iter().map(|(time, _)| *time).max().unwrap())
    }

    fn of(mut steps: Vec<i64>, max: i64) -> Self {
        steps.sort_unstable();
        let at = |q: f64| steps[((steps.len() - 1) as f64 * q) as usize];
        Self { p50: at(0.5), p99: at(0.99), max, n: steps.len() }
    }
}

/// The times during the stop are as they were before.
fn compare(before: Times, during: Times) {
    println!("before {before:?}, during {during:?}");
    assert!(before.n > 100, "{before:?}");
    // Other tests share the machine, so the bounds are wide; a step that waited for the server would have taken seconds.
    assert!(during.p50 <= before.p50 * 3 / 2 + 200, "p50: before {before:?}, during {during:?}");
    assert!(during.p99 <= before.p99 * 3 + 10_000, "p99: before {before:?}, during {during:?}");
    assert!(during.max <= (before.max * 3).max(1_000_000), "max: before {before:?}, during {during:?}");
}
