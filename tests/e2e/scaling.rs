//! What docs/SCALING.md tells to do when a population outgrows one set of streams, on a real server: configs/nats/mappings.conf as it stands.

use std::path::Path;

use nats_server_process::NatsServer;
use serde_json::json;

use crate::support::{Agent, Backend, JetStream, Spec, Tap, WITHIN};

fn config(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/nats").join(name)).unwrap()
}

/// An agent that plays a few short episodes.
fn short(id: &str, more: &[&str]) -> Agent {
    let arguments = ["--pace", "350", "--episodes", "3", "--set", "episode_timeout=35", "--require-nats"];
    Spec::new(Backend::Mock, id, "basic.cfg").with(&arguments).with(more).spawn()
}

#[track_caller]
fn ends_well(mut agent: Agent) {
    assert_eq!(agent.wait_exit(WITHIN), 0, "{:?}", agent.log());
}

#[test]
fn mapped_telemetry_is_shared_out_among_streams_and_records_stay_where_they_are() {
    let server = NatsServer::builder().jetstream(true).config_text(config("mappings.conf")).start().unwrap();
    let streams = JetStream::open(&server.url());
    streams.create_all();
    for part in 0..4 {
        streams.create(&format!("TELEMETRY_{part}"), &[&format!("clau-doom.part.{part}.agent.*.*")], json!({}));
    }
    let tap = Tap::open(&server.url());
    let ids: Vec<String> = (0..8).map(|number| format!("A{number}")).collect();
    let agents: Vec<Agent> = ids.iter().map(|id| short(id, &["--nats", &server.url()])).collect();
    agents.into_iter().for_each(ends_well);
    let mut used = [false; 4];
    for id in &ids {
        let ledger = tap.lifecycle(id, "stopped")["ledger"].take();
        assert_eq!((&ledger["dropped"], &ledger["unconfirmed"]), (&0.into(), &0.into()), "{ledger}");
        let records = streams.count("AGENT_EVENTS", &format!("clau-doom.agent.{id}.*"));
        assert_eq!(streams.count("AGENT_EVENTS", &format!("clau-doom.agent.{id}.score")), 3);
        let parts: [u64; 4] =
            std::array::from_fn(|part| streams.count(&format!("TELEMETRY_{part}"), &format!("clau-doom.part.{part}.agent.{id}.*")));
        // All of an agent's telemetry is in one stream.
        assert_eq!(parts.iter().filter(|count| **count > 0).count(), 1, "{id}: {parts:?}");
        assert_eq!(parts.iter().sum::<u64>() + records, ledger["produced"].as_u64().unwrap(), "{ledger}");
        used.iter_mut().zip(parts).for_each(|(used, count)| *used |= count > 0);
    }
    assert!(used.iter().filter(|used| **used).count() >= 2, "eight agents in one partition: {used:?}");
    assert!(tap.events().iter().all(|event| event.leaf() != "action" || event.subject.starts_with("clau-doom.part.")));
}
