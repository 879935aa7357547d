//! A nats-server of 2.9, Debian's: what works there works, and what needs 2.10 is said before anything is done.

use std::path::PathBuf;

use nats_server_process::NatsServer;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Agent, Nats, doomctl_at, events::Population};

/// Every stream of the design but the one that needs 2.10.
const APPLICABLE: [&str; 7] =
    ["AGENT_EVENTS", "EXPERIMENT_EVENTS", "GENERATION_EVENTS", "METRICS", "SYSTEM_EVENTS", "EVALUATIONS", "DEAD_LETTERS"];

/// The server that `cargo xtask setup` unpacks, or the one named by `NATS_SERVER_OLDER`.
fn older() -> NatsServer {
    let named = std::env::var_os("NATS_SERVER_OLDER").filter(|named| !named.is_empty()).map(PathBuf::from);
    let fetched = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vendor/nats-server-debian/nats-server");
    let binary = named.unwrap_or_else(|| fetched.into());
    assert!(binary.is_file(), "no {}: run `cargo xtask setup`, or name a nats-server of 2.9 with NATS_SERVER_OLDER", binary.display());
    NatsServer::builder().binary(binary).jetstream(true).start().expect("nats-server starts")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn streams_are_made_but_for_the_one_that_needs_a_newer_server() {
    let server = older();
    let said = doomctl_at(&server, &["ping"]);
    assert!(said.code == Some(0) && said.out.contains("nats-server 2.9."), "{said:?}");
    let all = doomctl_at(&server, &["streams", "apply"]);
    assert!(all.code == Some(69) && all.err.contains("AGENT_RECORDS") && all.err.contains("NATS 2.10"), "{all:?}");
    let nats = Nats::connect(&server);
    assert_eq!(nats.names(), [] as [String; 0], "nothing is half done");
    let apply = [&["streams", "apply"][..], &APPLICABLE].concat();
    assert_eq!(doomctl_at(&server, &apply).code, Some(0));
    assert_eq!(
        doomctl_at(&server, &[&["streams", "diff"][..], &APPLICABLE].concat()).code,
        Some(0),
        "a second time there is nothing to do"
    );
}

#[test]
fn readers_dead_letters_and_answers_do_what_they_do_on_a_newer_one() {
    let population = Population::on(older());
    let (server, nats) = (&population.server, Nats::connect(&population.server));
    population.act(3);
    for _ in 0..2 {
        population.score_live("e1", 1..=2, &["HEALTH"]);
    }
    population.poison();
    // Two kinds for one consumer: asked for by what covers both, and the rest is left out here.
    let both = ["--stream", "AGENT_EVENTS", "--event", "score,death"];
    let replayed = doomctl_at(server, &[&["replay", "--json"], &both[..]].concat());
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    assert_eq!(lines(&replayed.out).len(), 5, "{replayed:?}");
    let folder = TempDir::new().expect("a folder");
    let out = folder.path().join("s.jsonl");
    let export = [&["export", "--durable", "desk", "--out", out.to_str().expect("UTF-8")], &both[..]].concat();
    let exported = doomctl_at(server, &export);
    assert!(exported.code == Some(65) && exported.err.contains("AGENT_EVENTS sequence 8 (dead letter 1)"), "{exported:?}");
    assert_eq!(lines(&std::fs::read_to_string(&out).expect("UTF-8")).len(), 4);
    let next = doomctl_at(server, &[&export[..], &["--force"]].concat());
    assert!(next.code == Some(0) && next.out.contains("0 events"), "the server remembers what was exported: {next:?}");
    let redriven = doomctl_at(server, &["dlq", "redrive", "--all"]);
    assert!(redriven.code == Some(0) && redriven.out.contains("AGENT_EVENTS/9"), "{redriven:?}");
    assert_eq!(nats.state("DEAD_LETTERS")["messages"], 0);
}

#[test]
fn agents_are_found_told_and_measured() {
    let population = Population::on(older());
    let server = &population.server;
    let mut agent = Agent::start(server, "O", &[]);
    let agents = doomctl_at(server, &["agents"]);
    assert!(agents.code == Some(0) && agents.out.contains("O  "), "{agents:?}");
    for (verb, state) in [("pause", "paused"), ("resume", "running")] {
        let told = doomctl_at(server, &[verb, "--agent", "O", "--wait"]);
        assert!(told.code == Some(0) && told.out.contains(state), "{told:?}");
    }
    let lag = doomctl_at(server, &["lag"]);
    assert!(lag.code == Some(0) && lag.out.contains("AGENT_EVENTS"), "{lag:?}");
    assert_eq!(doomctl_at(server, &["shutdown", "--agent", "O", "--wait"]).code, Some(0));
    assert_eq!(agent.wait(), Some(0));
    // Its last words and its scores are stored once, as on a newer server.
    let stopped = doomctl_at(server, &["replay", "--event", "lifecycle", "--json"]);
    let states: Vec<_> = lines(&stopped.out).iter().map(|line| line["event"]["payload"]["state"].clone()).collect();
    assert_eq!(states, ["ready", "stopped"], "{stopped:?}");
}
