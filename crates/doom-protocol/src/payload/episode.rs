//! What happens once an episode: death, score, and the experiment's and generation's copies.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Values, episode_payload};
use crate::{Payload, Timestamp};

/// In map units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Position {
    /// East.
    pub x: f64,
    /// North.
    pub y: f64,
    /// Up.
    pub z: f64,
}

episode_payload!(
    /// The player died.
    Death, "agent.death", {
        /// The controller's last map tic.
        tic: u32,
        /// The step in which it happened.
        step: u64,
        /// Where.
        position: Position,
        /// May be negative.
        health: f64,
        /// Monsters killed in the episode.
        kills: i64,
        /// Over the episode.
        damage_taken: f64,
        /// tics / 35.
        survival_seconds: f64,
    }
);

/// Percentiles of the time that a decision took, microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DecisionTimes {
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// What became of an episode's telemetry so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TelemetryCounts {
    /// Actions and observations given a seq.
    pub produced: u64,
    /// Of these, not taken by the telemetry lane.
    pub dropped: u64,
    /// Of these, written but never confirmed, as far as is known when the score is made.
    pub unconfirmed: u64,
}

episode_payload!(
    /// One finished episode.
    Score, "agent.score", {
        /// From 1.
        episode_number: u64,
        /// The evaluation that the episode was played for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evaluation_id: Option<Cow<'a, str>>,
        /// Which of the evaluation's episodes it is, from 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evaluation_episode: Option<u64>,
        /// The engine's seed of this episode.
        seed: u32,
        /// The scenario's name.
        scenario: Cow<'a, str>,
        /// Over the scenario file and the settings changed with `--set`.
        scenario_sha256: Cow<'a, str>,
        /// The policy's name.
        policy: Cow<'a, str>,
        /// Over the policy's text and parameters.
        policy_sha256: Cow<'a, str>,
        /// `vizdoom` or `mock`.
        backend: Cow<'a, str>,
        /// Such as `1.3.2`.
        engine_version: Cow<'a, str>,
        /// `death`, `level_exit`, `timeout`, `aborted`, `engine_fault` or `agent_lost`.
        end_reason: Cow<'a, str>,
        /// Sum of rewards.
        total_reward: f64,
        /// Actions taken.
        steps: u64,
        /// Final tic minus initial tic.
        tics: u32,
        /// Tics that an action is held for.
        frame_skip: u32,
        /// tics / 35.
        survival_seconds: f64,
        /// Monsters killed.
        kills: i64,
        /// Kills per minute of survival, 0 where survival is 0.
        kill_rate: f64,
        /// To monsters and players.
        damage_dealt: f64,
        /// By the player.
        damage_taken: f64,
        /// Hits landed.
        hits: i64,
        /// Items picked up.
        items: i64,
        /// Sum of the decreases of AMMO0 to AMMO9, slots that share their ammunition (2 and 4, 6 and 7) counted once.
        ammo_used: f64,
        /// hits / ammo_used; 0 where no ammunition was used.
        ammo_efficiency: f64,
        /// Distinct squares of 64 map units, at observations.
        cells_visited: u64,
        /// Share of decisions in which a rule matched (rules policy).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule_match_rate: Option<f64>,
        /// Every variable that was read, at the end.
        final_variables: Values<'a>,
        /// How long decisions took.
        decision_us: DecisionTimes,
        /// Real time, pauses included.
        wall_seconds: f64,
        /// What became of the telemetry.
        telemetry: TelemetryCounts,
        /// The reset's instant.
        started_at: Timestamp,
        /// The end's instant.
        completed_at: Timestamp,
    }
);

/// The generation's copy of a score, under its own type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct GenerationScore<'a>(pub Score<'a>);

impl Payload for GenerationScore<'_> {
    const TYPE: &'static str = "generation.agent.score";
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunMetadata<'a> {
    /// The run.
    pub run_id: u64,
    /// Name to value, as the agent was told: scenario settings and policy parameters.
    pub factors: Cow<'a, std::collections::BTreeMap<String, serde_json::Value>>,
    /// Finished by this process.
    pub episodes_completed: u64,
    /// 0: until told to stop.
    pub episodes_total: u64,
}

/// After each episode of an agent that has an experiment and a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExperimentRun<'a> {
    /// The agent.
    pub agent_id: Cow<'a, str>,
    /// The envelope's instant.
    pub timestamp: Timestamp,
    /// The episode that was finished.
    pub episode_id: crate::EpisodeId,
    /// The experiment.
    pub experiment_id: Cow<'a, str>,
    /// `execution`.
    pub phase: Cow<'a, str>,
    /// `in_progress`, `complete` or `error`.
    pub status: Cow<'a, str>,
    /// How far the run is.
    pub metadata: RunMetadata<'a>,
}

impl Payload for ExperimentRun<'_> {
    const TYPE: &'static str = "experiment.run";
}
