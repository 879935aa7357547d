//! Records that are larger than server or stream take: said once, put aside, and sent when they fit.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{LIFECYCLE, SCORE, assert_complete, play, short_episodes};
use crate::support::{Backend, JetStream, Spec, Tap, WITHIN, http, nats, nats_with_streams, on_both};

on_both!(records_that_the_server_never_takes_are_told_once_and_put_aside_and_those_behind_them_are_stored);

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
    let last_word = |e: &crate::support::Event| e.payload()["state"] == "stopped";
    let stopped = streams.stored("SYSTEM_EVENTS", LIFECYCLE).into_iter().find(last_word).unwrap();
    assert_eq!(stopped.payload()["records"], json!({"spooled": 0, "lost": 0, "aside": 3, "durable": true}));

    server.reload("").unwrap();
    let (code, _, err) = spec().with(&["--episodes", "2"]).run();
    assert_eq!(code, 0, "{err}");
    assert!(!err.contains("put aside") && !err.contains("are kept"), "{err}");
    let instances = assert_complete(&streams.stored("AGENT_EVENTS", SCORE));
    assert_eq!(instances.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [3, 2]);
}

/// The stream's own bound. What was put aside is older than what is stored, and not taken for stored.
#[test]
fn records_that_the_stream_did_not_take_are_stored_behind_newer_ones() {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let url = server.url();
    let (streams, tap) = (JetStream::open(&url), Tap::open(&url));
    let mut agent = short_episodes(Backend::Mock, &url, state.path()).spawn_ready();
    let address = agent.http();
    play(&address, 5.0);
    streams.change("AGENT_EVENTS", "max_msg_size", json!(1_000));
    let aside = |text: &str| http::metric(text, "records_aside");
    http::wait_get(&address, "/metrics", "scores that are put aside", |_, text| aside(text) >= 5.0);
    streams.change("AGENT_EVENTS", "max_msg_size", json!(1 << 20));
    let before = streams.count("AGENT_EVENTS", SCORE);
    streams.wait_count("AGENT_EVENTS", SCORE, before + 5);
    let (status, health) = http::get(&address, "/livez");
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!((status, &health["healthy"], &health["records"]["lost"]), (200, &true.into(), &0.into()));
    let (_, text) = http::get(&address, "/metrics");
    let (put_aside, of_the_first) = (aside(&text), http::metric(&text, "episodes_completed"));
    tap.publish("clau-doom.agent.A.control.shutdown", "");
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let (code, _, err) = short_episodes(Backend::Mock, &url, state.path()).with(&["--episodes", "1"]).run();
    assert_eq!(code, 0, "{err}");
    let scores = streams.stored("AGENT_EVENTS", SCORE);
    let first = scores[0].header("instance").to_owned();
    let numbers = scores.iter().filter(|s| s.header("instance") == first).map(|s| s.payload()["episode_number"].as_u64().unwrap());
    let numbers: Vec<u64> = numbers.collect();
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=numbers.len() as u64).collect::<Vec<_>>(), "each, once");
    assert!(numbers.len() as f64 >= of_the_first, "{} of {of_the_first}", numbers.len());
    let behind = numbers.windows(2).position(|pair| pair[0] > pair[1]).expect("some are behind newer ones");
    assert_eq!((numbers.len() - 1 - behind) as f64, put_aside);
    println!("{put_aside} of {} put aside", numbers.len());
}
