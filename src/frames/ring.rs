//! A bounded pool of buffers between the game thread and the thread `frames`: empty ones go one way, filled ones the other.
//!
//! Keeping a frame is one copy into a buffer that was made at the start: no allocation, no lock, no waiting.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering, fence},
    },
    thread::Thread,
    time::Duration,
};

use doom_bus::FrameCounts;
use doom_protocol::Timestamp;

/// Memory of the pool, between the fewest and the most buffers.
const POOL_BYTES: usize = 16 << 20;
const FEWEST: usize = 4;
const MOST: usize = 32;
/// How long the reader sleeps at most before it looks by itself: the writer's end is not announced.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A frame on its way to become a picture.
#[derive(Debug)]
pub(crate) struct Shot {
    pub(crate) episode: u64,
    pub(crate) step: u64,
    pub(crate) tic: u32,
    pub(crate) at: Timestamp,
    pub(crate) pixels: Box<[u8]>,
}

#[derive(Debug, Default)]
struct Wake {
    reader_sleeps: AtomicBool,
    reader: OnceLock<Thread>,
}

/// The game thread's end.
#[derive(Debug)]
pub(crate) struct FrameTap {
    every: u64,
    filled: rtrb::Producer<Shot>,
    empty: rtrb::Consumer<Box<[u8]>>,
    wake: Arc<Wake>,
    counts: Arc<FrameCounts>,
}

/// The other end.
#[derive(Debug)]
pub(super) struct Shots {
    filled: rtrb::Consumer<Shot>,
    empty: rtrb::Producer<Box<[u8]>>,
    wake: Arc<Wake>,
}

/// A pool of buffers of `size` bytes, for every `every`-th step's frame.
pub(super) fn pool(size: usize, every: u64, counts: Arc<FrameCounts>) -> (FrameTap, Shots) {
    let buffers = (POOL_BYTES / size.max(1)).clamp(FEWEST, MOST);
    let (filled_in, filled) = rtrb::RingBuffer::new(buffers);
    let (mut empty_in, empty) = rtrb::RingBuffer::new(buffers);
    for _ in 0..buffers {
        // Written to, so that the pages are there before the game thread needs them. There is room for each of them.
        let _ = empty_in.push(vec![0xff; size].into_boxed_slice());
    }
    let wake = Arc::new(Wake::default());
    (FrameTap { every, filled: filled_in, empty, wake: Arc::clone(&wake), counts }, Shots { filled, empty: empty_in, wake })
}

impl FrameTap {
    /// Whether the frame of this step is one of those to keep.
    pub(crate) fn wants(&self, step: u64) -> bool {
        step.is_multiple_of(self.every)
    }

    /// Copies a frame; where no buffer is free it is dropped and counted.
    pub(crate) fn keep(&mut self, episode: u64, step: u64, tic: u32, at: Timestamp, pixels: &[u8]) {
        // A frame of another size than the plan's would be none of the plan's format.
        let fits = self.empty.peek().is_ok_and(|buffer| buffer.len() == pixels.len());
        let buffer = if fits { self.empty.pop().ok() } else { None };
        let Some(mut buffer) = buffer else { return self.counts.add_dropped(1) };
        buffer.copy_from_slice(pixels);
        // There is room: the ring holds as many as there are buffers.
        let _ = self.filled.push(Shot { episode, step, tic, at, pixels: buffer });
        fence(Ordering::SeqCst);
        if self.wake.reader_sleeps.load(Ordering::Relaxed)
            && self.wake.reader_sleeps.swap(false, Ordering::SeqCst)
            && let Some(reader) = self.wake.reader.get()
        {
            reader.unpark();
        }
    }
}

impl Shots {
    /// The next frame, if there is one.
    pub(super) fn take(&mut self) -> Option<Shot> {
        self.filled.pop().ok()
    }

    /// Gives its buffer back.
    pub(super) fn done(&mut self, pixels: Box<[u8]>) {
        // There is room: the ring holds as many as there are buffers.
        let _ = self.empty.push(pixels);
    }

    /// The game thread is gone and everything was taken.
    pub(super) fn is_finished(&self) -> bool {
        self.filled.is_abandoned() && self.filled.is_empty()
    }

    /// Sleeps until there may be something to take; always called by one and the same thread.
    pub(super) fn sleep(&self) {
        self.wake.reader.get_or_init(std::thread::current);
        self.wake.reader_sleeps.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.filled.is_empty() && !self.filled.is_abandoned() {
            std::thread::park_timeout(LOOK_AGAIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(tap: &mut FrameTap, step: u64, pixels: &[u8]) {
        tap.keep(1, step, step as u32, Timestamp::now(), pixels);
    }

    #[test]
    fn a_frame_without_a_free_buffer_is_dropped_and_counted() {
        let counts = Arc::new(FrameCounts::default());
        let (mut tap, mut shots) = pool(8 << 20, 1, Arc::clone(&counts));
        let frame = vec![7; 8 << 20];
        (0..6).for_each(|step| keep(&mut tap, step, &frame));
        assert_eq!(counts.dropped(), 2);
        let first = shots.take().unwrap();
        assert_eq!((first.step, first.pixels[0]), (0, 7));
        shots.done(first.pixels);
        keep(&mut tap, 6, &frame);
        drop(tap);
        let steps: Vec<u64> = std::iter::from_fn(|| shots.take()).map(|s| s.step).collect();
        assert_eq!(steps, [1, 2, 3, 6]);
        assert!(shots.is_finished());
        assert_eq!(counts.dropped(), 2);
    }

    #[test]
    fn a_frame_of_another_size_is_dropped_and_takes_no_buffer_away() {
        let counts = Arc::new(FrameCounts::default());
        let (mut tap, mut shots) = pool(4, 1, Arc::clone(&counts));
        for step in 0..100 {
            keep(&mut tap, step, &[0; 5]);
        }
        keep(&mut tap, 100, &[0; 4]);
        assert_eq!(counts.dropped(), 100);
        assert_eq!(shots.take().unwrap().step, 100);
    }

    #[test]
    fn a_sleeping_reader_is_woken_and_sees_every_frame_in_order() {
        let counts = Arc::new(FrameCounts::default());
        let (mut tap, mut shots) = pool(4, 1, Arc::clone(&counts));
        let reader = std::thread::spawn(move || {
            let mut steps = Vec::new();
            while !shots.is_finished() {
                match shots.take() {
                    Some(shot) => {
                        steps.push(shot.step);
                        shots.done(shot.pixels);
                    }
                    None => shots.sleep(),
                }
            }
            steps
        });
        for step in 0..10_000 {
            keep(&mut tap, step, &[1; 4]);
            if step % 7 == 0 {
                std::thread::yield_now();
            }
        }
        drop(tap);
        let steps = reader.join().unwrap();
        assert!(steps.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(steps.len() as u64 + counts.dropped(), 10_000);
        assert!(steps.len() >= 32);
    }
}
