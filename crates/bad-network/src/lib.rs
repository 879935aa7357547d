//! A network that can be broken: a TCP proxy that delays, swallows, cuts, resets and refuses when it is told to.
//!
//! It stands between clients and a server on loopback. Threads do the work; they end with their connections, the listener with the process.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    time::{Duration, Instant},
};

use socket2::SockRef;

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From clients.
    ToServer,
    /// From the server.
    ToClient,
}

/// An end of the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Whoever connected.
    Client,
    /// Whom the proxy connected to.
    Server,
}

#[derive(Debug, Default)]
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
    /// Of so many chunks one is not delivered: its connection is reset instead, and no other.
    reset_one_in: Option<u64>,
    /// How often that has happened, and the state of the dice.
    resets: u64,
    dice: u64,
    /// What one end closes is not told to the other.
    keep_apart: bool,
    connections: BTreeMap<u64, [TcpStream; 2]>,
    next: u64,
}

#[derive(Debug, Default)]
struct Shared {
    rules: Mutex<Rules>,
    changed: Condvar,
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the crate.
#[derive(Debug)]
pub struct Proxy {
    /// `HOST:PORT` for clients.
    pub address: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A faithful one before a port of 127.0.0.1, on which nobody need listen yet.
    ///
    /// # Errors
    /// There is no free port.
    pub fn before(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared::default());
        std::thread::spawn({
            let shared = Arc::clone(&shared);
            // A connection to nobody is closed at once, as a port without a server would.
            move || {
                for client in listener.incoming().flatten() {
                    if shared.rules().refuse {
                        continue;
                    }
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", port)) {
                        // Without descriptors for it there is no connection.
                        let _ = connect(&shared, client, server);
                    }
                }
            }
        });
        Ok(Self { address, shared })
    }

    /// Ends every connection; later ones are accepted.
    pub fn cut(&self) {
        cut_all(&mut self.shared.rules());
    }

    /// Whether new connections are closed at once.
    pub fn refuse(&self, refuse: bool) {
        self.shared.rules().refuse = refuse;
    }

    /// Every byte arrives this much later, each way.
    pub fn delay(&self, delay: Duration) {
        self.shared.rules().delay = delay;
    }

    /// Whether bytes vanish on this way. Connections stay open, so that neither end is told.
    pub fn swallow(&self, way: Way, swallow: bool) {
        self.shared.rules().swallow[way as usize] = swallow;
    }

    /// The next chunk on this way with `needle` in it is not delivered; every connection is cut and new ones are refused.
    pub fn lose(&self, way: Way, needle: &str) {
        self.shared.rules().lose[way as usize] = Some(needle.as_bytes().to_vec());
    }

    /// Waits until [`Proxy::lose`] has had so many chunks; `false` where it has not within the bound.
    pub fn wait_lost(&self, n: usize, bound: Duration) -> bool {
        let waited = self.shared.changed.wait_timeout_while(self.shared.rules(), bound, |r| r.lost < n);
        waited.unwrap_or_else(PoisonError::into_inner).0.lost >= n
    }

    /// Resets connections at random: on average with one of so many chunks.
    pub fn reset_one_in(&self, chunks: Option<u64>) {
        self.shared.rules().reset_one_in = chunks;
    }

    /// How many connections have been reset at random.
    #[must_use]
    pub fn resets(&self) -> u64 {
        self.shared.rules().resets
    }

    /// Every connection ends for this side alone; the other side is told nothing until [`Proxy::rejoin`].
    pub fn cut_seen_by(&self, side: Side) {
        let mut rules = self.shared.rules();
        rules.keep_apart = true;
        for ends in rules.connections.values() {
            // It may be closed already.
            let _ = ends[side as usize].shutdown(Shutdown::Both);
        }
    }

    /// From now on what one end closes is closed at the other; everything that stands is cut.
    pub fn rejoin(&self) {
        let mut rules = self.shared.rules();
        rules.keep_apart = false;
        cut_all(&mut rules);
    }

    /// Faithful again, and every connection made anew.
    pub fn heal(&self) {
        let mut rules = self.shared.rules();
        cut_all(&mut rules);
        let (lost, resets, dice) = (rules.lost, rules.resets, rules.dice);
        *rules = Rules { lost, resets, dice, ..Rules::default() };
    }
}

fn cut_all(rules: &mut Rules) {
    for stream in std::mem::take(&mut rules.connections).into_values().flatten() {
        // It may be closed already.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn connect(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) -> io::Result<()> {
    let ends = [client.try_clone()?, server.try_clone()?];
    let to_server = (Way::ToServer, client.try_clone()?, server.try_clone()?, server.try_clone()?);
    let to_client = (Way::ToClient, server, client.try_clone()?, client);
    let id = {
        let mut rules = shared.rules();
        rules.next += 1;
        let id = rules.next;
        rules.connections.insert(id, ends);
        id
    };
    for (way, from, to, other) in [to_server, to_client] {
        let (sender, receiver) = mpsc::channel();
        let (reader, writer) = (Arc::clone(shared), Arc::clone(shared));
        std::thread::spawn(move || {
            read(&reader, way, id, from, &other, &sender);
            let mut rules = reader.rules();
            if !rules.keep_apart {
                rules.connections.remove(&id);
            }
        });
        std::thread::spawn(move || write(&writer, to, &receiver));
    }
    Ok(())
}

fn read(shared: &Shared, way: Way, id: u64, mut from: TcpStream, to: &TcpStream, sender: &mpsc::Sender<(Instant, Vec<u8>)>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        let chunk = &bytes[..n];
        let mut rules = shared.rules();
        let wanted = rules.lose[way as usize].as_ref();
        if wanted.is_some_and(|needle| chunk.windows(needle.len()).any(|w| w == needle)) {
            rules.lose[way as usize] = None;
            rules.lost += 1;
            rules.refuse = true;
            cut_all(&mut rules);
            shared.changed.notify_all();
            return;
        }
        if let Some(n) = rules.reset_one_in
            && roll(&mut rules.dice).is_multiple_of(n)
        {
            rules.resets += 1;
            rules.connections.remove(&id);
            for end in [&from, to] {
                // Nothing lingers: when the last handle is closed both ends get a reset, not an orderly end.
                let _ = SockRef::from(end).set_linger(Some(Duration::ZERO));
                let _ = end.shutdown(Shutdown::Read);
            }
            return;
        }
        if !rules.swallow[way as usize] {
            // The other end may be gone.
            let _ = sender.send((Instant::now() + rules.delay, chunk.to_vec()));
        }
    }
}

/// The next of a sequence that is the same in every run (SplitMix64).
fn roll(dice: &mut u64) -> u64 {
    *dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*dice ^ (*dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33
}

/// What one end has closed is closed at the other, unless they are kept apart.
fn write(shared: &Shared, mut to: TcpStream, receiver: &mpsc::Receiver<(Instant, Vec<u8>)>) {
    for (at, bytes) in receiver {
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let is_reset = SockRef::from(&to).linger().is_ok_and(|linger| linger == Some(Duration::ZERO));
    if !is_reset && !shared.rules().keep_apart {
        let _ = to.shutdown(Shutdown::Both);
    }
}
