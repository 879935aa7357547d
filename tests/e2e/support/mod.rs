//! What the tests drive the agent with and read it by.

mod agent;
pub(crate) mod faults;
mod gate;
pub(crate) mod http;
mod jetstream;
pub(crate) mod ledger;
mod mount;
pub(crate) mod process;
mod proxy;
mod shape;
mod tap;

use std::{sync::OnceLock, time::Duration};

use nats_server_process::NatsServer;
use tokio::runtime::Runtime;

pub(crate) use self::{
    agent::{Agent, Spec},
    gate::Gate,
    jetstream::JetStream,
    mount::Mount,
    process::Usage,
    proxy::{Proxy, Side, Way},
    shape::{Shape, assert_shape, instant},
    tap::{Event, Tap},
};

/// How long anything is waited for that ought to happen soon. Generous: the machine may be busy with other tests.
pub(crate) const WITHIN: Duration = Duration::from_secs(40);

/// Which game the agent plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    /// The one without an engine.
    Mock,
    /// ViZDoom.
    Engine,
}

impl Backend {
    /// As on the command line and on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mock => "mock",
            Self::Engine => "vizdoom",
        }
    }
}

/// Makes each function, which takes a [`Backend`], a test on the mock and a test on the engine.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod mock {
            use crate::support::Backend;
            $(#[test] fn $name() { super::$name(Backend::Mock) })+
        }
        #[cfg(feature = "vizdoom")]
        mod engine {
            use crate::support::Backend;
            $(#[test] fn $name() { super::$name(Backend::Engine) })+
        }
    };
}
pub(crate) use on_both;

/// The clients' runtime, shared by all tests; the tests themselves are ordinary blocking functions.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

/// A server with JetStream and without any stream.
pub(crate) fn nats() -> NatsServer {
    NatsServer::builder().jetstream(true).start().unwrap()
}

/// A server with the streams of the design.
pub(crate) fn nats_with_streams() -> NatsServer {
    let server = nats();
    JetStream::open(&server.url()).create_all();
    server
}

/// Seconds that somebody wants a long test to take, from the environment; the default is short.
pub(crate) fn seconds_of(variable: &str, default: u64) -> Duration {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty());
    Duration::from_secs(text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, no whole seconds"))))
}

/// A port on which nothing listens (any more).
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
