//! What an orchestrator in another language does: `examples/orchestrator.py`, as it stands there.

use std::{path::Path, process::Command};

use super::support::{Cluster, ENGINE, MOCK, World};

#[test]
fn an_orchestrator_in_python_accounts_for_every_score_of_mock_agents() {
    orchestrate(&MOCK);
}

#[test]
fn an_orchestrator_in_python_accounts_for_every_score_of_real_agents() {
    orchestrate(&ENGINE);
}

fn orchestrate(image: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("vendor/python/bin/python");
    assert!(python.is_file(), "no {}: run `cargo xtask setup`", python.display());
    let world = World::new();
    let cluster = Cluster::start(&world, 1);
    let output = Command::new(python)
        .arg(root.join("examples/orchestrator.py"))
        .args(["--nats", &cluster.url_here(0), "--agents-nats", &cluster.url, "--network", world.network(), "--image", image])
        .args(["--label", world.label()])
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}");
    assert!(output.status.success(), "{out}\n{err}");
    for line in ["ready: 8 agents", "paused: ", "shut down: ", "killed: ", "replaced: ", "stopped: all within", "accounted for: "] {
        assert!(out.contains(line), "no `{line}` in {out}");
    }
}
