//! The reply to a health request; also the heartbeat's payload.

use serde::{Deserialize, Serialize};

use crate::{Instance, Payload};

/// What an agent says of itself. Null only here: no episode open yet, no engine process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HealthReply {
    /// Who answers.
    pub agent_id: String,
    /// The process.
    pub instance: Instance,
    /// The game loop makes progress, or is paused, or starts or recovers within its deadline.
    pub healthy: bool,
    /// Nanoseconds since the process started (Go's `time.Duration`).
    pub uptime: u64,
    /// When the process started; of two agents under one id the older stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<crate::Timestamp>,
    /// `starting`, `running`, `paused`, `recovering`, `draining` or `stopped`.
    pub state: String,
    /// The open episode.
    pub episode_id: Option<String>,
    /// The experiment, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment_id: Option<String>,
    /// The experiment's run, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<u64>,
    /// The generation, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_id: Option<String>,
    /// In a worker: the evaluation that is played, whose are the three above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation_id: Option<String>,
    /// The controller's last map tic.
    pub tic: u32,
    /// Over the last second or so.
    pub steps_per_second: f64,
    /// Null before the first step.
    pub seconds_since_step: Option<f64>,
    /// Episodes of this process that ended by themselves.
    #[serde(default)]
    pub episodes_completed: u64,
    /// Kills per minute of survival in the last episode; null before one has ended.
    #[serde(default)]
    pub kill_rate: Option<f64>,
    /// The engine's process.
    pub engine: EngineHealth,
    /// The connection.
    pub nats: NatsHealth,
    /// What became of every seq.
    pub ledger: LedgerSummary,
    /// The record lane.
    pub records: RecordsHealth,
    /// `vizdoom` or `mock`.
    pub backend: String,
    /// The scenario's name.
    pub scenario: String,
    /// The agent's version.
    pub version: String,
}

impl Payload for HealthReply {
    const TYPE: &'static str = "system.health";
}

/// The engine's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EngineHealth {
    /// Null where there is no process (the mock, or while recovering).
    pub pid: Option<u32>,
    /// How often it was replaced.
    pub restarts: u32,
}

/// The connection to the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NatsHealth {
    /// `connected`, `connecting`, `reconnecting` or `off`.
    pub state: String,
    /// How often the connection was made again.
    pub reconnects: u64,
}

/// Counts over action, observe, score and death.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LedgerSummary {
    /// How many seqs were given.
    pub produced: u64,
    /// Telemetry that did not fit into its lane.
    pub dropped: u64,
    /// Written, but the connection broke before a round trip confirmed it.
    pub unconfirmed: u64,
    /// Records that a stream acknowledged.
    pub stored: u64,
}

/// The record lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RecordsHealth {
    /// Waiting for a stream's acknowledgement.
    pub spooled: u64,
    /// Given up for want of room.
    pub lost: u64,
    /// Larger than server or stream take, and put aside until they take more. Absent where there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub aside: u64,
    /// On disk before they are sent; false where memory is all they have, absent where no broker takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durable: Option<bool>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}
