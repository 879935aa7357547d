//! What became of every seq: counts that anyone may read, and the ranges of those that were dropped or are in doubt.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use doom_protocol::{LedgerSummary, RecordsHealth, payload::SeqRange};

/// More ranges than this are only counted.
const MOST_RANGES: usize = 20_000;

/// The dropped and the unconfirmed seqs, in order of discovery.
#[derive(Debug, Clone, Default)]
pub struct Ranges {
    /// Did not fit into the lane, or were not sent before the end.
    pub dropped: Vec<SeqRange>,
    /// Written, never confirmed.
    pub unconfirmed: Vec<SeqRange>,
    /// Some ranges were only counted.
    pub truncated: bool,
}

/// Shared by the lanes, the publishers, health and the last lifecycle record.
#[derive(Debug, Default)]
pub struct Ledger {
    produced: AtomicU64,
    dropped: AtomicU64,
    unconfirmed: AtomicU64,
    stored: AtomicU64,
    spooled: AtomicU64,
    lost: AtomicU64,
    aside: AtomicU64,
    durable: AtomicBool,
    kept: AtomicBool,
    truncated: AtomicBool,
    ranges: Mutex<Ranges>,
}

impl Ledger {
    /// The game thread has given seqs up to this one.
    pub fn set_produced(&self, seq: u64) {
        self.produced.store(seq, Relaxed);
    }

    pub(crate) fn add_dropped(&self, n: u64) {
        self.dropped.fetch_add(n, Relaxed);
    }

    pub(crate) fn add_stored(&self) {
        self.stored.fetch_add(1, Relaxed);
    }

    /// Records given up for want of room.
    pub fn add_lost(&self, n: u64) {
        self.lost.fetch_add(n, Relaxed);
    }

    /// So many records are larger than server or stream take.
    pub(crate) fn set_aside(&self, n: u64) {
        self.aside.store(n, Relaxed);
    }

    pub(crate) fn set_spooled(&self, n: u64) {
        self.spooled.store(n, Relaxed);
    }

    /// Records are kept (there is a broker), and on disk before they are sent.
    pub(crate) fn set_durable(&self, durable: bool) {
        self.kept.store(true, Relaxed);
        self.durable.store(durable, Relaxed);
    }

    pub(crate) fn ranges_truncated(&self) {
        self.truncated.store(true, Relaxed);
    }

    /// Notes a range that the lane has already counted.
    pub(crate) fn note_dropped_range(&self, range: SeqRange) {
        self.push(range, |r| &mut r.dropped);
    }

    /// Counts and notes a range that was taken from the lane but not sent.
    pub(crate) fn drop_range(&self, range: SeqRange) {
        self.add_dropped(range.1 - range.0 + 1);
        self.push(range, |r| &mut r.dropped);
    }

    pub(crate) fn unconfirm(&self, range: SeqRange) {
        self.unconfirmed.fetch_add(range.1 - range.0 + 1, Relaxed);
        self.push(range, |r| &mut r.unconfirmed);
    }

    fn push(&self, range: SeqRange, list: impl Fn(&mut Ranges) -> &mut Vec<SeqRange>) {
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        let list = list(&mut ranges);
        let room = list.len() < MOST_RANGES;
        match list.last_mut() {
            Some(last) if last.1 + 1 == range.0 => last.1 = range.1,
            _ if room => list.push(range),
            _ => self.ranges_truncated(),
        }
    }

    /// The counts now.
    #[must_use]
    pub fn summary(&self) -> LedgerSummary {
        LedgerSummary {
            produced: self.produced.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            unconfirmed: self.unconfirmed.load(Relaxed),
            stored: self.stored.load(Relaxed),
        }
    }

    /// The record lane now.
    #[must_use]
    pub fn records(&self) -> RecordsHealth {
        RecordsHealth {
            spooled: self.spooled.load(Relaxed),
            lost: self.lost.load(Relaxed),
            aside: self.aside.load(Relaxed),
            durable: self.kept.load(Relaxed).then(|| self.durable.load(Relaxed)),
        }
    }

    /// The ranges so far.
    #[must_use]
    pub fn ranges(&self) -> Ranges {
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ranges.truncated = self.truncated.load(Relaxed);
        ranges
    }
}
