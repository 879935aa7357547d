//! Starting paused, pausing, hanging, recovering, giving up, and ending by time.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    Agent, Backend, Spec, Tap, WITHIN,
    faults::{hanging, signal_engine},
    instant, nats_with_streams, on_both,
};
#[cfg(feature = "vizdoom")]
use crate::support::{faults::engine_pid, process::gone_within};

on_both!(
    an_agent_that_starts_paused_waits_to_be_told,
    a_pause_suspends_the_watchdog_and_is_not_caught_up,
    a_pause_asked_for_while_recovering_is_latched,
    a_game_that_hangs_is_replaced_after_the_step_timeout,
    an_engine_that_keeps_failing_ends_the_agent_with_71,
    a_time_limit_ends_the_agent_as_if_it_was_told_to,
);

const OBSERVE: &str = "clau-doom.agent.A.observe";
const SCORE: &str = "clau-doom.agent.A.score";

fn command(tap: &Tap, verb: &str) -> Value {
    let reply = tap.request(&format!("clau-doom.agent.A.control.{verb}"), "");
    assert_eq!(reply["ok"], true, "{reply}");
    reply
}

fn health(tap: &Tap) -> Value {
    tap.request("clau-doom.agent.A.health", "")
}

fn an_agent_that_starts_paused_waits_to_be_told(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "basic.cfg").nats(&server).with(&["--start-paused", "--episodes", "1", "--frame-skip", "4"]);
    let mut agent = spec.spawn_ready();
    assert_eq!(command(&tap, "pause")["state"], "paused");
    // It was ready a while ago; an agent that plays at full pace would have finished.
    let health = health(&tap);
    assert_eq!((&health["state"], &health["healthy"], &health["ledger"]["produced"]), (&"paused".into(), &true.into(), &0.into()));
    command(&tap, "resume");
    assert_eq!(agent.wait_exit(WITHIN), 0);
    assert_eq!(tap.wait(SCORE, 1).payload()["episode_number"], 1);
}

fn a_pause_suspends_the_watchdog_and_is_not_caught_up(backend: Backend) {
    const STEP_TIMEOUT: Duration = Duration::from_secs(1);
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "my_way_home.cfg").nats(&server).with(&["--pace", "140", "--step-timeout", "1s"]);
    let _agent = spec.spawn_ready();
    tap.wait(OBSERVE, 3);
    command(&tap, "pause");
    let before = health(&tap);
    // That nothing happens can only be seen by giving it time.
    let pause = STEP_TIMEOUT * 3;
    std::thread::sleep(pause);
    let after = health(&tap);
    assert_eq!((&after["state"], &after["healthy"], &after["tic"]), (&"paused".into(), &true.into(), &before["tic"]));
    assert!(after["seconds_since_step"].as_f64().unwrap() > pause.as_secs_f64());
    command(&tap, "resume");
    let first = before["ledger"]["produced"].as_u64().unwrap() + 1;
    let at = |seq: u64| instant(&tap.nth(1, &format!("seq {seq}"), |e| e.seq() == Some(seq)).body()["timestamp"]);
    // 140 steps a second: seventy steps last half a second, however long the pause was.
    let lasted = at(first + 140) - at(first);
    assert!(lasted > 400_000, "seventy steps in {lasted} µs");
    let now = health(&tap);
    assert_eq!((&now["engine"]["restarts"], &now["state"], &now["healthy"]), (&0.into(), &"running".into(), &true.into()));
    command(&tap, "shutdown");
    let score = tap.wait(SCORE, 1).payload();
    let survival = score["survival_seconds"].as_f64().unwrap();
    assert!((survival - score["tics"].as_f64().unwrap() / 35.0).abs() < 1e-9, "a pause is no survival");
    assert!(score["wall_seconds"].as_f64().unwrap() > pause.as_secs_f64(), "but it is real time");
}

