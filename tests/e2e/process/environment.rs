//! An orchestrator may set the environment alone; and what goes to NATS can be read from standard output too.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Backend, Spec, Tap, WITHIN, nats_with_streams, on_both};

on_both!(the_orchestrators_own_variables_are_understood, standard_output_has_the_same_events);

fn the_orchestrators_own_variables_are_understood(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let spec = Spec::bare(["--frame-skip", "4"]).env("DOOM_AGENT_BACKEND", backend.name()).env("DOOM_AGENT_EPISODES", "1");
    let spec = spec.env("AGENT_ID", "from-env").env("NATS_URL", server.url()).env("GENERATION", "g9");
    let mut agent = spec.env("SCENARIO", "basic").env("SEED", "77").spawn();
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let score = tap.wait("clau-doom.generation.g9.agent.from-env.score", 1).payload();
    assert_eq!((&score["seed"], &score["scenario"], &score["backend"]), (&77.into(), &"basic".into(), &backend.name().into()));
}

fn standard_output_has_the_same_events(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "basic.cfg").nats(&server).with(&["--events", "-", "--frame-skip", "4", "--episodes", "2"]);
    let mut agent = spec.spawn();
    assert_eq!(agent.wait_exit(WITHIN), 0);
    tap.lifecycle("A", "stopped");
    tap.catch_up();
    let mut lines = BTreeMap::new();
    for line in agent.out() {
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        if let Some(seq) = line["headers"]["seq"].as_str() {
            assert!(lines.insert(seq.parse::<u64>().unwrap(), line).is_none());
        }
    }
    let heard: Vec<_> = tap.events().into_iter().filter(|e| e.seq().is_some()).collect();
    assert_eq!(heard.len(), lines.len());
    for event in heard {
        let line = &lines[&event.seq().unwrap()];
        assert_eq!((&line["subject"], &line["event"]), (&event.subject.as_str().into(), &event.body()));
        for (name, value) in &event.headers {
            // What keeps a repetition out of the stream is between the agent and JetStream, and not yet known when the line is written.
            if !name.starts_with("Nats-Expected-") && name != "stored-through" {
                assert_eq!(&line["headers"][name], value, "{name}");
            }
        }
    }
}
