//! The backlog and its disk: what is asked of it and when, what its answers mean, and what becomes of records while it fails.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Backlog, Disk, Left, WINDOW, WINDOW_BYTES, Writing, group::Kept};
use crate::spool::{ASIDE, Answer, Record, Request, StoreError, Write};

/// Records of one transaction.
const BATCH: usize = 512;
/// A disk that failed is tried again after this long.
const RETRY_DISK: Duration = Duration::from_secs(5);
/// How long the last transactions may take when the agent ends.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

impl Backlog {
    /// Asks the disk for what is due. Never waits.
    pub(crate) fn ask(&mut self) {
        let now = Instant::now();
        if self.disk == Disk::Good && self.writing.as_ref().is_some_and(|w| now >= w.since + self.stalled_after) {
            self.fail(&format!("it has not answered for {} s", self.stalled_after.as_secs()));
            self.leave_aside(self.writing.as_ref().map_or(0, |w| w.through));
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
        let aside = self.aside.iter().map(|r| (Arc::clone(&r.group), r.order)).collect();
        let moved = self.again.moved(through);
        // Before those that are newer, in the place of what the disk has of them.
        records.splice(0..0, self.aside.iter().cloned());
        let erase: Vec<_> = std::mem::take(&mut self.erase).into_iter().collect();
        self.erase_at = None;
        let unerased = |key| self.groups.get(key).map_or(0, |g| g.unerased);
        let erased = erase.iter().map(|(key, order)| (Arc::clone(key), *order, unerased(key))).collect();
        if spool.ask(Request::Write(Write { records, will, erase, moved, given: self.next_order - 1 })) {
            self.writing = Some(Writing { through, since: now, erased, aside });
            self.next_write = Some(now + self.write_every);
        } else {
            self.fail("its thread is gone");
            self.disk = Disk::None;
        }
    }

    /// When a disk that is well is next to be written to; a moment that has passed is now.
    fn next_due(&self, now: Instant) -> Option<Instant> {
        let at_once = !self.pending.is_empty() || !self.aside.is_empty() || self.will_changed;
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
        } else if let Some(request) = self.ask_aside() {
            self.reading = self.spool.as_ref().is_some_and(|spool| spool.ask(request));
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
                if key.starts_with(ASIDE) {
                    return self.take_back(&key, result);
                }
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
            self.leave_aside(0);
            // A later order, where there is one, erases these too.
            for (key, through, _) in writing.erased {
                self.erase.entry(key).or_insert(through);
            }
            // Also where there is none any more: the disk may have one.
            self.will_changed = true;
            return;
        }
        if self.disk != Disk::Good {
            self.mark_on_disk(writing.through);
            if self.memory_only > self.pending.len() {
                // What came meanwhile is ready and in memory alone: it is the next to be written.
                self.disk = Disk::Failed { retry_at: Instant::now() };
            } else {
                tracing::info!("the record spool can be written again");
                self.disk = Disk::Good;
                self.ledger.set_durable(true);
            }
        }
        self.again.committed(writing.through);
        for (key, order) in writing.aside {
            self.aside.retain(|r| r.order != order);
            self.count_aside(&key, 1);
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
            if group.has_room() {
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
    pub(super) fn release(&mut self) {
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
        // The disk has them, one way or the other.
        self.leave_aside(0);
        let lost = (self.memory_only + self.aside.len()) as u64;
        let kept = (self.total + self.aside_on_disk.values().sum::<u64>()).saturating_sub(self.memory_only as u64);
        let path = self.spool.as_ref().map(|s| s.path().to_owned());
        if let Some(spool) = self.spool.take() {
            spool.close(until).await;
        }
        Left { kept, path, lost }
    }
}
