//! The way out of the game loop: a bounded single-producer ring of plain slots, with the numbers of each slot in a ring beside it.
//!
//! Offering never allocates, locks or waits ([`Overflow::DropNewest`]); where there is no broker and the one reader is a file,
//! [`Overflow::Wait`] trades that promise for a complete file. Seqs that did not fit leave as ranges through a ring of their own.
//!
//! Waking the reader is what an offer could cost most: a system call, and on a busy machine a place on a CPU. So the reader says how many
//! slots it waits for, and only the offer that makes them up wakes it.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering, fence},
    },
    thread::Thread,
    time::Duration,
};

use doom_protocol::payload::SeqRange;
use tokio::{sync::Notify, time::Instant};

use crate::Ledger;

/// Ranges that wait for the reader; more are merged into the last one's successor and counted.
const RANGE_SLOTS: usize = 4096;
/// A reader that waits for nobody.
const AWAKE: u64 = u64::MAX;
/// The writer's end is announced a moment before the rings know of it; a reader that slept over it looks again after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What happens when the lane is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The offered slot is dropped and counted.
    DropNewest,
    /// The offered slot is dropped and counted as a lost record.
    LoseNewest,
    /// The offering thread waits for room.
    Wait,
}

#[derive(Debug)]
struct Wake {
    /// The slot, counted from 1, whose offer wakes the reader; [`AWAKE`] where it does not sleep.
    reader_at: AtomicU64,
    reader: Notify,
    writer_waits: AtomicBool,
    writer: OnceLock<Thread>,
}

/// The game thread's end.
#[derive(Debug)]
pub struct LaneSender<S> {
    slots: rtrb::Producer<(u64, S)>,
    numbers: rtrb::Producer<f64>,
    ranges: rtrb::Producer<SeqRange>,
    pending: Option<SeqRange>,
    written: u64,
    wake: Arc<Wake>,
    ledger: Arc<Ledger>,
    overflow: Overflow,
}

/// The publisher's end.
#[derive(Debug)]
pub struct LaneReceiver<S> {
    slots: rtrb::Consumer<(u64, S)>,
    numbers: rtrb::Consumer<f64>,
    ranges: rtrb::Consumer<SeqRange>,
    width: usize,
    read: u64,
    wake: Arc<Wake>,
}

/// A lane of `capacity` slots, each with up to `width` numbers.
#[must_use]
pub fn lane<S>(capacity: usize, width: usize, overflow: Overflow, ledger: Arc<Ledger>) -> (LaneSender<S>, LaneReceiver<S>) {
    let (slots_in, slots) = rtrb::RingBuffer::new(capacity);
    let (numbers_in, numbers) = rtrb::RingBuffer::new(capacity * width.max(1));
    let (ranges_in, ranges) = rtrb::RingBuffer::new(RANGE_SLOTS);
    let wake =
        Wake { reader_at: AtomicU64::new(AWAKE), reader: Notify::new(), writer_waits: AtomicBool::new(false), writer: OnceLock::new() };
    let wake = Arc::new(wake);
    let sender = LaneSender {
        slots: slots_in,
        numbers: numbers_in,
        ranges: ranges_in,
        pending: None,
        written: 0,
        wake: Arc::clone(&wake),
        ledger,
        overflow,
    };
    (sender, LaneReceiver { slots, numbers, ranges, width: width.max(1), read: 0, wake })
}

