//! What waits for an acknowledgement, and where it is kept: in the spool, and a bounded part of it in memory, ready to be sent.
//!
//! A record comes in as *pending*; its spool transaction makes it *ready*. Of each group only the oldest records are held in memory, the
//! others are read back when their turn comes. Without a disk (none, full, broken, or silent for too long) records are ready at once and
//! memory is all they have: 10,000 of them or 64 MiB, beyond that the oldest goes and is counted.

mod again;
mod disk;
mod group;
#[cfg(test)]
mod model;
mod sending;

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use self::{again::Again, group::Group};
use crate::{
    Ledger,
    spool::{ASIDE, Record, Spool, Starts},
};

/// Records of a group that are held in memory although the disk has them.
const WINDOW: usize = 256;
const WINDOW_BYTES: usize = 1 << 20;
/// Acknowledged records whose erasure may be outstanding before the group waits for it. After a crash so many, at most, are looked for in the
/// stream, a round trip each.
const MOST_UNERASED: usize = 64;
/// An erasure waits this long for a transaction that it can share.
const ERASE_AFTER: Duration = Duration::from_millis(250);
/// A transaction costs much the same for one record and for ten, and the disk a wait: where episodes are short, those of this time share
/// one. It is well within the 100 ms in which a record is promised to be safe.
const WRITE_EVERY: Duration = Duration::from_millis(40);
/// A disk that does not answer for this long counts as none, until it answers. A busy one has been seen to take eleven seconds.
const STALLED_AFTER: Duration = Duration::from_secs(20);
/// The same when the agent ends, where records that wait for the disk for too long would miss the broker as well.
const STALLED_AT_THE_END: Duration = Duration::from_secs(3);

/// Records that are put aside and cannot be brought to disk; beyond it the oldest goes.
const MOST_ASIDE: usize = 64;

/// Bounds of what is kept in memory where there is no disk.
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

/// What is left when the agent ends.
#[derive(Debug, Clone, Default)]
pub struct Left {
    /// Records in the spool, which the next start sends.
    pub kept: u64,
    /// The spool.
    pub path: Option<PathBuf>,
    /// Records that end with the process.
    pub lost: u64,
}

/// A record that is larger than server or stream take.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Its `Nats-Msg-Id`.
    pub id: String,
    /// Its subject.
    pub subject: String,
    /// What was said to it, with its size.
    pub why: String,
}

/// How the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    None,
    Good,
    Failed { retry_at: Instant },
}

/// The transaction under way.
#[derive(Debug)]
struct Writing {
    through: u64,
    since: Instant,
    /// Group, order, and how many of its records count as erased then.
    erased: Vec<(Arc<str>, u64, usize)>,
    /// Group and order of what is put aside.
    aside: Vec<(Arc<str>, u64)>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Backlog {
    pub(crate) groups: BTreeMap<Arc<str>, Group>,
    /// Records that went to the disk alone and have not been shown to live viewers of a subject without a stream.
    pub(crate) live_only: Vec<Record>,
    pending: VecDeque<Record>,
    /// Too large for any stream, and not on disk as such yet.
    aside: Vec<Record>,
    /// By group: how many the disk has aside.
    aside_on_disk: BTreeMap<Arc<str>, u64>,
    again: Again,
    /// Ids, subjects and reasons of those that were put aside and not spoken of yet.
    pub(crate) refused: Vec<Refused>,
    spool: Option<Spool>,
    starts: Arc<Starts>,
    disk: Disk,
    writing: Option<Writing>,
    /// No transaction begins before.
    next_write: Option<Instant>,
    write_every: Duration,
    stalled_after: Duration,
    reading: bool,
    erase: BTreeMap<Arc<str>, u64>,
    erase_at: Option<Instant>,
    will: Vec<Record>,
    will_changed: bool,
    next_order: u64,
    total: u64,
    memory_only: usize,
    memory_only_bytes: usize,
    /// That no stream takes a record was said.
    warned: bool,
    settings: RecordSettings,
    ledger: Arc<Ledger>,
}

impl Backlog {
    pub(crate) fn new(mut spool: Option<Spool>, settings: RecordSettings, ledger: Arc<Ledger>) -> Self {
        let found = spool.as_mut().map(|s| std::mem::take(&mut s.found));
        let mut groups = BTreeMap::new();
        let (mut next_order, mut total, mut starts) = (1, 0, Starts::default());
        if let Some(found) = found {
            (next_order, starts) = (found.next_order, found.starts);
            for (group, from, n) in found.groups {
                total += n;
                groups.insert(group, Group::found(from, n));
            }
        }
        ledger.set_durable(spool.is_some());
        ledger.set_spooled(total);
        Self {
            groups,
            live_only: Vec::new(),
            pending: VecDeque::new(),
            aside: Vec::new(),
            aside_on_disk: BTreeMap::new(),
            again: Again::default(),
            refused: Vec::new(),
            disk: if spool.is_some() { Disk::Good } else { Disk::None },
            spool,
            starts: Arc::new(starts),
            writing: None,
            next_write: None,
            write_every: WRITE_EVERY,
            stalled_after: STALLED_AFTER,
            reading: false,
            erase: BTreeMap::new(),
            erase_at: None,
            will: Vec::new(),
            will_changed: false,
            next_order,
            total,
            memory_only: 0,
            memory_only_bytes: 0,
            warned: false,
            settings,
            ledger,
        }
    }

