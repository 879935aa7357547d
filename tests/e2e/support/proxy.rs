//! A network that can be broken: a TCP proxy that delays, swallows, cuts and refuses when it is told to.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, mpsc},
    time::{Duration, Instant},
};

use super::WITHIN;

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

#[derive(Default)]
struct Rules {
    refuse: bool,
    /// Each way.
    delay: Duration,
    /// By way: whether bytes vanish, while the connection stays.
    swallow: [bool; 2],
    /// By way: the next chunk that has this in it is not delivered, and the connection is cut instead.
    lose: [Option<Vec<u8>>; 2],
    /// How often that has happened.
    lost: usize,
    connections: Vec<[TcpStream; 2]>,
}

#[derive(Default)]
struct Shared {
    rules: Mutex<Rules>,
    changed: Condvar,
}

/// Stands between clients and a server's port, which need not listen yet.
pub(crate) struct Proxy {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A faithful one, before it is told otherwise.
    pub(crate) fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        std::thread::spawn({
            let shared = Arc::clone(&shared);
            // Ends with the test process; a connection to nobody is closed at once, as a port without a server would.
            move || {
                for client in listener.incoming() {
                    let client = client.unwrap();
                    if shared.rules.lock().unwrap().refuse {
                        continue;
                    }
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", port)) {
                        connect(&shared, client, server);
                    }
                }
            }
        });
        Self { url, shared }
    }

    /// Ends every connection; later ones are accepted.
    pub(crate) fn cut(&self) {
        cut_all(&mut self.shared.rules.lock().unwrap());
    }

    /// Whether new connections are closed at once.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.shared.rules.lock().unwrap().refuse = refuse;
    }

    /// Every byte arrives this much later, each way.
    pub(crate) fn delay(&self, delay: Duration) {
        self.shared.rules.lock().unwrap().delay = delay;
    }

    /// Whether bytes vanish on this way. Connections stay open, so that neither end is told.
    pub(crate) fn swallow(&self, way: Way, swallow: bool) {
        self.shared.rules.lock().unwrap().swallow[way as usize] = swallow;
    }

    /// The next chunk on this way with `needle` in it is not delivered; every connection is cut and new ones are refused.
    pub(crate) fn lose(&self, way: Way, needle: &str) {
        self.shared.rules.lock().unwrap().lose[way as usize] = Some(needle.as_bytes().to_vec());
    }

    /// Waits until [`Proxy::lose`] has had its chunk.
    pub(crate) fn wait_lost(&self, n: usize) {
        let rules = self.shared.rules.lock().unwrap();
        let (rules, late) = self.shared.changed.wait_timeout_while(rules, WITHIN, |r| r.lost < n).unwrap();
        assert!(!late.timed_out(), "{} of {n} chunks were lost within {WITHIN:?}", rules.lost);
    }
}

fn cut_all(rules: &mut Rules) {
    for stream in rules.connections.drain(..).flatten() {
        // It may be closed already.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn connect(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) {
    let ends = [client.try_clone().unwrap(), server.try_clone().unwrap()];
    shared.rules.lock().unwrap().connections.push(ends);
    let both = [(Way::ToServer, client.try_clone().unwrap(), server.try_clone().unwrap()), (Way::ToClient, server, client)];
    for (way, from, to) in both {
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::clone(shared);
        std::thread::spawn(move || read(&shared, way, from, &sender));
        std::thread::spawn(move || write(to, &receiver));
    }
}

fn read(shared: &Shared, way: Way, mut from: TcpStream, sender: &mpsc::Sender<(Instant, Vec<u8>)>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        let chunk = &bytes[..n];
        let mut rules = shared.rules.lock().unwrap();
        let wanted = rules.lose[way as usize].as_ref();
        if wanted.is_some_and(|needle| chunk.windows(needle.len()).any(|w| w == needle)) {
            rules.lose[way as usize] = None;
            rules.lost += 1;
            rules.refuse = true;
            cut_all(&mut rules);
            shared.changed.notify_all();
            return;
        }
        if !rules.swallow[way as usize] {
            // The other end may be gone.
            let _ = sender.send((Instant::now() + rules.delay, chunk.to_vec()));
        }
    }
}

/// What one end has closed is closed at the other.
fn write(mut to: TcpStream, receiver: &mpsc::Receiver<(Instant, Vec<u8>)>) {
    for (at, bytes) in receiver {
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
