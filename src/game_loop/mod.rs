//! The game thread: owns backend and policy, plays episode after episode, replaces an engine that failed.
//!
//! Between two steps it waits for nothing but the pace clock; it reads the clock twice a step (the decision's time and the events'
//! instants) and neither allocates, locks nor logs there.

mod episode;
mod figures;
mod outbox;
mod pace;
mod seeds;
mod slots;
mod tally;

use std::{path::PathBuf, sync::Arc, time::Duration};

use doom_game::{BackendFactory, GameBackend, GameError};
use doom_policy::{Policy, PolicyProgram};
use hdrhistogram::Histogram;

use self::{
    episode::Episode,
    pace::Pacer,
    tally::{Places, Tally},
};
pub(crate) use self::{
    episode::{kill_rate, survival},
    figures::{Figures, LastFigures},
    outbox::Outbox,
    slots::{Closed, OpenedSlot, RecordSlot, ScoreSlot, StepEvent, StepSlot},
    tally::score_needs,
};
pub use self::{pace::Pace, seeds::Seeds};
use crate::{
    clock::Clock,
    lifecycle::{Flow, Lifecycle, State},
    placement::{Placement, Turns},
    progress::Progress,
};

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MOST: Duration = Duration::from_secs(5);

/// What the loop is told before it starts.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// 0: until told to stop.
    pub(crate) episodes: u64,
    pub(crate) seeds: Seeds,
    pub(crate) frame_skip: u32,
    pub(crate) pace: Pace,
    /// Where recordings go.
    pub(crate) record: Option<PathBuf>,
    /// Failures in a row before the loop gives up.
    pub(crate) max_engine_restarts: u32,
}

/// How the loop ended.
#[derive(Debug)]
pub(crate) enum LoopEnd {
    /// All episodes played.
    Finished,
    /// Told to stop.
    Stopped,
    /// The engine cannot start (at the first try), or kept failing.
    Engine(GameError),
    /// The scenario, or the policy over it, cannot be played.
    Data(String),
}

/// Everything the game thread owns.
pub(crate) struct GameLoop {
    pub(crate) plan: Plan,
    pub(crate) factory: Box<dyn BackendFactory>,
    pub(crate) program: PolicyProgram,
    pub(crate) outbox: Outbox,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) placement: Arc<Placement>,
    pub(crate) clock: Clock,
    /// The number of the plan's first episode.
    pub(crate) first_episode: u64,
    /// The next episode's number, from 1.
    pub(crate) next_episode: u64,
    /// Episodes that the game ended.
    pub(crate) finished: u64,
    /// A worker lives on when it gives up an engine: somebody else plays on.
    pub(crate) lives_on: bool,
}

/// What a game thread has, whatever it plays.
pub(crate) struct Stage {
    pub(crate) outbox: Outbox,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) placement: Arc<Placement>,
    pub(crate) clock: Clock,
}

impl Stage {
    /// The loop that plays a plan; its first episode gets this number.
    pub(crate) fn game_loop(self, plan: Plan, factory: Box<dyn BackendFactory>, program: PolicyProgram, first_episode: u64) -> GameLoop {
        let Self { outbox, lifecycle, progress, placement, clock } = self;
        let next_episode = first_episode;
        GameLoop {
            plan,
            factory,
            program,
            outbox,
            lifecycle,
            progress,
            placement,
            clock,
            first_episode,
            next_episode,
            finished: 0,
            lives_on: false,
        }
    }
}

/// What playing on one engine came to.
enum Session {
    Ended(LoopEnd),
    Failed { error: GameError, episode: Option<u64>, played: bool },
}

impl GameLoop {
    /// Gives back what the next plan needs.
    pub(crate) fn into_stage(self) -> Stage {
        let Self { outbox, lifecycle, progress, placement, clock, .. } = self;
        Stage { outbox, lifecycle, progress, placement, clock }
    }

    /// Plays until the end. The lifecycle is `draining` afterwards.
    pub(crate) fn run(mut self) -> LoopEnd {
        self.placement.enter();
        let end = self.play();
        self.lifecycle.enter(State::Draining);
        end
    }

    /// Plays the plan, on as many engines as it takes.
    pub(crate) fn play(&mut self) -> LoopEnd {
        let mut turns = self.placement.turns();
        let end = self.engines(&mut turns);
        turns.leave();
        self.progress.set_engine(None);
        end
    }

