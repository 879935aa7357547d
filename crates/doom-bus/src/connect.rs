//! The connection: made with retries for ever, watched, and known by a state that anyone may read.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_nats::{Client, ConnectOptions, Event};
use rand::Rng;
use tokio::sync::watch;

/// Pings this far apart; two unanswered ones end the connection, so that a dead peer is noticed within ten seconds.
const PING_INTERVAL: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Messages that wait for the connection within the client. More than twice what the telemetry publisher has under way at most, so
/// that publishing does not wait where a server takes nothing any more.
const COMMANDS: usize = 32_768;
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_MOST: Duration = Duration::from_secs(4);

/// How the agent proves who it is. Secrets never appear in `Debug`.
#[derive(Clone, Default)]
pub enum Auth {
    /// Nothing, or what the URL says.
    #[default]
    None,
    /// User name and password.
    UserPassword(String, String),
    /// A token.
    Token(String),
    /// An nkey seed.
    NKey(String),
    /// A file with a JWT and an nkey seed.
    Credentials(PathBuf),
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::UserPassword(..) => "UserPassword(hidden)",
            Self::Token(_) => "Token(hidden)",
            Self::NKey(_) => "NKey(hidden)",
            Self::Credentials(_) => "Credentials(hidden)",
        })
    }
}

/// Files for TLS.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Root certificates beside the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate and its key, for mutual TLS.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// Everything a connection needs.
#[derive(Debug, Clone, Default)]
pub struct ConnectSettings {
    /// One or several URLs, separated by commas.
    pub url: String,
    /// Shown by the server.
    pub name: String,
    /// Who we are.
    pub auth: Auth,
    /// Certificates.
    pub tls: Tls,
    /// Prefix of our inboxes, so that permissions can tell ours from others'.
    pub inbox_prefix: Option<String>,
}

/// Why no connection can even be tried.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL does not parse.
    #[error("the NATS URL is not valid: {0}; write it like nats://127.0.0.1:4222")]
    Url(String),
    /// A file with credentials cannot be read or parsed.
    #[error("the NATS credentials file {path} cannot be used: {source}")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Any other refusal before the first try (certificates, for instance).
    #[error("cannot set up the NATS connection: {0}")]
    Setup(String),
}

/// Where the connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Never connected so far.
    Connecting,
    /// Up.
    Connected,
    /// Was up, is being made again.
    Reconnecting,
    /// Closed by us.
    Closed,
}

impl LinkState {
    /// As health says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Reconnecting => "reconnecting",
            Self::Closed => "closed",
        }
    }
}

/// The connection's state, and how often it was made and lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Now.
    pub state: LinkState,
    /// How often it was made.
    pub connects: u64,
    /// How often it was lost; what was written before a loss and not confirmed is in doubt.
    pub losses: u64,
}

/// A connection and its state.
#[derive(Debug, Clone)]
pub struct Link {
    client: Client,
    status: watch::Receiver<Status>,
}

impl Link {
    /// The client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The state now.
    #[must_use]
    pub fn status(&self) -> Status {
        *self.status.borrow()
    }

    /// Watches the state.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Waits until the connection is up.
    pub async fn connected(&self) {
        let mut status = self.watch();
        // An error means that the client is gone; then there is nothing to wait for.
        let _ = status.wait_for(|s| s.state == LinkState::Connected).await;
    }

    /// Waits for the broker to have processed everything we sent so far: a round trip through an inbox of our own.
    ///
    /// # Errors
    /// A text, where the connection is closed or breaks on the way.
    pub async fn round_trip(&self) -> Result<(), String> {
        use futures::StreamExt;
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.map_err(|e| e.to_string())?;
        self.client.publish(inbox, bytes::Bytes::new()).await.map_err(|e| e.to_string())?;
        answers.next().await.map(drop).ok_or_else(|| "the connection was closed".to_owned())
    }

    /// Sends what is buffered and closes; returns when closed.
    pub async fn close(&self) {
        let mut status = self.watch();
        if self.status().state == LinkState::Connected && self.client.drain().await.is_ok() {
            let _ = status.wait_for(|s| s.state == LinkState::Closed).await;
        }
    }
}