    /// Nothing waits for the disk before it can be sent.
    pub(crate) fn is_committed(&self) -> bool {
        self.pending.is_empty()
    }

    /// The agent ends: from now on a slow disk is waited for only briefly.
    pub(crate) fn hurry(&mut self) {
        self.stalled_after = STALLED_AT_THE_END;
        self.write_every = Duration::ZERO;
        self.next_write = None;
    }

    /// Takes a record over. Where memory is all there is and it is full, the oldest one goes.
    pub(crate) fn push(&mut self, mut record: Record) {
        record.order = self.next_order;
        self.next_order += 1;
        self.total += 1;
        self.memory_only += 1;
        self.memory_only_bytes += record.size();
        self.pending.push_back(record);
        if self.disk != Disk::Good {
            self.release();
        }
        while self.memory_only > self.settings.most_records || self.memory_only_bytes > self.settings.most_bytes {
            if !self.lose_oldest() {
                break;
            }
        }
        self.ledger.set_spooled(self.total);
    }

    /// What the next start shall keep, should this process not live to replace it. Goes to disk with the records that were pushed before.
    pub(crate) fn set_will(&mut self, will: Vec<Record>) {
        if !(will.is_empty() && self.will.is_empty()) {
            self.will = will;
            self.will_changed = true;
        }
    }

    /// The first record of a group is stored elsewhere.
    fn acknowledge(&mut self, key: &Arc<str>) -> Option<Record> {
        let group = self.groups.get_mut(key)?;
        let done = group.pop()?;
        self.total -= 1;
        if !done.on_disk {
            self.memory_only -= 1;
            self.memory_only_bytes -= done.record.size();
        }
        if self.spool.is_some() {
            group.unerased += 1;
            self.erase.insert(Arc::clone(key), done.record.order);
            self.erase_at.get_or_insert_with(|| Instant::now() + ERASE_AFTER);
            if group.unerased >= MOST_UNERASED / 2 {
                self.erase_at = Some(Instant::now());
            }
        }
        self.ledger.set_spooled(self.total);
        Some(done.record)
    }

    /// The first record of a group cannot be stored as things are. It makes way for those behind it, is tried again later, and spoken of once.
    fn put_aside(&mut self, key: &Arc<str>, why: String) {
        let Some(kept) = self.groups.get_mut(key).and_then(Group::pop) else { return };
        self.total -= 1;
        if !kept.on_disk {
            self.memory_only -= 1;
            self.memory_only_bytes -= kept.record.size();
        }
        if !self.was_tried_again(kept.record.order, false) {
            let (id, subject) = (kept.record.message_id().to_owned(), kept.record.subject.to_string());
            self.refused.push(Refused { id, subject, why });
        }
        self.aside.push(Record { group: format!("{ASIDE}{key}").into(), ..kept.record });
        if self.aside.len() > MOST_ASIDE {
            self.aside.remove(0);
            self.ledger.add_lost(1);
        }
        self.say_aside();
        self.ledger.set_spooled(self.total);
    }

    /// Of what is in memory alone the oldest that is not under way.
    fn lose_oldest(&mut self) -> bool {
        let ready = self.groups.iter().filter_map(|(key, g)| g.oldest_in_memory().map(|(order, at)| (order, Arc::clone(key), at))).min();
        let waiting = self.pending.front().map(|r| r.order);
        let lost = match ready {
            Some((order, key, at)) if waiting.is_none_or(|w| order < w) => self.groups.get_mut(&key).and_then(|group| group.remove(at)),
            _ => self.pending.pop_front(),
        };
        let Some(lost) = lost else { return false };
        self.total -= 1;
        self.memory_only -= 1;
        self.memory_only_bytes -= lost.size();
        self.was_tried_again(lost.order, false);
        self.ledger.add_lost(1);
        true
    }
}
