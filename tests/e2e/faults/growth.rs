//! A thousand episodes with a new engine after every fifty: nothing grows but the count.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{SCORE, assert_complete, short_episodes};
use crate::support::{Backend, JetStream, Usage, WITHIN, http, nats_with_streams, on_both};

on_both!(a_thousand_episodes_and_twenty_engines_leave_no_trace);

const EPISODES: u64 = 1_000;
const EVERY: u64 = 50;

/// How many files and folders there are.
fn files_below(dir: &Path) -> usize {
    // What goes away while we look is not there.
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.map(|path| 1 + if path.is_dir() { files_below(&path) } else { 0 }).sum()
}

fn a_thousand_episodes_and_twenty_engines_leave_no_trace(backend: Backend) {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let streams = JetStream::open(&server.url());
    let crashes: Vec<String> = (1..EPISODES / EVERY).map(|n| format!("crash@episode={}", n * EVERY)).collect();
    let spec = short_episodes(backend, &server.url(), state.path()).with(&["--frame-skip", "7", "--policy", "cycle:MOVE_LEFT"]);
    let spec = match backend {
        Backend::Mock => spec.with(&["--mock-fault", &format!("{},slow=1ms", crashes.join(","))]),
        Backend::Engine => spec,
    };
    // Paused at the end, so that it can be looked at.
    let mut agent = spec.with(&["--pace", "max"]).spawn_ready();
    let address = agent.http();
    let run_dir = state.path().join("clau-doom/A/run");
    let (mut usage, mut instances, mut files) = (Vec::new(), Vec::new(), Vec::new());
    for n in 1..EPISODES / EVERY {
        let health = || serde_json::from_str::<Value>(&http::get(&address, "/livez").1).unwrap();
        let done = |text: &str| http::metric(text, "episodes_completed") + http::metric(text, "engine_restarts");
        http::wait_get(&address, "/metrics", "fifty more episodes", |_, text| done(text) >= (n * EVERY) as f64);
        if backend == Backend::Engine {
            instances.push(std::fs::read_to_string(run_dir.join("engine.instance")).unwrap());
            let pid = health()["engine"]["pid"].as_i64().expect("an engine plays");
            kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
        }
        http::wait_get(&address, "/metrics", "a new engine", |_, text| http::metric(text, "engine_restarts") >= n as f64);
        http::wait_get(&address, "/livez", "running", |_, body| body.contains("\"state\":\"running\""));
        usage.push(Usage::of(agent.pid()));
        files.push(files_below(state.path()) + files_below(agent.home()));
    }
    http::wait_get(&address, "/metrics", "the last", |_, text| http::metric(text, "episodes_completed") >= EPISODES as f64);
    // What a process needs is there after a few engines; from then on nothing is added.
    let (early, late) = (usage[3], *usage.last().unwrap());
    println!("after 4 engines {early:?}, after {} {late:?}", usage.len());
    assert!(late.memory < early.memory + 8 * 1024, "KiB: {:?}", usage.iter().map(|u| u.memory).collect::<Vec<_>>());
    assert!(late.descriptors <= early.descriptors + 3, "{:?}", usage.iter().map(|u| u.descriptors).collect::<Vec<_>>());
    assert!(late.threads <= early.threads + 1, "{:?}", usage.iter().map(|u| u.threads).collect::<Vec<_>>());
    assert!(files.last() <= files.get(3), "{files:?}");
    let shared = || std::fs::read_dir("/dev/shm").unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    for instance in &instances {
        assert!(!shared().any(|name| name.starts_with("ViZDoom") && name.ends_with(instance.as_str())), "{instance} is left");
    }
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    assert!(!run_dir.exists());
    let counts = assert_complete(&streams.stored("AGENT_EVENTS", SCORE));
    assert!(counts[0].1 as u64 >= EPISODES, "{counts:?}");
}
