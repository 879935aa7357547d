//! Engines that die, hang or do not come up, and agents that are killed beside them: what is said, how soon the game goes on, and that nothing
//! is left of either.

use std::{fs, path::Path};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;

use super::SCORE;
use crate::support::{
    Agent, Backend, Event, Spec, Tap, WITHIN,
    faults::{engine_pid, signal_engine},
    http, instant, nats_with_streams, on_both,
};

on_both!(
    the_next_game_is_played_within_two_seconds_of_a_crash,
    an_engine_that_fails_again_and_again_ends_the_agent_with_what_is_known,
    health_says_recovering_while_the_engine_is_replaced_and_then_counts_it,
    a_signal_to_the_whole_group_ends_the_agent_cleanly,
    the_run_directory_of_a_killed_agent_goes_with_the_next_start_of_any,
);

const OBSERVE: &str = "clau-doom.agent.A.observe";

fn of_episode(event: &Event, number: u64) -> bool {
    event.leaf() == "observe" && event.payload()["episode_id"].as_str().unwrap().ends_with(&format!("-{number:06}"))
}

fn the_next_game_is_played_within_two_seconds_of_a_crash(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "my_way_home.cfg").nats(&server).with(&["--pace", "350", "--http", "127.0.0.1:0"]);
    let spec = match backend {
        Backend::Mock => spec.with(&["--mock-fault", "crash@episode=1,crash@episode=2,crash@episode=3", "--max-engine-restarts", "9"]),
        Backend::Engine => spec,
    };
    let agent = spec.spawn_ready();
    let mut waits = Vec::new();
    for number in 1..=3 {
        if backend == Backend::Engine {
            let nth = |n: usize| tap.nth(n, "steps of this episode", |e| of_episode(e, number));
            nth(20);
            signal_engine(&tap, "A", Signal::KILL);
        }
        let score = tap.wait(SCORE, usize::try_from(number).unwrap());
        let next = tap.nth(1, "the next episode", |e| of_episode(e, number + 1));
        waits.push(instant(&next.payload()["timestamp"]) - instant(&score.payload()["completed_at"]));
        // The figures are those of the last step that was seen.
        tap.catch_up();
        let last = tap.events().into_iter().rfind(|e| of_episode(e, number)).unwrap().payload();
        let score = score.payload();
        assert_eq!((&score["end_reason"], &score["episode_number"]), (&"engine_fault".into(), &number.into()));
        assert_eq!(score["total_reward"], last["total_reward"]);
        assert_eq!(score["steps"].as_u64().unwrap(), last["step"].as_u64().unwrap() + 1, "the step that failed was begun");
        let error = tap.wait("clau-doom.system.doom_agent.error", usize::try_from(number).unwrap()).payload();
        assert_eq!((&error["kind"], &error["episode_id"]), (&"engine_died".into(), &score["episode_id"]));
    }
    println!("playing again after (µs): {waits:?}");
    // Two seconds are promised; two of three show it, also where other tests keep the machine busy.
    waits.sort_unstable();
    assert!(waits[1] < 2_000_000 && waits[2] < 15_000_000, "{waits:?} µs");
    let health: Value = serde_json::from_str(&http::get(&agent.http(), "/livez").1).unwrap();
    assert_eq!((&health["engine"]["restarts"], &health["state"]), (&3.into(), &"running".into()));
}

fn an_engine_that_fails_again_and_again_ends_the_agent_with_what_is_known(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let (home, broken) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let spec = Spec::new(backend, "A", "my_way_home.cfg").nats(&server).with(&["--pace", "350", "--max-engine-restarts", "2"]);
    let mark = broken.path().join("mark");
    let mut agent = match backend {
        Backend::Mock => spec.with(&["--mock-fault", "crash@episode=1,crash@episode=2,crash@episode=3"]).spawn(),
        Backend::Engine => {
            let script = format!("[ -e '{}' ] && {{ echo the licence has expired; exit 3; }}\nexec \"REAL\" \"$@\"\n", mark.display());
            with_executable(home.path(), &script);
            let agent = spec.env("VIZDOOM_DIR", home.path()).spawn_ready();
            tap.wait(OBSERVE, 20);
            fs::write(&mark, "").unwrap();
            signal_engine(&tap, "A", Signal::KILL);
            agent
        }
    };
    assert_eq!(agent.wait_exit(WITHIN), 71);
    let errors: Vec<Value> = (1..=3).map(|n| tap.wait("clau-doom.system.doom_agent.error", n).payload()).collect();
    assert_eq!(errors.iter().map(|e| e["fatal"].as_bool().unwrap()).collect::<Vec<_>>(), [false, false, true]);
    let at: Vec<i64> = errors.iter().map(|e| instant(&e["timestamp"])).collect();
    assert!(at[1] - at[0] >= 100_000 && at[2] - at[1] >= 200_000, "with growing pauses: {at:?}");
    assert_eq!(tap.lifecycle("A", "stopped")["exit_code"], 71);
    let last = agent.log().last().unwrap().clone();
    let known = if backend == Backend::Engine { "the licence has expired" } else { "crash" };
    assert!(agent.log().iter().any(|l| l.contains(known)) && !last.is_empty(), "{last}");
}

