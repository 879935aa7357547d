//! The record lane: every score, death, error and lifecycle event is kept until a stream has acknowledged it.
//!
//! A record is committed to the spool before it is sent, and erased there after its acknowledgement ([`crate::backlog`]). Records of one
//! group go one at a time and in order. Where the agent is the only writer of a subject, each publish names the last sequence it expects
//! there, so that a repetition after a lost acknowledgement is refused; then the stored `Nats-Msg-Id` decides whether it was this
//! record. Where no stream takes a subject a record is published once for live viewers, and waits.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use async_nats::client::{PublishError, PublishErrorKind};
use doom_protocol::Codec;
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use crate::{
    Encode, LaneReceiver, Ledger, Link, LinkState, Outgoing, Sink, Spool,
    attempt::{Jetstream, Outcome, attempt},
    backlog::{Backlog, Left, RecordSettings, Refused},
    spool::Record,
    telemetry::passed,
};

/// System records that wait to be taken over; they are rare.
const SYSTEM_SLOTS: usize = 256;
/// Which stream may store a record that is shown to live viewers: none has such a name. One that appears at this moment would else have it before
/// its turn.
const LIVE_ONLY: &str = "live.only";
/// After the deadline the last system records are waited for this long.
const LAST_WORD_WITHIN: Duration = Duration::from_secs(1);
/// The figures of an open episode are noted this often.
const RENEW_WILL: Duration = Duration::from_secs(1);

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

/// The record task's state; see the module.
pub struct Records<S, E> {
    lane: LaneReceiver<S>,
    system: mpsc::Receiver<Outgoing>,
    system_open: bool,
    encoder: E,
    sink: Sink,
    settled: watch::Sender<bool>,
    backlog: Backlog,
    will_at: Option<Instant>,
    numbers: Vec<f64>,
    refused_said: bool,
    in_flight: FuturesUnordered<BoxFuture<'static, (Arc<str>, Outcome)>>,
}

impl<S, E> std::fmt::Debug for Records<S, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("backlog", &self.backlog).finish_non_exhaustive()
    }
}

impl<S: Send, E: Encode<S>> Records<S, E> {
    /// `sink` is the telemetry's. Without a spool, records are kept in memory, within the settings' bounds.
    pub fn new(
        lane: LaneReceiver<S>,
        encoder: E,
        sink: Sink,
        ledger: Arc<Ledger>,
        settings: RecordSettings,
        spool: Option<Spool>,
    ) -> (Self, SystemRecords) {
        let (sender, system) = mpsc::channel(SYSTEM_SLOTS);
        let (settled, watch) = watch::channel(false);
        let handle = SystemRecords { sender, settled: watch, ledger: Arc::clone(&ledger) };
        let records = Self {
            lane,
            system,
            system_open: true,
            encoder,
            sink,
            backlog: Backlog::new(spool, settings, ledger),
            settled,
            will_at: None,
            numbers: Vec::new(),
            refused_said: false,
            in_flight: FuturesUnordered::new(),
        };
        (records, handle)
    }

    /// Runs until both sources have ended and nothing more can be done, or until `deadline` has passed. Returns what is left.
    pub async fn run(mut self, mut deadline: watch::Receiver<Option<Instant>>) -> Left {
        tokio::select! {
            () = self.pump() => {}
            () = passed(&mut deadline) => {
                // What has been offered, and the last word that follows now, are at least brought to disk.
                self.take_lane();
                let until = Instant::now() + LAST_WORD_WITHIN;
                while let Ok(Some(record)) = tokio::time::timeout_at(until, self.system.recv()).await {
                    self.keep(record);
                }
            }
        }
        if let Some(file) = &self.sink.file {
            file.lock().unwrap_or_else(PoisonError::into_inner).flush();
        }
        self.backlog.finish().await
    }

