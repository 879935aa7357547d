//! The connection: made with retries for ever, watched, and known by a state that anyone may read.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use async_nats::{Client, Event};
use rand::Rng;
use tokio::sync::watch;

use crate::{Auth, ConnectError, Refusal, Tls, refusal, refusals::Refusals, throttle::Throttle};

/// Pings this far apart. The client gives up when two are unanswered and the next is due, at the latest four intervals after the last
/// answer: a dead peer is noticed within ten seconds, also where the machine has no time for us at once.
const PING_INTERVAL: Duration = Duration::from_secs(2);
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
    /// The name of the user who logs in by one, as flags or URL say it.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        let servers: Vec<async_nats::ServerAddr> = self.url.split(',').filter_map(|u| u.trim().parse().ok()).collect();
        match self.auth.or_of_url(&servers) {
            Auth::UserPassword(user, _) => Some(user),
            _ => None,
        }
    }

    /// Looks at what can be known to be wrong before the first try: the files.
    ///
    /// # Errors
    /// [`ConnectError::File`], which names the file and what it should hold.
    pub fn check(&self) -> Result<(), ConnectError> {
        self.auth.check()?;
        self.tls.check()
    }
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
    /// Why a server that answers did not take us, since the connection was last up.
    pub refusal: Option<Refusal>,
}

/// A connection and its state.
#[derive(Debug, Clone)]
pub struct Link {
    client: Client,
    status: watch::Receiver<Status>,
    refusals: watch::Receiver<Refusals>,
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
    /// Why it is not, for the person who must act: a [`Refusal`], or `no NATS server answers`.
    pub async fn connected_within(&self, bound: Duration) -> Result<(), String> {
        if tokio::time::timeout(bound, self.connected()).await.is_ok() {
            return Ok(());
        }
        Err(match self.status().refusal {
            Some(refusal) => refusal.to_string(),
            None => format!("no NATS server answers within {} s", bound.as_secs()),
        })
    }

