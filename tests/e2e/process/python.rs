//! A client in another language drives the agent: nats-py, which knows nothing of this project.

use std::{path::Path, process::Command};

use crate::support::{Backend, Spec, WITHIN, nats_with_streams, on_both};

on_both!(a_python_client_follows_and_steers_an_agent);

fn a_python_client_follows_and_steers_an_agent(backend: Backend) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = here.join("vendor/python/bin/python");
    assert!(python.is_file(), "no {}: run `cargo xtask setup`", python.display());
    let server = nats_with_streams();
    let spec = Spec::new(backend, "A", "my_way_home.cfg").nats(&server).with(&["--pace", "350"]);
    let mut agent = spec.spawn_ready();
    let client = Command::new(python).arg(here.join("tests/python/client.py")).args([&server.url(), "A", backend.name()]).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&client.stdout), String::from_utf8_lossy(&client.stderr));
    assert!(client.status.success(), "{out}\n{err}");
    assert_eq!(out.trim(), "followed, paused, resumed and ended");
    assert_eq!(agent.wait_exit(WITHIN), 0);
}
