//! Keeps a flood of bad input from becoming a flood of log lines.

use std::time::{Duration, Instant};

/// Lets so many through at a time (one, unless told otherwise) and counts what it held back.
#[derive(Debug)]
pub(crate) struct Throttle {
    every: Duration,
    most: u32,
    passed: u32,
    since: Option<Instant>,
    held: u64,
}

impl Throttle {
    pub(crate) fn new(every: Duration) -> Self {
        Self::of(1, every)
    }

    /// Lets `most` through within `every`.
    pub(crate) fn of(most: u32, every: Duration) -> Self {
        Self { every, most, passed: 0, since: None, held: 0 }
    }

    /// `Some(n)`: speak now; n were held back since the last time.
    pub(crate) fn pass(&mut self) -> Option<u64> {
        let now = Instant::now();
        if self.since.is_none_or(|since| now.duration_since(since) >= self.every) {
            (self.since, self.passed) = (Some(now), 0);
        }
        if self.passed >= self.most {
            self.held += 1;
            return None;
        }
        self.passed += 1;
        Some(std::mem::take(&mut self.held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_pass_and_the_rest_is_counted() {
        let mut throttle = Throttle::of(2, Duration::from_millis(20));
        assert_eq!([throttle.pass(), throttle.pass(), throttle.pass(), throttle.pass()], [Some(0), Some(0), None, None]);
        let until = Instant::now() + Duration::from_secs(10);
        let next = std::iter::repeat_with(|| throttle.pass()).find(|p| p.is_some() || Instant::now() > until);
        assert!(next.flatten().is_some_and(|held| held >= 2), "{next:?}");
    }
}