fn a_signal_to_the_whole_group_ends_the_agent_cleanly(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let mut agent = Spec::new(backend, "A", "my_way_home.cfg").nats(&server).with(&["--pace", "350"]).own_group().spawn_ready();
    tap.wait(OBSERVE, 20);
    let engine = (backend == Backend::Engine).then(|| engine_pid(&tap, "A"));
    kill_process_group(Pid::from_raw(agent.pid()).unwrap(), Signal::INT).unwrap();
    if let Some(engine) = engine {
        // It is in a group of its own; here it hears the same as the agent all the same. It may have ended by now.
        let _ = kill_process(engine, Signal::INT);
    }
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let last = tap.lifecycle("A", "stopped");
    assert_eq!((&last["exit_code"], &last["records"]["spooled"]), (&0.into(), &0.into()));
    tap.catch_up();
    let reasons: Vec<Value> = tap.on(SCORE).iter().map(|e| e.payload()["end_reason"].clone()).collect();
    assert_eq!(reasons, ["aborted"]);
    // That the engine ends is what was asked for: no fault.
    assert_eq!(tap.on("clau-doom.system.doom_agent.error").len(), 0);
    assert!(!agent.log().iter().any(|l| l.contains("ERROR")), "{:#?}", agent.log());
}

/// Slow enough to be asked meanwhile: by an engine that takes a second to start, by a pause that has grown to seconds.
fn health_says_recovering_while_the_engine_is_replaced_and_then_counts_it(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let home = TempDir::new().unwrap();
    let spec = Spec::new(backend, "A", "my_way_home.cfg").nats(&server).with(&["--pace", "350", "--max-engine-restarts", "9"]);
    let faults: usize = if backend == Backend::Mock { 6 } else { 1 };
    let _agent = match backend {
        Backend::Mock => {
            let crashes: Vec<String> = (1..=faults).map(|n| format!("crash@episode={n}")).collect();
            spec.with(&["--mock-fault", &crashes.join(",")]).spawn_ready()
        }
        Backend::Engine => {
            with_executable(home.path(), "sleep 1\nexec \"REAL\" \"$@\"\n");
            let agent = spec.env("VIZDOOM_DIR", home.path()).spawn_ready();
            tap.wait(OBSERVE, 20);
            signal_engine(&tap, "A", Signal::KILL);
            agent
        }
    };
    let recovering = |e: &Event| e.subject == "clau-doom.system.doom_agent.lifecycle" && e.payload()["state"] == "recovering";
    tap.nth(faults, "recovering", recovering);
    let health = tap.request("clau-doom.agent.A.health", "");
    assert_eq!((&health["state"], &health["healthy"], &health["engine"]["pid"]), (&"recovering".into(), &true.into(), &Value::Null));
    assert!(health["engine"]["restarts"].as_u64().unwrap() <= faults as u64, "{health}");
    tap.nth(1, "the next episode", |e| of_episode(e, faults as u64 + 1));
    let health = tap.request("clau-doom.agent.A.health", "");
    assert_eq!((&health["state"], &health["engine"]["restarts"]), (&"running".into(), &faults.into()));
}

/// An agent with a state directory of its own, and where its engine's files are.
fn on_this_host(backend: Backend, id: &str, state: &Path) -> Agent {
    let spec = Spec::new(backend, id, "health_gathering.cfg").with(&["--pace", "350", "--http", "127.0.0.1:0"]);
    let agent = spec.state_dir(state).spawn();
    http::wait_get(&agent.http(), "/livez", "playing", |_, body| body.contains("\"state\":\"running\""));
    agent
}

fn run_dir(state: &Path, id: &str) -> std::path::PathBuf {
    state.join("clau-doom").join(id).join("run")
}

