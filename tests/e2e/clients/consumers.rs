//! Each way in which streams are consumed, by nats-py (`tests/python/consumers.py`).

use crate::support::{Backend, Spec, WITHIN, nats_with_streams, on_both};

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
    let spec = Spec::new(backend, "A", "basic.cfg").nats(&server);
    let mut agent = spec.with(&["--episodes", "6", "--pace", "350", "--set", "episode_timeout=100"]).spawn_ready();
    assert_eq!(agent.wait_exit(WITHIN), 0);
    python(pattern, &server.url());
}

on_both!(
    a_durable_push_consumer_goes_on_where_it_stopped,
    pull_fetches_have_every_episode_once_over_two_runs,
    a_queue_group_shares_every_action_among_its_members,
    the_past_is_replayed_from_a_sequence_a_time_and_at_its_pace,
    a_score_that_is_naked_comes_again_at_once_or_after_its_delay,
    a_score_that_is_terminated_never_comes_again,
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
