//! The server, the network before it, and its streams.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use async_nats::jetstream::{self, stream};
use bad_network::Proxy;
use nats_server_process::NatsServer;
use tokio::runtime::Runtime;

/// Where scores and deaths are kept; it forgets message ids at once, so that "once" rests on the agents alone.
pub(crate) const RECORDS: &str = "AGENT_EVENTS";
/// Where agents say their last words.
pub(crate) const SYSTEM: &str = "SYSTEM_EVENTS";

/// See the module.
pub(crate) struct Broker {
    server: Mutex<NatsServer>,
    /// The way to it that breaks.
    pub(crate) proxy: Proxy,
    runtime: Runtime,
    direct: String,
}

impl Broker {
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let server = NatsServer::builder().jetstream(true).store_dir(folder.join("store")).start()?;
        let proxy = Proxy::before(server.port()).context("no proxy")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no I/O runtime")?;
        let direct = server.url();
        let broker = Self { server: Mutex::new(server), proxy, runtime, direct };
        broker.with_jetstream(|context| async move {
            let stream = |name: &str, subjects: &[&str], window: Duration| stream::Config {
                name: name.to_owned(),
                subjects: subjects.iter().map(ToString::to_string).collect(),
                duplicate_window: window,
                allow_direct: true,
                ..stream::Config::default()
            };
            let records = ["clau-doom.agent.*.score", "clau-doom.agent.*.death"];
            context.create_stream(stream(RECORDS, &records, Duration::from_millis(100))).await?;
            let system = ["clau-doom.system.doom_agent.error", "clau-doom.system.doom_agent.lifecycle"];
            context.create_stream(stream(SYSTEM, &system, Duration::from_secs(120))).await?;
            Ok(())
        })?;
        Ok(broker)
    }

    /// Where agents connect: through the proxy.
    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.proxy.address)
    }

    /// The server's process.
    pub(crate) fn server(&self) -> MutexGuard<'_, NatsServer> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with JetStream on a connection of its own, past the proxy.
    pub(crate) fn with_jetstream<T, F: Future<Output = Result<T>>>(&self, what: impl FnOnce(jetstream::Context) -> F) -> Result<T> {
        self.runtime.block_on(async {
            let client = async_nats::connect(&self.direct).await.map_err(|e| anyhow!("no connection to the server: {e}"))?;
            what(jetstream::new(client)).await
        })
    }

    /// The stream of records takes nothing more than it has, or whatever comes.
    pub(crate) fn set_full(&self, full: bool) -> Result<()> {
        self.with_jetstream(|context| async move {
            let stream = context.get_stream(RECORDS).await?;
            let state = &stream.cached_info().state;
            let mut config = stream.cached_info().config.clone();
            config.discard = stream::DiscardPolicy::New;
            // A limit of 0 would be none.
            config.max_messages = if full { i64::try_from(state.messages).unwrap_or(i64::MAX).max(1) } else { -1 };
            context.update_stream(config).await?;
            Ok(())
        })
    }

    /// A server that answers, a network that passes everything on, a stream with room.
    pub(crate) fn heal(&self) -> Result<()> {
        {
            let mut server = self.server();
            server.unpause();
            if server.pid().is_none() {
                server.restart()?;
            }
        }
        self.proxy.heal();
        self.set_full(false)
    }
}
