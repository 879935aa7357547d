//! Three nats-servers that know each other, on loopback, with the design's streams three times.

use std::{
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use async_nats::{Client, ConnectOptions, jetstream};
use bench::machine::{cpu_seconds, descriptors, resident_mb, written_bytes};
use doom_bus::streams::{Action, Losses, Wanted, apply, plan, read};
use doom_protocol::{SubjectRoot, stream::StreamSet};
use futures::TryStreamExt;
use nats_server_process::NatsServer;
use serde::Serialize;

/// How many servers, and how often each stream is kept.
const SERVERS: u8 = 3;
/// Servers find each other and elect their leaders in this time.
const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The servers, which end with it, and a client of theirs.
pub(crate) struct Cluster {
    servers: Vec<NatsServer>,
    pub(crate) client: Client,
    /// All of them, as agents take it.
    pub(crate) url: String,
}

/// What the servers have used so far, together.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_mb: f64,
    pub(crate) descriptors: usize,
    pub(crate) written_bytes: f64,
}

/// What the streams have taken so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stored {
    /// Of all streams that agents publish into: copies are not counted.
    pub(crate) messages: f64,
    /// As the streams count them, once for each message.
    pub(crate) bytes_a_message: f64,
    /// In `AGENT_EVENTS` alone.
    pub(crate) agent_events: u64,
}

impl Cluster {
    /// Starts it with its files below `folder`, and waits until every stream has a leader and all of its copies.
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        let ports = free_ports()?;
        let routes = ports.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect::<Vec<_>>().join(", ");
        let mut servers = Vec::new();
        for (number, port) in (1..).zip(&ports) {
            let text = format!(
                "server_name: n{number}\nmax_payload: 1MB\ncluster {{ name: scale, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}\n"
            );
            let store = folder.join(format!("n{number}"));
            servers.push(NatsServer::builder().jetstream(true).store_dir(store).config_text(text).start()?);
        }
        let urls: Vec<String> = servers.iter().map(NatsServer::url).collect();
        // A burst of many agents' actions must not be dropped on the way to us: it would be missed in what is measured.
        let options = ConnectOptions::new().subscription_capacity(1 << 20).ignore_discovered_servers();
        let client = options.connect(&urls).await.context("cannot connect to the cluster")?;
        let cluster = Self { servers, client, url: urls.join(",") };
        cluster.make_streams().await?;
        Ok(cluster)
    }

    /// A cluster that has just come up has no leader yet, nor have streams that were just made.
    async fn make_streams(&self) -> Result<()> {
        let until = Instant::now() + READY_WITHIN;
        loop {
            let obstacle = match self.try_streams().await {
                Ok(true) => return Ok(()),
                Ok(false) => "not all of them have their copies".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            if Instant::now() >= until {
                let log = self.servers.first().map_or(String::new(), NatsServer::log);
                bail!("the streams are not there within {READY_WITHIN:?}: {obstacle}; the first server says\n{log}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether there is nothing left to do.
    async fn try_streams(&self) -> Result<bool> {
        let root = SubjectRoot::default();
        let there = read(&self.client).await?;
        let plan = plan(&Wanted { set: StreamSet::standard(), root: &root, replicas: Some(SERVERS) }, &there);
        apply(&self.client, &plan, Losses::Refused, |_| {}).await?;
        if plan.steps.iter().any(|step| step.action != Action::Nothing) {
            return Ok(false);
        }
        let infos: Vec<_> = jetstream::new(self.client.clone()).streams().try_collect().await?;
        let whole = |info: &jetstream::stream::Info| {
            let cluster = info.cluster.as_ref();
            cluster
                .is_some_and(|c| c.leader.is_some() && c.replicas.len() + 1 == usize::from(SERVERS) && c.replicas.iter().all(|r| r.current))
        };
        Ok(infos.iter().all(whole))
    }

    /// What the servers have used.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let mut sum = Usage::default();
        for server in &self.servers {
            let pid = server.pid().with_context(|| format!("a server has ended: {}", server.log()))?;
            sum.cpu_seconds += cpu_seconds(pid)?;
            sum.resident_mb += resident_mb(pid)?;
            sum.descriptors += descriptors(pid)?;
            sum.written_bytes += written_bytes(pid)?;
        }
        Ok(sum)
    }

    /// What the streams have taken.
    #[expect(clippy::cast_precision_loss, reason = "messages and bytes of some minutes")]
    pub(crate) async fn stored(&self) -> Result<Stored> {
        let infos: Vec<_> = jetstream::new(self.client.clone()).streams().try_collect().await.context("the streams do not tell")?;
        let mut stored = Stored::default();
        let (mut bytes, mut kept) = (0.0, 0.0);
        for info in infos.iter().filter(|info| info.config.sources.as_ref().is_none_or(Vec::is_empty)) {
            stored.messages += info.state.last_sequence as f64;
            bytes += info.state.bytes as f64;
            kept += info.state.messages as f64;
            if info.config.name == "AGENT_EVENTS" {
                stored.agent_events = info.state.last_sequence;
            }
        }
        stored.bytes_a_message = if kept > 0.0 { bytes / kept } else { 0.0 };
        Ok(stored)
    }
}

/// As many as there are servers; all are held until each is known, so that they differ.
fn free_ports() -> Result<Vec<u16>> {
    let listen = |_| TcpListener::bind("127.0.0.1:0");
    let listeners = (0..SERVERS).map(listen).collect::<Result<Vec<_>, _>>().context("no free port")?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