    /// Watches what the server has refused; a permission that is missing is said there alone.
    #[must_use]
    pub fn refusals(&self) -> watch::Receiver<Refusals> {
        self.refusals.clone()
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
        let before = refusals.borrow_and_update().total();
        let subject = subject.to_ascii_lowercase();
        async move {
            while refusals.changed().await.is_ok() {
                let said = refusals.borrow_and_update();
                if let Some(words) = said.since(before).find(|words| words.to_ascii_lowercase().contains(&subject)) {
                    return words.to_owned();
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
    let (sender, status) = watch::channel(Status { state: LinkState::Connecting, connects: 0, losses: 0, refusal: None });
    let (refusing, refusals) = watch::channel(Refusals::default());
    let servers: Vec<async_nats::ServerAddr> = settings
        .url
        .split(',')
        .map(|u| u.trim().parse::<async_nats::ServerAddr>())
        .collect::<Result<_, _>>()
        .map_err(|e| ConnectError::Url(e.to_string()))?;
    settings.check()?;
    let auth = settings.auth.or_of_url(&servers);
    let watcher = Arc::new(Watcher {
        sender,
        refusing,
        connection: settings.name.clone(),
        auth: auth.clone(),
        youth: Mutex::default(),
        failures: Mutex::default(),
        refusal_lines: Mutex::new(Throttle::new(Duration::from_secs(5))),
    });
    let mut options = auth
        .options()
        .name(&settings.name)
        .retry_on_initial_connect()
        .ping_interval(PING_INTERVAL)
        .connection_timeout(CONNECT_TIMEOUT)
        .subscription_capacity(65_536)
        .client_capacity(COMMANDS)
        .reconnect_delay_callback({
            let watcher = Arc::clone(&watcher);
            move |attempt| watcher.pause(attempt)
        })
        .reconnect_to_server_callback({
            // Asked before each try; the pool says why the last one failed, which the event does not. The choice is left to the client.
            let watcher = Arc::clone(&watcher);
            move |pool, _| {
                watcher.note_failures(&pool);
                std::future::ready(None)
            }
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

/// Doubles from 50 ms to 4 s, each time somewhere between half and all of it, so that a population does not come back at once.
fn backoff(attempt: usize) -> Duration {
    let exponent = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let whole = BACKOFF_FIRST.saturating_mul(1 << exponent).min(BACKOFF_MOST);
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// Translates the client's events into the state, and says what an operator must know.
struct Watcher {
    sender: watch::Sender<Status>,
    refusing: watch::Sender<Refusals>,
    connection: String,
    youth: Mutex<Youth>,
    auth: Auth,
    /// By server: how many tries in a row had failed when we looked last.
    failures: Mutex<HashMap<String, usize>>,
    /// A permission that is missing may be missed at every step.
    refusal_lines: Mutex<Throttle>,
}

/// When the connection came up, and how many in a row did not live long. The client begins its pauses anew after each one that came up, which
/// against a server (or a proxy) that accepts and hangs up would be a storm.
#[derive(Default)]
struct Youth {
    up_since: Option<Instant>,
    died: usize,
}

impl Watcher {
    /// Before a try. The very first one of a process is not put off: what starts together need not be spread, only what comes back.
    fn pause(&self, attempt: usize) -> Duration {
        let first = attempt <= 1 && self.sender.borrow().connects == 0;
        if first { Duration::ZERO } else { backoff(attempt + self.died_young()) }
    }

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
                    s.refusal = None;
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
            Event::ServerError(error) => match refusal::classify(&error.to_string()) {
                Some(refusal) => self.refuse(refusal, &error.to_string()),
                None => {
                    self.refusing.send_modify(|refusals| refusals.add(error.to_string()));
                    if let Some(held_back) = self.refusal_lines.lock().unwrap_or_else(PoisonError::into_inner).pass() {
                        tracing::warn!(%error, held_back, "the NATS server refused something");
                    }
                }
            },
            // Most often nobody is there, which the state says already.
            Event::ClientError(error) => tracing::debug!(%error, "NATS client error"),
            Event::LameDuckMode => tracing::info!("the NATS server is about to stop; moving on"),
            Event::Draining => {}
        }
    }

    /// Looks at what has failed since the last look.
    fn note_failures(&self, pool: &[async_nats::Server]) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        for server in pool {
            let before = failures.insert(format!("{}:{}", server.addr.host(), server.addr.port()), server.failed_attempts).unwrap_or(0);
            if server.failed_attempts > before
                && let Some(error) = &server.last_error
                && let Some(refusal) = refusal::classify(error)
            {
                self.refuse(refusal, error);
            }
        }
    }

    /// Says each reason once for each time that the connection is away.
    fn refuse(&self, refusal: Refusal, error: &str) {
        let (refusal, error) = match (refusal, self.auth.expired()) {
            (Refusal::Login, Some(expired)) => (Refusal::Expired, expired),
            _ => (refusal, error.to_owned()),
        };
        // Once it was said why, a bare refusal of the next try adds nothing.
        let news = self.sender.send_if_modified(|status| {
            let news = refusal != Refusal::Login || status.refusal.is_none();
            news && status.refusal.replace(refusal) != Some(refusal)
        });
        let connection = self.connection.as_str();
        if news {
            tracing::warn!(connection, error, "{refusal}; trying on");
        } else {
            tracing::debug!(connection, error, "{refusal}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_known_by_flag_or_url() {
        let user = |url: &str, auth: Auth| ConnectSettings { url: url.to_owned(), auth, ..ConnectSettings::default() }.user();
        let flag = Auth::UserPassword("flag".to_owned(), "x".to_owned());
        assert_eq!(user("nats://a:1", flag.clone()).as_deref(), Some("flag"));
        assert_eq!(user("nats://u:p@a:1", flag).as_deref(), Some("flag"));
        assert_eq!(user("nats://a:1, nats://u%20v:p@b:1", Auth::None).as_deref(), Some("u v"));
        assert_eq!(user("nats://token@a:1", Auth::None), None);
        assert_eq!(user("", Auth::None), None);
    }

    #[test]
    fn backoff_grows_to_a_bound_and_has_jitter() {
        let late: Vec<_> = (0..20).map(|_| backoff(1_000_000)).collect();
        assert!(late.iter().all(|d| *d >= BACKOFF_MOST / 2 && *d <= BACKOFF_MOST));
        assert!(late.windows(2).any(|w| w[0] != w[1]));
        assert!(backoff(1) <= BACKOFF_FIRST);
    }
}