impl<S> LaneSender<S> {
    /// Offers a slot; `false` where it was dropped. A `seq` of 0 is none. `numbers` are padded to the lane's width by zeros; more than that are cut.
    pub fn offer(&mut self, seq: u64, slot: S, numbers: &[f64]) -> bool {
        if self.slots.is_full() && (self.overflow != Overflow::Wait || !self.wait()) {
            self.drop_seq(seq);
            return false;
        }
        if self.pending.is_some() {
            self.flush_ranges();
        }
        let width = self.numbers.buffer().capacity() / self.slots.buffer().capacity();
        // There is room for a slot's numbers wherever there is room for the slot: the reader frees the numbers first.
        if let Ok(mut chunk) = self.numbers.write_chunk(width) {
            let (first, second) = chunk.as_mut_slices();
            let mut source = numbers.iter().copied().chain(std::iter::repeat(0.0));
            for place in first.iter_mut().chain(second) {
                *place = source.next().unwrap_or(0.0);
            }
            chunk.commit_all();
        }
        let taken = self.slots.push((seq, slot)).is_ok();
        self.written += u64::from(taken);
        fence(Ordering::SeqCst);
        if self.written >= self.wake.reader_at.load(Ordering::Relaxed) {
            self.wake_reader();
        }
        taken
    }

    #[cold]
    fn wake_reader(&self) {
        if self.wake.reader_at.swap(AWAKE, Ordering::SeqCst) != AWAKE {
            self.wake.reader.notify_one();
        }
    }