    fn engines(&mut self, turns: &mut Turns) -> LoopEnd {
        let mut failures = 0u32;
        let mut first = true;
        loop {
            if self.lifecycle.is_ending_play() {
                return LoopEnd::Stopped;
            }
            let (error, episode, played) = match self.factory.start() {
                Ok(backend) => match self.session(backend, turns) {
                    Session::Ended(end) => return end,
                    Session::Failed { error, episode, played } => (error, episode, played),
                },
                Err(GameError::Scenario(reason)) => return LoopEnd::Data(reason),
                Err(error) if first => {
                    if self.lives_on {
                        self.report(&error, false, None);
                    }
                    return LoopEnd::Engine(error);
                }
                Err(error) => (error, None, false),
            };
            first = false;
            turns.leave();
            self.progress.set_engine(None);
            failures = if played { 1 } else { failures + 1 };
            let stopping = self.lifecycle.is_ending_play();
            let fatal = failures > self.plan.max_engine_restarts && !stopping;
            if !stopping {
                self.report(&error, fatal && !self.lives_on, episode);
            }
            if stopping {
                return LoopEnd::Stopped;
            }
            if fatal {
                return LoopEnd::Engine(error);
            }
            self.lifecycle.enter(State::Recovering);
            self.outbox.record(RecordSlot::Recovering { at: self.clock.now() });
            let pause = BACKOFF_FIRST.saturating_mul(1 << (failures - 1).min(6)).min(BACKOFF_MOST);
            if !self.lifecycle.wait_unless_stopped(pause) {
                return LoopEnd::Stopped;
            }
            self.progress.engine_restarts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn report(&mut self, error: &GameError, fatal: bool, episode: Option<u64>) {
        tracing::error!(%error, fatal, "the engine failed");
        let kind = match error {
            GameError::Start(_) => "engine_start",
            GameError::Died(_) => "engine_died",
            _ => "engine",
        };
        self.outbox.record(RecordSlot::Error { at: self.clock.now(), kind, message: error.to_string(), fatal, episode });
    }

    /// Plays episodes on one engine.
    fn session(&mut self, mut backend: Box<dyn GameBackend>, turns: &mut Turns) -> Session {
        self.progress.set_engine(Some(backend.interrupter()));
        self.progress.beat();
        let schema = Arc::new(backend.schema().clone());
        let mut policy: Box<dyn Policy> = match self.program.bind(&schema) {
            Ok(policy) => policy,
            Err(error) => return Session::Ended(LoopEnd::Data(error.to_string())),
        };
        let places = match Places::find(&schema) {
            Ok(places) => places,
            Err(reason) => return Session::Ended(LoopEnd::Data(reason)),
        };
        let engine_version: Arc<str> = backend.info().engine_version.as_str().into();
        let mut tally = Tally::new(places);
        let mut pacer = Pacer::new(self.plan.pace, self.plan.frame_skip);
        // Up to a minute, in microseconds, with two significant digits.
        let mut decisions = match Histogram::new_with_bounds(1, 60_000_000, 2) {
            Ok(histogram) => histogram,
            Err(error) => return Session::Ended(LoopEnd::Data(error.to_string())),
        };
        let mut action = vec![0.0; schema.buttons.len()];
        let mut played = false;
        loop {
            if self.lifecycle.must_look() {
                turns.leave();
            }
            match self.lifecycle.boundary() {
                Flow::Stop => return Session::Ended(LoopEnd::Stopped),
                Flow::GoOn { .. } => pacer.rebase(),
            }
            if self.plan.episodes != 0 && self.next_episode - self.first_episode >= self.plan.episodes {
                return Session::Ended(LoopEnd::Finished);
            }
            let number = self.next_episode;
            self.next_episode += 1;
            let mut began = false;
            let episode = Episode {
                number,
                seed: self.plan.seeds.of(number - self.first_episode + 1),
                plan: &self.plan,
                backend: backend.as_mut(),
                policy: policy.as_mut(),
                tally: &mut tally,
                pacer: &mut pacer,
                placement: &self.placement,
                turns,
                decisions: &mut decisions,
                action: &mut action,
                outbox: &mut self.outbox,
                lifecycle: &self.lifecycle,
                progress: &self.progress,
                clock: self.clock,
                schema: &schema,
                engine_version: &engine_version,
                began: &mut began,
            };
            match episode.play() {
                Ok(Closed::Aborted) => return Session::Ended(LoopEnd::Stopped),
                Ok(_) => {
                    self.finished += 1;
                    played = true;
                }
                Err(error) => {
                    if !began {
                        // Nothing was played, so nothing is recorded: the number is the next one's, and numbers have no gaps.
                        self.next_episode -= 1;
                    }
                    return Session::Failed { error, episode: began.then_some(number), played };
                }
            }
        }
    }
}
