//! A clock that steps: tics, timeouts, rates, order and timestamps of a run go on as if it had not.
//!
//! The step is made by libfaketime (`cargo xtask setup` installs it): the wall clock of one process alone, its monotonic clock stays.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{SCORE, assert_complete, finish, play, short_episodes};
use crate::support::{Backend, JetStream, Spec, Tap, WITHIN, faults::signal_engine, http, instant, nats_with_streams, on_both};

on_both!(a_clock_that_steps_changes_nothing, a_clock_that_steps_moves_no_timeout);

fn libfaketime() -> PathBuf {
    let libraries = std::fs::read_dir("/usr/lib").unwrap().map(|e| e.unwrap().path().join("faketime/libfaketimeMT.so.1"));
    let found = libraries.chain([Path::new("/usr/lib/faketime/libfaketimeMT.so.1").to_owned()]).find(|path| path.is_file());
    found.expect("no libfaketime; run `cargo xtask setup`")
}

/// An agent whose wall clock is what the file says.
fn by_clock(spec: Spec, steps: &Path) -> Spec {
    std::fs::write(steps, "+0").unwrap();
    let spec = spec.env("LD_PRELOAD", libfaketime()).env("FAKETIME_TIMESTAMP_FILE", steps);
    spec.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

fn a_clock_that_steps_changes_nothing(backend: Backend) {
    let (server, state, clock) = (nats_with_streams(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let (streams, tap) = (JetStream::open(&server.url()), Tap::open(&server.url()));
    let steps = clock.path().join("clock");
    let agent = by_clock(short_episodes(backend, &server.url(), state.path()).with(&["--step-timeout", "10s"]), &steps).spawn_ready();
    let address = agent.http();
    for step in ["-1h", "+2h", "-3h"] {
        play(&address, 20.0);
        std::fs::write(&steps, step).unwrap();
        // The process's log is written by its wall clock, which shows that the step was made.
        play(&address, 20.0);
        let health: Value = serde_json::from_str(&http::get(&address, "/livez").1).unwrap();
        assert_eq!((&health["healthy"], &health["engine"]["restarts"]), (&true.into(), &0.into()), "after {step}: {health}");
        let rate = health["steps_per_second"].as_f64().unwrap();
        assert!((20.0..400.0).contains(&rate), "after {step}: {rate} steps a second");
    }
    let scores = finish(agent, &address, &streams);
    let instances = assert_complete(&scores);
    assert!(instances[0].1 >= 120, "{instances:?}");
    let at: Vec<i64> = scores.iter().map(|s| instant(&s.payload()["completed_at"])).collect();
    assert!(at.windows(2).all(|w| w[0] < w[1] && w[1] - w[0] < 20_000_000), "timestamps neither step back nor leap");
    for score in scores.iter().map(|s| s.payload()) {
        assert!((0.0..20.0).contains(&score["wall_seconds"].as_f64().unwrap()), "{score}");
    }
    tap.catch_up();
    let seqs: Vec<u64> = tap.on("clau-doom.agent.A.observe").iter().filter_map(|e| e.seq()).collect();
    assert!(seqs.windows(2).all(|w| w[0] < w[1]), "in order");
    assert!(!tap.on(SCORE).is_empty());
}

/// A clock that stepped back keeps no timeout from coming, one that stepped on makes none come early.
fn a_clock_that_steps_moves_no_timeout(backend: Backend) {
    const LIMIT: Duration = Duration::from_secs(12);
    let (server, clock) = (nats_with_streams(), TempDir::new().unwrap());
    let (tap, steps) = (Tap::open(&server.url()), clock.path().join("clock"));
    let spec = Spec::new(backend, "A", "my_way_home.cfg").nats(&server).with(&["--pace", "70", "--http", "127.0.0.1:0"]);
    let spec = spec.with(&["--step-timeout", "2s", "--time-limit", "12s"]);
    let spec = if backend == Backend::Mock { spec.with(&["--mock-fault", "hang@tic=140"]) } else { spec };
    let began = Instant::now();
    let mut agent = by_clock(spec, &steps).spawn_ready();
    let address = agent.http();
    std::fs::write(&steps, "-1h").unwrap();
    tap.nth(1, "tic 140", |e| e.leaf() == "observe" && e.payload()["tic"] == 140);
    if backend == Backend::Engine {
        signal_engine(&tap, "A", rustix::process::Signal::STOP);
    }
    let hung = Instant::now();
    http::wait_get(&address, "/metrics", "another engine", |_, text| http::metric(text, "engine_restarts") == 1.0);
    println!("replaced after {:?}", hung.elapsed());
    assert!(hung.elapsed() < Duration::from_secs(8), "{:?}", hung.elapsed());
    std::fs::write(&steps, "+3h").unwrap();
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let lasted = began.elapsed();
    println!("told to end after {LIMIT:?}, ended after {lasted:?}");
    assert!(lasted >= LIMIT && lasted < LIMIT + Duration::from_secs(10), "{lasted:?}");
}