/// An agent whose first engine dies after a while.
fn dying(backend: Backend, server: &nats_server_process::NatsServer, tap: &Tap, more: &[&str]) -> Agent {
    let spec = Spec::new(backend, "A", "my_way_home.cfg").nats(server).with(&["--pace", "350"]).with(more);
    match backend {
        // Later than the agent is ready, so that it can be told something.
        Backend::Mock => spec.with(&["--mock-fault", "crash@tic=500"]).spawn_ready(),
        Backend::Engine => {
            let agent = spec.spawn_ready();
            tap.wait(OBSERVE, 50);
            signal_engine(tap, "A", Signal::KILL);
            agent
        }
    }
}

fn a_pause_asked_for_while_recovering_is_latched(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let _agent = dying(backend, &server, &tap, &[]);
    tap.lifecycle("A", "recovering");
    assert_eq!(command(&tap, "pause")["state"], "paused");
    let health = health(&tap);
    assert_eq!((&health["state"], &health["healthy"], &health["engine"]["restarts"]), (&"paused".into(), &true.into(), &1.into()));
    let produced = health["ledger"]["produced"].as_u64().unwrap();
    command(&tap, "resume");
    tap.nth(1, "the next step", |e| e.seq() == Some(produced + 1));
}

fn a_game_that_hangs_is_replaced_after_the_step_timeout(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let agent = hanging(backend, &server, &tap, &["--step-timeout", "2s"]);
    #[cfg(feature = "vizdoom")]
    let hung = (backend == Backend::Engine).then(|| engine_pid(&tap, "A").as_raw_nonzero().get());
    command(&tap, "resume");
    let error = tap.wait("clau-doom.system.doom_agent.error", 1);
    let faulted = tap.wait(SCORE, 1).payload();
    assert_eq!((&faulted["end_reason"], &faulted["episode_number"]), (&"engine_fault".into(), &1.into()));
    let last = tap.nth(1, "the last observation", |e| {
        e.leaf() == "observe" && e.payload()["step"].as_u64() == faulted["steps"].as_u64().map(|n| n - 1)
    });
    let waited = instant(&error.body()["timestamp"]) - instant(&last.body()["timestamp"]);
    assert!((2_000_000..20_000_000).contains(&waited), "{waited} µs");
    agent.wait_log("the engine does not answer; ending it");
    tap.lifecycle("A", "recovering");
    #[cfg(feature = "vizdoom")]
    if let Some(engine) = hung {
        gone_within(engine, WITHIN);
    }
    // The next episode has its number and its seed, on a new engine.
    let next = tap.nth(1, "the next episode", |e| e.leaf() == "observe" && e.payload()["episode_id"] != faulted["episode_id"]);
    assert!(next.payload()["episode_id"].as_str().unwrap().ends_with("-000002"));
    let health = health(&tap);
    assert_eq!((&health["engine"]["restarts"], &health["state"]), (&1.into(), &"running".into()));
    command(&tap, "shutdown");
    assert_eq!(tap.wait(SCORE, 2).payload()["seed"], 2);
}

fn an_engine_that_keeps_failing_ends_the_agent_with_71(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let mut agent = dying(backend, &server, &tap, &["--max-engine-restarts", "0"]);
    assert_eq!(agent.wait_exit(WITHIN), 71);
    let error = tap.wait("clau-doom.system.doom_agent.error", 1).payload();
    assert_eq!((&error["kind"], &error["fatal"]), (&"engine_died".into(), &true.into()));
    assert_eq!(tap.wait(SCORE, 1).payload()["end_reason"], "engine_fault");
    assert_eq!(tap.lifecycle("A", "stopped")["exit_code"], 71);
    assert!(agent.log().last().unwrap().starts_with("doom-agent: "), "{:?}", agent.log().last());
}

fn a_time_limit_ends_the_agent_as_if_it_was_told_to(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let started = Instant::now();
    let spec = Spec::new(backend, "A", "my_way_home.cfg").nats(&server).with(&["--pace", "70", "--time-limit", "2s"]);
    let mut agent = spec.spawn();
    assert_eq!(agent.wait_exit(WITHIN), 0);
    assert!(started.elapsed() >= Duration::from_secs(2));
    assert_eq!(tap.wait(SCORE, 1).payload()["end_reason"], "aborted");
    assert_eq!(tap.lifecycle("A", "stopped")["exit_code"], 0);
}
