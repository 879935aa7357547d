//! A connection that the test can hold up.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
};

use nats_server_process::NatsServer;

/// Stands between agent and server, and keeps back what the agent sends, from its first subscription on.
pub(crate) struct Gate {
    pub(crate) url: String,
    open: Arc<(Mutex<bool>, Condvar)>,
    held: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    pub(crate) fn before(server: &NatsServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Self { url: format!("nats://{}", listener.local_addr().unwrap()), open: Arc::default(), held: Arc::default() };
        let (port, open, held) = (server.port(), Arc::clone(&gate.open), Arc::clone(&gate.held));
        std::thread::spawn(move || {
            let (mut agent, _) = listener.accept().unwrap();
            let mut nats = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut from_nats, mut to_agent) = (nats.try_clone().unwrap(), agent.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from_nats, &mut to_agent));
            let mut bytes = vec![0; 1 << 16];
            let mut shut = true;
            while let Ok(n @ 1..) = agent.read(&mut bytes) {
                if shut && bytes[..n].windows(4).any(|w| w == b"SUB ") {
                    *held.0.lock().unwrap() = true;
                    held.1.notify_all();
                    drop(open.1.wait_while(open.0.lock().unwrap(), |open| !*open).unwrap());
                    shut = false;
                }
                if nats.write_all(&bytes[..n]).is_err() {
                    return;
                }
            }
        });
        gate
    }

    /// Waits until something is kept back.
    pub(crate) fn wait_held(&self) {
        drop(self.held.1.wait_while(self.held.0.lock().unwrap(), |held| !*held).unwrap());
    }

    /// Lets everything through.
    pub(crate) fn open(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }
}
