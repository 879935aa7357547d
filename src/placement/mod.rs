//! Which CPU the game runs on.
//!
//! Game thread and engine wake each other at every step and never compute at the same time: on one CPU the wake-up costs less than
//! anywhere else. So the two share a CPU, and the publisher stays off it. `auto` takes an idle one, watches how long the two wait
//! for it, and moves or lets go where others contend; `judge` is the rule.
//!
//! Agents of one user know of each other: each claims its CPU (`claims`), so that those that start together spread, and where they
//! outnumber the CPUs those of one CPU play by turns (`turns`).

mod claims;
mod cpus;
mod judge;
mod turns;

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub(crate) use self::turns::Turns;
use self::{
    claims::{Claim, Claims},
    cpus::{Cpus, Idleness},
    judge::{Judge, Verdict, best},
    turns::Rule,
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
    claims: Option<Claims>,
    home: Mutex<Home>,
    rule: Arc<Rule>,
    /// The game thread's id, and that of the thread that waits for its turn.
    game: Mutex<Vec<i32>>,
    /// Further threads that keep off.
    others: Mutex<Vec<i32>>,
}

/// A CPU, and the claim to it.
#[derive(Debug, Default)]
struct Home {
    /// `None`: loose.
    cpu: Option<usize>,
    _claim: Option<Claim>,
}

impl Placement {
    /// Chooses. To be called on the thread that publishes, which is kept off the chosen CPU from here on.
    pub(crate) async fn choose(choice: CpuChoice) -> Self {
        Self::choose_among(choice, Claims::open()).await
    }

    async fn choose_among(choice: CpuChoice, claims: Option<Claims>) -> Self {
        let cpus = Cpus::allowed();
        let home = Mutex::default();
        let (game, others) = Default::default();
        let placement = Self { choice, cpus, claims, home, rule: Arc::default(), game, others };
        match choice {
            CpuChoice::Off => {}
            CpuChoice::Cpu(n) => placement.settle(Some(n), None),
            CpuChoice::Auto if cpus.count() < 2 => {}
            CpuChoice::Auto => {
                let before = Idleness::now();
                tokio::time::sleep(FIRST_LOOK).await;
                let idle = Idleness::now().since(&before);
                let _choosing = placement.choosing().await;
                placement.settle(best(&placement.candidates(&idle)), None);
            }
        }
        placement
    }

    /// Others that start now choose after us.
    async fn choosing(&self) -> Option<std::fs::File> {
        match &self.claims {
            Some(claims) => claims.choosing().await,
            None => None,
        }
    }

    /// The CPUs that may be used: how many agents are at home there, and the idle share.
    fn candidates(&self, idle: &[(usize, f64)]) -> Vec<(usize, usize, f64)> {
        let ours = idle.iter().filter(|(cpu, _)| self.cpus.has(*cpu));
        ours.map(|(cpu, idle)| (*cpu, self.fellows(*cpu), *idle)).collect()
    }

    fn fellows(&self, cpu: usize) -> usize {
        self.claims.as_ref().map_or(0, |claims| claims.count(cpu))
    }

    fn home(&self) -> Option<usize> {
        self.home.lock().unwrap_or_else(PoisonError::into_inner).cpu
    }

    /// For the game thread, before it starts an engine: what it starts inherits its CPU.
    pub(crate) fn enter(&self) {
        let mut game = self.game.lock().unwrap_or_else(PoisonError::into_inner);
        game.push(cpus::thread_id());
        if let Some(cpu) = self.home() {
            self.cpus.confine(cpus::thread_id(), Some(cpu));
        }
    }

    /// For the game thread.
    pub(crate) fn turns(&self) -> Turns {
        Turns::new(Arc::clone(&self.rule))
    }

    /// For the game thread, between two steps at full pace.
    pub(crate) fn between_steps(self: &Arc<Self>, turns: &mut Turns) {
        turns.between_steps(|| {
            let placement = Arc::clone(self);
            move || placement.enter()
        });
    }

