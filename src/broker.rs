//! The agent's way to the broker: a connection, and the server at its other end where that is our own.

use std::time::Duration;

use cli_common::servers::hide_secrets;
use doom_bus::Link;

use crate::{
    config::Config,
    exit::{self, Failure},
    fits,
    nats_choice::NatsChoice,
};

/// How long `--require-nats` waits for a connection.
const NATS_WITHIN: Duration = Duration::from_secs(5);

/// See the module.
pub(crate) struct Broker {
    /// `None` with `--nats off`.
    pub(crate) link: Option<Link>,
    /// A connection of their own for pictures, which would hold up other events; `None` without `--frames`.
    pub(crate) frames: Option<Link>,
    server: Option<embedded::Server>,
}

impl Broker {
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        let server = match &config.nats {
            NatsChoice::Off => return Ok(Self { link: None, frames: None, server: None }),
            NatsChoice::Url(_) => None,
            NatsChoice::Embedded => Some(embedded::start().await?),
        };
        let url = server.as_ref().map_or_else(|| config.connect.url.clone(), embedded::Server::url);
        let settings = doom_bus::ConnectSettings { url, ..config.connect.clone() };
        let shown = hide_secrets(&settings.url);
        if server.is_some() {
            tracing::info!(url = shown, "nats-server listening (embedded; it ends with the agent)");
        }
        let link = doom_bus::connect(&settings).await.map_err(|e| Failure::new(exit::UNAVAILABLE, e))?;
        if config.require_nats || server.is_some() {
            let unreachable = |why| Failure::new(exit::UNAVAILABLE, format!("{shown}: {why}; NATS is required"));
            link.connected_within(NATS_WITHIN).await.map_err(unreachable)?;
        }
        if server.is_some() {
            doom_bus::create_streams(&link, config.root.as_str()).await.map_err(|e| Failure::new(exit::UNAVAILABLE, e))?;
        }
        fits::check(config, &link).await?;
        if server.is_none() && link.status().connects == 0 {
            tracing::info!(url = shown, "connecting to NATS; the agent plays on meanwhile and keeps its records");
        }
        let frames = match config.frames {
            None => None,
            Some(plan) => {
                let settings = doom_bus::ConnectSettings { name: format!("{} frames", settings.name), ..settings };
                let link = doom_bus::connect(&settings).await.map_err(|e| Failure::new(exit::UNAVAILABLE, e))?;
                plan.check_fits(&link).await?;
                Some(link)
            }
        };
        Ok(Self { link: Some(link), frames, server })
    }

    pub(crate) async fn close(self) {
        if let Some(server) = self.server {
            // Stopping waits for the process; a panic in there has nothing left to harm.
            let _ = tokio::task::spawn_blocking(move || server.stop()).await;
        }
    }
}

#[cfg(feature = "embedded-nats")]
mod embedded {
    //! A server of our own.

    use nats_server_process::NatsServer;

    use crate::exit::{self, Failure};

    pub(super) struct Server(NatsServer);

    impl Server {
        pub(super) fn url(&self) -> String {
            self.0.url()
        }

        pub(super) fn stop(mut self) {
            self.0.stop();
        }
    }

    pub(super) async fn start() -> Result<Server, Failure> {
        let started = tokio::task::spawn_blocking(|| NatsServer::builder().jetstream(true).start()).await;
        let started = started.map_err(|e| Failure::new(exit::INTERNAL, e))?;
        started.map(Server).map_err(|e| Failure::new(exit::UNAVAILABLE, format!("the embedded nats-server cannot start: {e}")))
    }
}

#[cfg(not(feature = "embedded-nats"))]
mod embedded {
    //! Left out of this build.

    use crate::exit::{self, Failure};

    pub(super) enum Server {}

    impl Server {
        pub(super) fn url(&self) -> String {
            match *self {}
        }

        pub(super) fn stop(self) {
            match self {}
        }
    }

    pub(super) async fn start() -> Result<Server, Failure> {
        Err(Failure::new(exit::USAGE, "this doom-agent was built without --nats embedded; give a URL or off"))
    }
}
