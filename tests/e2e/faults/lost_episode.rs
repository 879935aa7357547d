//! An episode that a killed agent left open: its next start says `agent_lost`, once, with what was last known.

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{LIFECYCLE, SCORE};
use crate::support::{Backend, Event, JetStream, Spec, Tap, WITHIN, instant, nats_with_streams, on_both};

on_both!(the_episode_that_a_killed_agent_left_open_is_recorded_as_lost_once, an_episode_that_was_closed_is_not_lost);

const OBSERVE: &str = "clau-doom.agent.A.observe";

fn the_episode_that_a_killed_agent_left_open_is_recorded_as_lost_once(backend: Backend) {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let (streams, tap) = (JetStream::open(&server.url()), Tap::open(&server.url()));
    let spec = || Spec::new(backend, "A", "health_gathering.cfg").nats(&server).state_dir(state.path());
    let of_a_run = ["--experiment", "e", "--run", "7", "--generation", "g", "--pace", "100"];
    let mut agent = spec().with(&of_a_run).spawn();
    // Its figures are noted every second, so these are noted when two seconds' more have come.
    let noted = tap.wait(OBSERVE, 100);
    tap.wait(OBSERVE, 320);
    agent.signal(Signal::KILL);
    assert_eq!(agent.wait_exit(WITHIN), -9);
    tap.catch_up();
    let heard = tap.on(OBSERVE);
    // Another experiment, another codec, another root of nothing: what is lost was the first one's.
    let next = || spec().with(&["--episodes", "1", "--set", "episode_timeout=35", "--codec", "msgpack", "--experiment", "f", "--run", "8"]);
    let (code, _, err) = next().run();
    assert_eq!(code, 0, "{err}");

    let scores = streams.stored("AGENT_EVENTS", SCORE);
    let [lost, other] = &scores[..] else { panic!("{} scores", scores.len()) };
    assert_ne!(other.payload()["end_reason"], "agent_lost");
    let score = lost.payload();
    let instance = noted.header("instance");
    assert_eq!((&score["end_reason"], &score["episode_number"], &score["seed"]), (&json!("agent_lost"), &json!(1), &json!(1)));
    assert_eq!((lost.header("instance"), lost.header("Content-Type")), (instance, "application/json"));
    assert_eq!(lost.header("Nats-Msg-Id"), format!("{instance}-lost-1"));
    assert_eq!((lost.seq(), lost.header("trace-id")), (None, noted.header("trace-id")));
    assert_eq!((&score["experiment_id"], &score["run_id"], &score["generation_id"]), (&json!("e"), &json!(7), &json!("g")));
    assert_eq!((&score["final_variables"], &score["backend"]), (&json!({}), &json!(backend.name())));
    // The figures are those of one step, and that step is none of long ago.
    let steps = score["steps"].as_u64().unwrap();
    assert!(steps >= noted.payload()["step"].as_u64().unwrap(), "{score}");
    let observe = &heard[usize::try_from(steps).unwrap()].payload();
    assert_eq!(observe["step"], steps);
    assert_eq!(score["total_reward"], observe["total_reward"]);
    let tics = observe["tic"].as_u64().unwrap() - heard[0].payload()["tic"].as_u64().unwrap();
    assert_eq!(score["tics"], tics);
    assert_eq!(score["telemetry"]["produced"], 1 + 2 * steps);
    assert_eq!(score["completed_at"], lost.header("timestamp"));
    assert!(instant(&score["completed_at"]) >= instant(&observe["timestamp"]));
    assert!(instant(&score["completed_at"]) <= instant(&other.payload()["started_at"]));

    let copies = streams.stored("GENERATION_EVENTS", "clau-doom.generation.g.agent.A.score");
    assert_eq!(copies.iter().map(Event::payload).collect::<Vec<_>>(), std::slice::from_ref(&score));
    let run = streams.stored("EXPERIMENT_EVENTS", "clau-doom.experiment.e.run.7");
    assert_eq!(run.iter().map(|e| e.payload()["status"].clone()).collect::<Vec<_>>(), ["error"]);
    // Once.
    let (code, _, err) = next().run();
    assert_eq!(code, 0, "{err}");
    let reasons: Vec<Value> = streams.stored("AGENT_EVENTS", SCORE).iter().map(|e| e.payload()["end_reason"].clone()).collect();
    assert_eq!(reasons.iter().filter(|r| *r == "agent_lost").count(), 1, "{reasons:?}");
    assert_eq!(reasons.len(), 3);
}

fn an_episode_that_was_closed_is_not_lost(backend: Backend) {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let (streams, tap) = (JetStream::open(&server.url()), Tap::open(&server.url()));
    let spec = || Spec::new(backend, "A", "health_gathering.cfg").nats(&server).state_dir(state.path());
    let mut agent = spec().with(&["--pace", "350"]).spawn();
    tap.wait(OBSERVE, 100);
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let (code, _, err) = spec().with(&["--episodes", "1", "--set", "episode_timeout=35"]).run();
    assert_eq!(code, 0, "{err}");
    let reasons: Vec<_> = streams.stored("AGENT_EVENTS", SCORE).iter().map(|e| e.payload()["end_reason"].clone()).collect();
    assert_eq!((reasons.len(), &reasons[0]), (2, &json!("aborted")), "{reasons:?}");
    assert_ne!(reasons[1], "agent_lost");
    assert!(!streams.stored("SYSTEM_EVENTS", LIFECYCLE).is_empty());
}
