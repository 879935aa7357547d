//! A cluster of three servers: replicas by a flag.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use nats_server_process::NatsServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Answer, Nats, answer, doomctl};

/// Electing leaders takes a moment, and nobody tells when it is done.
const WITHIN: Duration = Duration::from_secs(60);

/// Three servers with JetStream, once they have a leader.
struct Cluster {
    servers: Vec<NatsServer>,
    _stores: Vec<TempDir>,
}

impl Cluster {
    fn start() -> Self {
        // Held until all are known, so that no two are the same.
        let held: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        let ports: Vec<u16> = held.iter().map(|listener| listener.local_addr().expect("it listens").port()).collect();
        drop(held);
        let routes: Vec<_> = ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let stores: Vec<_> = ports.iter().map(|_| TempDir::new().expect("a folder")).collect();
        let servers = ports.iter().zip(&stores).enumerate().map(|(number, (port, store))| {
            let config = format!(
                "server_name: s{number}\ncluster {{ name: c, listen: \"127.0.0.1:{port}\", routes: [{}] }}\n",
                routes.iter().map(|route| format!("\"{route}\"")).collect::<Vec<_>>().join(", ")
            );
            NatsServer::builder().jetstream(true).store_dir(store.path()).config_text(config).start().expect("nats-server starts")
        });
        let cluster = Self { servers: servers.collect(), _stores: stores };
        cluster.until(&["streams", "show"], |answer| answer.code == Some(0));
        cluster
    }

    fn doomctl(&self, arguments: &[&str]) -> Answer {
        answer(doomctl(arguments).env("NATS_URL", self.servers[0].url()))
    }

    /// Says it again until it is answered so.
    fn until(&self, arguments: &[&str], fits: impl Fn(&Answer) -> bool) -> Answer {
        let until = Instant::now() + WITHIN;
        loop {
            let answer = self.doomctl(arguments);
            if fits(&answer) {
                return answer;
            }
            assert!(Instant::now() < until, "{arguments:?}: {answer:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

#[test]
fn a_flag_gives_every_stream_its_replicas_and_without_it_they_stay() {
    let cluster = Cluster::start();
    // A stream of one copy first: the flag is for streams that are there as well.
    let one = cluster.until(&["streams", "apply", "METRICS"], |answer| answer.code == Some(0));
    assert!(one.out.contains("replicas     1"), "{one:?}");
    let apply = cluster.until(&["streams", "apply", "--replicas", "3"], |answer| answer.code == Some(0));
    assert!(apply.out.contains("done: "), "{apply:?}");
    let nats = Nats::connect(&cluster.servers[1]);
    let names = nats.names();
    assert_eq!(names.len(), 8, "{names:?}");
    for name in &names {
        assert_eq!(nats.config(name)["num_replicas"], 3, "{name}");
    }
    for again in [&["streams", "diff", "--replicas", "3"][..], &["streams", "diff"]] {
        assert_eq!(cluster.doomctl(again).code, Some(0), "{again:?}: nothing is left to do");
    }
    let fewer = cluster.doomctl(&["streams", "diff", "--replicas", "1", "--json"]);
    assert_eq!(fewer.code, Some(1), "{fewer:?}");
    assert!(serde_json::from_str::<Value>(&fewer.out).is_ok(), "{fewer:?}");
    // Each server has a copy.
    let info = nats.api("STREAM.INFO.AGENT_EVENTS", &json!({}));
    assert_eq!(info["cluster"]["replicas"].as_array().map(Vec::len), Some(2), "{info}");
}
