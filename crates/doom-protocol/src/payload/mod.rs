//! The payloads of events. Absent fields mean "not applicable".

mod episode;
mod experiment;
mod frame;
mod step;
mod system;
mod values;
mod work;

pub use episode::{Death, DecisionTimes, ExperimentRun, GenerationScore, Position, RunMetadata, Score, TelemetryCounts};
pub use experiment::{
    ExperimentComplete, ExperimentError, ExperimentRunState, ExperimentStart, GenerationComplete, GenerationEvolve, GenerationStart,
    RunProgress,
};
pub use frame::Frame;
pub use step::{Action, Observe, Pressed};
pub use system::{ErrorEvent, Lifecycle, Metric, SeqRange};
pub use values::Values;
pub use work::{
    DEFAULT_MOST_EPISODES, EvaluationEpisode, EvaluationProgress, EvaluationRequest, EvaluationResult, EvaluationStatus, MAX_REQUEST,
};

/// Declares a payload of an episode: the fields all of them share, then its own.
macro_rules! episode_payload {
    ($(#[$doc:meta])* $name:ident, $type:literal, { $($(#[$fdoc:meta])* $field:ident : $ft:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        pub struct $name<'a> {
            /// The agent.
            pub agent_id: std::borrow::Cow<'a, str>,
            /// The instant of the envelope and the header.
            pub timestamp: crate::Timestamp,
            /// `{instance}-{number:06}`.
            pub episode_id: crate::EpisodeId,
            /// The experiment, where one was given.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub experiment_id: Option<std::borrow::Cow<'a, str>>,
            /// The experiment's run, where one was given.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub run_id: Option<u64>,
            /// The generation, where one was given.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub generation_id: Option<std::borrow::Cow<'a, str>>,
            $($(#[$fdoc])* pub $field: $ft,)*
        }

        impl crate::Payload for $name<'_> {
            const TYPE: &'static str = $type;
        }
    };
}
pub(crate) use episode_payload;
