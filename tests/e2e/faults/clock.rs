//! A clock that steps: tics, timeouts, rates, order and timestamps of a run go on as if it had not.
//!
//! The step is made by libfaketime (`cargo xtask setup` installs it): the wall clock of one process alone, its monotonic clock stays.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::{SCORE, assert_complete, finish, play, short_episodes};
use crate::support::{JetStream, Tap, http, instant, nats_with_streams, on_both};

on_both!(a_clock_that_steps_changes_nothing);

fn libfaketime() -> PathBuf {
    let libraries = std::fs::read_dir("/usr/lib").unwrap().map(|e| e.unwrap().path().join("faketime/libfaketimeMT.so.1"));
    let found = libraries.chain([Path::new("/usr/lib/faketime/libfaketimeMT.so.1").to_owned()]).find(|path| path.is_file());
    found.expect("no libfaketime; run `cargo xtask setup`")
}

fn a_clock_that_steps_changes_nothing(backend: crate::support::Backend) {
    let (server, state, clock) = (nats_with_streams(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let (streams, tap) = (JetStream::open(&server.url()), Tap::open(&server.url()));
    let steps = clock.path().join("clock");
    std::fs::write(&steps, "+0").unwrap();
    let spec = short_episodes(backend, &server.url(), state.path()).with(&["--step-timeout", "10s"]);
    let spec = spec.env("LD_PRELOAD", libfaketime()).env("FAKETIME_TIMESTAMP_FILE", &steps);
    let agent = spec.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").spawn_ready();
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
