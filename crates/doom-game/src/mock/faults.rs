//! Faults on request: the mock hangs, crashes, is slow or does not start, where and as often as asked.
//!
//! `hang@tic=100,crash@episode=3,slow=20ms,fail_start=2`. A hang or a crash fires once in a process, also when the backend is replaced
//! after it, so that what comes after a fault can be seen. A hang lasts until [`crate::Interrupt::interrupt`].

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::backend::{GameError, Interrupt};

/// When a hang or a crash fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Once an episode is at this map tic.
    Tic(u32),
    /// In the first step of this episode; episodes count from 1 over the life of the process.
    Episode(u32),
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The step does not return.
    Hang(Trigger),
    /// The step fails as if the engine had crashed.
    Crash(Trigger),
    /// Every step takes this much longer.
    Slow(Duration),
    /// The first so many starts fail.
    FailStart(u32),
}

/// A list of faults; empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

/// A fault that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fault `{fault}`: {what}; valid are hang@tic=N, hang@episode=N, crash@tic=N, crash@episode=N, slow=20ms, fail_start, fail_start=N")]
pub struct FaultError {
    fault: String,
    what: String,
}

impl FromStr for Faults {
    type Err = FaultError;

    fn from_str(s: &str) -> Result<Self, FaultError> {
        let list = s.split(',').map(str::trim).filter(|f| !f.is_empty());
        list.map(|f| parse(f).map_err(|what| FaultError { fault: f.into(), what })).collect::<Result<_, _>>().map(Self)
    }
}

fn parse(fault: &str) -> Result<Fault, String> {
    let number = |text: &str| match text.parse::<u32>() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(format!("`{text}` is not a whole number from 1 to {}", u32::MAX)),
    };
    if let Some((what, when)) = fault.split_once('@') {
        let (unit, n) = when.split_once('=').ok_or("expected `@tic=N` or `@episode=N`")?;
        let trigger = match unit {
            "tic" => Trigger::Tic(number(n)?),
            "episode" => Trigger::Episode(number(n)?),
            _ => return Err(format!("`{unit}` is no time of a fault, which is a tic or an episode")),
        };
        return match what {
            "hang" => Ok(Fault::Hang(trigger)),
            "crash" => Ok(Fault::Crash(trigger)),
            _ => Err(format!("`{what}` cannot be given a time")),
        };
    }
    match fault.split_once('=') {
        Some(("slow", duration)) => Ok(Fault::Slow(parse_duration(duration)?)),
        Some(("fail_start", n)) => Ok(Fault::FailStart(number(n)?)),
        None if fault == "fail_start" => Ok(Fault::FailStart(1)),
        None if matches!(fault, "hang" | "crash") => Err("it needs a time".into()),
        _ => Err("unknown".into()),
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let make: fn(u64) -> Duration = match unit {
        "us" => Duration::from_micros,
        "ms" => Duration::from_millis,
        "s" => Duration::from_secs,
        _ => return Err(format!("`{text}` is not a duration such as 500us, 20ms or 2s")),
    };
    let number = number.parse::<u64>().map_err(|_| format!("`{text}` is not a duration such as 500us, 20ms or 2s"))?;
    Some(make(number)).filter(|d| *d <= Duration::from_secs(3600)).ok_or_else(|| format!("`{text}` is longer than an hour"))
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hang(t) => write!(f, "hang@{t}"),
            Self::Crash(t) => write!(f, "crash@{t}"),
            Self::Slow(d) => write!(f, "slow={}us", d.as_micros()),
            Self::FailStart(n) => write!(f, "fail_start={n}"),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tic(n) => write!(f, "tic={n}"),
            Self::Episode(n) => write!(f, "episode={n}"),
        }
    }
}

/// What all backends of one factory share: which faults have fired.
#[derive(Debug)]
pub(super) struct Shared {
    faults: Vec<(Fault, AtomicBool)>,
    starts: AtomicU32,
    episodes: AtomicU32,
}

impl Shared {
    pub(super) fn new(faults: Faults) -> Self {
        let faults = faults.0.into_iter().map(|f| (f, AtomicBool::new(false))).collect();
        Self { faults, starts: AtomicU32::new(0), episodes: AtomicU32::new(0) }
    }

    /// Counts a start, and says whether it may succeed.
    pub(super) fn start(&self) -> Result<(), GameError> {
        let before = self.starts.fetch_add(1, Ordering::Relaxed);
        let failing: u64 = self.faults.iter().map(|(f, _)| if let Fault::FailStart(n) = f { u64::from(*n) } else { 0 }).sum();
        if u64::from(before) < failing {
            return Err(GameError::Start(format!("fault fail_start was asked for ({} of {failing})", before + 1)));
        }
        Ok(())
    }

