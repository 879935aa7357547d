//! The record lane: every score, death, error and lifecycle event is kept until a stream has acknowledged it.
//!
//! Records of one group go one at a time and in order. Where the agent is the only writer of a subject, each publish names the last
//! sequence it expects there, so that a repetition after a lost acknowledgement is refused; then the stored `Nats-Msg-Id` decides
//! whether it was this record. Where no stream takes a subject a record is published once for live viewers, and waits.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, PoisonError},
    time::Duration,
};

use doom_protocol::Codec;
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use crate::{
    Encode, LaneReceiver, Ledger, Link, LinkState, Outgoing, Sink,
    attempt::{Attempt, Outcome, attempt},
    telemetry::passed,
};

const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MOST: Duration = Duration::from_secs(5);
/// System records that wait to be taken over; they are rare.
const SYSTEM_SLOTS: usize = 256;

/// Bounds of what is kept in memory.
#[derive(Debug, Clone, Copy)]
pub struct RecordSettings {
    /// Records.
    pub most_records: usize,
    /// Their bytes.
    pub most_bytes: usize,
}

impl Default for RecordSettings {
    fn default() -> Self {
        Self { most_records: 10_000, most_bytes: 64 << 20 }
    }
}

/// A handle for records that do not come from the game thread. When the last one is dropped the record task may end.
#[derive(Debug, Clone)]
pub struct SystemRecords {
    sender: mpsc::Sender<Outgoing>,
    settled: watch::Receiver<bool>,
    ledger: Arc<Ledger>,
}

impl SystemRecords {
    /// Hands over a record; where even this queue is full it is counted as lost.
    pub fn push(&self, record: Outgoing) {
        if self.sender.try_send(record).is_err() {
            self.ledger.add_lost(1);
            tracing::warn!("a system record was lost: its queue is full");
        }
    }

    /// Waits until the game thread's records are all stored, or published where no stream takes them.
    pub async fn settled(&mut self) {
        let _ = self.settled.wait_for(|s| *s).await;
    }
}

#[derive(Debug)]
struct Kept {
    order: u64,
    event: Outgoing,
    published_live: bool,
}

#[derive(Debug, Default)]
struct Group {
    queue: VecDeque<Kept>,
    in_flight: bool,
    failures: u32,
    retry_at: Option<Instant>,
    streams: HashMap<String, String>,
    last_sequences: HashMap<String, u64>,
    no_stream: bool,
}

/// The record task's state; see the module.
pub struct Records<S, E> {
    lane: LaneReceiver<S>,
    system: mpsc::Receiver<Outgoing>,
    system_open: bool,
    encoder: E,
    sink: Sink,
    ledger: Arc<Ledger>,
    settings: RecordSettings,
    settled: watch::Sender<bool>,
    groups: BTreeMap<String, Group>,
    next_order: u64,
    kept: usize,
    bytes: usize,
    numbers: Vec<f64>,
    in_flight: FuturesUnordered<BoxFuture<'static, (String, Outcome)>>,
    warned: bool,
}

impl<S, E> std::fmt::Debug for Records<S, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("kept", &self.kept).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl<S: Send, E: Encode<S>> Records<S, E> {
    /// `sink` is the telemetry's.
    pub fn new(lane: LaneReceiver<S>, encoder: E, sink: Sink, ledger: Arc<Ledger>, settings: RecordSettings) -> (Self, SystemRecords) {
        let (sender, system) = mpsc::channel(SYSTEM_SLOTS);
        let (settled, watch) = watch::channel(false);
        let handle = SystemRecords { sender, settled: watch, ledger: Arc::clone(&ledger) };
        let records = Self {
            lane,
            system,
            system_open: true,
            encoder,
            sink,
            ledger,
            settings,
            settled,
            groups: BTreeMap::new(),
            next_order: 0,
            kept: 0,
            bytes: 0,
            numbers: Vec::new(),
            in_flight: FuturesUnordered::new(),
            warned: false,
        };
        (records, handle)
    }

    /// Runs until both sources have ended and nothing more can be done, or until `deadline` has passed. Returns how many records are left.
    pub async fn run(mut self, mut deadline: watch::Receiver<Option<Instant>>) -> usize {
        tokio::select! {
            () = self.pump() => {}
            () = passed(&mut deadline) => {}
        }
        if let Some(file) = &self.sink.file {
            file.lock().unwrap_or_else(PoisonError::into_inner).flush();
        }
        self.kept
    }

    async fn pump(&mut self) {
        let mut status = self.sink.link.as_ref().map(Link::watch);
        loop {
            let up = status.as_mut().is_some_and(|s| s.borrow_and_update().state == LinkState::Connected);
            if up {
                self.dispatch().await;
            }
            let lane_done = self.lane.is_finished();
            let hopeless = self
                .groups
                .values()
                .all(|g| !g.in_flight && (g.queue.is_empty() || (g.no_stream && g.queue.iter().all(|k| k.published_live))));
            self.settled.send_replace(lane_done && hopeless);
            if lane_done && hopeless && !self.system_open {
                return;
            }
            let retry = self.groups.values().filter(|g| !g.queue.is_empty() && !g.in_flight).filter_map(|g| g.retry_at).min();
            tokio::select! {
                () = self.lane.ready(), if !lane_done => self.take_lane(),
                record = self.system.recv(), if self.system_open => match record {
                    Some(record) => self.keep(record),
                    None => self.system_open = false,
                },
                Some((group, outcome)) = self.in_flight.next(), if !self.in_flight.is_empty() => self.settle(&group, outcome),
                () = async { tokio::time::sleep_until(retry.unwrap_or_else(Instant::now)).await }, if up && retry.is_some() => {}
                () = changed(&mut status) => {}
            }
        }
    }

