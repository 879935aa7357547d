//! `agent.action` and `agent.observe`: every step, in order, numbered and stamped.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use crate::support::{
    Backend, Event,
    Shape::{self, Count, Flag, Flags, Float, Floats, Instant, Object, Text},
    Spec, Tap, WITHIN, assert_shape, nats_with_streams, on_both,
};

on_both!(
    every_step_is_an_action_and_its_observation,
    events_bear_the_envelope_and_the_headers_of_the_design,
    msgpack_says_the_same_with_named_fields,
    an_agent_of_an_experiment_says_so_in_every_payload,
);

const EPISODES: usize = 2;

/// What all payloads of an episode have.
const COMMON: [(&str, Shape); 3] = [("agent_id", Text), ("timestamp", Instant), ("episode_id", Text)];
const ACTION: [(&str, Shape); 6] =
    [("step", Count), ("tic", Count), ("action", Object), ("frame_skip", Count), ("policy", Text), ("decision_us", Count)];
const OBSERVE: [(&str, Shape); 7] = [
    ("step", Count),
    ("tic", Count),
    ("reward", Float),
    ("total_reward", Float),
    ("variables", Floats),
    ("terminated", Flag),
    ("truncated", Flag),
];

/// Plays two short episodes of basic with four tics a step, and returns all that was heard of action, observe, score and death by seq.
fn play(backend: Backend, more: &[&str]) -> Vec<Arc<Event>> {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "basic.cfg").nats(&server);
    let mut agent = spec.with(&["--episodes", "2", "--frame-skip", "4", "--set", "episode_timeout=60"]).with(more).spawn();
    assert_eq!(agent.wait_exit(WITHIN), 0);
    tap.wait("clau-doom.agent.A.score", EPISODES);
    tap.catch_up();
    let mut events: Vec<_> = tap.events().into_iter().filter(|e| e.seq().is_some()).collect();
    events.sort_by_key(|e| e.seq());
    events
}

fn every_step_is_an_action_and_its_observation(backend: Backend) {
    let events = play(backend, &[]);
    let episodes = by_episode(&events);
    assert_eq!(episodes.len(), EPISODES);
    for episode in episodes {
        let (steps, score) = episode.split_at(episode.len() - 1);
        assert_eq!(score[0].leaf(), "score");
        assert!(steps.len() > 3 && steps.len() % 2 == 1, "{}", steps.len());
        let (mut last_tic, mut total) = (None, 0.0);
        for (i, event) in steps.iter().enumerate() {
            let payload = event.payload();
            let step = i.div_ceil(2) as u64;
            assert_eq!(payload["step"], step);
            let tic = payload["tic"].as_u64().unwrap();
            if i % 2 == 1 {
                assert_eq!(event.leaf(), "action");
                assert_shape(&payload, &[COMMON.as_slice(), &ACTION].concat());
                assert_eq!(Some(tic), last_tic, "an action has the tic of the observation it was decided on");
                assert_eq!(payload["frame_skip"], 4);
                assert_eq!(payload["policy"], "random");
                check_action(&payload["action"]);
                continue;
            }
            assert_eq!(event.leaf(), "observe");
            assert_shape(&payload, &[COMMON.as_slice(), &OBSERVE].concat());
            let names: BTreeSet<_> = payload["variables"].as_object().unwrap().keys().map(String::as_str).collect();
            let listed = ["AMMO2", "HEALTH", "KILLCOUNT", "HITCOUNT", "DAMAGECOUNT", "POSITION_X", "POSITION_Y"];
            assert_eq!(names, BTreeSet::from(listed), "the scenario's variables, and no others");
            let reward = payload["reward"].as_f64().unwrap();
            total += reward;
            assert!((payload["total_reward"].as_f64().unwrap() - total).abs() < 1e-9);
            let is_last = i + 1 == steps.len();
            match last_tic {
                None => assert_eq!((step, reward), (0, 0.0), "observation 0 is the reset"),
                // The living reward is −1 a tic, a shot costs 5: all four tics of a whole step are in its reward.
                Some(last) if !is_last => {
                    assert_eq!(tic, last + 4);
                    assert!(reward <= -4.0, "{payload}");
                }
                Some(last) => assert!(tic > last && tic <= last + 4),
            }
            last_tic = Some(tic);
            let ended = payload["terminated"] == true || payload["truncated"] == true;
            assert_eq!(ended, is_last, "only the last observation ends the episode");
            assert!(!(payload["terminated"] == true && payload["truncated"] == true));
        }
        let score = score[0].payload();
        let first_tic = steps[0].payload()["tic"].as_u64().unwrap();
        assert_eq!(score["tics"].as_u64().unwrap(), last_tic.unwrap() - first_tic);
        assert_eq!(score["steps"].as_u64().unwrap() as usize, steps.len() / 2);
        assert!((score["total_reward"].as_f64().unwrap() - total).abs() < 1e-9);
    }
}