/// Starts the connection; it is retried for ever, with jitter, also where nothing answers at first.
///
/// # Errors
/// [`ConnectError`] for what can be known to be wrong before the first try.
pub async fn connect(settings: &ConnectSettings) -> Result<Link, ConnectError> {
    let (sender, status) = watch::channel(Status { state: LinkState::Connecting, connects: 0, losses: 0 });
    let sender = Arc::new(sender);
    let servers: Vec<async_nats::ServerAddr> = settings
        .url
        .split(',')
        .map(|u| u.trim().parse::<async_nats::ServerAddr>())
        .collect::<Result<_, _>>()
        .map_err(|e| ConnectError::Url(e.to_string()))?;
    let mut options = ConnectOptions::new()
        .name(&settings.name)
        .retry_on_initial_connect()
        .ping_interval(PING_INTERVAL)
        .connection_timeout(CONNECT_TIMEOUT)
        .subscription_capacity(65_536)
        .client_capacity(COMMANDS)
        .reconnect_delay_callback(backoff)
        .event_callback({
            let name: Arc<str> = settings.name.as_str().into();
            move |event| {
                let (sender, name) = (Arc::clone(&sender), Arc::clone(&name));
                async move { note(&sender, &name, &event) }
            }
        });
    if let Some(prefix) = &settings.inbox_prefix {
        options = options.custom_inbox_prefix(prefix);
    }
    options = match &settings.auth {
        Auth::None => options,
        Auth::UserPassword(user, password) => options.user_and_password(user.clone(), password.clone()),
        Auth::Token(token) => options.token(token.clone()),
        Auth::NKey(seed) => options.nkey(seed.clone()),
        Auth::Credentials(path) => {
            options.credentials_file(path).await.map_err(|source| ConnectError::Credentials { path: path.clone(), source })?
        }
    };
    if let Some(ca) = &settings.tls.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let Some((certificate, key)) = &settings.tls.certificate {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    let client = options.connect(servers).await.map_err(|e| ConnectError::Setup(e.to_string()))?;
    Ok(Link { client, status })
}

/// Doubles from 50 ms to 4 s, each time somewhere between half and all of it, so that a population does not come back at once.
fn backoff(attempt: usize) -> Duration {
    let exponent = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let whole = BACKOFF_FIRST.saturating_mul(1 << exponent).min(BACKOFF_MOST);
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// Translates the client's events into the state, and says what an operator must know.
fn note(sender: &watch::Sender<Status>, connection: &str, event: &Event) {
    match event {
        Event::Connected => {
            sender.send_modify(|s| {
                s.state = LinkState::Connected;
                s.connects += 1;
            });
            tracing::info!(connection, connects = sender.borrow().connects, "connected to NATS");
        }
        Event::Disconnected => {
            sender.send_modify(|s| {
                s.state = LinkState::Reconnecting;
                s.losses += 1;
            });
            tracing::warn!(connection, "lost the connection to NATS; reconnecting");
        }
        Event::Closed => sender.send_modify(|s| s.state = LinkState::Closed),
        Event::SlowConsumer(id) => tracing::warn!(subscription = id, "requests arrive faster than they are answered; some were dropped"),
        Event::ServerError(error) => tracing::warn!(%error, "the NATS server refused something"),
        Event::ClientError(error) => tracing::debug!(%error, "NATS client error"),
        Event::LameDuckMode => tracing::info!("the NATS server is about to stop; moving on"),
        Event::Draining => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_a_bound_and_has_jitter() {
        let late: Vec<_> = (0..20).map(|_| backoff(1_000_000)).collect();
        assert!(late.iter().all(|d| *d >= BACKOFF_MOST / 2 && *d <= BACKOFF_MOST));
        assert!(late.windows(2).any(|w| w[0] != w[1]));
        assert!(backoff(1) <= BACKOFF_FIRST);
    }

    #[test]
    fn secrets_do_not_appear_in_debug() {
        let text = format!("{:?}", Auth::UserPassword("me".into(), "hunter2".into()));
        assert!(!text.contains("hunter2"));
    }
}
