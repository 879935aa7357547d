//! A client in another language drives the agent: nats-py, which knows nothing of this project.

use std::{path::PathBuf, process::Command};

use crate::support::{Backend, Spec, WITHIN, nats_with_streams, on_both};

on_both!(a_python_client_follows_and_steers_an_agent, a_thousand_health_requests_are_answered_by_the_agent_where_streams_are);

/// The interpreter with nats-py, and a script of ours.
fn python(script: &str) -> Command {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = here.join("vendor/python/bin/python");
    assert!(python.is_file(), "no {}: run `cargo xtask setup`", python.display());
    let mut command = Command::new(python);
    command.arg(here.join("tests/python").join(script));
    command
}

fn a_thousand_health_requests_are_answered_by_the_agent_where_streams_are(backend: Backend) {
    let server = nats_with_streams();
    let _agent = Spec::new(backend, "A", "my_way_home.cfg").nats(&server).with(&["--pace", "350"]).spawn_ready();
    let client = python("health.py").args([&server.url(), "A", "1000"]).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&client.stdout), String::from_utf8_lossy(&client.stderr));
    assert!(client.status.success(), "{out}\n{err}");
    assert_eq!(out.trim(), "1000 answers of A");
}

fn a_python_client_follows_and_steers_an_agent(backend: Backend) {
    let server = nats_with_streams();
    let spec = Spec::new(backend, "A", "my_way_home.cfg").nats(&server).with(&["--pace", "350"]);
    let mut agent = spec.spawn_ready();
    let client = python("client.py").args([&server.url(), "A", backend.name()]).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&client.stdout), String::from_utf8_lossy(&client.stderr));
    assert!(client.status.success(), "{out}\n{err}");
    assert_eq!(out.trim(), "followed, paused, resumed and ended");
    assert_eq!(agent.wait_exit(WITHIN), 0);
}