/// basic has three binary buttons.
fn check_action(action: &Value) {
    assert_shape(action, &[("action_id", Count), ("buttons", Flags), ("action_type", Text)]);
    let names = ["MOVE_LEFT", "MOVE_RIGHT", "ATTACK"];
    let buttons: Vec<bool> = action["buttons"].as_array().unwrap().iter().map(|b| b.as_bool().unwrap()).collect();
    assert_eq!(buttons.len(), names.len());
    let id: u64 = buttons.iter().enumerate().map(|(i, down)| u64::from(*down) << i).sum();
    assert_eq!(action["action_id"], id);
    let pressed: Vec<_> = names.iter().zip(&buttons).filter(|(_, down)| **down).map(|(name, _)| *name).collect();
    assert_eq!(action["action_type"], if pressed.is_empty() { "NOOP".to_owned() } else { pressed.join("+") });
}

fn events_bear_the_envelope_and_the_headers_of_the_design(backend: Backend) {
    let events = play(backend, &[]);
    let seqs: Vec<u64> = events.iter().map(|e| e.seq().unwrap()).collect();
    assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>(), "seqs count from 1 without a gap");
    let instance = events[0].header("instance").to_owned();
    assert_eq!((instance.len(), instance.as_bytes()[14]), (36, b'7'), "a UUIDv7: {instance}");
    let mut traces = Vec::new();
    for event in &events {
        let body = event.body();
        assert_shape(&body, &[("type", Text), ("version", Text), ("payload", Object), ("trace_id", Text), ("timestamp", Instant)]);
        assert_eq!(body["type"], format!("agent.{}", event.leaf()));
        assert_eq!(body["version"], "1.0");
        assert_eq!(body["timestamp"], body["payload"]["timestamp"]);
        assert_eq!(body["timestamp"], event.header("timestamp"));
        let trace = event.header("trace-id");
        assert_eq!(body["trace_id"], trace);
        assert!(trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{trace}");
        if traces.last().is_none_or(|last| last != trace) {
            traces.push(trace.to_owned());
        }
        assert_eq!(event.header("source-agent"), "A");
        assert_eq!(body["payload"]["agent_id"], "A");
        assert_eq!(event.header("instance"), instance);
        assert_eq!(event.header("backend"), backend.name());
        assert_eq!(event.header("Content-Type"), "application/json");
        let is_record = matches!(event.leaf(), "score" | "death");
        assert_eq!(event.headers.contains_key("Nats-Msg-Id"), is_record, "{:?}", event.headers);
        let expected = format!("{instance}-{:06}", traces.len());
        assert_eq!(body["payload"]["episode_id"], expected, "numbered from 1, with the trace of its episode");
    }
    assert_eq!(traces.len(), EPISODES, "one trace for each episode: {traces:?}");
    assert_ne!(traces[0], traces[1]);
}

/// The same game in both codecs; what the clock or the process decides is left out.
fn msgpack_says_the_same_with_named_fields(backend: Backend) {
    let json = play(backend, &[]);
    let msgpack = play(backend, &["--codec", "msgpack"]);
    assert!(msgpack.iter().all(|e| e.header("Content-Type") == "application/msgpack"));
    assert_eq!(json.len(), msgpack.len());
    for (a, b) in json.iter().zip(&msgpack) {
        assert_eq!(a.subject, b.subject);
        assert_eq!(timeless(&a.body()), timeless(&b.body()));
    }
}

/// Without what differs from run to run.
fn timeless(value: &Value) -> Value {
    const OF_THE_RUN: [&str; 9] =
        ["timestamp", "episode_id", "trace_id", "decision_us", "wall_seconds", "started_at", "completed_at", "telemetry", "instance"];
    match value {
        Value::Object(map) => {
            map.iter().filter(|(k, _)| !OF_THE_RUN.contains(&k.as_str())).map(|(k, v)| (k.clone(), timeless(v))).collect()
        }
        Value::Array(list) => list.iter().map(timeless).collect(),
        other => other.clone(),
    }
}

fn an_agent_of_an_experiment_says_so_in_every_payload(backend: Backend) {
    let events = play(backend, &["--experiment", "doe-7", "--run", "12", "--generation", "g3"]);
    for event in events {
        let payload = event.payload();
        assert_eq!(payload["experiment_id"], "doe-7", "{}", event.subject);
        assert_eq!(payload["run_id"], 12, "a number");
        assert_eq!(payload["generation_id"], "g3");
    }
}

/// The events of each episode, in the order of their seqs.
fn by_episode(events: &[Arc<Event>]) -> Vec<Vec<Arc<Event>>> {
    let mut episodes: Vec<Vec<Arc<Event>>> = Vec::new();
    for event in events {
        match episodes.last_mut() {
            Some(last) if last[0].header("trace-id") == event.header("trace-id") => last.push(Arc::clone(event)),
            _ => episodes.push(vec![Arc::clone(event)]),
        }
    }
    episodes
}
