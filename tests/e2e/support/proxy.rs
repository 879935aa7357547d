//! A network that can be broken, as the tests use it.

use std::ops::Deref;

use bad_network as network;
pub(crate) use network::{Side, Way};

use super::WITHIN;

/// Stands between clients and a server's port, which need not listen yet.
pub(crate) struct Proxy {
    pub(crate) url: String,
    proxy: network::Proxy,
}

impl Proxy {
    /// A faithful one, before it is told otherwise.
    pub(crate) fn before(port: u16) -> Self {
        let proxy = network::Proxy::before(port).unwrap();
        Self { url: format!("nats://{}", proxy.address), proxy }
    }

    /// Waits until [`network::Proxy::lose`] has had its chunk.
    pub(crate) fn wait_lost(&self, n: usize) {
        assert!(self.proxy.wait_lost(n, WITHIN), "not {n} chunks were lost within {WITHIN:?}");
    }
}

impl Deref for Proxy {
    type Target = network::Proxy;

    fn deref(&self) -> &network::Proxy {
        &self.proxy
    }
}
