//! The connection: made with retries for ever, watched, and known by a state that anyone may read.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use async_nats::{Client, ConnectOptions, Event};
use percent_encoding::percent_decode_str;
use rand::Rng;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::sync::watch;

/// Pings this far apart. The client gives up when two are unanswered and the next is due, at the latest four intervals after the last
/// answer, so that a dead peer is noticed within ten seconds.
const PING_INTERVAL: Duration = Duration::from_millis(2_400);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Messages that wait for the connection within the client. More than twice what the telemetry publisher has under way at most, so
/// that publishing does not wait where a server takes nothing any more.
const COMMANDS: usize = 32_768;
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_MOST: Duration = Duration::from_secs(4);
/// A connection that lived shorter counts as a failed try, at most so many of them: they lengthen the pause to 0.8 s.
const GROWN_UP: Duration = Duration::from_secs(1);
const MOST_YOUNG: usize = 4;
/// How often our state is compared with the client's.
const COMPARE_EVERY: Duration = Duration::from_millis(500);

/// How the agent proves who it is. Secrets never appear in `Debug`.
#[derive(Clone, Default)]
pub enum Auth {
    /// Nothing, or what the first URL with a login says.
    #[default]
    None,
    /// User name and password.
    UserPassword(String, String),
    /// A token.
    Token(String),
    /// A file with an nkey seed.
    NKey(PathBuf),
    /// A file with a JWT and an nkey seed.
    Credentials(PathBuf),
}

impl Auth {
    /// The text of a file with secrets, if it is what it should be; errors name the file and never its content.
    fn read(&self) -> Result<String, ConnectError> {
        let (path, what) = match self {
            Self::Credentials(path) => (path, "credentials"),
            Self::NKey(path) => (path, "nkey seed"),
            _ => return Ok(String::new()),
        };
        let refuse = |problem: String| ConnectError::File { what, path: path.clone(), problem };
        let text = std::fs::read_to_string(path).map_err(|e| refuse(format!("cannot be read: {e}")))?.trim().to_owned();
        let sound = match self {
            Self::NKey(_) => nkeys::KeyPair::from_seed(&text).is_ok(),
            _ => ConnectOptions::with_credentials(&text).is_ok(),
        };
        if sound {
            return Ok(text);
        }
        let should = if matches!(self, Self::NKey(_)) {
            "an nkey seed, which begins with SU"
        } else {
            "a user JWT and an nkey seed, as nsc writes them"
        };
        Err(refuse(format!("cannot be used: it should hold {should}")))
    }
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
    /// Root certificates that are trusted in the place of the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate and its key, for mutual TLS.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    fn check(&self) -> Result<(), ConnectError> {
        let refuse = |path: &PathBuf, problem: String| ConnectError::File { what: "TLS", path: path.clone(), problem };
        let certificates = self.ca.iter().chain(self.certificate.iter().map(|(certificate, _)| certificate));
        for path in certificates {
            let bytes = std::fs::read(path).map_err(|e| refuse(path, format!("cannot be read: {e}")))?;
            let some = CertificateDer::pem_slice_iter(&bytes).next().is_some_and(|first| first.is_ok());
            if !some {
                return Err(refuse(path, "cannot be used: it should hold a certificate in PEM".to_owned()));
            }
        }
        if let Some((_, key)) = &self.certificate {
            let bytes = std::fs::read(key).map_err(|e| refuse(key, format!("cannot be read: {e}")))?;
            PrivateKeyDer::from_pem_slice(&bytes)
                .map_err(|_| refuse(key, "cannot be used: it should hold a private key in PEM".to_owned()))?;
        }
        Ok(())
    }
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

impl ConnectSettings {
    /// Looks at what can be known to be wrong before the first try: the files.
    ///
    /// # Errors
    /// [`ConnectError::File`], which names the file and what it should hold.
    pub fn check(&self) -> Result<(), ConnectError> {
        self.auth.read()?;
        self.tls.check()
    }
}

/// Why no connection can even be tried.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL does not parse.
    #[error("the NATS URL is not valid: {0}; write it like nats://127.0.0.1:4222")]
    Url(String),
    /// A file with credentials, keys or certificates cannot be read or is none.
    #[error("the NATS {what} file {} {problem}", path.display())]
    File {
        /// What it should be: `credentials`, `nkey seed` or `TLS`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
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
    /// The server has refused the login since it was last up.
    pub login_refused: bool,
}

