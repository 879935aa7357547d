//! SIGINT and SIGTERM end the agent cleanly within ten seconds; a second one ends it at once.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::support::{
    Backend, Spec, Tap, WITHIN,
    faults::{engine_pid, hanging},
    nats_with_streams, on_both,
};

on_both!(
    either_signal_closes_the_episode_and_exits_0,
    a_game_that_hangs_does_not_keep_the_agent_from_ending,
    a_server_that_answers_nothing_does_not_keep_the_agent_from_ending,
    a_second_signal_quits_at_once,
);

/// What an orchestrator waits before it kills.
const GRACE: Duration = Duration::from_secs(10);

fn either_signal_closes_the_episode_and_exits_0(backend: Backend) {
    for signal in [Signal::INT, Signal::TERM] {
        let server = nats_with_streams();
        let tap = Tap::open(&server.url());
        let mut agent = Spec::new(backend, "A", "my_way_home.cfg").nats(&server).with(&["--pace", "350"]).spawn_ready();
        tap.wait("clau-doom.agent.A.observe", 20);
        let told = Instant::now();
        agent.signal(signal);
        assert_eq!(agent.wait_exit(WITHIN), 0);
        assert!(told.elapsed() < GRACE, "{:?}", told.elapsed());
        let last = tap.lifecycle("A", "stopped");
        assert_eq!((&last["exit_code"], &last["ledger"]["stored"]), (&0.into(), &1.into()));
        assert_eq!(tap.wait("clau-doom.agent.A.score", 1).payload()["end_reason"], "aborted");
    }
}

fn a_game_that_hangs_does_not_keep_the_agent_from_ending(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let mut agent = hanging(backend, &server, &tap, &[]);
    let told = Instant::now();
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    assert!(told.elapsed() < GRACE, "{:?}", told.elapsed());
    assert_eq!(tap.wait("clau-doom.agent.A.score", 1).payload()["end_reason"], "aborted");
    assert_eq!(tap.lifecycle("A", "stopped")["exit_code"], 0);
}

fn a_server_that_answers_nothing_does_not_keep_the_agent_from_ending(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let mut agent = Spec::new(backend, "A", "my_way_home.cfg").nats(&server).with(&["--pace", "350"]).spawn_ready();
    tap.wait("clau-doom.agent.A.observe", 20);
    server.pause();
    let told = Instant::now();
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    assert!(told.elapsed() < GRACE, "{:?}", told.elapsed());
    let log = agent.log().join("\n");
    assert!(log.contains("no stream has acknowledged"), "what could not be delivered is said: {log}");
}

fn a_second_signal_quits_at_once(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let mut agent = hanging(backend, &server, &tap, &["--shutdown-timeout", "60s"]);
    let engine = (backend == Backend::Engine).then(|| engine_pid(&tap, "A").as_raw_nonzero().get());
    agent.signal(Signal::INT);
    agent.wait_log("a second signal quits at once");
    let told = Instant::now();
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 130);
    assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
    if let Some(engine) = engine {
        // The kernel ends the engine with the agent; whoever inherits it may take a moment to reap it.
        let until = Instant::now() + WITHIN;
        while std::fs::read_to_string(Path::new("/proc").join(engine.to_string()).join("stat")).is_ok_and(|s| !s.contains(") Z ")) {
            assert!(Instant::now() < until, "the engine outlives its agent");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
