//! How fast the loop runs: as fast as it can, or at a fixed number of tics a second.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, Instant},
};

/// Doom's own pace.
const REALTIME: f64 = 35.0;
/// Slept up to this long before the deadline; the rest is waited out awake, since a sleep ends late.
const SPIN: Duration = Duration::from_micros(120);
/// A longer wait is taken in pieces, so that a command need not wait for a step that is due in half a minute.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// `max`, `realtime` (35 tics a second) or tics a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Pace {
    /// Never waits.
    #[default]
    Max,
    /// Tics a second.
    Tics(f64),
}

impl FromStr for Pace {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "max" => Ok(Self::Max),
            "realtime" => Ok(Self::Tics(REALTIME)),
            other => match other.parse::<f64>() {
                Ok(n) if (0.1..=10_000.0).contains(&n) => Ok(Self::Tics(n)),
                _ => Err(format!("`{other}` is no pace; write max, realtime, or tics a second from 0.1 to 10000")),
            },
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Tics(n) if *n == REALTIME => f.write_str("realtime"),
            Self::Tics(n) => write!(f, "{n}"),
        }
    }
}

impl Pace {
    /// How long a step of `tics` lasts; `None` for max.
    pub(crate) fn period(self, tics: u32) -> Option<Duration> {
        match self {
            Self::Max => None,
            Self::Tics(n) => Some(Duration::from_secs_f64(f64::from(tics) / n)),
        }
    }
}

/// The clock that the loop waits for.
#[derive(Debug)]
pub(crate) struct Pacer {
    period: Option<Duration>,
    next: Option<Instant>,
}

impl Pacer {
    pub(crate) fn new(pace: Pace, frame_skip: u32) -> Self {
        Self { period: pace.period(frame_skip), next: None }
    }

    /// Forgets what was missed: after a pause, a reset or an engine's replacement.
    pub(crate) fn rebase(&mut self) {
        self.next = None;
    }

    /// Waits until the next step is due. A step that comes late is not caught up beyond one period. `false` where `must_look` said
    /// meanwhile that there is something else to do first; the step is as due as it was.
    pub(crate) fn wait(&mut self, must_look: impl Fn() -> bool) -> bool {
        let Some(period) = self.period else { return true };
        let due = self.next.unwrap_or_else(Instant::now);
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left <= SPIN {
                break;
            }
            std::thread::sleep((left - SPIN).min(LOOK_EVERY));
            if left > LOOK_EVERY && must_look() {
                return false;
            }
        }
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        let late = Instant::now().saturating_duration_since(due);
        self.next = Some(if late > period { Instant::now() + period } else { due + period });
        true
    }
}
