//! One episode: observe, decide, step, offer; and its score.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use doom_game::{End, EpisodeStart, GameBackend, GameError, Schema};
use doom_policy::Policy;
use doom_protocol::{
    Timestamp,
    payload::{DecisionTimes, TelemetryCounts},
};
use hdrhistogram::Histogram;

use super::{
    Outbox, Plan,
    figures::Figures,
    pace::{Pace, Pacer},
    slots::{Closed, DeathSlot, OpenedSlot, RecordSlot, ScoreSlot, StepEvent, StepSlot},
    tally::Tally,
};
use crate::{
    clock::Clock,
    lifecycle::{Flow, Lifecycle},
    placement::{Placement, Turns},
    progress::{LastEpisode, Progress},
};

/// Doom's tics in a second of survival.
const TICS_PER_SECOND: f64 = 35.0;

/// One episode and what it borrows.
pub(super) struct Episode<'a> {
    pub(super) number: u64,
    pub(super) seed: u32,
    pub(super) plan: &'a Plan,
    pub(super) backend: &'a mut dyn GameBackend,
    pub(super) policy: &'a mut dyn Policy,
    pub(super) tally: &'a mut Tally,
    pub(super) pacer: &'a mut Pacer,
    pub(super) placement: &'a Arc<Placement>,
    pub(super) turns: &'a mut Turns,
    /// Microseconds; made once, so that recording never allocates.
    pub(super) decisions: &'a mut Histogram<u32>,
    pub(super) action: &'a mut [f64],
    pub(super) outbox: &'a mut Outbox,
    pub(super) lifecycle: &'a Lifecycle,
    pub(super) progress: &'a Progress,
    pub(super) clock: Clock,
    pub(super) schema: &'a Arc<Schema>,
    pub(super) engine_version: &'a Arc<str>,
    /// Set once it is open: from then on it has a score, whatever happens.
    pub(super) began: &'a mut bool,
}

/// What grows while an episode is played.
struct Running {
    started: Instant,
    started_at: Timestamp,
    first_tic: u32,
    tic: u32,
    steps: u64,
    total_reward: f64,
    telemetry_before: (u64, u64),
}

impl Running {
    fn tics(&self) -> u32 {
        self.tic.saturating_sub(self.first_tic)
    }
}

