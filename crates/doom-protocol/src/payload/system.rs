//! Faults, lifecycle and metrics.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{EpisodeId, Instance, LedgerSummary, Payload, RecordsHealth, Timestamp};

/// A fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ErrorEvent<'a> {
    /// The agent.
    pub agent_id: Cow<'a, str>,
    /// The envelope's instant.
    pub timestamp: Timestamp,
    /// The process.
    pub instance: Instance,
    /// A short name of the cause, such as `engine_died`.
    pub kind: Cow<'a, str>,
    /// For a person.
    pub message: Cow<'a, str>,
    /// Whether the process ends because of it.
    pub fatal: bool,
    /// The episode that was open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode_id: Option<EpisodeId>,
}

impl Payload for ErrorEvent<'_> {
    const TYPE: &'static str = "system.error";
}

/// From and to, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SeqRange(pub u64, pub u64);

/// Ready, recovering, stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lifecycle<'a> {
    /// The agent.
    pub agent_id: Cow<'a, str>,
    /// The envelope's instant.
    pub timestamp: Timestamp,
    /// The process.
    pub instance: Instance,
    /// `ready`, `recovering` or `stopped`.
    pub state: Cow<'a, str>,
    /// On `stopped`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// On `stopped`: what became of every seq.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerSummary>,
    /// On `stopped`: the seqs that were dropped; complete unless `ranges_truncated`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<SeqRange>,
    /// On `stopped`: the seqs that were written but never confirmed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unconfirmed: Vec<SeqRange>,
    /// The ranges did not fit; the counts still hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ranges_truncated: bool,
    /// On `stopped`: the record lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<RecordsHealth>,
}

impl Payload for Lifecycle<'_> {
    const TYPE: &'static str = "system.lifecycle";
}

/// One number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Metric<'a> {
    /// The agent.
    pub agent_id: Cow<'a, str>,
    /// The envelope's instant.
    pub timestamp: Timestamp,
    /// As in `/metrics`.
    pub metric_name: Cow<'a, str>,
    /// Its value.
    pub value: f64,
}

impl Payload for Metric<'_> {
    const TYPE: &'static str = "metrics.agent";
}