fn the_run_directory_of_a_killed_agent_goes_with_the_next_start_of_any(backend: Backend) {
    let states = [(); 3].map(|()| TempDir::new().unwrap());
    let mut killed = on_this_host(backend, "A", states[0].path());
    let alive = on_this_host(backend, "B", states[1].path());
    killed.signal(Signal::KILL);
    assert_eq!(killed.wait_exit(WITHIN), -9);
    let _next = on_this_host(backend, "C", states[2].path());
    assert!(!run_dir(states[0].path(), "A").exists(), "another id, another state directory, and nobody uses it");
    for (state, id) in [(&states[1], "B"), (&states[2], "C")] {
        assert!(run_dir(state.path(), id).exists(), "{id} lives");
    }
    assert!(!alive.has_ended());
}

#[cfg(feature = "vizdoom")]
mod engine_alone {
    //! What only a process of its own can leave behind.

    use std::time::Duration;

    use super::*;
    use crate::support::process::gone_within;

    /// What is in shared memory of this instance.
    fn shared_memory(instance: &str) -> usize {
        let all = fs::read_dir("/dev/shm").unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        all.filter(|name| name.starts_with("ViZDoom") && name.ends_with(instance)).count()
    }

    fn instance(state: &Path, id: &str) -> String {
        fs::read_to_string(run_dir(state, id).join("engine.instance")).unwrap_or_default()
    }

    #[test]
    fn nothing_outlives_a_killed_agent_and_a_live_ones_is_left_alone() {
        let server = nats_with_streams();
        let tap = Tap::open(&server.url());
        let states = [(); 3].map(|()| TempDir::new().unwrap());
        let spec = Spec::new(Backend::Engine, "A", "health_gathering.cfg").nats(&server).with(&["--pace", "350"]);
        let killed = spec.state_dir(states[0].path()).spawn_ready();
        tap.wait(OBSERVE, 20);
        let alive = on_this_host(Backend::Engine, "B", states[1].path());
        let (left, kept) = (instance(states[0].path(), "A"), instance(states[1].path(), "B"));
        assert_eq!((shared_memory(&left), shared_memory(&kept)), (3, 3));
        let engine = engine_pid(&tap, "A").as_raw_nonzero().get();
        killed.signal(Signal::KILL);
        println!("the engine of a killed agent was gone after {:?}", gone_within(engine, Duration::from_secs(2)));
        let _next = on_this_host(Backend::Engine, "C", states[2].path());
        assert_eq!((shared_memory(&left), shared_memory(&kept)), (0, 3));
        let steps = |address: &str| http::metric(&http::get(address, "/metrics").1, "steps_total");
        let before = steps(&alive.http());
        http::wait_get(&alive.http(), "/metrics", "further steps", |_, text| http::metric(text, "steps_total") > before + 20.0);
    }

    #[test]
    fn an_agent_killed_while_its_engine_starts_leaves_nothing_either() {
        let (home, states) = (TempDir::new().unwrap(), [(); 2].map(|()| TempDir::new().unwrap()));
        with_executable(home.path(), "sleep 60\n");
        let spec = Spec::new(Backend::Engine, "A", "health_gathering.cfg").env("VIZDOOM_DIR", home.path());
        let mut killed = spec.state_dir(states[0].path()).spawn();
        let since = std::time::Instant::now();
        while shared_memory(&instance(states[0].path(), "A")) != 2 || instance(states[0].path(), "A").is_empty() {
            assert!(since.elapsed() < WITHIN, "the queues are not there");
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = instance(states[0].path(), "A");
        killed.signal(Signal::KILL);
        assert_eq!(killed.wait_exit(WITHIN), -9);
        let _next = on_this_host(Backend::Engine, "C", states[1].path());
        assert_eq!(shared_memory(&left), 0);
        assert!(!run_dir(states[0].path(), "A").exists());
    }
}

/// A copy of the engine's directory with this script in the executable's place; `REAL` stands for the engine.
fn with_executable(dir: &Path, script: &str) {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let root = std::env::var_os("VIZDOOM_DIR").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("vendor/vizdoom"), Into::into);
    let found = [root.join("engine"), root].into_iter().find(|dir| dir.join("vizdoom.pk3").is_file());
    let engine = fs::canonicalize(found.expect("no engine; run `cargo xtask setup`")).unwrap();
    for entry in fs::read_dir(&engine).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() != "vizdoom") {
        symlink(entry.path(), dir.join(entry.file_name())).unwrap();
    }
    let path = dir.join("vizdoom");
    fs::write(&path, format!("#!/bin/sh\n{}", script.replace("REAL", engine.join("vizdoom").to_str().unwrap()))).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