impl Episode<'_> {
    /// Plays it to its end. An error closes it as `engine_fault`.
    pub(super) fn play(mut self) -> Result<Closed, GameError> {
        let record = self.plan.record.as_ref().map(|dir| dir.join(format!("episode-{:06}.lmp", self.number)));
        let before = self.outbox.telemetry();
        self.backend.new_episode(&EpisodeStart { seed: self.seed, record })?;
        self.policy.begin_episode(self.seed);
        self.decisions.reset();
        let started = Instant::now();
        let mut running = Running {
            started,
            started_at: self.clock.at(started),
            first_tic: 0,
            tic: 0,
            steps: 0,
            total_reward: 0.0,
            telemetry_before: before,
        };
        let first = self.backend.observe();
        running.first_tic = first.tic;
        running.tic = first.tic;
        self.tally.begin(first.variables);
        self.progress.figures.write(&self.figures(&running));
        self.progress.episode.store(self.number, Relaxed);
        self.progress.tic.store(first.tic, Relaxed);
        self.progress.beat();
        *self.began = true;
        self.outbox.opened(OpenedSlot {
            episode: self.number,
            seed: self.seed,
            engine_version: Arc::clone(self.engine_version),
            schema: Arc::clone(self.schema),
            started_at: running.started_at,
        });
        self.offer_observation(&running, running.started_at, 0.0, None);
        let result = self.steps(&mut running);
        let closed = match &result {
            Ok(closed) => *closed,
            // An engine that was ended because the agent is stopping leaves an aborted episode, not a fault.
            Err(_) if self.lifecycle.is_ending_play() => Closed::Aborted,
            Err(_) => Closed::EngineFault,
        };
        self.close(running, closed);
        result.map(|_| closed)
    }

    fn steps(&mut self, running: &mut Running) -> Result<Closed, GameError> {
        loop {
            if self.lifecycle.must_look() {
                self.turns.leave();
                match self.lifecycle.boundary() {
                    Flow::Stop => return Ok(Closed::Aborted),
                    Flow::GoOn { paused } => {
                        if paused {
                            self.pacer.rebase();
                        }
                    }
                }
            }
            if !self.pacer.wait(|| self.lifecycle.must_look()) {
                continue;
            }
            // At a pace of its own the game waits between its steps, and others play meanwhile.
            if self.plan.pace == Pace::Max {
                self.placement.between_steps(self.turns);
            }
            let before = Instant::now();
            self.policy.decide(&self.backend.observe(), self.action);
            let decided = Instant::now();
            // Cannot fail: the histogram saturates.
            let micros = u64::try_from(decided.duration_since(before).as_micros()).unwrap_or(u64::MAX);
            self.decisions.saturating_record(micros);
            running.steps += 1;
            self.offer_action(running, self.clock.at(decided), micros);
            let step = self.backend.step(self.action, self.plan.frame_skip)?;
            running.total_reward += step.reward;
            let observation = self.backend.observe();
            running.tic = observation.tic;
            self.tally.see(observation.variables);
            self.progress.figures.write(&self.figures(running));
            let now = Instant::now();
            self.progress.last_step.store(self.clock.micros(now), Relaxed);
            self.progress.steps.store(self.progress.steps.load(Relaxed) + 1, Relaxed);
            self.progress.tic.store(observation.tic, Relaxed);
            self.progress.beat();
            self.offer_observation(running, self.clock.at(now), step.reward, step.end);
            if let Some(end) = step.end {
                return Ok(Closed::ByGame(end));
            }
        }
    }

    /// As of the last step.
    fn figures(&self, running: &Running) -> Figures {
        let tally = &*self.tally;
        Figures {
            episode: self.number,
            steps: running.steps,
            tics: running.tics(),
            total_reward: running.total_reward,
            kills: tally.kills(),
            damage_dealt: tally.damage_dealt(),
            damage_taken: tally.damage_taken(),
            hits: tally.hits(),
            items: tally.items(),
            ammo_used: tally.ammo_used(),
            cells_visited: tally.cells_visited(),
        }
    }

    fn offer_action(&mut self, running: &Running, at: Timestamp, decision_us: u64) {
        let mut pressed = 0u64;
        let mut deltas = [0.0; 5];
        let mut n = 0;
        for (i, (value, button)) in self.action.iter().zip(&self.schema.buttons).enumerate() {
            pressed |= u64::from(*value != 0.0) << i;
            if button.is_delta() && n < deltas.len() {
                deltas[n] = *value;
                n += 1;
            }
        }
        let event = StepEvent::Action { pressed, decision_us };
        let slot = StepSlot { episode: self.number, at, step: running.steps, tic: running.tic, event };
        self.outbox.step(slot, &deltas[..n]);
    }

    fn offer_observation(&mut self, running: &Running, at: Timestamp, reward: f64, end: Option<End>) {
        let event = StepEvent::Observe { reward, total_reward: running.total_reward, end };
        let slot = StepSlot { episode: self.number, at, step: running.steps, tic: running.tic, event };
        let observation = self.backend.observe();
        let variables = observation.variables;
        self.outbox.step(slot, &variables[..self.schema.scenario_variables.min(variables.len())]);
        self.outbox.picture(&slot, &observation);
    }

    /// Death (only if dead), then score.
    fn close(&mut self, running: Running, closed: Closed) {
        let completed_at = self.clock.now();
        let figures = self.figures(&running);
        if closed == Closed::ByGame(End::Death) {
            self.outbox.record(RecordSlot::Death(DeathSlot {
                episode: self.number,
                at: completed_at,
                tic: running.tic,
                step: running.steps,
                position: self.tally.position(),
                health: self.tally.health(),
                kills: figures.kills,
                damage_taken: figures.damage_taken,
                tics: figures.tics,
            }));
        }
        let (produced, dropped) = self.outbox.telemetry();
        let decision = DecisionTimes {
            p50: self.decisions.value_at_quantile(0.5),
            p99: self.decisions.value_at_quantile(0.99),
            max: self.decisions.max(),
        };
        let complete = matches!(closed, Closed::ByGame(_));
        let episodes_completed = self.progress.episodes_done.fetch_add(u64::from(complete), Relaxed) + u64::from(complete);
        let wall_seconds = running.started.elapsed().as_secs_f64();
        self.progress.set_last_episode(LastEpisode {
            number: self.number,
            seed: self.seed,
            end_reason: closed.as_str(),
            steps: running.steps,
            kills: figures.kills,
            wall_seconds,
            total_reward: figures.total_reward,
            kill_rate: kill_rate(figures.kills, figures.tics),
            decision_p99_us: decision.p99,
        });
        self.progress.episode.store(0, Relaxed);
        let score = ScoreSlot {
            figures,
            seed: self.seed,
            engine_version: Arc::clone(self.engine_version),
            closed,
            rule_match_rate: self.policy.rule_match_rate(),
            schema: Arc::clone(self.schema),
            final_variables: self.backend.observe().variables.to_vec(),
            decision,
            wall_seconds,
            telemetry: TelemetryCounts {
                produced: produced - running.telemetry_before.0,
                dropped: dropped - running.telemetry_before.1,
                unconfirmed: self.outbox.unconfirmed(),
            },
            started_at: running.started_at,
            completed_at,
            episodes_completed,
        };
        self.outbox.record(RecordSlot::Score(Box::new(score)));
    }
}

/// Survival in seconds.
pub(crate) fn survival(tics: u32) -> f64 {
    f64::from(tics) / TICS_PER_SECOND
}

/// Kills per minute of survival; 0 where survival is 0.
pub(crate) fn kill_rate(kills: i64, tics: u32) -> f64 {
    if tics == 0 { 0.0 } else { kills as f64 * 60.0 / survival(tics) }
}
