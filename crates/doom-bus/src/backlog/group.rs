//! Records that go one at a time and in order, as far as they are held in memory.

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;

use super::{WINDOW, WINDOW_BYTES};
use crate::{attempt::Place, spool::Record};

/// A record that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) record: Record,
    pub(crate) published_live: bool,
    pub(super) on_disk: bool,
}

/// Records that go one at a time and in order.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) queue: VecDeque<Kept>,
    pub(crate) in_flight: bool,
    pub(crate) failures: u32,
    pub(crate) retry_at: Option<Instant>,
    /// By subject: the stream that takes it.
    pub(super) streams: HashMap<String, String>,
    /// By subject: its last message, where it is known.
    pub(super) places: HashMap<String, Place>,
    pub(crate) no_stream: bool,
    bytes: usize,
    /// The first order that is on disk alone; everything from it on is.
    pub(super) spilled_from: Option<u64>,
    pub(super) spilled: u64,
    pub(super) unerased: usize,
    pub(super) read_again_at: Option<Instant>,
}

impl Group {
    /// Nothing of it waits.
    pub(crate) fn is_done(&self) -> bool {
        self.queue.is_empty() && self.spilled_from.is_none()
    }

    /// Everything that waits has no stream, and live viewers have had it.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.no_stream && self.queue.iter().all(|k| k.published_live)
    }

    /// What was left by an earlier process: its first order, and how many.
    pub(super) fn found(from: u64, n: u64) -> Self {
        Self { spilled_from: Some(from), spilled: n, ..Self::default() }
    }

    /// One more may be held in memory although the disk has it.
    pub(super) fn has_room(&self) -> bool {
        self.spilled_from.is_none() && self.queue.len() < WINDOW && self.bytes < WINDOW_BYTES
    }

    pub(super) fn push(&mut self, kept: Kept) {
        self.bytes += kept.record.size();
        self.queue.push_back(kept);
    }

    pub(super) fn pop(&mut self) -> Option<Kept> {
        let kept = self.queue.pop_front()?;
        self.bytes -= kept.record.size();
        Some(kept)
    }

    /// The oldest that is in memory alone and not under way: its order, and where it stands.
    pub(super) fn oldest_in_memory(&self) -> Option<(u64, usize)> {
        let under_way = usize::from(self.in_flight);
        self.queue.iter().enumerate().skip(under_way).find(|(_, k)| !k.on_disk).map(|(at, k)| (k.record.order, at))
    }

    /// Where the record of this order stands.
    pub(super) fn position(&self, order: u64) -> Option<usize> {
        self.queue.iter().position(|k| k.record.order == order)
    }

    pub(super) fn remove(&mut self, at: usize) -> Option<Record> {
        let kept = self.queue.remove(at)?;
        self.bytes -= kept.record.size();
        Some(kept.record)
    }

    /// Nothing is taken for granted any more: which stream it is, and what it holds.
    pub(super) fn forget(&mut self) {
        self.streams.clear();
        self.places.clear();
    }
}
