//! What docs/SCALING.md tells to do when a population outgrows one set of streams, on real servers: the configurations of configs/nats as they stand.

use std::path::Path;

use async_nats::{Client, ConnectOptions};
use nats_server_process::NatsServer;
use serde_json::json;

use crate::support::{Agent, Backend, JetStream, Spec, Tap, WITHIN, free_port, runtime};

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
fn behind_a_leaf_node_every_event_is_stored_at_the_hub_and_commands_come_through() {
    let port = free_port();
    let text = config("hub.conf").replace("0.0.0.0:7422", &format!("127.0.0.1:{port}"));
    let hub = NatsServer::builder().jetstream(true).config_text(text).start().unwrap();
    let streams = JetStream::open(&hub.url());
    streams.create_all();
    let tap = Tap::open(&hub.url());
    let leaf =
        NatsServer::builder().env("DOOM_HUB", format!("nats-leaf://127.0.0.1:{port}")).config_text(config("leaf.conf")).start().unwrap();
    let agent = short("A", &["--nats", &leaf.url(), "--start-paused"]);
    agent.wait_log("the NATS server has our subscriptions");
    assert_eq!(tap.request("clau-doom.agent.A.health", "")["agent_id"], "A");
    assert_eq!(tap.request("clau-doom.agent.A.control.resume", "")["ok"], true);
    ends_well(agent);
    let ledger = tap.lifecycle("A", "stopped")["ledger"].take();
    assert_eq!((&ledger["dropped"], &ledger["unconfirmed"]), (&0.into(), &0.into()), "{ledger}");
    assert_eq!(streams.count("AGENT_EVENTS", ">"), ledger["produced"].as_u64().unwrap(), "{ledger}");
    assert_eq!(streams.count("AGENT_EVENTS", "clau-doom.agent.A.score"), 3);
}

#[test]
fn partitions_by_account_keep_streams_of_their_own_and_observers_see_all_of_them() {
    let builder = NatsServer::builder().jetstream(true).config_text(config("partitions.conf"));
    let builder = ["P0", "P1", "OBSERVER"].iter().fold(builder, |b, name| b.env(format!("DOOM_{name}_PASSWORD"), "secret"));
    let server = builder.start().unwrap();
    let member = |user: &str| -> Client {
        let options = ConnectOptions::with_user_and_password(user.to_owned(), "secret".to_owned());
        runtime().block_on(options.connect(server.url())).unwrap()
    };
    let members = ["p0", "p1"].map(member);
    let streams = members.clone().map(JetStream::of);
    streams.iter().for_each(JetStream::create_all);
    let url = server.url().replace("nats://", "nats://observer:secret@");
    let observer = Tap::on_subject(&url, ">");
    // One id in both of them: they are no namesakes.
    let agents = ["p0", "p1"].map(|user| {
        let agent = short("A", &["--nats", &server.url(), "--nats-user", user, "--nats-password", "secret", "--start-paused"]);
        agent.wait_log("the NATS server has our subscriptions");
        agent
    });
    for partition in ["p0", "p1"] {
        assert_eq!(observer.request(&format!("{partition}.clau-doom.agent.A.health"), "")["state"], "paused");
    }
    for ((streams, member), agent) in streams.iter().zip(members).zip(agents) {
        runtime().block_on(member.request("clau-doom.agent.A.control.resume", "".into())).unwrap();
        ends_well(agent);
        assert_eq!(streams.count("AGENT_EVENTS", "clau-doom.agent.A.score"), 3);
        streams.wait_count("AGENT_RECORDS", "clau-doom.agent.A.score", 3);
    }
    observer.wait("p0.clau-doom.agent.A.score", 3);
    observer.wait("p1.clau-doom.agent.A.score", 3);
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
