//! The telemetry publisher: takes batches from the lane, encodes, writes, and confirms each batch by a round trip.
//!
//! A batch whose round trip did not complete before the connection was lost is *unconfirmed*. While the connection is down, or the
//! server answers nothing, nothing is taken from the lane, so that the lane's own rule (drop the newest, count it) applies. With an
//! events file the lane is taken all the same; what the broker cannot be given yet is held, up to a bound, and then counts as dropped.
//!
//! A batch costs much that does not depend on its size: a wake-up of this task, a write, a wake-up of the server, and the round trip's
//! own two. So where events come fast they gather first ([`Gathering`]); where they are rare each goes out at once.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::{PublishError, PublishErrorKind, Subject, Subscriber};
use bytes::Bytes;
use doom_protocol::{Codec, payload::SeqRange};
use futures::StreamExt;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};

use crate::{Encode, JsonLines, LaneReceiver, Ledger, Link, LinkState, Origin, Outgoing, Status, gathering::Gathering};

/// Slots taken at once.
const BATCH: usize = 256;
/// Batches under way without a round trip; bounds what can be in doubt and what the server must queue.
const MOST_BATCHES: usize = 6;
/// Events that the file has and the broker cannot be given yet; about 20 MB.
const MOST_HELD: usize = 16_384;
/// Where events are rare: what is made of one step goes out together.
const TOGETHER: Duration = Duration::from_millis(1);
/// While nothing may be taken, what was dropped is noted this far apart.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Where events go.
#[derive(Debug, Clone)]
pub struct Sink {
    /// The broker, unless `--nats off`.
    pub link: Option<Link>,
    /// The codec towards the broker.
    pub codec: Codec,
    /// The headers of all events.
    pub origin: Origin,
    /// The events file.
    pub file: Option<Arc<Mutex<JsonLines>>>,
}

/// A batch that was written (or is being written).
#[derive(Debug)]
struct Batch {
    number: u64,
    seqs: Vec<SeqRange>,
}

struct Publisher<S, E> {
    lane: LaneReceiver<S>,
    encoder: E,
    sink: Sink,
    ledger: Arc<Ledger>,
    pending: VecDeque<Batch>,
    next_batch: u64,
    losses: u64,
    numbers: Vec<f64>,
    events: Vec<Outgoing>,
    held: VecDeque<Outgoing>,
    gathering: Gathering,
    /// Why the client has refused events so far.
    refused: Vec<PublishErrorKind>,
}

/// Runs until the lane's writer is gone and everything is confirmed, or until `deadline` has passed.
pub async fn publish_telemetry<S: Send, E: Encode<S>>(
    lane: LaneReceiver<S>,
    encoder: E,
    sink: Sink,
    ledger: Arc<Ledger>,
    mut deadline: watch::Receiver<Option<Instant>>,
) {
    let losses = sink.link.as_ref().map_or(0, |l| l.status().losses);
    let mut publisher = Publisher {
        lane,
        encoder,
        sink,
        ledger,
        pending: VecDeque::new(),
        next_batch: 1,
        losses,
        numbers: Vec::new(),
        events: Vec::new(),
        held: VecDeque::new(),
        gathering: Gathering::new(Instant::now()),
        refused: Vec::new(),
    };
    tokio::select! {
        () = publisher.pump() => {}
        () = passed(&mut deadline) => {}
    }
    publisher.finish();
}

/// Completes when a deadline is set and has passed.
pub(crate) async fn passed(deadline: &mut watch::Receiver<Option<Instant>>) {
    loop {
        let at = *deadline.borrow_and_update();
        let changed = deadline.changed();
        match at {
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at) => return,
                result = changed => if result.is_err() { return tokio::time::sleep_until(at).await },
            },
            None => {
                if changed.await.is_err() {
                    return std::future::pending().await;
                }
            }
        }
    }
}

