//! What waits for an acknowledgement, and where it is kept: in the spool, and a bounded part of it in memory, ready to be sent.
//!
//! A record comes in as *pending*; its spool transaction makes it *ready*. Of each group only the oldest records are held in memory, the
//! others are read back when their turn comes. Without a disk (none, full, broken, or silent for too long) records are ready at once and
//! memory is all they have: 10,000 of them or 64 MiB, beyond that the oldest goes and is counted.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    Ledger,
    spool::{Answer, Record, Request, Spool, StoreError, Write},
};

/// Records of a group that are held in memory although the disk has them.
const WINDOW: usize = 256;
const WINDOW_BYTES: usize = 1 << 20;
/// Records of one transaction.
const BATCH: usize = 512;
/// Acknowledged records whose erasure may be outstanding before the group waits for it. After a crash the group's first records, up to
/// this many, are looked for in the stream, so this bound is what makes "once" exact.
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
/// A disk that failed is tried again after this long.
const RETRY_DISK: Duration = Duration::from_secs(5);
/// How long the last transactions may take when the agent ends.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

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

/// A record that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) record: Record,
    pub(crate) published_live: bool,
    on_disk: bool,
}

/// Records that go one at a time and in order.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) queue: VecDeque<Kept>,
    pub(crate) in_flight: bool,
    pub(crate) failures: u32,
    pub(crate) retry_at: Option<Instant>,
    pub(crate) streams: HashMap<String, String>,
    pub(crate) last_sequences: HashMap<String, u64>,
    pub(crate) no_stream: bool,
    bytes: usize,
    /// The first order that is on disk alone; everything from it on is.
    spilled_from: Option<u64>,
    spilled: u64,
    unerased: usize,
    read_again_at: Option<Instant>,
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

    fn push(&mut self, kept: Kept) {
        self.bytes += kept.record.size();
        self.queue.push_back(kept);
    }

    fn pop(&mut self) -> Option<Kept> {
        let kept = self.queue.pop_front()?;
        self.bytes -= kept.record.size();
        Some(kept)
    }
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
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Backlog {
    pub(crate) groups: BTreeMap<Arc<str>, Group>,
    /// Records that went to the disk alone and have not been shown to live viewers of a subject without a stream.
    pub(crate) live_only: Vec<Record>,
    pending: VecDeque<Record>,
    spool: Option<Spool>,
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
    settings: RecordSettings,
    ledger: Arc<Ledger>,
}

