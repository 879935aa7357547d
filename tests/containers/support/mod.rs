//! What the tests start containers with and read them by.

mod agent;
mod docker;
mod evidence;
mod nats;

use std::{
    sync::{LazyLock, OnceLock},
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;

pub(crate) use self::{
    agent::{Agent, AgentSpec},
    docker::{Container, World, docker, docker_tells},
    evidence::{Evidence, SCORE},
    nats::{Cluster, free_port},
};

/// How long anything is waited for that ought to happen soon. Generous: a container starts in seconds, on a busy machine in many.
pub(crate) const WITHIN: Duration = Duration::from_secs(90);

/// The images, as `cargo xtask image` tags them: those that are shipped, or with `DOOM_TEST_IMAGES=quick` those of `--quick`.
pub(crate) static ENGINE: LazyLock<&str> = LazyLock::new(|| if is_quick() { "doom-agent:quick" } else { "doom-agent:latest" });
pub(crate) static MOCK: LazyLock<&str> = LazyLock::new(|| if is_quick() { "doom-agent:mock-quick" } else { "doom-agent:mock" });
pub(crate) static DOOMCTL: LazyLock<&str> = LazyLock::new(|| if is_quick() { "doomctl:quick" } else { "doomctl:latest" });
pub(crate) const BROKER: &str = "doom-nats:latest";

fn is_quick() -> bool {
    match std::env::var("DOOM_TEST_IMAGES").as_deref() {
        Ok("quick") => true,
        Ok("shipped") | Err(_) => false,
        Ok(other) => panic!("DOOM_TEST_IMAGES is `{other}`; it may be quick or shipped"),
    }
}

/// How long an agent's network is cut: a minute, unless `DOOM_TEST_CUT_SECONDS` says less.
pub(crate) fn cut_time() -> Duration {
    let seconds = std::env::var("DOOM_TEST_CUT_SECONDS").ok().map_or(60, |text| text.parse().expect("DOOM_TEST_CUT_SECONDS is a number"));
    Duration::from_secs(seconds)
}

/// The clients' runtime, shared by all tests; the tests themselves are ordinary blocking functions.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

/// Asks again and again until there is an answer. What a container tells cannot be subscribed to.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + WITHIN;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what}: not within {WITHIN:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
