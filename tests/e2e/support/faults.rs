//! Games that are made to stop answering, or to die.

use std::time::Instant;

use nats_server_process::NatsServer;
use rustix::process::{Pid, Signal, kill_process};

use super::{Agent, Backend, Spec, Tap, WITHIN};

/// The engine's process, from the agent's health.
pub(crate) fn engine_pid(tap: &Tap, id: &str) -> Pid {
    let health = tap.request(&format!("clau-doom.agent.{id}.health"), "");
    let pid = health["engine"]["pid"].as_i64().unwrap_or_else(|| panic!("no engine in {health}"));
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

/// Sends a signal to the agent's engine.
pub(crate) fn signal_engine(tap: &Tap, id: &str, signal: Signal) {
    kill_process(engine_pid(tap, id), signal).unwrap();
}

/// Agent A in the midst of a step that does not return; the watchdog would wait 30 seconds.
pub(crate) fn hanging(backend: Backend, server: &NatsServer, tap: &Tap, more: &[&str]) -> Agent {
    // A long episode: nobody dies in the maze, and it takes 2100 tics to time out.
    let spec = Spec::new(backend, "A", "my_way_home.cfg").nats(server).with(&["--pace", "350", "--step-timeout", "30s"]).with(more);
    let agent = match backend {
        Backend::Mock => {
            let agent = spec.with(&["--mock-fault", "hang@tic=100"]).spawn_ready();
            tap.nth(1, "tic 100", |e| e.leaf() == "observe" && e.payload()["tic"] == 100);
            agent
        }
        Backend::Engine => {
            let agent = spec.spawn_ready();
            tap.wait("clau-doom.agent.A.observe", 50);
            signal_engine(tap, "A", Signal::STOP);
            agent
        }
    };
    // A pause that is not reached proves that the step does not return. One that found the game between two steps, before the one that hangs, is
    // taken back, and tried again.
    let until = Instant::now() + WITHIN;
    loop {
        let reply = tap.request("clau-doom.agent.A.control.pause", r#"{"deadline_ms":400}"#);
        if reply["ok"] == false {
            assert_eq!(reply["state"], "running", "{reply}");
            return agent;
        }
        assert!(Instant::now() < until, "the game still steps after {WITHIN:?}: {reply}");
        assert_eq!(tap.request("clau-doom.agent.A.control.resume", "")["ok"], true);
    }
}
