//! When the telemetry publisher wakes: soon where events are rare, and seldom where they come fast.

use std::time::Duration;

use tokio::time::Instant;

/// So many events are worth waking for, where they come fast: 48 steps.
const ENOUGH: usize = 96;
/// And no event waits for others longer than this. A picture that is 48 ms old still looks live.
const WITHIN: Duration = Duration::from_millis(48);
/// From so many events a second on they come fast: thousands at full pace, some 70 at Doom's own.
const FAST: f64 = 500.0;
/// How long the past counts.
const MEMORY: Duration = Duration::from_millis(200);

/// How fast events come, and what follows from it.
#[derive(Debug)]
pub(crate) struct Gathering {
    /// Events a second, of late.
    rate: f64,
    taken_at: Instant,
}

impl Gathering {
    pub(crate) fn new(now: Instant) -> Self {
        Self { rate: 0.0, taken_at: now }
    }

    /// So many events were taken.
    #[expect(clippy::cast_precision_loss, reason = "a batch has some hundreds")]
    pub(crate) fn note(&mut self, now: Instant, events: usize) {
        let passed = now.saturating_duration_since(self.taken_at).as_secs_f64() / MEMORY.as_secs_f64();
        self.rate = self.rate * (-passed).exp() + events as f64 / MEMORY.as_secs_f64();
        self.taken_at = now;
    }

    pub(crate) fn is_fast(&self) -> bool {
        self.rate >= FAST
    }

    /// How many are worth waking for.
    pub(crate) fn slots(&self) -> usize {
        if self.is_fast() { ENOUGH } else { 1 }
    }

    /// From when on any is.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.is_fast().then(|| self.taken_at + WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `events` every `apart` for two seconds.
    fn after(events: usize, apart: Duration) -> Gathering {
        let mut now = Instant::now();
        let mut gathering = Gathering::new(now);
        let end = now + Duration::from_secs(2);
        while now < end {
            now += apart;
            gathering.note(now, events);
        }
        gathering
    }

    #[test]
    fn rare_events_do_not_wait() {
        // Each tic at Doom's own pace is a step of two events.
        let realtime = after(2, Duration::from_millis(28));
        assert_eq!((realtime.slots(), realtime.due()), (1, None));
    }

    #[test]
    fn fast_events_wait_for_others_but_not_for_long() {
        let full = after(2, Duration::from_micros(200));
        assert_eq!(full.slots(), ENOUGH);
        assert_eq!(full.due(), Some(full.taken_at + WITHIN));
        // Also where they are taken in batches, and where eight agents share two CPUs.
        assert!(after(96, Duration::from_millis(10)).is_fast());
        assert!(after(58, Duration::from_millis(48)).is_fast());
    }

    #[test]
    fn what_was_fast_and_ended_is_slow_again() {
        let mut gathering = after(96, Duration::from_millis(10));
        gathering.note(gathering.taken_at + Duration::from_secs(2), 2);
        assert!(!gathering.is_fast());
    }
}
