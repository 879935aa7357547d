//! An agent that ends with records unsent, killed or told to: the next start with its id sends them, once and in order.

use nats_server_process::NatsServer;
use rustix::process::Signal;
use tempfile::TempDir;

use super::{LIFECYCLE, SCORE, assert_complete, play, short_episodes};
use crate::support::{Backend, JetStream, WITHIN, free_port, on_both};

on_both!(records_of_a_killed_agent_are_sent_once_by_its_next_start, records_left_at_the_end_are_kept_and_said_to_be);

/// The server that was not there, with its streams.
pub(super) fn server_on(port: u16) -> (NatsServer, JetStream) {
    let server = NatsServer::builder().jetstream(true).port(port).start().unwrap();
    let streams = JetStream::open(&server.url());
    streams.create_all();
    (server, streams)
}

fn records_of_a_killed_agent_are_sent_once_by_its_next_start(backend: Backend) {
    let (port, state) = (free_port(), TempDir::new().unwrap());
    let url = format!("nats://127.0.0.1:{port}");
    // Killed twice, with records of two instances to be sent by the third.
    for _ in 0..2 {
        let mut agent = short_episodes(backend, &url, state.path()).spawn();
        let address = agent.http();
        play(&address, 20.0);
        agent.signal(Signal::KILL);
        assert_eq!(agent.wait_exit(WITHIN), -9);
    }
    let (_server, streams) = server_on(port);
    let next = short_episodes(backend, &url, state.path()).with(&["--episodes", "3", "--codec", "msgpack"]);
    let (code, _, err) = next.run();
    assert_eq!(code, 0, "{err}");
    let stored = streams.stored("AGENT_EVENTS", SCORE);
    let instances = assert_complete(&stored);
    // The last second's may not have been committed.
    let [(first, killed), (_, killed_too), (last, of_the_last)] = &instances[..] else { panic!("{instances:?}") };
    assert!(*killed >= 15 && *killed_too >= 15 && *of_the_last == 3, "{instances:?}");
    for score in &stored {
        let codec = if score.header("instance") == last { "application/msgpack" } else { "application/json" };
        assert_eq!(score.header("Content-Type"), codec, "as it was made, whatever the next start is told");
        assert_eq!(score.header("timestamp"), score.payload()["completed_at"]);
        assert!(score.payload()["episode_id"].as_str().unwrap().starts_with(score.header("instance")));
    }
    assert!(first < last, "earlier ones first");
    // What was acknowledged is erased: another start sends nothing again.
    let (code, _, err) = short_episodes(backend, &url, state.path()).with(&["--episodes", "1"]).run();
    assert_eq!(code, 0, "{err}");
    assert!(!err.contains("records of an earlier process"), "{err}");
    assert_eq!(streams.stored("AGENT_EVENTS", SCORE).len(), stored.len() + 1);
}

fn records_left_at_the_end_are_kept_and_said_to_be(backend: Backend) {
    let (port, state) = (free_port(), TempDir::new().unwrap());
    let url = format!("nats://127.0.0.1:{port}");
    let (code, _, err) = short_episodes(backend, &url, state.path())
        .with(&["--episodes", "5", "--shutdown-timeout", "1s", "--experiment", "e", "--run", "7"])
        .run();
    assert_eq!(code, 0, "{err}");
    // Five scores, five copies for the experiment, and that it stopped.
    assert!(err.contains("records that no stream has acknowledged are kept") && err.contains("records=11"), "{err}");
    let (_server, streams) = server_on(port);
    let (code, _, err) = short_episodes(backend, &url, state.path()).with(&["--episodes", "2"]).run();
    assert_eq!(code, 0, "{err}");
    let scores = streams.stored("AGENT_EVENTS", SCORE);
    let instances = assert_complete(&scores);
    assert_eq!(instances.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [5, 2]);
    assert_eq!(streams.stored("EXPERIMENT_EVENTS", "clau-doom.experiment.e.run.7").len(), 5);
    let mut last_words = streams.stored("SYSTEM_EVENTS", LIFECYCLE);
    last_words.retain(|e| e.payload()["state"] == "stopped");
    assert_eq!(last_words.iter().map(|e| e.header("instance")).collect::<Vec<_>>(), [&instances[0].0, &instances[1].0]);
}
