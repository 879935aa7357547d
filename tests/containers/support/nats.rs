//! NATS servers in containers, with the streams of the design; reached from here by ports of loopback.

use std::time::Duration;

use async_nats::{
    Client, ConnectOptions,
    jetstream::{self, stream},
};
use serde_json::Value;

use super::{BROKER, Container, WITHIN, World, runtime, wait_for};

const DAY: Duration = Duration::from_secs(86_400);

/// One server, or one of several.
pub(crate) struct Nats {
    pub(crate) container: Container,
    port: u16,
}

/// Servers that know each other, and a client of all of them.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Nats>,
    pub(crate) client: Client,
    /// What agents connect to.
    pub(crate) url: String,
}

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Cluster {
    /// `n` servers named n1, n2, … with the streams in as many replicas.
    pub(crate) fn start(world: &World, n: usize) -> Self {
        let names: Vec<String> = (1..=n).map(|i| format!("n{i}")).collect();
        let routes = names.iter().map(|name| format!("nats://{name}:6222")).collect::<Vec<_>>().join(",");
        let server = |name: &String| {
            let port = free_port();
            let publish = format!("127.0.0.1:{port}:4222");
            let mut arguments = vec!["--name", name, "--jetstream", "--store_dir", "/data", "--http_port", "8222"];
            if n > 1 {
                arguments.extend(["--cluster_name", "doom", "--cluster", "nats://0.0.0.0:6222", "--routes", &routes]);
            }
            Nats { container: world.start(BROKER, name, &["--publish", &publish], &arguments), port }
        };
        let servers: Vec<Nats> = names.iter().map(server).collect();
        let here: Vec<String> = servers.iter().map(|s| format!("nats://127.0.0.1:{}", s.port)).collect();
        let options = ConnectOptions::new().retry_on_initial_connect().ignore_discovered_servers().subscription_capacity(1 << 20);
        let client = runtime().block_on(options.ping_interval(Duration::from_secs(2)).connect(here)).unwrap();
        let url = names.iter().map(|name| format!("nats://{name}:4222")).collect::<Vec<_>>().join(",");
        let cluster = Self { servers, client, url };
        cluster.create_streams(n);
        cluster
    }

    /// One server's URL, from here.
    pub(crate) fn url_here(&self, server: usize) -> String {
        format!("nats://127.0.0.1:{}", self.servers[server].port)
    }

    /// A JetStream client that waits as long as an election may take.
    pub(crate) fn jetstream(&self) -> jetstream::Context {
        let _inside = runtime().enter();
        let mut context = jetstream::new(self.client.clone());
        context.set_timeout(Duration::from_secs(5));
        context
    }

    fn create_streams(&self, replicas: usize) {
        let agent = |leaf: &str| format!("clau-doom.agent.*.{leaf}");
        let of = |name: &str, subjects: Vec<String>| stream::Config {
            name: name.to_owned(),
            subjects,
            num_replicas: replicas,
            allow_direct: true,
            max_age: 7 * DAY,
            ..stream::Config::default()
        };
        let records = ["score", "death"].map(agent).map(|source| stream::SubjectTransform { source, destination: String::new() });
        let source = stream::Source { name: "AGENT_EVENTS".to_owned(), subject_transforms: records.to_vec(), ..stream::Source::default() };
        let system = ["error", "lifecycle"].map(|leaf| format!("clau-doom.system.doom_agent.{leaf}"));
        for config in [
            of("AGENT_EVENTS", ["action", "observe", "score", "death"].map(agent).to_vec()),
            stream::Config { sources: Some(vec![source]), ..of("AGENT_RECORDS", Vec::new()) },
            of("EXPERIMENT_EVENTS", vec!["clau-doom.experiment.>".to_owned()]),
            of("SYSTEM_EVENTS", system.to_vec()),
        ] {
            // A cluster that has just come up has no leader yet.
            wait_for(&format!("the stream {}", config.name), || {
                runtime().block_on(self.jetstream().get_or_create_stream(config.clone())).ok().map(drop)
            });
        }
    }

    /// The server that leads a stream, by its place in `servers`.
    pub(crate) fn leader(&self, stream: &str) -> usize {
        wait_for(&format!("the leader of {stream}"), || {
            let info = runtime().block_on(async { self.jetstream().get_stream(stream).await.ok()?.get_info().await.ok() })?;
            let leader = info.cluster?.leader?;
            self.servers.iter().position(|s| s.container.name().ends_with(&format!("-{leader}")))
        })
    }

    /// Waits until every replica of a stream is there and has everything.
    pub(crate) fn wait_whole(&self, stream: &str) {
        wait_for(&format!("all replicas of {stream}"), || {
            let info = runtime().block_on(async { self.jetstream().get_stream(stream).await.ok()?.get_info().await.ok() })?;
            let cluster = info.cluster?;
            let whole = cluster.leader.is_some() && cluster.replicas.len() + 1 == self.servers.len();
            (whole && cluster.replicas.iter().all(|r| r.current && !r.offline)).then_some(())
        });
    }

    /// Asks a subject; the reply as JSON, or `None` where nobody answers in time.
    pub(crate) fn request(&self, subject: &str, body: &str) -> Option<Value> {
        let request = async_nats::Request::new().payload(body.to_owned().into()).timeout(Some(WITHIN));
        let reply = runtime().block_on(self.client.send_request(subject.to_owned(), request)).ok()?;
        serde_json::from_slice(&reply.payload).ok()
    }
}
