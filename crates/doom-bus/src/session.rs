//! What is done at every (re)connect: a round trip, so that the server has our subscriptions; a look for a namesake; a look for the
//! stream that would answer health requests in our place. Only then is the agent ready.

use std::collections::HashMap;

use async_nats::service::ServiceExt;
use doom_protocol::{HealthReply, Subjects};
use tokio::sync::{mpsc, watch};

use crate::{Identity, Link, LinkState, health_trap, older_namesake};

/// What a session finds out.
#[derive(Debug)]
pub enum SessionEvent {
    /// The server has our subscriptions and nobody older bears our id.
    Ready,
    /// A stream captures health requests; not ready.
    Trap(String),
    /// An older agent bears our id; we must go.
    Namesake(Box<HealthReply>),
}

/// Watches a connection for as long as it lives.
#[derive(Debug)]
pub struct Session {
    /// The connection.
    pub link: Link,
    /// The agent's subjects.
    pub subjects: Subjects,
    /// Who we are among namesakes.
    pub identity: Identity,
    /// The agent's id, for the registration as a micro service.
    pub agent: String,
    /// The agent's version (semantic).
    pub version: String,
}

impl Session {
    /// Runs until the connection is closed. `ready` is true while the agent can be reached and may be.
    pub async fn run(self, ready: watch::Sender<bool>, events: mpsc::Sender<SessionEvent>) {
        let metadata = HashMap::from([("id".to_owned(), self.agent.clone()), ("instance".to_owned(), self.identity.instance.to_string())]);
        let service = self.link.client().service_builder().metadata(metadata).start("doom-agent", &self.version).await;
        // Held for the life of the session: dropping it ends the registration.
        let _service = service.map_err(|error| tracing::warn!(%error, "cannot register as a NATS micro service")).ok();
        let mut status = self.link.watch();
        let mut seen = 0;
        loop {
            let now = *status.borrow_and_update();
            if now.state == LinkState::Closed {
                break;
            }
            if now.state != LinkState::Connected {
                ready.send_replace(false);
            } else if now.connects != seen {
                let checked = tokio::select! {
                    event = self.check() => Some(event),
                    _ = status.changed() => None,
                };
                if let Some(event) = checked {
                    seen = now.connects;
                    ready.send_replace(matches!(event, SessionEvent::Ready));
                    let _ = events.send(event).await;
                }
                continue;
            }
            if status.changed().await.is_err() {
                break;
            }
        }
        ready.send_replace(false);
    }

    async fn check(&self) -> SessionEvent {
        if let Err(error) = self.link.round_trip().await {
            tracing::debug!(error, "no round trip yet");
            std::future::pending::<()>().await;
        }
        if let Some(other) = older_namesake(&self.link, &self.subjects.health, self.identity).await {
            return SessionEvent::Namesake(Box::new(other));
        }
        match health_trap(self.link.client(), &self.subjects.health).await {
            Some(stream) => SessionEvent::Trap(stream),
            None => SessionEvent::Ready,
        }
    }
}
