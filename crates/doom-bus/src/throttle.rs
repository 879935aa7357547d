//! Keeps a flood of bad input from becoming a flood of log lines.

use std::time::{Duration, Instant};

/// Lets one through at a time and counts what it held back.
#[derive(Debug)]
pub(crate) struct Throttle {
    every: Duration,
    last: Option<Instant>,
    held: u64,
}

impl Throttle {
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, last: None, held: 0 }
    }

    /// `Some(n)`: speak now; n were held back since the last time.
    pub(crate) fn pass(&mut self) -> Option<u64> {
        let now = Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) < self.every) {
            self.held += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.held))
    }
}
