//! What is to be said of an open episode should this process not live to say it: a score that is made anew every second, kept in the spool,
//! and sent by the next start as `agent_lost`.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use doom_bus::Ledger;
use doom_protocol::payload::{DecisionTimes, TelemetryCounts};

use crate::{
    clock::Clock,
    game_loop::{Closed, Figures, OpenedSlot, RecordSlot, ScoreSlot},
    progress::Progress,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Will {
    progress: Arc<Progress>,
    ledger: Arc<Ledger>,
    clock: Clock,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    episode: OpenedSlot,
    dropped_before: u64,
    unconfirmed_before: u64,
}

impl Will {
    pub(crate) fn new(progress: Arc<Progress>, ledger: Arc<Ledger>, clock: Clock) -> Self {
        Self { progress, ledger, clock, open: None }
    }

    /// An episode is open from its start to its score.
    pub(crate) fn see(&mut self, slot: &RecordSlot) {
        match slot {
            RecordSlot::Opened(episode) => {
                let ledger = self.ledger.summary();
                let episode = OpenedSlot::clone(episode);
                self.open = Some(Open { episode, dropped_before: ledger.dropped, unconfirmed_before: ledger.unconfirmed });
            }
            RecordSlot::Score(_) => self.open = None,
            RecordSlot::Death(_) | RecordSlot::Error { .. } | RecordSlot::Recovering { .. } => {}
        }
    }

    /// The score as of the last step, if an episode is open. What nobody else can know (the final variables, the decisions' times) is empty.
    pub(crate) fn score(&self) -> Option<ScoreSlot> {
        let Open { episode, dropped_before, unconfirmed_before } = self.open.as_ref()?;
        // The game may be an episode further already; its own start is in the lane then.
        let none = Figures { episode: episode.episode, ..Figures::default() };
        let figures = self.progress.figures.read().filter(|f| f.episode == episode.episode).unwrap_or(none);
        let now = self.clock.now();
        let ledger = self.ledger.summary();
        Some(ScoreSlot {
            figures,
            seed: episode.seed,
            engine_version: Arc::clone(&episode.engine_version),
            closed: Closed::AgentLost,
            rule_match_rate: None,
            schema: Arc::clone(&episode.schema),
            final_variables: Vec::new(),
            decision: DecisionTimes::default(),
            wall_seconds: (now.as_micros() - episode.started_at.as_micros()).max(0) as f64 / 1e6,
            // The reset's observation, and two events a step.
            telemetry: TelemetryCounts {
                produced: 1 + 2 * figures.steps,
                dropped: ledger.dropped - dropped_before,
                unconfirmed: ledger.unconfirmed - unconfirmed_before,
            },
            started_at: episode.started_at,
            completed_at: now,
            episodes_completed: self.progress.episodes_done.load(Relaxed),
        })
    }
}
