//! What the game thread offers: plain data, without names or formats.

use std::sync::Arc;

use doom_game::{End, Schema};
use doom_protocol::{
    Timestamp,
    payload::{DecisionTimes, TelemetryCounts},
};

use super::figures::Figures;

/// One action or observation. Its numbers travel beside it: the scenario's variables, or the values of the delta buttons.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepSlot {
    pub(crate) episode: u64,
    pub(crate) at: Timestamp,
    pub(crate) step: u64,
    pub(crate) tic: u32,
    pub(crate) event: StepEvent,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum StepEvent {
    /// Bit i: button i of the scenario is pressed.
    Action {
        pressed: u64,
        decision_us: u64,
    },
    Observe {
        reward: f64,
        total_reward: f64,
        end: Option<End>,
    },
}

/// Why an episode was closed; the wire's `end_reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    ByGame(End),
    Aborted,
    EngineFault,
    /// Said by the next start, of an episode that a killed agent left open.
    AgentLost,
}

impl Closed {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ByGame(end) => end.as_str(),
            Self::Aborted => "aborted",
            Self::EngineFault => "engine_fault",
            Self::AgentLost => "agent_lost",
        }
    }
}

/// What must not be lost.
#[derive(Debug)]
pub(crate) enum RecordSlot {
    /// No record, but what one would need should the agent be killed.
    Opened(Box<OpenedSlot>),
    Death(DeathSlot),
    Score(Box<ScoreSlot>),
    Error {
        at: Timestamp,
        kind: &'static str,
        message: String,
        fatal: bool,
        episode: Option<u64>,
    },
    Recovering {
        at: Timestamp,
    },
}

/// An episode at its start.
#[derive(Debug, Clone)]
pub(crate) struct OpenedSlot {
    pub(crate) episode: u64,
    pub(crate) seed: u32,
    pub(crate) engine_version: Arc<str>,
    pub(crate) schema: Arc<Schema>,
    pub(crate) started_at: Timestamp,
}

#[derive(Debug)]
pub(crate) struct DeathSlot {
    pub(crate) episode: u64,
    pub(crate) at: Timestamp,
    pub(crate) tic: u32,
    pub(crate) step: u64,
    pub(crate) position: [f64; 3],
    pub(crate) health: f64,
    pub(crate) kills: i64,
    pub(crate) damage_taken: f64,
    pub(crate) tics: u32,
}

#[derive(Debug)]
pub(crate) struct ScoreSlot {
    /// Of the whole episode.
    pub(crate) figures: Figures,
    pub(crate) seed: u32,
    pub(crate) engine_version: Arc<str>,
    pub(crate) closed: Closed,
    pub(crate) rule_match_rate: Option<f64>,
    pub(crate) schema: Arc<Schema>,
    pub(crate) final_variables: Vec<f64>,
    pub(crate) decision: DecisionTimes,
    pub(crate) wall_seconds: f64,
    pub(crate) telemetry: TelemetryCounts,
    pub(crate) started_at: Timestamp,
    pub(crate) completed_at: Timestamp,
    /// Of this process, this one included; faulted and aborted ones are not complete.
    pub(crate) episodes_completed: u64,
}
