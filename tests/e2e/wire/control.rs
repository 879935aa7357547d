//! `control.{pause,resume,shutdown}`, to one agent and to all: who is addressed obeys and answers when the state is reached.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use nats_server_process::NatsServer;
use serde_json::Value;

use crate::support::{
    Agent, Backend,
    Shape::{Count, Flag, Text},
    Spec, Tap, WITHIN, assert_shape,
    faults::hanging,
    instant, nats_with_streams, on_both,
};

on_both!(
    a_pause_takes_effect_between_steps_and_a_resume_goes_on_from_there,
    commands_may_be_repeated,
    a_broadcast_reaches_everyone_it_addresses_and_filters_are_anded,
    a_slow_pace_delays_no_command,
    what_is_malformed_or_unknown_is_refused_and_changes_nothing,
    a_draining_agent_refuses_to_go_on,
    a_deadline_bounds_the_answer,
    shutdown_is_answered_and_ends_with_code_0,
);

/// Who is not addressed is given this long to break the silence.
const SILENCE: Duration = Duration::from_secs(1);

/// An agent that plays on and on, ready and past its first steps.
fn playing(backend: Backend, id: &str, server: &NatsServer, tap: &Tap, more: &[&str]) -> Agent {
    let spec = Spec::new(backend, id, "my_way_home.cfg").nats(server).with(&["--pace", "350"]);
    let agent = spec.with(more).spawn_ready();
    tap.wait(&format!("clau-doom.agent.{id}.observe"), 3);
    agent
}

fn own(verb: &str) -> String {
    format!("clau-doom.agent.A.control.{verb}")
}

#[track_caller]
fn assert_done(reply: &Value, state: &str) {
    assert_shape(reply, &[("agent_id", Text), ("ok", Flag), ("state", Text), ("tic", Count)]);
    assert_eq!((&reply["ok"], &reply["state"]), (&true.into(), &state.into()), "{reply}");
}

#[track_caller]
fn assert_refused(reply: &Value, reason: &str) {
    assert_shape(reply, &[("agent_id", Text), ("ok", Flag), ("state", Text), ("tic", Count), ("error", Text)]);
    assert_eq!(reply["ok"], false, "{reply}");
    assert!(reply["error"].as_str().unwrap().contains(reason), "{reply} does not say {reason:?}");
}