impl<S: Send, E: Encode<S>> Publisher<S, E> {
    async fn pump(&mut self) {
        let Some(link) = self.sink.link.clone() else { return self.pump_without_broker().await };
        let mut status = link.watch();
        let inbox = Subject::from(link.client().new_inbox());
        let mut confirmations = loop {
            match link.client().subscribe(inbox.clone()).await {
                Ok(subscription) => break subscription,
                Err(error) => {
                    tracing::debug!(%error, "cannot subscribe to the confirmation inbox yet");
                    link.connected().await;
                }
            }
        };
        let mut notes = tokio::time::interval(NOTE_EVERY);
        notes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.note_losses(*status.borrow_and_update());
            if self.lane.is_finished() && self.pending.is_empty() && self.held.is_empty() {
                return;
            }
            let room = status.borrow().state == LinkState::Connected && self.pending.len() < MOST_BATCHES;
            let may_take = !self.lane.is_finished() && (room || self.sink.file.is_some());
            tokio::select! {
                biased;
                changed = status.changed() => if changed.is_err() { return },
                Some(message) = confirmations.next() => self.confirm(&message.payload),
                () = std::future::ready(()), if room && !self.held.is_empty() => {
                    self.events.extend(self.held.drain(..self.held.len().min(BATCH)));
                    self.send(&link, &inbox, &mut confirmations).await;
                }
                () = self.lane.gathered(self.gathering.slots(), self.gathering.due()), if may_take => {
                    if !self.gathering.is_fast() && !self.lane.is_finished() {
                        tokio::time::sleep(TOGETHER).await;
                    }
                    let taken = self.take_batch();
                    self.gathering.note(Instant::now(), taken);
                    if room {
                        self.send(&link, &inbox, &mut confirmations).await;
                    } else {
                        self.hold();
                        tokio::task::yield_now().await;
                    }
                }
                _ = notes.tick(), if !may_take => self.note_dropped(),
            }
        }
    }

    async fn pump_without_broker(&mut self) {
        while !self.lane.is_finished() {
            self.lane.ready().await;
            self.take_batch();
            self.events.clear();
            tokio::task::yield_now().await;
        }
    }

    /// Takes up to a batch from the lane, encodes it into `events` and gives it to the file. Returns the number of slots.
    fn take_batch(&mut self) -> usize {
        let mut taken = 0;
        while taken < BATCH {
            let Some((seq, slot)) = self.lane.pop(&mut self.numbers) else { break };
            taken += 1;
            let start = self.events.len();
            if self.sink.link.is_some() {
                self.encoder.encode(self.sink.codec, seq, &slot, &self.numbers, &mut self.events);
            }
            if let Some(file) = &self.sink.file {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                if self.sink.link.is_some() && self.sink.codec == Codec::Json {
                    self.events[start..].iter().for_each(|e| file.write(e));
                } else {
                    let mut lines = Vec::with_capacity(1);
                    self.encoder.encode(Codec::Json, seq, &slot, &self.numbers, &mut lines);
                    lines.iter().for_each(|e| file.write(e));
                }
            }
        }
        self.lane.taken();
        self.note_dropped();
        taken
    }

    fn note_dropped(&mut self) {
        while let Some(range) = self.lane.pop_dropped() {
            self.ledger.note_dropped_range(range);
        }
    }

    /// Sends `events` as one batch.
    async fn send(&mut self, link: &Link, inbox: &Subject, confirmations: &mut Subscriber) {
        if self.events.is_empty() {
            return;
        }
        let number = self.next_batch;
        self.next_batch += 1;
        self.pending.push_back(Batch { number, seqs: ranges(&self.events) });
        let mut refused = Vec::new();
        // Nothing here waits as long as the client takes what it is given, and then there is no point in stopping between two events.
        tokio::task::unconstrained(async {
            for event in self.events.drain(..) {
                let headers = self.sink.origin.headers(&event.stamp, self.sink.codec);
                if let Err(error) = link.client().publish_with_headers(event.subject, headers, event.payload).await {
                    refused.extend(event.stamp.seq.map(|seq| (seq, error)));
                }
            }
            let barrier = Bytes::copy_from_slice(&number.to_be_bytes());
            if let Err(error) = link.client().publish(inbox.clone(), barrier).await {
                tracing::debug!(%error, "no round trip for a batch");
            }
        })
        .await;
        self.note_refused(link, &refused);
        // Answers that came meanwhile, so that they do not wait behind the next batch.
        while let Some(Some(message)) = futures::FutureExt::now_or_never(confirmations.next()) {
            self.confirm(&message.payload);
        }
    }

    /// What the client has refused of the last batch was never written: it is dropped, which is told once for each reason.
    fn note_refused(&mut self, link: &Link, refused: &[(u64, PublishError)]) {
        for (seq, error) in refused {
            if let Some(batch) = self.pending.back_mut() {
                batch.seqs = batch.seqs.iter().flat_map(|range| without(*range, *seq)).collect();
            }
            self.ledger.drop_range(SeqRange(*seq, *seq));
            let first = !self.refused.contains(&error.kind());
            if first && error.kind() == PublishErrorKind::MaxPayloadExceeded {
                let max_payload = link.client().max_payload();
                tracing::warn!(
                    seq,
                    max_payload,
                    "an event is larger than the NATS server takes; all that are will be dropped and counted: take variables out of the \
                     scenario, or raise max_payload in the server's configuration"
                );
            } else if first {
                tracing::warn!(seq, %error, "the NATS client refuses events; they are dropped and counted");
            }
            if first {
                self.refused.push(error.kind());
            }
        }
    }

    fn confirm(&mut self, payload: &[u8]) {
        let Ok(number) = payload.try_into().map(u64::from_be_bytes) else { return };
        while self.pending.front().is_some_and(|b| b.number <= number) {
            self.pending.pop_front();
        }
    }

    /// What was written before a loss and not confirmed is in doubt.
    fn note_losses(&mut self, status: Status) {
        if status.losses != self.losses {
            self.losses = status.losses;
            for range in self.pending.drain(..).flat_map(|b| b.seqs) {
                self.ledger.unconfirm(range);
            }
        }
    }

    /// Keeps `events` for later, as far as there is room.
    fn hold(&mut self) {
        let fits = MOST_HELD.saturating_sub(self.held.len()).min(self.events.len());
        self.held.extend(self.events.drain(..fits));
        self.drop_events();
    }

    fn drop_events(&mut self) {
        for range in ranges(&self.events) {
            self.ledger.drop_range(range);
        }
        self.events.clear();
    }

    fn finish(mut self) {
        for range in std::mem::take(&mut self.pending).into_iter().flat_map(|b| b.seqs) {
            self.ledger.unconfirm(range);
        }
        // What is held, or left in the lane, was never written: the deadline has passed.
        self.events.clear();
        self.events.extend(self.held.drain(..));
        self.drop_events();
        while !self.lane.is_empty() {
            self.take_batch();
            self.drop_events();
        }
        self.take_batch();
        if let Some(file) = &self.sink.file {
            file.lock().unwrap_or_else(PoisonError::into_inner).flush();
        }
    }
}

/// A range without one seq: nothing, a range, or two.
fn without(range: SeqRange, seq: u64) -> impl Iterator<Item = SeqRange> {
    let parts = if (range.0..=range.1).contains(&seq) {
        [(seq > range.0).then(|| SeqRange(range.0, seq - 1)), (seq < range.1).then(|| SeqRange(seq + 1, range.1))]
    } else {
        [Some(range), None]
    };
    parts.into_iter().flatten()
}

/// The seqs of events as ranges.
fn ranges(events: &[Outgoing]) -> Vec<SeqRange> {
    let mut list: Vec<SeqRange> = Vec::new();
    for seq in events.iter().filter_map(|e| e.stamp.seq) {
        match list.last_mut() {
            Some(last) if last.1 + 1 == seq => last.1 = seq,
            _ => list.push(SeqRange(seq, seq)),
        }
    }
    list
}
