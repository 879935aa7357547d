//! One clock for a run: wall time that cannot step, since it is the start's wall time plus monotonic time.

use std::time::{Duration, Instant, SystemTime};

use doom_protocol::Timestamp;

/// Copied to whoever needs instants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    wall: SystemTime,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), wall: SystemTime::now() }
    }

    /// The wall time of a monotonic instant.
    pub(crate) fn at(&self, instant: Instant) -> Timestamp {
        Timestamp::from_system(self.wall + instant.saturating_duration_since(self.started))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    pub(crate) fn started_at(&self) -> Timestamp {
        Timestamp::from_system(self.wall)
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Microseconds since the start, for atomics.
    pub(crate) fn micros(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.started).as_micros()).unwrap_or(u64::MAX)
    }
}
