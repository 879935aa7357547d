//! Each way in which streams are consumed, by nats-py (`tests/python/consumers.py`).

use nats_server_process::NatsServer;
use serde_json::{Value, json};

use crate::{
    support::{Backend, JetStream, Spec, WITHIN, nats_with_streams, on_both},
    work::experiment::{doomctl, folder, run},
};

fn python(pattern: &str, url: &str) {
    super::run("consumers.py", pattern, url);
}

/// Beside an agent that plays.
fn while_playing(backend: Backend, pattern: &str) {
    let server = nats_with_streams();
    let spec = Spec::new(backend, "A", "basic.cfg").nats(&server).with(&["--pace", "100"]);
    let agent = spec.spawn_ready();
    python(pattern, &server.url());
    assert!(!agent.has_ended());
}

/// On what an agent of six episodes left.
fn after_six(backend: Backend, pattern: &str) {
    let server = nats_with_streams();
    play_six(backend, &server);
    python(pattern, &server.url());
}

fn play_six(backend: Backend, server: &NatsServer) {
    let spec = Spec::new(backend, "A", "basic.cfg").nats(server);
    let mut agent = spec.with(&["--episodes", "6", "--pace", "350", "--set", "episode_timeout=100"]).spawn_ready();
    assert_eq!(agent.wait_exit(WITHIN), 0);
}

on_both!(
    a_durable_push_consumer_goes_on_where_it_stopped,
    pull_fetches_have_every_episode_once_over_two_runs,
    a_queue_group_shares_every_action_among_its_members,
    the_past_is_replayed_from_a_sequence_a_time_and_at_its_pace,
    a_score_that_is_naked_comes_again_at_once_or_after_its_delay,
    a_score_that_is_terminated_never_comes_again,
    a_score_that_the_server_gives_up_is_a_dead_letter_and_is_given_back,
);

fn a_durable_push_consumer_goes_on_where_it_stopped(backend: Backend) {
    while_playing(backend, "durable_push");
}

fn pull_fetches_have_every_episode_once_over_two_runs(backend: Backend) {
    after_six(backend, "pull_fetch");
}

fn a_queue_group_shares_every_action_among_its_members(backend: Backend) {
    while_playing(backend, "queue_subscribe");
}

fn the_past_is_replayed_from_a_sequence_a_time_and_at_its_pace(backend: Backend) {
    after_six(backend, "replay");
}

fn a_score_that_is_naked_comes_again_at_once_or_after_its_delay(backend: Backend) {
    after_six(backend, "nak");
}

fn a_score_that_is_terminated_never_comes_again(backend: Backend) {
    after_six(backend, "term");
}

/// A consumer that is not ours and has nothing of dead letters: the server's advisory leads the operator to its message.
fn a_score_that_the_server_gives_up_is_a_dead_letter_and_is_given_back(backend: Backend) {
    let server = nats_with_streams();
    let subjects = ["clau-doom.deadletter.>", "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"];
    JetStream::open(&server.url()).create("DEAD_LETTERS", &subjects, json!({}));
    play_six(backend, &server);
    python("exhaust", &server.url());
    let folder = folder(&[]);
    let dlq = |arguments: &[&str]| run(doomctl(&server, folder.path(), &[&["dlq"], arguments].concat()));
    let (code, out, err) = dlq(&["list", "--json"]);
    let letter: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("one line of JSON: {e}: {code:?} {out} {err}"));
    assert_eq!(
        (&letter["kind"], &letter["stream"], &letter["stream_sequence"], &letter["consumer"], &letter["deliveries"]),
        (&json!("advisory"), &json!("AGENT_RECORDS"), &json!(1), &json!("stubborn"), &json!(2)),
        "{letter}"
    );
    assert!(dlq(&["list"]).1.contains("(the server gave up)"));
    let shown: Value = serde_json::from_str(&dlq(&["show", "1", "--json"]).1).unwrap();
    assert_eq!(shown["content"]["payload"]["episode_number"], 1, "{shown}");
    let (code, out, err) = dlq(&["redrive", "--consumer", "stubborn"]);
    assert!(code == Some(0) && out.contains("1 given back, 0 not"), "{code:?} {out} {err}");
    assert_eq!(dlq(&["list"]).1, "no dead letters\n");
    python("given_back", &server.url());
}