/// A connection and its state.
#[derive(Debug, Clone)]
pub struct Link {
    client: Client,
    status: watch::Receiver<Status>,
    refusals: watch::Receiver<String>,
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

    /// Waits at most this long until the connection is up.
    ///
    /// # Errors
    /// Why it is not, for the person who must act; it begins with `no NATS server answers` or `the NATS server refuses the login`.
    pub async fn connected_within(&self, bound: Duration) -> Result<(), String> {
        if tokio::time::timeout(bound, self.connected()).await.is_ok() {
            return Ok(());
        }
        Err(if self.status().login_refused {
            "the NATS server refuses the login; check user, password, token, nkey or credentials".to_owned()
        } else {
            format!("no NATS server answers within {} s", bound.as_secs())
        })
    }

    /// Watches the state.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Waits until the server says that it refuses something about this subject, such as a permission: its words. Refusals that came before the
    /// call do not count.
    pub fn refused(&self, subject: &str) -> impl Future<Output = String> + Send + use<> {
        let mut refusals = self.refusals.clone();
        refusals.mark_unchanged();
        let subject = subject.to_ascii_lowercase();
        async move {
            while refusals.changed().await.is_ok() {
                let words = refusals.borrow_and_update().clone();
                if words.to_ascii_lowercase().contains(&subject) {
                    return words;
                }
            }
            std::future::pending().await
        }
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
    let (sender, status) = watch::channel(Status { state: LinkState::Connecting, connects: 0, losses: 0, login_refused: false });
    let (refused, refusals) = watch::channel(String::new());
    let servers: Vec<async_nats::ServerAddr> = settings
        .url
        .split(',')
        .map(|u| u.trim().parse::<async_nats::ServerAddr>())
        .collect::<Result<_, _>>()
        .map_err(|e| ConnectError::Url(e.to_string()))?;
    let watcher = Arc::new(Watcher { sender, refused, connection: settings.name.clone(), youth: Mutex::default() });
    let mut options = ConnectOptions::new()
        .name(&settings.name)
        .retry_on_initial_connect()
        .ping_interval(PING_INTERVAL)
        .connection_timeout(CONNECT_TIMEOUT)
        .subscription_capacity(65_536)
        .client_capacity(COMMANDS)
        .reconnect_delay_callback({
            let watcher = Arc::clone(&watcher);
            move |attempt| backoff(attempt + watcher.died_young())
        })
        .event_callback({
            let watcher = Arc::clone(&watcher);
            move |event| {
                let watcher = Arc::clone(&watcher);
                async move { watcher.note(&event) }
            }
        });
    if let Some(prefix) = &settings.inbox_prefix {
        options = options.custom_inbox_prefix(prefix);
    }
    let secret = settings.auth.read()?;
    settings.tls.check()?;
    let auth = match &settings.auth {
        Auth::None => of_url(&servers),
        given => given.clone(),
    };
    options = match &auth {
        Auth::None => options,
        Auth::UserPassword(user, password) => options.user_and_password(user.clone(), password.clone()),
        Auth::Token(token) => options.token(token.clone()),
        Auth::NKey(_) => options.nkey(secret),
        Auth::Credentials(_) => options.credentials(&secret).map_err(|e| ConnectError::Setup(e.to_string()))?,
    };
    if let Some(ca) = &settings.tls.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let Some((certificate, key)) = &settings.tls.certificate {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    let client = options.connect(servers).await.map_err(|e| ConnectError::Setup(e.to_string()))?;
    tokio::spawn(reconcile(client.clone(), watcher));
    Ok(Link { client, status, refusals })
}

/// The client drops events where its channel is full, so that our state could be wrong for ever. It is compared with the client's own; a
/// difference that two looks find is made good.
async fn reconcile(client: Client, watcher: Arc<Watcher>) {
    use async_nats::connection::State;
    let mut different = None;
    while !watcher.sender.is_closed() {
        tokio::time::sleep(COMPARE_EVERY).await;
        let status = *watcher.sender.borrow();
        let up = client.connection_state() == State::Connected;
        let connects = client.statistics().connects.load(Relaxed);
        let missed = match status.state {
            LinkState::Closed => return,
            LinkState::Connected if up && connects > status.connects => Some((true, true, connects)),
            LinkState::Connected if !up => Some((true, false, connects)),
            LinkState::Connecting | LinkState::Reconnecting if up => Some((false, true, connects)),
            _ => None,
        };
        if let Some((down, up, _)) = missed.filter(|_| missed == different) {
            tracing::debug!(?status, connects, "the client's events were lost; its state is taken over");
            if down {
                watcher.note(&Event::Disconnected);
            }
            if up {
                watcher.note(&Event::Connected);
                watcher.sender.send_modify(|s| s.connects = connects);
            }
            different = None;
        } else {
            different = missed;
        }
    }
}

/// The login in the first URL that has one (the client ignores it there): `USER:PASSWORD@`, or `TOKEN@`.
fn of_url(servers: &[async_nats::ServerAddr]) -> Auth {
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    match servers.iter().find_map(|server| Some((server.username()?, server.password()))) {
        Some((user, Some(password))) => Auth::UserPassword(plain(user), plain(password)),
        Some((token, None)) => Auth::Token(plain(token)),
        None => Auth::None,
    }
}

/// Doubles from 50 ms to 4 s, each time somewhere between half and all of it, so that a population does not come back at once.
fn backoff(attempt: usize) -> Duration {
    let exponent = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let whole = BACKOFF_FIRST.saturating_mul(1 << exponent).min(BACKOFF_MOST);
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// Translates the client's events into the state, and says what an operator must know.
struct Watcher {
    sender: watch::Sender<Status>,
    refused: watch::Sender<String>,
    connection: String,
    youth: Mutex<Youth>,
}

/// When the connection came up, and how many in a row did not live long. The client begins its pauses anew after each one that came up, which
/// against a server (or a proxy) that accepts and hangs up would be a storm.
#[derive(Default)]
struct Youth {
    up_since: Option<Instant>,
    died: usize,
}

impl Watcher {
    /// By how much more than the client knows to wait.
    fn died_young(&self) -> usize {
        self.youth.lock().unwrap_or_else(PoisonError::into_inner).died.min(MOST_YOUNG)
    }

    fn note(&self, event: &Event) {
        let connection = self.connection.as_str();
        match event {
            Event::Connected => {
                self.youth.lock().unwrap_or_else(PoisonError::into_inner).up_since = Some(Instant::now());
                self.sender.send_modify(|s| {
                    s.state = LinkState::Connected;
                    s.connects += 1;
                    s.login_refused = false;
                });
                tracing::info!(connection, connects = self.sender.borrow().connects, "connected to NATS");
            }
            Event::Disconnected => {
                let mut youth = self.youth.lock().unwrap_or_else(PoisonError::into_inner);
                let young = youth.up_since.take().is_some_and(|since| since.elapsed() < GROWN_UP);
                youth.died = if young { youth.died + 1 } else { 0 };
                drop(youth);
                self.sender.send_modify(|s| {
                    s.state = LinkState::Reconnecting;
                    s.losses += 1;
                });
                tracing::warn!(connection, "lost the connection to NATS; reconnecting");
            }
            Event::Closed => self.sender.send_modify(|s| s.state = LinkState::Closed),
            Event::SlowConsumer(id) => {
                tracing::warn!(subscription = id, "requests arrive faster than they are answered; some were dropped")
            }
            Event::ServerError(error) => {
                self.refused.send_replace(error.to_string());
                tracing::warn!(%error, "the NATS server refused something");
            }
            Event::ClientError(error) => self.note_failure(&error.to_string()),
            Event::LameDuckMode => tracing::info!("the NATS server is about to stop; moving on"),
            Event::Draining => {}
        }
    }

    /// A try to connect has failed; most often nobody is there, which the state says already.
    fn note_failure(&self, error: &str) {
        let login = error.to_ascii_lowercase().contains("authorization");
        if login && !self.sender.borrow().login_refused {
            self.sender.send_modify(|s| s.login_refused = true);
            let connection = self.connection.as_str();
            tracing::warn!(
                connection,
                error,
                "the NATS server refuses the login; check user, password, token, nkey or credentials; trying on"
            );
        } else {
            tracing::debug!(error, "NATS client error");
        }
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
