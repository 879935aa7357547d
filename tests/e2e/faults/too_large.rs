//! Records that are larger than server or stream take: said once, put aside, and sent when they fit.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{LIFECYCLE, SCORE, assert_complete, finish, play, short_episodes};
use crate::support::{Backend, Event, JetStream, Spec, WITHIN, http, nats, nats_with_streams, on_both};

on_both!(
    records_that_the_server_never_takes_are_told_once_and_put_aside_and_those_behind_them_are_stored,
    records_that_are_put_aside_are_stored_once_a_server_takes_more,
    records_that_the_stream_did_not_take_are_stored_behind_newer_ones_once_it_takes_more,
);

const ERROR: &str = "clau-doom.system.doom_agent.error";
const RUN: &str = "clau-doom.experiment.e.run.7";
/// More than an observation, a lifecycle record or the copy for an experiment takes, and less than a score.
const LIMIT: &str = "max_payload: 1300\n";

fn records_that_the_server_never_takes_are_told_once_and_put_aside_and_those_behind_them_are_stored(backend: Backend) {
    let (mut server, state) = (nats(), TempDir::new().unwrap());
    let streams = JetStream::open(&server.url());
    streams.create_all();
    server.reload(LIMIT).unwrap();
    let url = server.url();
    let spec = || Spec::new(backend, "A", "basic.cfg").with(&["--nats", &url, "--set", "episode_timeout=35"]).state_dir(state.path());
    let (code, _, err) = spec().with(&["--episodes", "3", "--experiment", "e", "--run", "7"]).run();
    assert_eq!(code, 0, "{err}");
    assert_eq!(err.matches("is put aside and those behind it go on").count(), 1, "{err}");
    assert!(err.contains("records that no stream has acknowledged are kept") && err.contains("records=3"), "{err}");
    assert_eq!((streams.count("AGENT_EVENTS", SCORE), streams.count("EXPERIMENT_EVENTS", RUN)), (0, 3));
    let errors = streams.stored("SYSTEM_EVENTS", ERROR);
    let [error] = &errors[..] else { panic!("{} error records", errors.len()) };
    assert_eq!((&error.payload()["kind"], &error.payload()["fatal"]), (&json!("record_too_large"), &json!(false)));
    let message = error.payload()["message"].as_str().unwrap().to_owned();
    assert!(message.contains(SCORE) && message.contains("1300"), "where, and how large: {message}");
    let last_word = |e: &Event| e.payload()["state"] == "stopped";
    let stopped = streams.stored("SYSTEM_EVENTS", LIFECYCLE).into_iter().find(last_word).unwrap();
    assert_eq!(stopped.payload()["records"], json!({"spooled": 0, "lost": 0, "aside": 3, "durable": true}));

    server.reload("").unwrap();
    let (code, _, err) = spec().with(&["--episodes", "2"]).run();
    assert_eq!(code, 0, "{err}");
    assert!(!err.contains("put aside") && !err.contains("are kept"), "{err}");
    let instances = assert_complete(&streams.stored("AGENT_EVENTS", SCORE));
    assert_eq!(instances.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [3, 2]);
}

fn aside(text: &str) -> f64 {
    http::metric(text, "records_aside")
}

/// Of one process: each score once, and nothing else. Returns how many stand before an older one.
#[track_caller]
fn assert_each_once(scores: &[Event]) -> usize {
    let mut numbers: Vec<u64> = scores.iter().map(|s| s.payload()["episode_number"].as_u64().unwrap()).collect();
    let behind = numbers.windows(2).filter(|pair| pair[0] > pair[1]).count();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "each, once");
    behind
}

/// The agent lives on: the limit is in what the server says of itself to whoever connects.
fn records_that_are_put_aside_are_stored_once_a_server_takes_more(backend: Backend) {
    let (mut server, state) = (nats(), TempDir::new().unwrap());
    let streams = JetStream::open(&server.url());
    streams.create_all();
    server.reload(LIMIT).unwrap();
    let agent = short_episodes(backend, &server.url(), state.path()).spawn_ready();
    let address = agent.http();
    http::wait_get(&address, "/metrics", "scores that are put aside", |_, text| aside(text) >= 20.0);
    assert_eq!(streams.count("AGENT_EVENTS", SCORE), 0);
    server.reload("").unwrap();
    server.restart().unwrap();
    let since = Instant::now();
    http::wait_get(&address, "/metrics", "without anything aside", |_, text| aside(text) == 0.0);
    println!("nothing aside {:?} after the server takes more", since.elapsed());
    let scores = finish(agent, &address, &streams);
    assert!(scores.len() >= 20, "{}", scores.len());
    assert_each_once(&scores);
    // Neither did its disk keep any of them.
    let (code, _, err) = short_episodes(backend, &server.url(), state.path()).with(&["--episodes", "1"]).run();
    assert!(code == 0 && !err.contains("records of an earlier process"), "{err}");
    assert_eq!(streams.count("AGENT_EVENTS", SCORE) as usize, scores.len() + 1);
}

/// The stream's own bound, which nobody announces. What was put aside is older than what is stored, and not taken for stored; those behind it did
/// not wait for it.
fn records_that_the_stream_did_not_take_are_stored_behind_newer_ones_once_it_takes_more(backend: Backend) {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let url = server.url();
    let streams = JetStream::open(&url);
    let mut agent = short_episodes(backend, &url, state.path()).spawn_ready();
    let address = agent.http();
    play(&address, 5.0);
    streams.change("AGENT_EVENTS", "max_msg_size", json!(1_000));
    http::wait_get(&address, "/metrics", "scores that are put aside", |_, text| aside(text) >= 5.0);
    streams.change("AGENT_EVENTS", "max_msg_size", json!(1 << 20));
    let since = Instant::now();
    let before = streams.count("AGENT_EVENTS", SCORE);
    streams.wait_count("AGENT_EVENTS", SCORE, before + 5);
    let (status, text) = http::get(&address, "/livez");
    let health: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &health["healthy"], &health["records"]["lost"]), (200, &true.into(), &0.into()));
    http::wait_get(&address, "/metrics", "without anything aside", |_, text| aside(text) == 0.0);
    println!("nothing aside {:?} after the stream takes more", since.elapsed());
    // And once more, killed while some are aside: what is not stored yet is its next start's.
    streams.change("AGENT_EVENTS", "max_msg_size", json!(1_000));
    http::wait_get(&address, "/metrics", "scores that are put aside", |_, text| aside(text) >= 5.0);
    streams.change("AGENT_EVENTS", "max_msg_size", json!(1 << 20));
    agent.signal(Signal::KILL);
    assert_eq!(agent.wait_exit(WITHIN), -9);
    let (code, _, err) = short_episodes(backend, &url, state.path()).with(&["--episodes", "1"]).run();
    assert_eq!(code, 0, "{err}");
    let scores = streams.stored("AGENT_EVENTS", SCORE);
    let first = scores[0].header("instance").to_owned();
    let of_the_first: Vec<Event> = scores.into_iter().filter(|s| s.header("instance") == first).collect();
    assert!(assert_each_once(&of_the_first) >= 1, "some are behind newer ones");
}