    async fn pump(&mut self) {
        let mut status = self.sink.link.as_ref().map(Link::watch);
        let mut connects = 0;
        loop {
            let now = status.as_mut().map(|s| *s.borrow_and_update());
            let up = now.is_some_and(|s| s.state == LinkState::Connected);
            let lane_done = self.lane.is_finished();
            if let Some(now) = now.filter(|_| up && !lane_done) {
                if std::mem::replace(&mut connects, now.connects) != now.connects {
                    self.backlog.connected_anew();
                }
                self.backlog.try_again();
            }
            self.backlog.ask();
            if up {
                self.dispatch().await;
            }
            if lane_done {
                self.backlog.hurry();
            }
            let hopeless =
                self.backlog.is_committed() && self.backlog.groups.values().all(|g| !g.in_flight && (g.is_done() || g.is_hopeless()));
            self.settled.send_replace(lane_done && hopeless);
            if lane_done && hopeless && !self.system_open {
                return;
            }
            let retry = self.backlog.next_try().filter(|_| up);
            let again = self.backlog.next_again().filter(|_| up && !lane_done);
            let wake = retry.into_iter().chain(again).chain(self.backlog.next_ask()).chain(self.will_at).min();
            tokio::select! {
                () = self.lane.ready(), if !lane_done => self.take_lane(),
                record = self.system.recv(), if self.system_open => match record {
                    Some(record) => self.keep(record),
                    None => self.system_open = false,
                },
                answer = self.backlog.answer() => self.backlog.take(answer),
                Some((group, outcome)) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    self.backlog.settle(&group, outcome);
                    self.say_refused();
                }
                () = async { tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)).await }, if wake.is_some() => {
                    if self.will_at.is_some_and(|at| at <= Instant::now()) {
                        self.renew_will();
                    }
                }
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
        self.renew_will();
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
        if self.sink.link.is_some() {
            self.backlog.push(Record::new(event, &self.sink.origin, self.sink.codec));
        }
    }

    /// Says that a record was put aside, in the log and by an error record: of the first one, the others are counted. Where one is too large most are,
    /// and so may be what is said of it.
    fn say_refused(&mut self) {
        for refused in std::mem::take(&mut self.backlog.refused) {
            let Refused { id, subject, why } = &refused;
            if std::mem::replace(&mut self.refused_said, true) {
                tracing::debug!(id, subject, why, "a further record is put aside");
                continue;
            }
            tracing::error!(
                id,
                subject,
                why,
                "this record is larger than the server or its stream takes; it is put aside and those behind it go on. Raise max_payload in the \
                 server's configuration (or the stream's max_msg_size): what was put aside is tried again with each connection and now and then"
            );
            let mut events = Vec::with_capacity(1);
            self.encoder.refused(self.sink.codec, &refused, &mut events);
            events.into_iter().for_each(|e| self.keep(e));
        }
    }

    /// Asks anew what is to become of what is open.
    fn renew_will(&mut self) {
        if self.sink.link.is_none() {
            return;
        }
        let mut will = Vec::with_capacity(3);
        self.encoder.will(self.sink.codec, &mut will);
        self.will_at = (!will.is_empty()).then(|| Instant::now() + RENEW_WILL);
        self.backlog.set_will(will.into_iter().map(|e| Record::new(e, &self.sink.origin, self.sink.codec)).collect());
    }

    /// Starts what can be started: the first record of every group that has none under way.
    async fn dispatch(&mut self) {
        let Some(link) = self.sink.link.clone() else { return };
        let publish = |r: &Record| {
            let mut headers = r.headers.clone();
            headers.insert(async_nats::header::NATS_EXPECTED_STREAM, LIVE_ONLY);
            link.client().publish_with_headers(r.subject.clone(), headers, r.payload.clone())
        };
        for record in std::mem::take(&mut self.backlog.live_only) {
            // Live viewers are owed a try, no more; the record itself is on disk.
            let _ = publish(&record).await;
        }
        for group in self.backlog.groups.values_mut().filter(|g| g.no_stream) {
            for kept in group.queue.iter_mut().filter(|k| !k.published_live) {
                // What is too large for the server would be the next time as well.
                let refused = |e: PublishError| e.kind() == PublishErrorKind::MaxPayloadExceeded;
                kept.published_live = publish(&kept.record).await.map_or_else(refused, |()| true);
            }
        }
        for key in self.backlog.due(Instant::now()) {
            let Some(task) = self.backlog.start(&key) else { continue };
            let streams = Jetstream::new(link.clone());
            let mut status = link.watch();
            self.in_flight.push(Box::pin(async move {
                let losses = status.borrow_and_update().losses;
                let outcome = tokio::select! {
                    outcome = attempt(&streams, task) => outcome,
                    // Its answer cannot come any more.
                    _ = status.wait_for(|s| s.losses != losses) => Outcome::Failed("the connection was lost".to_owned()),
                };
                (key, outcome)
            }));
        }
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