fn a_pause_takes_effect_between_steps_and_a_resume_goes_on_from_there(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let _agent = playing(backend, "A", &server, &tap, &[]);
    let paused = tap.request(&own("pause"), r#"{"reason":"to look at it"}"#);
    assert_done(&paused, "paused");
    assert_eq!(paused["agent_id"], "A");
    let health = tap.request("clau-doom.agent.A.health", "");
    assert_eq!((&health["state"], &health["healthy"], &health["tic"]), (&"paused".into(), &true.into(), &paused["tic"]));
    // The last seq before the pause.
    let before = health["ledger"]["produced"].as_u64().unwrap();
    assert_done(&tap.request(&own("resume"), ""), "running");
    // Waits for the first events after the pause.
    let next = |seq: u64| tap.nth(1, &format!("seq {seq}"), |e| e.seq() == Some(seq));
    let (last, first) = (next(before), next(before + 1));
    assert_eq!((last.leaf(), first.leaf()), ("observe", "action"), "a pause lies between an observation and the next action");
    assert_eq!((&last.payload()["tic"], &first.payload()["tic"]), (&paused["tic"], &paused["tic"]));
    assert_eq!(first.payload()["step"], last.payload()["step"].as_u64().unwrap() + 1);
    assert!(instant(&first.body()["timestamp"]) > instant(&last.body()["timestamp"]));
}

fn commands_may_be_repeated(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let mut agent = playing(backend, "A", &server, &tap, &[]);
    assert_done(&tap.request(&own("resume"), ""), "running");
    let first = tap.request(&own("pause"), "");
    let second = tap.request(&own("pause"), "");
    assert_done(&first, "paused");
    assert_eq!(first, second);
    assert_done(&tap.request(&own("resume"), ""), "running");
    assert_done(&tap.request(&own("resume"), ""), "running");
    let both = [tap.request_many(&own("shutdown"), "", 1, WITHIN), tap.request_many(&own("shutdown"), "", 1, SILENCE)];
    for reply in both.iter().flatten() {
        assert_eq!(reply.json()["ok"], true);
    }
    assert_eq!(both[0].len(), 1);
    assert_eq!(agent.wait_exit(WITHIN), 0);
}

fn a_broadcast_reaches_everyone_it_addresses_and_filters_are_anded(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let _agents = [
        playing(backend, "A", &server, &tap, &["--experiment", "e1", "--run", "1", "--generation", "g1"]),
        playing(backend, "B", &server, &tap, &["--experiment", "e1", "--run", "2", "--generation", "g2"]),
        playing(Backend::Mock, "C", &server, &tap, &[]),
    ];
    let ask = |verb: &str, body: &str, enough: usize, bound: Duration| -> BTreeSet<String> {
        let replies = tap.request_many(&format!("clau-doom.system.control.{verb}"), body, enough, bound);
        replies
            .iter()
            .map(|reply| {
                let reply = reply.json();
                assert_done(&reply, if verb == "pause" { "paused" } else { "running" });
                reply["agent_id"].as_str().unwrap().to_owned()
            })
            .collect()
    };
    let set = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    // With one more than may answer: everybody else is silent.
    assert_eq!(ask("pause", r#"{"agents":["A","Z"]}"#, 2, SILENCE), set(&["A"]));
    assert_eq!(ask("pause", r#"{"experiment_id":"e1","generation_id":"g2"}"#, 2, SILENCE), set(&["B"]));
    assert_eq!(ask("pause", r#"{"agents":["A"],"generation_id":"g2"}"#, 1, SILENCE), set(&[]));
    assert_eq!(ask("pause", r#"{"agents":[]}"#, 1, SILENCE), set(&[]));
    let state = |id: &str| tap.request(&format!("clau-doom.agent.{id}.health"), "")["state"].clone();
    assert_eq!([state("A"), state("B"), state("C")], ["paused", "paused", "running"], "and who is silent has not obeyed");
    assert_eq!(ask("resume", r#"{"experiment_id":"e1"}"#, 3, SILENCE), set(&["A", "B"]));
    assert_eq!(ask("pause", "", 3, WITHIN), set(&["A", "B", "C"]));
    assert_eq!(ask("resume", r#"{"a field of a later version":1}"#, 3, WITHIN), set(&["A", "B", "C"]));
}

fn what_is_malformed_or_unknown_is_refused_and_changes_nothing(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let _agent = playing(backend, "A", &server, &tap, &[]);
    let large = format!(r#"{{"reason":"{}"}}"#, "x".repeat(70_000));
    for body in ["{", "[1]", "pause", r#"{"agents":"A"}"#, r#"{"deadline_ms":-5}"#, r#"{"deadline_ms":"soon"}"#, &large] {
        for subject in [own("pause"), own("shutdown"), "clau-doom.system.control.shutdown".to_owned()] {
            assert_refused(&tap.request(&subject, body), "body");
        }
    }
    for subject in [own("dance"), "clau-doom.system.control.Pause".to_owned()] {
        assert_refused(&tap.request(&subject, ""), "pause, resume, shutdown");
    }
    // Without a reply subject there is nobody to answer; it must not do harm either.
    tap.publish(&own("shutdown"), "not JSON");
    let health = tap.request("clau-doom.agent.A.health", "");
    assert_eq!((&health["state"], &health["healthy"]), (&"running".into(), &true.into()));
}

fn a_draining_agent_refuses_to_go_on(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let mut agent = hanging(backend, &server, &tap, &[]);
    // It drains for as long as the step hangs: the engine is ended two seconds after the agent was told to stop.
    tap.publish(&own("shutdown"), "");
    for verb in ["resume", "pause"] {
        assert_refused(&tap.request(&own(verb), ""), "draining");
    }
    assert_eq!(agent.wait_exit(WITHIN), 0);
    assert_eq!(tap.wait("clau-doom.agent.A.score", 1).payload()["end_reason"], "aborted");
}

fn a_deadline_bounds_the_answer(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let mut agent = hanging(backend, &server, &tap, &["--shutdown-timeout", "60s"]);
    let asked = Instant::now();
    assert_refused(&tap.request(&own("pause"), r#"{"deadline_ms":300}"#), "within 300 ms");
    assert!(asked.elapsed() >= Duration::from_millis(300));
    // The pause stays asked for; a resume takes it back, and the state is what it asks for.
    assert_done(&tap.request(&own("resume"), ""), "running");
    // A minute would be allowed; the command's own deadline is shorter, and the drain keeps to it.
    assert_done(&tap.request(&own("shutdown"), r#"{"deadline_ms":2000}"#), "draining");
    assert_eq!(agent.wait_exit(Duration::from_secs(20)), 0);
    assert_eq!(tap.wait("clau-doom.agent.A.score", 1).payload()["end_reason"], "aborted");
    assert_eq!(tap.lifecycle("A", "stopped")["exit_code"], 0);
}

/// Ten seconds between two steps.
fn a_slow_pace_delays_no_command(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "my_way_home.cfg").nats(&server);
    let mut agent = spec.with(&["--pace", "0.1"]).spawn_ready();
    tap.wait("clau-doom.agent.A.observe", 2);
    let asked = Instant::now();
    let paused = tap.request(&own("pause"), "");
    assert_done(&paused, "paused");
    assert_eq!(tap.request("clau-doom.agent.A.health", "")["tic"], paused["tic"]);
    assert_done(&tap.request(&own("resume"), ""), "running");
    assert_done(&tap.request(&own("shutdown"), ""), "draining");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(agent.wait_exit(WITHIN), 0);
    assert_eq!(tap.wait("clau-doom.agent.A.score", 1).payload()["end_reason"], "aborted");
}

fn shutdown_is_answered_and_ends_with_code_0(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let mut agents = [playing(backend, "A", &server, &tap, &[]), playing(Backend::Mock, "B", &server, &tap, &[])];
    let replies = tap.request_many("clau-doom.system.control.shutdown", r#"{"reason":"the end"}"#, 2, WITHIN);
    assert_eq!(replies.len(), 2);
    for reply in &replies {
        let reply = reply.json();
        assert_eq!(reply["ok"], true);
        assert!(["draining", "stopped"].contains(&reply["state"].as_str().unwrap()), "{reply}");
    }
    for agent in &mut agents {
        assert_eq!(agent.wait_exit(WITHIN), 0);
    }
    assert_eq!(tap.lifecycle("A", "stopped")["exit_code"], 0);
}
