//! What is done at every (re)connect: a round trip, so that the server has our subscriptions; a look for a namesake; a look for the
//! stream that would answer health requests in our place. Only then is the agent ready.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_nats::service::ServiceExt;
use doom_protocol::{HealthReply, Subjects, service};
use tokio::sync::{Notify, mpsc, watch};

use crate::{Identity, Link, LinkState, health_trap, older_namesake};

/// A stream that answers in our place is looked for again this often, until somebody has mended it.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A round trip that takes longer was lost on a connection that stands; it is made again.
const ROUND_TRIP_WITHIN: Duration = Duration::from_secs(5);
/// Namesakes that come into sight without a new connection of ours (servers that find each other again) are asked for this often, so that with
/// the time they have to answer there is one agent again within two seconds.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Whether the agent can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// No connection, or no round trip yet.
    NotConnected,
    /// This stream answers health requests in our place.
    Trapped(String),
    /// An older agent bears our id.
    Namesake,
    /// The server has our subscriptions.
    Ready,
}

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
    /// Told when an older agent of our id has asked for our health.
    pub asked_by_an_older: Arc<Notify>,
    /// The agent's id, for the registration as a micro service.
    pub agent: String,
    /// The agent's version (semantic).
    pub version: String,
}

impl Session {
    /// Runs until the connection is closed; keeps `ready` true to what is the case.
    pub async fn run(self, ready: watch::Sender<Readiness>, events: mpsc::Sender<SessionEvent>) {
        let metadata = HashMap::from([
            (service::ID.to_owned(), self.agent.clone()),
            (service::INSTANCE.to_owned(), self.identity.instance.to_string()),
            (service::ROOT.to_owned(), self.subjects.root().to_string()),
        ]);
        let service = self.link.client().service_builder().metadata(metadata).start(service::NAME, &self.version).await;
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
                ready.send_replace(Readiness::NotConnected);
            } else if now.connects != seen {
                let checked = tokio::select! {
                    event = self.check() => Some(event),
                    _ = status.changed() => None,
                };
                if let Some(event) = checked {
                    seen = now.connects;
                    let readiness = match &event {
                        SessionEvent::Ready => Readiness::Ready,
                        SessionEvent::Trap(stream) => Readiness::Trapped(stream.clone()),
                        SessionEvent::Namesake(_) => Readiness::Namesake,
                    };
                    ready.send_replace(readiness);
                    let _ = events.send(event).await;
                }
                continue;
            }
            let trapped = matches!(*ready.borrow(), Readiness::Trapped(_));
            tokio::select! {
                changed = status.changed() => if changed.is_err() { break },
                () = self.asked_by_an_older.notified() => seen = 0,
                other = self.namesake_in_sight(), if *ready.borrow() == Readiness::Ready => {
                    ready.send_replace(Readiness::Namesake);
                    let _ = events.send(SessionEvent::Namesake(Box::new(other))).await;
                }
                () = tokio::time::sleep(LOOK_AGAIN), if trapped => {
                    if health_trap(&self.link, &self.subjects.health).await.is_none() {
                        seen = 0;
                    }
                }
            }
        }
        ready.send_replace(Readiness::NotConnected);
    }

    /// Waits until an older agent of our id answers.
    async fn namesake_in_sight(&self) -> HealthReply {
        loop {
            tokio::time::sleep(ASK_AGAIN).await;
            if let Some(other) = older_namesake(&self.link, &self.subjects.health, self.identity).await {
                return other;
            }
        }
    }

    async fn check(&self) -> SessionEvent {
        loop {
            match tokio::time::timeout(ROUND_TRIP_WITHIN, self.link.round_trip()).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => {
                    tracing::debug!(error, "no round trip yet");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
                Err(_) => tracing::debug!("a round trip was lost; making another"),
            }
        }
        if let Some(other) = older_namesake(&self.link, &self.subjects.health, self.identity).await {
            return SessionEvent::Namesake(Box::new(other));
        }
        match health_trap(&self.link, &self.subjects.health).await {
            Some(stream) => SessionEvent::Trap(stream),
            None => SessionEvent::Ready,
        }
    }
}