    /// What is offered now would not find room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.slots.is_full()
    }

    /// Waits for room; `false` where the reader is gone.
    fn wait(&mut self) -> bool {
        let _ = self.wake.writer.set(std::thread::current());
        while self.slots.is_full() {
            if self.slots.is_abandoned() {
                return false;
            }
            self.wake.writer_waits.store(true, Ordering::SeqCst);
            if self.slots.is_full() {
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
        true
    }

    fn drop_seq(&mut self, seq: u64) {
        if self.overflow == Overflow::LoseNewest {
            self.ledger.add_lost(1);
        }
        if seq == 0 {
            return;
        }
        self.ledger.add_dropped(1);
        match &mut self.pending {
            Some(range) if range.1 + 1 == seq => range.1 = seq,
            _ => {
                self.flush_ranges();
                self.pending = Some(SeqRange(seq, seq));
            }
        }
    }

    fn flush_ranges(&mut self) {
        if let Some(range) = self.pending.take()
            && self.ranges.push(range).is_err()
        {
            self.ledger.ranges_truncated();
        }
    }
}

impl<S> Drop for LaneSender<S> {
    fn drop(&mut self) {
        self.flush_ranges();
        // `is_abandoned` becomes true when the rings are dropped, right after this; the reader looks again within its own bound.
        self.wake.reader_at.store(AWAKE, Ordering::SeqCst);
        self.wake.reader.notify_one();
    }
}

impl<S> LaneReceiver<S> {
    /// Takes the next slot and its numbers, if there is one.
    pub fn pop(&mut self, numbers: &mut Vec<f64>) -> Option<(u64, S)> {
        if self.slots.is_empty() {
            return None;
        }
        numbers.clear();
        if let Ok(chunk) = self.numbers.read_chunk(self.width) {
            let (first, second) = chunk.as_slices();
            numbers.extend_from_slice(first);
            numbers.extend_from_slice(second);
            chunk.commit_all();
        }
        let slot = self.slots.pop().ok();
        self.read += u64::from(slot.is_some());
        slot
    }

    /// Takes the next range of seqs that did not fit.
    pub fn pop_dropped(&mut self) -> Option<SeqRange> {
        self.ranges.pop().ok()
    }

    /// After taking a batch: lets a writer go on that waits for room.
    pub fn taken(&self) {
        if self.wake.writer_waits.swap(false, Ordering::SeqCst)
            && let Some(writer) = self.wake.writer.get()
        {
            writer.unpark();
        }
    }

    /// The writer is gone and everything was taken.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.slots.is_abandoned() && self.slots.is_empty()
    }

    /// How many slots wait now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.slots()
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Waits until there is something to take or the lane is finished. Cancel safe.
    pub async fn ready(&mut self) {
        self.gathered(1, None).await;
    }

    /// Waits until there are so many slots to take (or the lane is full of them), from `due` on for any; or until the lane is finished. Cancel safe.
    pub async fn gathered(&mut self, slots: usize, due: Option<Instant>) {
        let slots = slots.clamp(1, self.slots.buffer().capacity().max(1));
        loop {
            let now = Instant::now();
            let early = due.filter(|due| *due > now);
            let enough = if early.is_none() && due.is_some() { 1 } else { slots };
            if self.slots.slots() >= enough || self.slots.is_abandoned() {
                return;
            }
            self.wake.reader_at.store(self.read + enough as u64, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            if self.slots.slots() >= enough || self.slots.is_abandoned() {
                continue;
            }
            let until = early.map_or(now + LOOK_AGAIN, |due| due.min(now + LOOK_AGAIN));
            let _ = tokio::time::timeout_at(until, self.wake.reader.notified()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(overflow: Overflow) -> (LaneSender<u32>, LaneReceiver<u32>, Arc<Ledger>) {
        let ledger = Arc::new(Ledger::default());
        let (tx, rx) = lane(2, 2, overflow, Arc::clone(&ledger));
        (tx, rx, ledger)
    }

    #[test]
    fn a_full_lane_drops_the_newest_and_names_the_ranges() {
        let (mut tx, mut rx, ledger) = small(Overflow::DropNewest);
        for seq in 1..=5 {
            tx.offer(seq, seq as u32, &[seq as f64]);
        }
        let mut numbers = Vec::new();
        assert_eq!(rx.pop(&mut numbers), Some((1, 1)));
        assert_eq!(numbers, [1.0, 0.0]);
        assert!(tx.offer(6, 6, &[]));
        assert!(!tx.offer(9, 9, &[]));
        drop(tx);
        assert_eq!(rx.pop_dropped(), Some(SeqRange(3, 5)));
        assert_eq!(rx.pop_dropped(), Some(SeqRange(9, 9)));
        assert_eq!(ledger.summary().dropped, 4);
        assert_eq!(rx.pop(&mut numbers).map(|s| s.0), Some(2));
        assert_eq!(rx.pop(&mut numbers).map(|s| s.0), Some(6));
        assert!(rx.is_finished());
    }

    #[test]
    fn a_waiting_lane_loses_nothing() {
        let (mut tx, mut rx, ledger) = small(Overflow::Wait);
        let writer = std::thread::spawn(move || (1..=1000u64).for_each(|s| assert!(tx.offer(s, s as u32, &[0.5]))));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut seen = Vec::new();
        runtime.block_on(async {
            let mut numbers = Vec::new();
            while !rx.is_finished() {
                rx.ready().await;
                while let Some((seq, _)) = rx.pop(&mut numbers) {
                    seen.push(seq);
                }
                rx.taken();
            }
        });
        writer.join().unwrap();
        assert_eq!(seen, (1..=1000).collect::<Vec<_>>());
        assert_eq!(ledger.summary().dropped, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_sleeps_until_enough_has_gathered_or_its_time_has_come() {
        let (mut tx, mut rx, _) = {
            let ledger = Arc::new(Ledger::default());
            let (tx, rx) = lane::<u32>(8, 0, Overflow::DropNewest, Arc::clone(&ledger));
            (tx, rx, ledger)
        };
        let due = Instant::now() + Duration::from_secs(5);
        let waits = |rx: &mut LaneReceiver<u32>| futures::FutureExt::now_or_never(rx.gathered(3, Some(due))).is_none();
        for seq in 1..=2 {
            tx.offer(seq, 0, &[]);
            assert!(waits(&mut rx), "after {seq}");
        }
        tx.offer(3, 0, &[]);
        assert!(!waits(&mut rx));
        let mut numbers = Vec::new();
        while rx.pop(&mut numbers).is_some() {}
        // Of what comes later, one alone is enough when the time has come.
        tx.offer(4, 0, &[]);
        assert!(waits(&mut rx));
        rx.gathered(3, Some(due)).await;
        assert_eq!((Instant::now(), rx.len()), (due, 1));
        drop(tx);
        rx.pop(&mut numbers);
        rx.gathered(3, None).await;
        assert!(rx.is_finished());
    }
}