    /// For a thread that works hard beside the game: it is kept off the game's CPU, wherever that is.
    pub(crate) fn keep_off(&self) {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).push(cpus::thread_id());
        self.cpus.avoid(cpus::thread_id(), self.home());
    }

    /// Puts game thread and engine on `home`, and the calling thread, which publishes, elsewhere.
    fn settle(&self, home: Option<usize>, engine: Option<u32>) {
        let claim = |cpu| self.claims.as_ref().and_then(|claims| claims.claim(cpu));
        let new = Home { cpu: home, _claim: home.and_then(claim) };
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = new;
        self.rule.set_place(home.and_then(|cpu| self.claims.as_ref()?.place(cpu)));
        self.look_for_fellows();
        self.game.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|thread| self.cpus.confine(*thread, home));
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

    /// How many agents are at home where ours is, ours included; several take turns.
    fn look_for_fellows(&self) -> usize {
        let fellows = self.home().map_or(0, |cpu| self.fellows(cpu));
        self.rule.set_shared(fellows > 1);
        fellows
    }

    /// Watches who else is here, and the contention, until it is aborted; on the thread that publishes. Returns at once where there is
    /// nothing to see.
    pub(crate) async fn watch(self: Arc<Self>, progress: Arc<Progress>) {
        let may_move = self.choice == CpuChoice::Auto && self.cpus.count() > 1;
        if !may_move && (self.claims.is_none() || self.home().is_none()) {
            return;
        }
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut judge = Judge::default();
        let mut idleness = Idleness::now();
        let mut waits = None;
        loop {
            ticks.tick().await;
            let fellows = self.look_for_fellows();
            if !may_move {
                continue;
            }
            let now = Idleness::now();
            let idle = now.since(&idleness);
            idleness = now;
            let engine = progress.engine().and_then(|e| e.pid());
            let game = self.game.lock().unwrap_or_else(PoisonError::into_inner).first().copied().unwrap_or(0);
            let seen = engine.and_then(|engine| Some((engine, cpus::waits(game, engine)?)));
            // Another engine than a moment ago has counters of its own.
            let share = match (&waits, &seen) {
                (Some((before, old)), Some((after, new))) if before == after => new.share_since(old),
                _ => None,
            };
            waits = seen;
            if fellows > 1 && self.spread(engine).await {
                continue;
            }
            let Some(share) = share else { continue };
            let home = self.home();
            let room = self.cpus.without(home).idlest(&idle);
            match judge.judge(home, fellows, share, room) {
                Verdict::Stay => {}
                Verdict::Go(cpu) => self.settle(Some(cpu), engine),
                Verdict::LetGo => self.settle(None, engine),
            }
        }
    }

    /// Moves to a CPU with at least two agents fewer, where there is one: others have ended, or started at the same moment.
    async fn spread(&self, engine: Option<u32>) -> bool {
        let _choosing = self.choosing().await;
        let Some(home) = self.home() else { return false };
        let least = self.cpus.list().into_iter().map(|cpu| (self.fellows(cpu), cpu)).min();
        match least {
            Some((fellows, cpu)) if fellows + 2 <= self.fellows(home) => {
                self.settle(Some(cpu), engine);
                true
            }
            _ => false,
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
    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_game_thread_is_on_the_chosen_cpu_and_the_publisher_is_not() {
        let all = Cpus::allowed();
        let placement = runtime().block_on(Placement::choose_among(CpuChoice::Auto, None));
        if all.count() < 2 {
            // Nothing to keep apart: auto stays off.
            assert_eq!(placement.home(), None);
            return;
        }
        let home = placement.home().unwrap();
        assert!(!Cpus::allowed().has(home), "the publisher keeps off");
        let game = std::thread::spawn(move || {
            placement.enter();
            Cpus::allowed().to_string()
        });
        assert_eq!(game.join().unwrap(), home.to_string());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn agents_that_start_together_spread_and_those_of_one_cpu_take_turns() {
        let dir = tempfile::tempdir().unwrap();
        let cpus = Cpus::allowed().count() as usize;
        let start = || {
            let claims = Claims::of_test(dir.path());
            // Each on a thread of its own, as each keeps its publisher off its game.
            std::thread::spawn(move || runtime().block_on(Placement::choose_among(CpuChoice::Auto, Some(claims))))
        };
        let starting: Vec<_> = (0..cpus * 2).map(|_| start()).collect();
        let agents: Vec<_> = starting.into_iter().map(|agent| agent.join().unwrap()).collect();
        if cpus < 2 {
            return assert!(agents.iter().all(|agent| agent.home().is_none()));
        }
        for cpu in Cpus::allowed().list() {
            assert_eq!(agents.iter().filter(|agent| agent.home() == Some(cpu)).count(), 2, "CPU {cpu}");
        }
        assert!(agents.iter().all(|agent| agent.look_for_fellows() == 2));
    }
}
