//! The agent as health shows it: read from atomics, never from the game thread itself.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use doom_bus::{FrameCounts, Ledger, Link, LinkState, Standing};
use doom_protocol::{EngineHealth, HealthReply, NatsHealth};

use crate::{
    book::Book,
    clock::Clock,
    encode::RunFacts,
    lifecycle::{Lifecycle, State},
    progress::Progress,
};

/// The rate is measured over at least this long.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// What health is made of.
pub(crate) struct Snapshot {
    /// Of the process; what changes with an evaluation is in the book.
    pub(crate) facts: Arc<RunFacts>,
    book: Arc<Book>,
    pub(crate) clock: Clock,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) frames: Arc<FrameCounts>,
    pub(crate) link: Option<Link>,
    /// A step may take this long: the larger of the step timeout and three periods.
    pub(crate) step_within: Duration,
    /// Starting and recovering may take this long.
    pub(crate) start_within: Duration,
    rate: Mutex<Rate>,
    since: Mutex<(State, Instant)>,
}

struct Rate {
    at: Instant,
    steps: u64,
    per_second: f64,
}

impl Snapshot {
    #[expect(clippy::too_many_arguments, reason = "the parts of one struct, each named once")]
    pub(crate) fn new(
        book: Arc<Book>,
        clock: Clock,
        lifecycle: Arc<Lifecycle>,
        progress: Arc<Progress>,
        ledger: Arc<Ledger>,
        frames: Arc<FrameCounts>,
        link: Option<Link>,
        step_within: Duration,
        start_within: Duration,
    ) -> Self {
        let now = Instant::now();
        let rate = Mutex::new(Rate { at: now, steps: 0, per_second: 0.0 });
        let since = Mutex::new((State::Starting, now));
        let facts = book.now();
        Self { facts, book, clock, lifecycle, progress, ledger, frames, link, step_within, start_within, rate, since }
    }

    /// Steps a second over the last window that was completed.
    pub(crate) fn steps_per_second(&self) -> f64 {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = rate.at.elapsed();
        if elapsed >= RATE_WINDOW {
            let steps = self.progress.steps.load(Relaxed);
            rate.per_second = (steps - rate.steps) as f64 / elapsed.as_secs_f64();
            rate.steps = steps;
            rate.at = Instant::now();
        }
        rate.per_second
    }

    /// How long the state has been what it is, as far as anybody looked.
    fn in_state_for(&self, state: State) -> Duration {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.0 != state {
            *since = (state, Instant::now());
        }
        since.1.elapsed()
    }

    fn seconds_since_step(&self) -> Option<f64> {
        let last = self.progress.last_step.load(Relaxed);
        (last != 0).then(|| self.clock.micros(Instant::now()).saturating_sub(last) as f64 / 1e6)
    }

    fn is_healthy(&self, state: State) -> bool {
        let for_ = self.in_state_for(state);
        let progressing = match state {
            // A loop that was paused or replaced a moment ago counts from then.
            State::Running => for_ <= self.step_within || self.seconds_since_step().is_some_and(|s| s <= self.step_within.as_secs_f64()),
            State::Idle | State::Paused | State::Draining => true,
            State::Starting | State::Recovering => for_ <= self.start_within,
            State::Stopped => false,
        };
        progressing && self.ledger.records().lost == 0
    }

    /// The state, and what commands may choose the agent by.
    pub(crate) fn standing(&self) -> Standing {
        let played = self.book.played();
        Standing {
            state: self.lifecycle.state().as_str().to_owned(),
            tic: self.progress.tic.load(Relaxed),
            experiment: played.experiment.clone(),
            generation: played.generation.clone(),
        }
    }

    pub(crate) fn take(&self) -> HealthReply {
        let state = self.lifecycle.state();
        let episode = self.progress.episode.load(Relaxed);
        let last = self.progress.last_episode();
        let played = self.book.played();
        let nats = match self.link.as_ref().map(Link::status) {
            None => NatsHealth { state: "off".to_owned(), reconnects: 0 },
            Some(s) => NatsHealth { state: s.state.as_str().to_owned(), reconnects: s.connects.saturating_sub(1) },
        };
        HealthReply {
            agent_id: self.facts.agent.to_string(),
            instance: self.facts.instance,
            healthy: self.is_healthy(state),
            uptime: u64::try_from(self.clock.uptime().as_nanos()).unwrap_or(u64::MAX),
            started_at: Some(self.started_at()),
            state: state.as_str().to_owned(),
            episode_id: (episode != 0).then(|| self.facts.instance.episode(episode).to_string()),
            experiment_id: played.experiment.as_ref().map(ToString::to_string),
            run_id: played.run,
            generation_id: played.generation.as_ref().map(ToString::to_string),
            evaluation_id: played.evaluation.as_ref().map(|e| e.id.to_string()),
            tic: self.progress.tic.load(Relaxed),
            steps_per_second: self.steps_per_second(),
            seconds_since_step: self.seconds_since_step(),
            episodes_completed: self.progress.episodes_done.load(Relaxed),
            kill_rate: (last.number != 0).then_some(last.kill_rate),
            engine: EngineHealth {
                pid: self.progress.engine().and_then(|e| e.pid()),
                restarts: self.progress.engine_restarts.load(Relaxed),
            },
            nats,
            ledger: self.ledger.summary(),
            records: self.ledger.records(),
            backend: self.facts.backend.to_owned(),
            scenario: self.book.now().scenario.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    pub(crate) fn started_at(&self) -> doom_protocol::Timestamp {
        self.clock.started_at()
    }

    /// Whether the broker can be reached, or need not be.
    pub(crate) fn is_connected(&self) -> bool {
        self.link.as_ref().is_none_or(|l| l.status().state == LinkState::Connected)
    }

    /// Why the broker does not take us, where it answers.
    pub(crate) fn refusal(&self) -> Option<doom_bus::Refusal> {
        self.link.as_ref().and_then(|l| l.status().refusal)
    }
}
