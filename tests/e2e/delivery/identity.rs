//! One id, one agent: on a host by a lock, beyond by asking; and each agent is found as a NATS micro service.

use std::collections::{BTreeMap, BTreeSet};

use nats_server_process::NatsServer;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Backend, Gate, JetStream, Spec, Tap, WITHIN, free_port, http, nats_with_streams, on_both};

on_both!(
    a_second_agent_on_the_same_host_is_refused_by_name,
    of_two_agents_on_two_hosts_the_younger_leaves,
    an_agent_leaves_also_when_the_older_one_connects_after_it,
    an_agent_is_a_micro_service_and_its_health_has_no_queue_group,
);

fn a_second_agent_on_the_same_host_is_refused_by_name(backend: Backend) {
    let state = TempDir::new().unwrap();
    let agent =
        || Spec::new(backend, "A", "health_gathering.cfg").with(&["--pace", "350", "--http", "127.0.0.1:0"]).state_dir(state.path());
    let first = agent().spawn();
    let address = first.http();
    let (code, _, err) = agent().run();
    assert_eq!(code, 69, "{err}");
    assert!(err.contains("agent A") && err.contains(&format!("process {}", first.pid())), "{err}");
    assert_eq!(http::get(&address, "/livez").0, 200);
    // Another id, and another root, are other agents.
    for other in [["--id", "B"], ["--subject-root", "elsewhere"]] {
        let short = ["--episodes", "1", "--pace", "max", "--frame-skip", "10"];
        let (code, _, err) = agent().with(&short).with(&other).run();
        assert_eq!(code, 0, "{err}");
    }
    drop(first);
    // The lock ends with the process, however it ended.
    let (code, _, err) = agent().with(&["--episodes", "1", "--pace", "max", "--frame-skip", "10"]).run();
    assert_eq!(code, 0, "{err}");
}

fn of_two_agents_on_two_hosts_the_younger_leaves(backend: Backend) {
    // A server with the streams, but not yet: both agents play when it appears.
    let (port, store) = (free_port(), TempDir::new().unwrap());
    let server = || NatsServer::builder().jetstream(true).port(port).store_dir(store.path()).start().unwrap();
    JetStream::open(&server().url()).create_all();
    let url = format!("nats://127.0.0.1:{port}");
    // A state directory each, as on two hosts.
    let playing = || {
        let spec = Spec::new(backend, "A", "health_gathering.cfg").with(&["--pace", "350", "--nats", &url, "--http", "127.0.0.1:0"]);
        let agent = spec.spawn();
        let body = http::wait_get(&agent.http(), "/livez", "playing", |_, body| body.contains("\"state\":\"running\""));
        (agent, serde_json::from_str::<Value>(&body).unwrap()["instance"].as_str().unwrap().to_owned())
    };
    let (older, instance) = playing();
    let (mut younger, other) = playing();
    let server = server();
    let tap = Tap::open(&server.url());
    assert_eq!(younger.wait_exit(WITHIN), 69);
    let log = younger.log().join("\n");
    assert!(log.contains("already alive") && log.contains(&instance), "{log}");
    assert!(!older.has_ended());
    let health = tap.request("clau-doom.agent.A.health", "");
    assert_eq!((&health["instance"], &health["state"], &health["healthy"]), (&instance.into(), &"running".into(), &true.into()));
    // What the younger played is not lost: it drains as if it was told to stop.
    let streams = JetStream::open(&server.url());
    let of_the_younger = |stream: &str, subject: &str| {
        let mut events = streams.stored(stream, subject);
        events.retain(|e| e.header("instance") == other);
        events
    };
    let score = of_the_younger("AGENT_EVENTS", "clau-doom.agent.A.score").pop().unwrap().payload();
    assert_eq!(score["end_reason"], "aborted");
    let stopped = of_the_younger("SYSTEM_EVENTS", "clau-doom.system.doom_agent.lifecycle").pop().unwrap().payload();
    assert_eq!((&stopped["state"], &stopped["exit_code"]), (&"stopped".into(), &69.into()));
    let error = of_the_younger("SYSTEM_EVENTS", "clau-doom.system.doom_agent.error").pop().unwrap().payload();
    assert_eq!((&error["kind"], &error["fatal"]), (&"duplicate_id".into(), &true.into()));
}

/// The younger one's question has found nobody: the older one was not there yet.
fn an_agent_leaves_also_when_the_older_one_connects_after_it(backend: Backend) {
    let server = nats_with_streams();
    let gate = Gate::before(&server);
    let agent = || Spec::new(backend, "A", "health_gathering.cfg").with(&["--pace", "350"]);
    let older = agent().with(&["--nats", &gate.url]).spawn();
    gate.wait_held();
    let mut younger = agent().nats(&server).spawn_ready();
    gate.open();
    older.wait_log("the NATS server has our subscriptions");
    assert_eq!(younger.wait_exit(WITHIN), 69);
    assert!(!older.has_ended());
}

fn an_agent_is_a_micro_service_and_its_health_has_no_queue_group(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let agent = |id: &str| Spec::new(backend, id, "health_gathering.cfg").nats(&server).with(&["--pace", "350"]).spawn_ready();
    let _agents = [agent("A"), agent("B")];
    let ask = |verb: &str| -> BTreeMap<String, Value> {
        let answers = tap.request_many(&format!("$SRV.{verb}.doom-agent"), "", 2, WITHIN);
        let answers = answers.iter().map(|a| a.json()).map(|a| {
            assert_eq!(a["type"], format!("io.nats.micro.v1.{}_response", verb.to_lowercase()));
            assert_eq!((&a["name"], &a["version"]), (&"doom-agent".into(), &env!("CARGO_PKG_VERSION").into()));
            (a["id"].as_str().unwrap().to_owned(), a)
        });
        answers.collect()
    };
    let (ping, info, stats) = (ask("PING"), ask("INFO"), ask("STATS"));
    assert_eq!(ping.len(), 2);
    let ids: BTreeSet<_> = ping.values().map(|a| a["metadata"]["id"].as_str().unwrap()).collect();
    assert_eq!(ids, BTreeSet::from(["A", "B"]));
    for (service, answer) in &ping {
        assert_eq!(info[service]["metadata"], answer["metadata"]);
        assert!(stats.contains_key(service));
        let health = tap.request(&format!("clau-doom.agent.{}.health", answer["metadata"]["id"].as_str().unwrap()), "");
        assert_eq!(answer["metadata"]["instance"], health["instance"]);
    }
    let monitor = server.monitor_url();
    let (_, text) = http::get(monitor.strip_prefix("http://").unwrap(), "/connz?subs=detail");
    let connections: serde_json::Value = serde_json::from_str(&text).unwrap();
    let subscriptions =
        connections["connections"].as_array().unwrap().iter().flat_map(|c| c["subscriptions_list_detail"].as_array().unwrap());
    let ours: Vec<_> = subscriptions.filter(|s| s["subject"].as_str().unwrap().starts_with("clau-doom.agent.A.")).collect();
    assert!(ours.iter().any(|s| s["subject"] == "clau-doom.agent.A.health"), "{ours:?}");
    assert!(ours.iter().all(|s| s.get("qgroup").is_none()), "two agents under one id must both hear: {ours:?}");
}
