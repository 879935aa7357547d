//! No server at the start: the agent plays on, says so once, and delivers when there is one; unless it was told to require one.

use std::time::Duration;

use nats_server_process::NatsServer;
use rustix::process::Signal;

use crate::{
    faults::assert_rhythm,
    support::{Backend, Event, JetStream, Spec, WITHIN, free_port, http, on_both},
};

on_both!(a_server_that_comes_late_gets_every_record, a_required_server_that_is_absent_is_an_error);

fn a_server_that_comes_late_gets_every_record(backend: Backend) {
    let port = free_port();
    let url = format!("nats://127.0.0.1:{port}");
    let spec = Spec::new(backend, "A", "basic.cfg").with(&["--nats", &url, "--set", "episode_timeout=35", "--pace", "700"]);
    let mut agent = spec.with(&["--frame-skip", "4", "--http", "127.0.0.1:0", "--metrics-interval", "200ms"]).spawn();
    let address = agent.http();
    let text = http::wait_get(&address, "/metrics", "ten episodes played", |_, text| http::metric(text, "episodes_completed") >= 10.0);
    assert!(http::metric(&text, "records_spooled") >= 9.0, "{text}");
    assert_eq!(http::get(&address, "/readyz").0, 503);
    let health: serde_json::Value = serde_json::from_str(&http::get(&address, "/livez").1).unwrap();
    assert_eq!((&health["healthy"], &health["nats"]["state"]), (&true.into(), &"connecting".into()));
    let said = agent.log().iter().filter(|l| l.contains(&url)).count();
    assert_eq!(said, 1, "said once: {:#?}", agent.log());
    let server = NatsServer::builder().jetstream(true).port(port).start().unwrap();
    let streams = JetStream::open(&server.url());
    streams.create_all();
    streams.wait_count("AGENT_EVENTS", "clau-doom.agent.A.score", 10);
    http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let stored = streams.stored("AGENT_EVENTS", "clau-doom.agent.A.score");
    let numbers: Vec<u64> = stored.iter().map(|e| e.payload()["episode_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "from the first episode on, each once");
    assert!(stored.iter().map(Event::seq).is_sorted_by(|a, b| a < b), "in the order of seq");
    assert_rhythm(&stored);
    let last = streams.stored("SYSTEM_EVENTS", "clau-doom.system.doom_agent.lifecycle").last().unwrap().payload();
    assert_eq!((&last["state"], &last["ledger"]["stored"]), (&"stopped".into(), &numbers.len().into()));
}

fn a_required_server_that_is_absent_is_an_error(backend: Backend) {
    let url = format!("nats://127.0.0.1:{}", free_port());
    let spec = Spec::new(backend, "A", "basic.cfg").with(&["--nats", &url, "--require-nats"]);
    let mut agent = spec.spawn();
    assert_eq!(agent.wait_exit(Duration::from_secs(20)), 69);
    let log = agent.log().join("\n");
    assert!(log.contains(&url) && log.contains("required"), "{log}");
}