    /// Counts an episode and gives its number, from 1.
    pub(super) fn episode(&self) -> u32 {
        self.episodes.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// The first tic of this episode at which a fault fires; `u32::MAX` where none does.
    pub(super) fn next_tic(&self, episode: u32) -> u32 {
        let tics = self.faults.iter().filter(|(_, fired)| !fired.load(Ordering::Relaxed)).filter_map(|(fault, _)| match fault {
            Fault::Hang(Trigger::Tic(tic)) | Fault::Crash(Trigger::Tic(tic)) => Some(*tic),
            Fault::Hang(Trigger::Episode(e)) | Fault::Crash(Trigger::Episode(e)) => (*e == episode).then_some(0),
            Fault::Slow(_) | Fault::FailStart(_) => None,
        });
        tics.min().unwrap_or(u32::MAX)
    }

    /// Fires what is due at this tic.
    pub(super) fn fire(&self, episode: u32, tic: u32, stop: &Stop) -> Result<(), GameError> {
        for (fault, fired) in &self.faults {
            let (Fault::Hang(trigger) | Fault::Crash(trigger)) = fault else { continue };
            let due = match trigger {
                Trigger::Tic(t) => tic >= *t,
                Trigger::Episode(e) => episode == *e,
            };
            if !due || fired.swap(true, Ordering::Relaxed) {
                continue;
            }
            if matches!(fault, Fault::Hang(_)) {
                stop.wait(None);
            }
            return Err(GameError::Died(format!("fault {fault} was asked for (episode {episode}, tic {tic})")));
        }
        Ok(())
    }

    /// How much longer every step takes.
    pub(super) fn slow(&self) -> Option<Duration> {
        let total: Duration = self.faults.iter().map(|(f, _)| if let Fault::Slow(d) = f { *d } else { Duration::ZERO }).sum();
        (!total.is_zero()).then_some(total)
    }
}

/// The end of one game, by an interrupt or a crash; a hanging step waits for it.
#[derive(Debug, Default)]
pub(super) struct Stop {
    /// The same as `state`, cheap enough to look at in every step.
    flag: AtomicBool,
    state: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Waits for an interrupt, at most so long.
    pub(super) fn wait(&self, limit: Option<Duration>) {
        let waiting = |stopped: &mut bool| !*stopped;
        let guard = self.lock();
        match limit {
            Some(limit) => drop(self.changed.wait_timeout_while(guard, limit, waiting)),
            None => drop(self.changed.wait_while(guard, waiting)),
        }
    }

    /// Whether the game is over for good.
    pub(super) fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Ends the game, and whatever waits in it.
    pub(super) fn set(&self) {
        self.flag.store(true, Ordering::Relaxed);
        *self.lock() = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The watchdog's handle on a mock.
pub(super) struct MockInterrupt(pub(super) Arc<Stop>);

impl Interrupt for MockInterrupt {
    fn interrupt(&self) {
        self.0.set();
    }

    fn pid(&self) -> Option<u32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_list_is_understood() {
        let faults: Faults = "hang@tic=100, crash@episode=3,slow=20ms,fail_start,fail_start=2,".parse().unwrap();
        let expected = [
            Fault::Hang(Trigger::Tic(100)),
            Fault::Crash(Trigger::Episode(3)),
            Fault::Slow(Duration::from_millis(20)),
            Fault::FailStart(1),
            Fault::FailStart(2),
        ];
        assert_eq!(faults.0, expected);
        assert_eq!("".parse::<Faults>().unwrap(), Faults::default());
    }

    #[test]
    fn an_error_names_the_fault_and_the_valid_ones() {
        for bad in
            ["explode@tic=1", "hang", "crash@tic", "crash@tic=0", "crash@tic=-1", "hang@second=3", "slow=20", "slow=2h", "slow=9999s", "x"]
        {
            let text = format!("slow=1ms,{bad}").parse::<Faults>().unwrap_err().to_string();
            assert!(text.contains(&format!("`{bad}`")) && text.contains("hang@tic=N"), "{text}");
        }
    }

    #[test]
    fn a_fault_fires_once_however_often_the_backend_is_replaced() {
        let shared = Shared::new("crash@tic=5".parse().unwrap());
        let stop = Stop::default();
        assert!(shared.fire(1, 4, &stop).is_ok());
        assert!(matches!(shared.fire(1, 5, &stop), Err(GameError::Died(_))));
        assert!(shared.fire(2, 5, &stop).is_ok());
        assert_eq!(shared.next_tic(2), u32::MAX);
    }

    #[test]
    fn starts_fail_as_often_as_asked() {
        let shared = Shared::new("fail_start=2".parse().unwrap());
        assert_eq!([shared.start().is_ok(), shared.start().is_ok(), shared.start().is_ok()], [false, false, true]);
    }
}
