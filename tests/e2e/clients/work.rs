//! Work by nats-py (`tests/python/work.py`): evaluations asked of our workers, and evaluations of `doomctl` played by workers that are not ours.

use std::time::Duration;

use super::Stranger;
use crate::{
    support::{Backend, JetStream, nats_with_streams, on_both},
    work::{
        experiment::{doomctl, folder, run},
        queue, worker,
    },
};

const SCRIPT: &str = "work.py";

on_both!(
    an_evaluation_is_asked_of_the_queue_group_and_followed_to_its_result,
    an_evaluation_waits_in_the_work_queue_and_leaves_it_with_its_result,
);

fn an_evaluation_is_asked_of_the_queue_group_and_followed_to_its_result(backend: Backend) {
    let server = nats_with_streams();
    let _worker = worker(backend, "W", &server, &[]);
    super::run(SCRIPT, "ask", &server.url());
}

fn an_evaluation_waits_in_the_work_queue_and_leaves_it_with_its_result(backend: Backend) {
    let server = nats_with_streams();
    let _queue = queue(&server, Duration::from_secs(15));
    let _worker = worker(backend, "W", &server, &[]);
    super::run(SCRIPT, "queue", &server.url());
}

/// Two evaluations; nobody plays the second.
const FILE: &str = "scenario = \"basic\"\nepisodes = 2\n[[evaluation]]\nid = \"a\"\n[[evaluation]]\nid = \"b\"\n";

#[test]
fn a_worker_that_is_not_ours_gives_back_ends_and_answers_what_the_work_queue_has() {
    let server = nats_with_streams();
    let js: JetStream = queue(&server, Duration::from_secs(15));
    let stranger = Stranger::start(SCRIPT, "queue_worker", &server.url());
    let folder = folder(&[("g.toml", &format!("{FILE}scenario = \"unheard_of\"\n"))]);
    let (code, out, err) = run(doomctl(&server, folder.path(), &["evaluate", "g.toml", "--save", "t.csv", "--timeout", "2m"]));
    assert!(code == Some(1) && out.contains("2/2") && out.contains("refused"), "{code:?} {out}\n{err}");
    assert!(err.contains("nobody has heard of it"), "{err}");
    stranger.assert_done("queue_worker");
    assert_eq!(std::fs::read_to_string(folder.path().join("t.csv")).unwrap().lines().count(), 3);
    for (evaluation, status) in [("a", "complete"), ("b", "refused")] {
        let result = js.stored("GENERATION_EVENTS", &format!("clau-doom.generation.g.evaluation.{evaluation}.result")).remove(0).payload();
        assert_eq!((&result["status"], &result["delivery"], &result["agent_id"]), (&status.into(), &2.into(), &"py".into()), "{result}");
    }
    assert_eq!(js.count("EVALUATIONS", "clau-doom.evaluation.queued.*.*"), 0);
}

#[test]
fn a_worker_that_is_not_ours_answers_for_the_queue_group() {
    let server = nats_with_streams();
    let stranger = Stranger::start(SCRIPT, "group_worker", &server.url());
    let folder = folder(&[("g.toml", FILE)]);
    let (code, out, err) = run(doomctl(&server, folder.path(), &["evaluate", "g.toml", "--core", "--timeout", "2m"]));
    assert!(code == Some(0) && out.matches("2/2").count() == 2, "{code:?} {out}\n{err}");
    stranger.assert_done("group_worker");
}
