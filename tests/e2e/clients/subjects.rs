//! Every subject and every schema of `docs/asyncapi.yaml`, met and held to its word by nats-py (`tests/python/subjects.py`).

use super::{Stranger, python};
use crate::{
    support::{Backend, Spec, Tap, WITHIN, faults::hanging, nats, on_both},
    work::{
        experiment::{DESIGN, doomctl, folder, run},
        worker,
    },
};

on_both!(a_client_that_is_not_ours_meets_every_message_of_the_document);

const SCRIPT: &str = "subjects.py";

#[test]
fn the_asyncapi_document_is_one_and_all_that_it_refers_to_is_there() {
    let checked = python(SCRIPT).arg("document").output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

fn a_client_that_is_not_ours_meets_every_message_of_the_document(backend: Backend) {
    let server = nats();
    let folder = folder(&[("x.toml", DESIGN), ("core.toml", "scenario = \"basic\"\nepisodes = 1\n[[evaluation]]\nid = \"a\"\n")]);
    let doomctl = |arguments: &[&str]| run(doomctl(&server, folder.path(), arguments));
    assert_eq!(doomctl(&["streams", "apply"]).0, Some(0));
    let stranger = Stranger::start(SCRIPT, "live", &server.url());
    let tap = Tap::open(&server.url());

    // Nobody plays the experiment in time: an error. Then somebody does.
    assert_eq!(doomctl(&["experiment", "run", "x.toml", "--timeout", "1s"]).0, Some(1));
    let _worker = worker(backend, "W", &server, &[]);
    let (code, out, err) = doomctl(&["experiment", "run", "x.toml", "--timeout", "5m"]);
    assert_eq!(code, Some(0), "{out}\n{err}");
    let (code, out, err) = doomctl(&["evaluate", "core.toml", "--core", "--timeout", "2m"]);
    assert_eq!(code, Some(0), "{out}\n{err}");
    // Deaths, pictures, metrics, a generation.
    let playing = Spec::new(backend, "D", "defend_the_center.cfg").nats(&server).with(&[
        "--generation",
        "g",
        "--metrics-interval",
        "300ms",
        "--policy",
        "cycle:TURN_LEFT",
        "--frame-skip",
        "4",
        "--pace",
        "1400",
        "--frames",
        "raw",
        "--frame-every",
        "50",
    ]);
    let mut playing = playing.spawn_ready();
    // A fault.
    let broken = hanging(backend, &server, &tap, &["--step-timeout", "2s"]);
    tap.wait("clau-doom.system.doom_agent.error", 1);
    drop(broken);
    stranger.assert_done("live");

    assert_eq!(doomctl(&["shutdown", "--agent", "D", "--wait"]).0, Some(0));
    assert_eq!(playing.wait_exit(WITHIN), 0);
    super::run(SCRIPT, "kept", &server.url());
}