    fn take_lane(&mut self) {
        while let Some((seq, slot)) = self.lane.pop(&mut self.numbers) {
            let mut events = Vec::with_capacity(3);
            self.encoder.encode(self.sink.codec, seq, &slot, &self.numbers, &mut events);
            if self.sink.codec != Codec::Json && self.sink.file.is_some() {
                let mut lines = Vec::with_capacity(3);
                self.encoder.encode(Codec::Json, seq, &slot, &self.numbers, &mut lines);
                self.write(&lines);
            } else {
                self.write(&events);
            }
            events.into_iter().for_each(|e| self.spool(e));
        }
        self.lane.taken();
    }

    /// A system record: to the file where it is JSON, and to the spool.
    fn keep(&mut self, record: Outgoing) {
        if self.sink.codec == Codec::Json {
            self.write(std::slice::from_ref(&record));
        }
        self.spool(record);
    }

    fn write(&self, events: &[Outgoing]) {
        if let Some(file) = &self.sink.file {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            events.iter().for_each(|e| file.write(e));
        }
    }

    fn spool(&mut self, event: Outgoing) {
        if self.sink.link.is_none() {
            return;
        }
        self.bytes += event.payload.len();
        self.kept += 1;
        self.next_order += 1;
        let key = event.subject.to_string();
        // A group that must stay in order is one queue, whatever its subjects.
        let key = if event.ordered { String::new() } else { key };
        self.groups.entry(key).or_default().queue.push_back(Kept { order: self.next_order, event, published_live: false });
        while self.kept > self.settings.most_records || self.bytes > self.settings.most_bytes {
            if !self.lose_oldest() {
                break;
            }
        }
        self.ledger.set_spooled(self.kept as u64);
    }

    fn lose_oldest(&mut self) -> bool {
        let oldest = self
            .groups
            .values_mut()
            .filter(|g| !g.in_flight)
            .filter(|g| !g.queue.is_empty())
            .min_by_key(|g| g.queue.front().map(|k| k.order));
        let Some(lost) = oldest.and_then(|g| g.queue.pop_front()) else { return false };
        self.kept -= 1;
        self.bytes -= lost.event.payload.len();
        self.ledger.add_lost(1);
        true
    }

    /// Starts what can be started: the first record of every group that has none under way.
    async fn dispatch(&mut self) {
        let Some(link) = self.sink.link.clone() else { return };
        let now = Instant::now();
        for (key, group) in &mut self.groups {
            if group.no_stream {
                for kept in group.queue.iter_mut().filter(|k| !k.published_live) {
                    let headers = self.sink.origin.headers(&kept.event.stamp, self.sink.codec);
                    let sent = link.client().publish_with_headers(kept.event.subject.clone(), headers, kept.event.payload.clone()).await;
                    kept.published_live = sent.is_ok();
                }
            }
            if group.in_flight || group.retry_at.is_some_and(|at| at > now) {
                continue;
            }
            let Some(first) = group.queue.front() else { continue };
            let task = Attempt {
                link: link.clone(),
                headers: self.sink.origin.headers(&first.event.stamp, self.sink.codec),
                event: first.event.clone(),
                stream: group.streams.get(first.event.subject.as_str()).cloned(),
                last_sequence: group.last_sequences.get(first.event.subject.as_str()).copied(),
            };
            group.in_flight = true;
            let key = key.clone();
            let mut status = link.watch();
            self.in_flight.push(Box::pin(async move {
                let losses = status.borrow_and_update().losses;
                let outcome = tokio::select! {
                    outcome = attempt(task) => outcome,
                    // Its answer cannot come any more.
                    _ = status.wait_for(|s| s.losses != losses) => Outcome::Failed("the connection was lost".to_owned()),
                };
                (key, outcome)
            }));
        }
    }

    fn settle(&mut self, key: &str, outcome: Outcome) {
        let Some(group) = self.groups.get_mut(key) else { return };
        group.in_flight = false;
        match outcome {
            Outcome::Stored { stream, sequence } => {
                group.no_stream = false;
                group.failures = 0;
                group.retry_at = None;
                if let Some(done) = group.queue.pop_front() {
                    let subject = done.event.subject.to_string();
                    group.streams.insert(subject.clone(), stream);
                    match sequence {
                        Some(n) => group.last_sequences.insert(subject, n),
                        None => group.last_sequences.remove(&subject),
                    };
                    self.kept -= 1;
                    self.bytes -= done.event.payload.len();
                    if done.event.stamp.seq.is_some() {
                        self.ledger.add_stored();
                    }
                }
            }
            Outcome::NoStream => {
                group.streams.clear();
                group.last_sequences.clear();
                group.no_stream = true;
                group.retry_at = Some(Instant::now() + RETRY_MOST);
                if !std::mem::replace(&mut self.warned, true) {
                    let subject = group.queue.front().map_or(String::new(), |k| k.event.subject.to_string());
                    tracing::warn!(%subject, "no stream takes this record; it is published for live viewers and kept until one does (create the streams of clau-doom)");
                }
            }
            Outcome::Failed(error) => {
                group.streams.clear();
                group.last_sequences.clear();
                group.failures += 1;
                group.retry_at = Some(Instant::now() + RETRY_FIRST.saturating_mul(1 << group.failures.min(6)).min(RETRY_MOST));
                tracing::debug!(error, failures = group.failures, "a record is not stored yet; trying again");
            }
        }
        self.ledger.set_spooled(self.kept as u64);
    }
}

async fn changed(status: &mut Option<watch::Receiver<crate::Status>>) {
    let gone = match status {
        Some(status) => status.changed().await.is_err(),
        None => true,
    };
    if gone {
        std::future::pending::<()>().await;
    }
}
