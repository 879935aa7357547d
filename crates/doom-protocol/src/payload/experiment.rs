//! What orchestrators say of experiments and generations: their start, their runs, their end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Id, Payload, Timestamp};

macro_rules! payload {
    ($(#[$doc:meta])* $name:ident, $type:literal, { $($(#[$fdoc:meta])* $field:ident : $ft:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $ft,)*
        }

        impl Payload for $name {
            const TYPE: &'static str = $type;
        }
    };
}

payload!(
    /// An experiment begins, or goes on after a restart of who runs it.
    ExperimentStart, "experiment.start", {
        /// The experiment.
        experiment_id: Id,
        /// The envelope's instant.
        timestamp: Timestamp,
        /// `planning`.
        phase: String,
        /// `in_progress`.
        status: String,
        /// 64 hex digits over the design; an experiment is gone on with only under the same.
        design_sha256: String,
        /// The factors' names and levels.
        factors: BTreeMap<String, Vec<Value>>,
        /// Runs in all.
        runs_total: u64,
        /// Episodes in all.
        episodes_total: u64,
        /// Whether an earlier start is gone on with.
        resumed: bool,
    }
);

/// How far a run is, by who runs the experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunProgress {
    /// The run.
    pub run_id: u64,
    /// Its condition in the design's standard order, from 1.
    pub condition: u64,
    /// Which replicate of the condition, from 1.
    pub replicate: u64,
    /// The evaluation that plays it.
    pub evaluation_id: Id,
    /// Factor to level.
    pub factors: BTreeMap<String, Value>,
    /// Recorded.
    pub episodes_completed: u64,
    /// Asked for.
    pub episodes_total: u64,
}

payload!(
    /// A run was handed out, completed, or failed. Agents say more on the same subject, after each episode (`episode_id` tells them apart).
    ExperimentRunState, "experiment.run", {
        /// The experiment.
        experiment_id: Id,
        /// The envelope's instant.
        timestamp: Timestamp,
        /// `execution`.
        phase: String,
        /// `in_progress`, `complete` or `error`.
        status: String,
        /// How far.
        metadata: RunProgress,
    }
);

payload!(
    /// Every run is complete.
    ExperimentComplete, "experiment.complete", {
        /// The experiment.
        experiment_id: Id,
        /// The envelope's instant.
        timestamp: Timestamp,
        /// `analysis`.
        phase: String,
        /// `complete`.
        status: String,
        /// Runs in all.
        runs_total: u64,
        /// Episodes recorded.
        episodes_total: u64,
    }
);

payload!(
    /// The experiment ended otherwise.
    ExperimentError, "experiment.error", {
        /// The experiment.
        experiment_id: Id,
        /// The envelope's instant.
        timestamp: Timestamp,
        /// `execution`.
        phase: String,
        /// `error`.
        status: String,
        /// What was wrong.
        error: String,
        /// Runs that are complete.
        runs_completed: u64,
        /// Runs in all.
        runs_total: u64,
    }
);

payload!(
    /// A generation begins.
    GenerationStart, "generation.start", {
        /// The generation.
        generation_id: Id,
        /// The envelope's instant.
        timestamp: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Which generation it is, where they are counted.
        number: Option<u64>,
        /// Individuals, that is evaluations to come.
        population: u64,
        /// Episodes that each of them plays.
        episodes: u64,
    }
);

payload!(
    /// The next generation is made of this one.
    GenerationEvolve, "generation.evolve", {
        /// The generation that was evaluated.
        generation_id: Id,
        /// The envelope's instant.
        timestamp: Timestamp,
        /// The one that follows.
        next_generation_id: Id,
        /// Evaluations whose individuals are kept or bred from, the best first.
        selected: Vec<Id>,
        /// How, in the words of who evolves.
        method: String,
    }
);

payload!(
    /// Every evaluation of the generation has its result.
    GenerationComplete, "generation.complete", {
        /// The generation.
        generation_id: Id,
        /// The envelope's instant.
        timestamp: Timestamp,
        /// Complete.
        evaluations_completed: u64,
        /// Refused, failed or late.
        evaluations_failed: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// The best one, where they are compared.
        best_evaluation_id: Option<Id>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Its fitness.
        best_fitness: Option<f64>,
    }
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Codec, Envelope, Instance};

    #[test]
    fn stages_survive_both_codecs() {
        let at: Timestamp = serde_json::from_str("\"2026-01-02T03:04:05.123456Z\"").unwrap();
        let start = GenerationStart { generation_id: "g1".parse().unwrap(), timestamp: at, number: None, population: 4, episodes: 5 };
        for codec in [Codec::Json, Codec::Msgpack] {
            let mut bytes = Vec::new();
            codec.encode(&Envelope::new(start.clone(), Instance::new().trace(0), at), &mut bytes).unwrap();
            let back: Envelope<'_, GenerationStart> = codec.decode(&bytes).unwrap();
            assert_eq!((back.kind.as_ref(), back.payload), ("generation.start", start.clone()));
        }
    }
}
