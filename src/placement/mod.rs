//! Which CPU the game runs on.
//!
//! Game thread and engine wake each other at every step and never compute at the same time: on one CPU the wake-up costs less than
//! anywhere else. So the two share a CPU, and the publisher stays off it. `auto` takes an idle one, watches how long the two wait
//! for it, and moves or lets go where others contend; `judge` is the rule.

mod cpus;
mod judge;

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, Ordering::Relaxed},
    },
    time::Duration,
};

use self::{
    cpus::{Cpus, Idleness},
    judge::{Judge, Verdict},
};
use crate::{
    exit::{self, Failure},
    progress::Progress,
};

/// How long idleness is measured before the first choice.
const FIRST_LOOK: Duration = Duration::from_millis(20);
/// Between two looks at the contention.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// `auto`, `off` or a CPU's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CpuChoice {
    /// An idle CPU of those that the process may use, and another one when it is contended.
    #[default]
    Auto,
    /// Wherever the scheduler puts them.
    Off,
    /// This one.
    Cpu(usize),
}

impl FromStr for CpuChoice {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            number => number.parse().map(Self::Cpu).map_err(|_| format!("`{number}` is no CPU; write auto, off, or a CPU's number from 0")),
        }
    }
}

impl fmt::Display for CpuChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::Cpu(n) => write!(f, "{n}"),
        }
    }
}

impl CpuChoice {
    /// Refuses a CPU that this process may not use.
    pub(crate) fn check(self) -> Result<(), Failure> {
        let cpus = Cpus::allowed();
        match self {
            Self::Cpu(n) if !cpus.has(n) => {
                let text = format!("--cpu {n}: this process may use the CPUs {cpus} only; choose one of them, auto or off");
                Err(Failure::new(exit::USAGE, text))
            }
            _ => Ok(()),
        }
    }
}

/// Where the game is, shared by the game thread (which enters) and the watch (which moves it).
#[derive(Debug)]
pub(crate) struct Placement {
    choice: CpuChoice,
    cpus: Cpus,
    /// `None`: loose.
    home: Mutex<Option<usize>>,
    /// The game thread's id; 0 before it has entered.
    thread: AtomicI32,
    /// Further threads that keep off.
    others: Mutex<Vec<i32>>,
}

impl Placement {
    /// Chooses. To be called on the thread that publishes, which is kept off the chosen CPU from here on.
    pub(crate) async fn choose(choice: CpuChoice) -> Self {
        let cpus = Cpus::allowed();
        let home = match choice {
            CpuChoice::Off => None,
            CpuChoice::Cpu(n) => Some(n),
            CpuChoice::Auto if cpus.count() < 2 => None,
            CpuChoice::Auto => {
                let before = Idleness::now();
                tokio::time::sleep(FIRST_LOOK).await;
                cpus.idlest(&Idleness::now().since(&before)).map(|(cpu, _)| cpu)
            }
        };
        let placement = Self { choice, cpus, home: Mutex::new(None), thread: AtomicI32::new(0), others: Mutex::default() };
        placement.settle(home, None);
        placement
    }

    fn home(&self) -> Option<usize> {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the game thread, before it starts an engine: what it starts inherits its CPU.
    pub(crate) fn enter(&self) {
        self.thread.store(cpus::thread_id(), Relaxed);
        if let Some(cpu) = self.home() {
            self.cpus.confine(cpus::thread_id(), Some(cpu));
        }
    }

    /// For a thread that works hard beside the game: it is kept off the game's CPU, wherever that is.
    pub(crate) fn keep_off(&self) {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).push(cpus::thread_id());
        self.cpus.avoid(cpus::thread_id(), self.home());
    }

    /// Puts game thread and engine on `home`, and the calling thread, which publishes, elsewhere.
    fn settle(&self, home: Option<usize>, engine: Option<u32>) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = home;
        let game = self.thread.load(Relaxed);
        if game != 0 {
            self.cpus.confine(game, home);
        }
        if let Some(engine) = engine {
            cpus::threads_of(engine).for_each(|thread| self.cpus.confine(thread, home));
        }
        self.cpus.avoid(cpus::thread_id(), home);
        self.others.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|thread| self.cpus.avoid(*thread, home));
        match home {
            Some(cpu) => tracing::debug!(cpu, "the game thread and its engine share a CPU"),
            None if self.choice == CpuChoice::Auto => tracing::debug!("the scheduler places the game thread and its engine"),
            None => {}
        }
    }

    /// Watches the contention until it is aborted; on the thread that publishes. Returns at once where there is nothing to decide.
    pub(crate) async fn watch(self: Arc<Self>, progress: Arc<Progress>) {
        if self.choice != CpuChoice::Auto || self.cpus.count() < 2 {
            return;
        }
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut judge = Judge::default();
        let mut idleness = Idleness::now();
        let mut waits = None;
        loop {
            ticks.tick().await;
            let now = Idleness::now();
            let idle = now.since(&idleness);
            idleness = now;
            let engine = progress.engine().and_then(|e| e.pid());
            let seen = engine.and_then(|engine| Some((engine, cpus::waits(self.thread.load(Relaxed), engine)?)));
            // Another engine than a moment ago has counters of its own.
            let share = match (&waits, &seen) {
                (Some((before, old)), Some((after, new))) if before == after => new.share_since(old),
                _ => None,
            };
            waits = seen;
            let Some(share) = share else { continue };
            let home = self.home();
            let best = self.cpus.without(home).idlest(&idle);
            match judge.judge(home, share, best) {
                Verdict::Stay => {}
                Verdict::Go(cpu) => self.settle(Some(cpu), engine),
                Verdict::LetGo => self.settle(None, engine),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_auto_off_or_a_number() {
        for text in ["auto", "off", "3"] {
            assert_eq!(text.parse::<CpuChoice>().unwrap().to_string(), text);
        }
        assert!("-1".parse::<CpuChoice>().unwrap_err().contains("auto, off"));
    }

    #[test]
    fn a_cpu_that_the_process_may_not_use_is_refused_with_those_it_may() {
        let refused = CpuChoice::Cpu(1_000_000).check().unwrap_err();
        assert!(refused.code == exit::USAGE && refused.message.contains("--cpu 1000000"), "{refused}");
        assert!(CpuChoice::Auto.check().is_ok());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_game_thread_is_on_the_chosen_cpu_and_the_publisher_is_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let all = Cpus::allowed();
        if all.count() < 2 {
            // Nothing to keep apart: auto stays off, which the first assertion of the other branch would contradict.
            assert_eq!(runtime.block_on(Placement::choose(CpuChoice::Auto)).home(), None);
            return;
        }
        let placement = runtime.block_on(Placement::choose(CpuChoice::Auto));
        let home = placement.home().unwrap();
        assert!(!Cpus::allowed().has(home), "the publisher keeps off");
        let game = std::thread::spawn(move || {
            placement.enter();
            Cpus::allowed().to_string()
        });
        assert_eq!(game.join().unwrap(), home.to_string());
    }
}