impl Backlog {
    pub(crate) fn new(mut spool: Option<Spool>, settings: RecordSettings, ledger: Arc<Ledger>) -> Self {
        let found = spool.as_mut().map(|s| std::mem::take(&mut s.found));
        let mut groups = BTreeMap::new();
        let (mut next_order, mut total) = (1, 0);
        if let Some(found) = found {
            next_order = found.next_order;
            for (group, from, n) in found.groups {
                total += n;
                groups.insert(group, Group { spilled_from: Some(from), spilled: n, ..Group::default() });
            }
        }
        ledger.set_durable(spool.is_some());
        ledger.set_spooled(total);
        Self {
            groups,
            live_only: Vec::new(),
            pending: VecDeque::new(),
            disk: if spool.is_some() { Disk::Good } else { Disk::None },
            spool,
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

    /// The group's first record, if it may be sent now.
    pub(crate) fn is_sendable(&self, group: &Group) -> bool {
        !group.queue.is_empty() && (group.unerased < MOST_UNERASED || self.disk != Disk::Good)
    }

    /// The ids of the records behind a group's first one, of one subject, as far as they can be stored already.
    pub(crate) fn later_ids(&self, key: &Arc<str>, subject: &str) -> Vec<String> {
        let queue = self.groups.get(key).into_iter().flat_map(|g| g.queue.iter().take(MOST_UNERASED + 1).skip(1));
        queue.filter(|k| k.record.subject.as_str() == subject).map(|k| k.record.message_id().to_owned()).collect()
    }

    /// The first record of a group is stored elsewhere.
    pub(crate) fn acknowledge(&mut self, key: &Arc<str>) -> Option<Record> {
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

    /// Asks the disk for what is due. Never waits.
    pub(crate) fn ask(&mut self) {
        let now = Instant::now();
        if self.disk == Disk::Good && self.writing.as_ref().is_some_and(|w| now >= w.since + self.stalled_after) {
            self.fail(&format!("it has not answered for {} s", self.stalled_after.as_secs()));
        }
        self.ask_write(now);
        self.ask_read(now);
    }

    fn ask_write(&mut self, now: Instant) {
        let due = match self.disk {
            Disk::None => false,
            Disk::Good => self.next_due(now).is_some_and(|at| at <= now),
            Disk::Failed { retry_at } => retry_at <= now,
        };
        if !due || self.writing.is_some() {
            return;
        }
        let Some(spool) = &self.spool else { return };
        let mut records: Vec<Record> = Vec::new();
        if self.disk != Disk::Good {
            // What is in memory alone, whether it is ready or waits behind what the disk has.
            let ready = self.groups.values().flat_map(|g| g.queue.iter().filter(|k| !k.on_disk).map(|k| &k.record));
            records.extend(ready.chain(&self.pending).cloned());
            records.sort_unstable_by_key(|r| r.order);
        } else {
            records.extend(self.pending.iter().take(BATCH).cloned());
        }
        // The will speaks of what came after the last record pushed, so it goes with that one. The one on disk may speak of an episode
        // whose score is among these records, so it goes in any case.
        let whole = self.disk != Disk::Good || records.len() == self.pending.len();
        let will = if whole { self.will_changed.then(|| self.will.clone()) } else { Some(Vec::new()) };
        self.will_changed = !whole && (self.will_changed || !self.will.is_empty());
        let through = records.last().map_or(0, |r| r.order);
        let erase: Vec<_> = std::mem::take(&mut self.erase).into_iter().collect();
        self.erase_at = None;
        let unerased = |key| self.groups.get(key).map_or(0, |g| g.unerased);
        let erased = erase.iter().map(|(key, order)| (Arc::clone(key), *order, unerased(key))).collect();
        if spool.ask(Request::Write(Write { records, will, erase })) {
            self.writing = Some(Writing { through, since: now, erased });
            self.next_write = Some(now + self.write_every);
        } else {
            self.fail("its thread is gone");
            self.disk = Disk::None;
        }
    }

    /// When a disk that is well is next to be written to; a moment that has passed is now.
    fn next_due(&self, now: Instant) -> Option<Instant> {
        let at_once = !self.pending.is_empty() || self.will_changed;
        let due = if at_once { Some(self.next_write.unwrap_or(now)) } else { self.erase_at };
        due.max(due.and(self.next_write))
    }

    fn ask_read(&mut self, now: Instant) {
        let Some(spool) = &self.spool else { return };
        if self.reading || self.disk == Disk::None {
            return;
        }
        let wanting = self
            .groups
            .iter()
            .find(|(_, g)| g.spilled_from.is_some() && g.queue.len() <= WINDOW / 2 && g.read_again_at.is_none_or(|at| at <= now));
        if let Some((key, group)) = wanting {
            let from = group.spilled_from.unwrap_or_default();
            let request = Request::Read { group: Arc::clone(key), from, most: WINDOW / 2, most_bytes: WINDOW_BYTES };
            self.reading = spool.ask(request);
        }
    }

    /// When there is something to ask next, if nothing happens before.
    pub(crate) fn next_ask(&self) -> Option<Instant> {
        let retry = match self.disk {
            Disk::None => return None,
            Disk::Failed { retry_at } => Some(retry_at),
            Disk::Good => None,
        };
        let write = match (&self.writing, self.disk) {
            (Some(w), Disk::Good) => Some(w.since + self.stalled_after),
            (Some(_), _) => None,
            (None, Disk::Good) => self.next_due(Instant::now()),
            (None, _) => retry,
        };
        let read = self.groups.values().filter(|_| !self.reading).filter_map(|g| g.read_again_at).min();
        write.into_iter().chain(read).min()
    }

    /// Waits for the disk's next answer; for ever where there is no disk. Cancel safe.
    pub(crate) async fn answer(&mut self) -> Answer {
        if self.disk != Disk::None
            && let Some(spool) = &mut self.spool
        {
            if let Some(answer) = spool.answers.recv().await {
                return answer;
            }
            self.fail("its thread is gone");
            self.disk = Disk::None;
        }
        std::future::pending().await
    }

    /// Takes an answer in.
    pub(crate) fn take(&mut self, answer: Answer) {
        match answer {
            Answer::Written(result) => self.written(result),
            Answer::Read(key, result) => {
                self.reading = false;
                match result {
                    Ok((records, more)) => self.loaded(&key, records, more),
                    Err(error) => self.unreadable(&key, &error),
                }
            }
        }
    }

    fn written(&mut self, result: Result<(), StoreError>) {
        let Some(writing) = self.writing.take() else { return };
        if let Err(error) = result {
            self.fail(&error.to_string());
            // A later order, where there is one, erases these too.
            for (key, through, _) in writing.erased {
                self.erase.entry(key).or_insert(through);
            }
            self.will_changed = !self.will.is_empty();
            return;
        }
        if self.disk != Disk::Good {
            tracing::info!("the record spool can be written again");
            self.disk = Disk::Good;
            self.ledger.set_durable(true);
            self.mark_on_disk(writing.through);
        }
        for (key, _, n) in writing.erased {
            if let Some(group) = self.groups.get_mut(&key) {
                group.unerased -= n.min(group.unerased);
            }
        }
        while self.pending.front().is_some_and(|r| r.order <= writing.through) {
            let Some(record) = self.pending.pop_front() else { break };
            self.memory_only -= 1;
            self.memory_only_bytes -= record.size();
            let group = self.groups.entry(Arc::clone(&record.group)).or_default();
            if group.spilled_from.is_none() && group.queue.len() < WINDOW && group.bytes < WINDOW_BYTES {
                group.push(Kept { record, published_live: false, on_disk: true });
                continue;
            }
            group.spilled_from.get_or_insert(record.order);
            group.spilled += 1;
            if group.no_stream {
                self.live_only.push(record);
            }
        }
    }

    /// A disk that is back has everything up to this order.
    fn mark_on_disk(&mut self, through: u64) {
        for kept in self.groups.values_mut().flat_map(|g| g.queue.iter_mut()) {
            if !kept.on_disk && kept.record.order <= through {
                kept.on_disk = true;
                self.memory_only -= 1;
                self.memory_only_bytes -= kept.record.size();
            }
        }
    }

    fn loaded(&mut self, key: &Arc<str>, records: Vec<Record>, more: bool) {
        let Some(group) = self.groups.get_mut(key) else { return };
        group.read_again_at = None;
        group.spilled_from = records.last().filter(|_| more).map(|r| r.order + 1);
        group.spilled = if more { group.spilled.saturating_sub(records.len() as u64) } else { 0 };
        for record in records {
            // What an earlier process made is not live any more.
            let published_live = !record.own;
            group.push(Kept { record, published_live, on_disk: true });
        }
        if self.disk != Disk::Good {
            self.release();
        }
    }

    /// Records that the disk has and does not give: tried again, unless the file is broken.
    fn unreadable(&mut self, key: &Arc<str>, error: &StoreError) {
        let Some(group) = self.groups.get_mut(key) else { return };
        if !error.corrupt {
            group.read_again_at = Some(Instant::now() + RETRY_DISK);
            tracing::warn!(%error, "the record spool cannot be read; trying again");
            return;
        }
        let lost = std::mem::take(&mut group.spilled);
        group.spilled_from = None;
        self.total = self.total.saturating_sub(lost);
        self.ledger.add_lost(lost);
        self.ledger.set_spooled(self.total);
        tracing::error!(%error, records = lost, "the record spool is broken; the next start moves it aside");
        self.fail("it is broken");
    }

    /// From now on memory is all there is, until the disk is tried again.
    fn fail(&mut self, why: &str) {
        if self.disk == Disk::Good {
            let file = self.spool.as_ref().map(|s| s.path().display().to_string());
            tracing::warn!(
                why,
                file,
                most_records = self.settings.most_records,
                "the record spool cannot be written; records are kept in memory alone until it can"
            );
        }
        self.disk = Disk::Failed { retry_at: Instant::now() + RETRY_DISK };
        self.ledger.set_durable(false);
        self.release();
    }

    /// Without a disk nothing waits for it, except behind older records of its group that are still there.
    fn release(&mut self) {
        let mut waiting = VecDeque::new();
        for record in self.pending.drain(..) {
            let group = self.groups.entry(Arc::clone(&record.group)).or_default();
            if group.spilled_from.is_some() {
                waiting.push_back(record);
            } else {
                group.push(Kept { record, published_live: false, on_disk: false });
            }
        }
        self.pending = waiting;
    }

    /// Of what is in memory alone the oldest that is not under way.
    fn lose_oldest(&mut self) -> bool {
        let oldest = |g: &Group| {
            let under_way = usize::from(g.in_flight);
            g.queue.iter().enumerate().skip(under_way).find(|(_, k)| !k.on_disk).map(|(at, k)| (k.record.order, at))
        };
        let ready = self.groups.iter().filter_map(|(key, g)| oldest(g).map(|(order, at)| (order, Arc::clone(key), at))).min();
        let waiting = self.pending.front().map(|r| r.order);
        let lost = match ready {
            Some((order, key, at)) if waiting.is_none_or(|w| order < w) => self.groups.get_mut(&key).and_then(|group| {
                let kept = group.queue.remove(at)?;
                group.bytes -= kept.record.size();
                Some(kept.record)
            }),
            _ => self.pending.pop_front(),
        };
        let Some(lost) = lost else { return false };
        self.total -= 1;
        self.memory_only -= 1;
        self.memory_only_bytes -= lost.size();
        self.ledger.add_lost(1);
        true
    }

    /// Brings what waits to disk, within a bound, and says what is left.
    pub(crate) async fn finish(mut self) -> Left {
        let until = Instant::now() + FINISH_WITHIN;
        self.hurry();
        if matches!(self.disk, Disk::Failed { .. }) {
            self.disk = Disk::Failed { retry_at: Instant::now() };
        }
        self.erase_at = (!self.erase.is_empty()).then(Instant::now);
        loop {
            self.ask_write(Instant::now());
            if self.writing.is_none() {
                break;
            }
            match tokio::time::timeout_at(until, self.answer()).await {
                Ok(answer) => self.take(answer),
                Err(_) => break,
            }
        }
        let lost = self.memory_only as u64;
        let path = self.spool.as_ref().map(|s| s.path().to_owned());
        if let Some(spool) = self.spool.take() {
            spool.close(until).await;
        }
        Left { kept: self.total.saturating_sub(lost), path, lost }
    }
}
