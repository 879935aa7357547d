//! The read side: any event, by its `type`, in either codec. What is not known is ignored, or kept as it came.

use std::{fmt, str::FromStr};

use serde::Deserialize;

use crate::{
    Codec, CodecError, Envelope, HealthReply, Payload, Timestamp, TraceId,
    payload::{
        Action, Death, ErrorEvent, EvaluationEpisode, EvaluationProgress, EvaluationRequest, EvaluationResult, ExperimentComplete,
        ExperimentError, ExperimentRun, ExperimentRunState, ExperimentStart, Frame, GenerationComplete, GenerationEvolve, GenerationScore,
        GenerationStart, Lifecycle, Metric, Observe, Score,
    },
};

/// What a reader can choose by. Each has its own subjects, and a stream that keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// What was pressed, every step.
    Action,
    /// What came of it, every step.
    Observe,
    /// One per episode.
    Score,
    /// One per death.
    Death,
    /// A generation's copy of a score.
    Generation,
    /// How far a generation is: its start, its evolution, its completion.
    Stage,
    /// Everything of an experiment: its runs, and what its orchestrator says.
    Experiment,
    /// Numbers of an agent, every few seconds.
    Metric,
    /// Faults.
    Error,
    /// Ready, recovering, stopped.
    Lifecycle,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Action,
        Self::Observe,
        Self::Score,
        Self::Death,
        Self::Generation,
        Self::Stage,
        Self::Experiment,
        Self::Metric,
        Self::Error,
        Self::Lifecycle,
    ];

    /// As people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Observe => "observe",
            Self::Score => "score",
            Self::Death => "death",
            Self::Generation => "generation",
            Self::Stage => "stage",
            Self::Experiment => "experiment",
            Self::Metric => "metric",
            Self::Error => "error",
            Self::Lifecycle => "lifecycle",
        }
    }

    /// Of a subject below the root.
    #[must_use]
    pub fn of_subject(below_root: &str) -> Option<Self> {
        let (first, rest) = below_root.split_once('.')?;
        let leaf = rest.rsplit('.').next()?;
        match first {
            "agent" => [Self::Action, Self::Observe, Self::Score, Self::Death].into_iter().find(|kind| kind.as_str() == leaf),
            // `{generation}.{stage}` alone; what is said of agents and evaluations is longer.
            "generation" => Some(if rest.split('.').count() == 2 { Self::Stage } else { Self::Generation }),
            "experiment" => Some(Self::Experiment),
            "metrics" => Some(Self::Metric),
            "system" => [Self::Error, Self::Lifecycle].into_iter().find(|kind| kind.as_str() == leaf),
            _ => None,
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == s).ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            format!("unknown event `{s}`; valid are {all}")
        })
    }
}

/// An event of any type.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// `agent.action`.
    Action(Action<'a>),
    /// `agent.observe`.
    Observe(Observe<'a>),
    /// `agent.score`.
    Score(Box<Score<'a>>),
    /// `agent.death`.
    Death(Death<'a>),
    /// `agent.frame` (as MessagePack; under JSON the picture travels alone).
    Frame(Frame<'a>),
    /// `generation.agent.score`.
    GenerationScore(Box<GenerationScore<'a>>),
    /// `generation.start`.
    GenerationStart(GenerationStart),
    /// `generation.evolve`.
    GenerationEvolve(GenerationEvolve),
    /// `generation.complete`.
    GenerationComplete(GenerationComplete),
    /// `generation.evaluate`, in its envelope.
    Evaluate(Box<EvaluationRequest>),
    /// `evaluation.progress`.
    EvaluationProgress(EvaluationProgress),
    /// `evaluation.episode`.
    EvaluationEpisode(Box<EvaluationEpisode<'a>>),
    /// `evaluation.result`.
    EvaluationResult(Box<EvaluationResult>),
    /// `experiment.start`.
    ExperimentStart(ExperimentStart),
    /// `experiment.run` of an agent.
    ExperimentRun(ExperimentRun<'a>),
    /// `experiment.run` of who runs the experiment.
    ExperimentRunState(ExperimentRunState),
    /// `experiment.complete`.
    ExperimentComplete(ExperimentComplete),
    /// `experiment.error`.
    ExperimentError(ExperimentError),
    /// `metrics.agent`.
    Metric(Metric<'a>),
    /// `system.error`.
    Error(ErrorEvent<'a>),
    /// `system.lifecycle`.
    Lifecycle(Box<Lifecycle<'a>>),
    /// `system.health`.
    Health(Box<HealthReply>),
    /// A type that this version does not know, or that says something else than it should: its payload as it is.
    Other(serde_json::Value),
}

/// An envelope with what was in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded<'a> {
    /// The envelope's `type`.
    pub kind: String,
    /// The envelope's version.
    pub version: String,
    /// One per episode.
    pub trace_id: TraceId,
    /// When it was made.
    pub timestamp: Timestamp,
    /// What it says.
    pub event: Event<'a>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
}

impl<'a> Decoded<'a> {
    /// Reads an envelope of whatever type.
    ///
    /// # Errors
    /// Where the bytes are no envelope, or where a payload of a known type lacks a field or has one of another type.
    pub fn read(codec: Codec, bytes: &'a [u8]) -> Result<Self, CodecError> {
        let kind = codec.decode::<Head<'a>>(bytes)?.kind;
        match &*kind {
            Action::TYPE => Self::typed(codec, bytes, Event::Action),
            Observe::TYPE => Self::typed(codec, bytes, Event::Observe),
            Score::TYPE => Self::typed(codec, bytes, |p| Event::Score(Box::new(p))),
            Death::TYPE => Self::typed(codec, bytes, Event::Death),
            Frame::TYPE => Self::typed(codec, bytes, Event::Frame),
            GenerationScore::TYPE => Self::typed(codec, bytes, |p| Event::GenerationScore(Box::new(p))),
            Metric::TYPE => Self::typed(codec, bytes, Event::Metric),
            ErrorEvent::TYPE => Self::typed(codec, bytes, Event::Error),
            Lifecycle::TYPE => Self::typed(codec, bytes, |p| Event::Lifecycle(Box::new(p))),
            HealthReply::TYPE => Self::typed(codec, bytes, |p| Event::Health(Box::new(p))),
            GenerationStart::TYPE => Self::typed(codec, bytes, Event::GenerationStart),
            GenerationEvolve::TYPE => Self::typed(codec, bytes, Event::GenerationEvolve),
            GenerationComplete::TYPE => Self::typed(codec, bytes, Event::GenerationComplete),
            EvaluationRequest::TYPE => Self::typed(codec, bytes, |p| Event::Evaluate(Box::new(p))),
            EvaluationProgress::TYPE => Self::typed(codec, bytes, Event::EvaluationProgress),
            EvaluationEpisode::TYPE => Self::typed(codec, bytes, |p| Event::EvaluationEpisode(Box::new(p))),
            EvaluationResult::TYPE => Self::typed(codec, bytes, |p| Event::EvaluationResult(Box::new(p))),
            // Of experiments, orchestrators that are not ours may write in their own words.
            ExperimentStart::TYPE => Self::typed_or_other(codec, bytes, Event::ExperimentStart),
            ExperimentRun::TYPE => {
                Self::typed(codec, bytes, Event::ExperimentRun).or_else(|_| Self::typed_or_other(codec, bytes, Event::ExperimentRunState))
            }
            ExperimentComplete::TYPE => Self::typed_or_other(codec, bytes, Event::ExperimentComplete),
            ExperimentError::TYPE => Self::typed_or_other(codec, bytes, Event::ExperimentError),
            _ => Self::typed(codec, bytes, Event::Other),
        }
    }

    fn typed<P: Deserialize<'a>>(codec: Codec, bytes: &'a [u8], wrap: impl FnOnce(P) -> Event<'a>) -> Result<Self, CodecError> {
        let Envelope { kind, version, payload, trace_id, timestamp } = codec.decode::<Envelope<'a, P>>(bytes)?;
        Ok(Self { kind: kind.into_owned(), version: version.into_owned(), trace_id, timestamp, event: wrap(payload) })
    }

    fn typed_or_other<P: Deserialize<'a>>(codec: Codec, bytes: &'a [u8], wrap: impl FnOnce(P) -> Event<'a>) -> Result<Self, CodecError> {
        Self::typed(codec, bytes, wrap).or_else(|_| Self::typed(codec, bytes, Event::Other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instance;

    fn metric(value: f64) -> (Metric<'static>, Envelope<'static, Metric<'static>>) {
        let payload = Metric { agent_id: "A".into(), timestamp: Timestamp::now(), metric_name: "kill_rate".into(), value };
        (payload.clone(), Envelope::new(payload, Instance::new().trace(1), Timestamp::now()))
    }

    #[test]
    fn an_event_is_read_by_its_type_in_both_codecs() {
        let (payload, envelope) = metric(2.5);
        for codec in [Codec::Json, Codec::Msgpack] {
            let mut bytes = Vec::new();
            codec.encode(&envelope, &mut bytes).unwrap();
            let read = Decoded::read(codec, &bytes).unwrap();
            assert_eq!((read.kind.as_str(), read.event), ("metrics.agent", Event::Metric(payload.clone())));
            assert_eq!((read.trace_id, read.timestamp), (envelope.trace_id, envelope.timestamp));
            assert!(Decoded::read(codec, bytes.get(..bytes.len() - 1).unwrap()).is_err());
        }
    }

    #[test]
    fn fields_in_any_order_and_unknown_ones_are_taken() {
        let text = r#"{"payload":{"new":[{}],"value":1,"metric_name":"a","timestamp":"2026-01-02T03:04:05Z","agent_id":"A"},"later":null,
            "timestamp":"2026-01-02T03:04:05.5Z","version":"1.7","trace_id":"000000000000000000000000000000ff","type":"metrics.agent"}"#;
        let read = Decoded::read(Codec::Json, text.as_bytes()).unwrap();
        assert_eq!(read.version, "1.7");
        assert!(matches!(read.event, Event::Metric(Metric { value: 1.0, .. })));
    }

    #[test]
    fn a_type_that_is_not_known_keeps_its_payload() {
        let text = r#"{"type":"experiment.anova","version":"1.0","payload":{"p":0.04},"trace_id":"000000000000000000000000000000ff",
            "timestamp":"2026-01-02T03:04:05Z"}"#;
        let read = Decoded::read(Codec::Json, text.as_bytes()).unwrap();
        assert_eq!((read.kind.as_str(), read.event), ("experiment.anova", Event::Other(serde_json::json!({"p": 0.04}))));
        assert!(Decoded::read(Codec::Json, b"{\"type\":\"agent.score\"}").is_err());
        assert!(Decoded::read(Codec::Json, b"acknowledged").is_err());
    }

    #[test]
    fn stages_of_generations_and_of_experiments_are_typed_for_readers_too() {
        let at = Timestamp::now();
        let (g1, x): (crate::Id, crate::Id) = ("g1".parse().unwrap(), "x".parse().unwrap());
        let start = GenerationStart { generation_id: g1.clone(), timestamp: at, number: Some(1), population: 4, episodes: 5 };
        let evolve = GenerationEvolve {
            generation_id: g1.clone(),
            timestamp: at,
            next_generation_id: "g2".parse().unwrap(),
            selected: vec!["e1".parse().unwrap()],
            method: "the best one".to_owned(),
        };
        let complete = GenerationComplete {
            generation_id: g1,
            timestamp: at,
            evaluations_completed: 4,
            evaluations_failed: 0,
            best_evaluation_id: None,
            best_fitness: None,
        };
        let (phase, status) = ("analysis".to_owned(), "complete".to_owned());
        let ended = ExperimentComplete { experiment_id: x, timestamp: at, phase, status, runs_total: 8, episodes_total: 24 };
        fn same<P: Payload + Clone>(payload: P, event: Event<'_>, at: Timestamp) {
            for codec in [Codec::Json, Codec::Msgpack] {
                let mut bytes = Vec::new();
                codec.encode(&Envelope::new(payload.clone(), Instance::new().trace(0), at), &mut bytes).unwrap();
                let read = Decoded::read(codec, &bytes).unwrap();
                assert_eq!((read.kind.as_str(), &read.event), (P::TYPE, &event));
            }
        }
        same(start.clone(), Event::GenerationStart(start), at);
        same(evolve.clone(), Event::GenerationEvolve(evolve), at);
        same(complete.clone(), Event::GenerationComplete(complete), at);
        same(ended.clone(), Event::ExperimentComplete(ended), at);
        // A stage of a generation has no other shape; of experiments others write too.
        let text = |kind: &str| {
            format!(
                r#"{{"type":"{kind}","version":"1.0","payload":{{"p":1}},"trace_id":"000000000000000000000000000000ff","timestamp":"{at}"}}"#
            )
        };
        assert!(Decoded::read(Codec::Json, text("generation.evolve").as_bytes()).is_err());
        for kind in ["experiment.start", "experiment.run", "experiment.complete", "experiment.error"] {
            let text = text(kind);
            assert_eq!(Decoded::read(Codec::Json, text.as_bytes()).unwrap().event, Event::Other(serde_json::json!({"p": 1})), "{kind}");
        }
    }

    #[test]
    fn kinds_are_told_by_their_subjects() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            let root = crate::SubjectRoot::default();
            let subject = root.pattern(kind, None, None, None);
            assert_eq!(root.strip(&subject).and_then(EventKind::of_subject), Some(kind), "{subject}");
        }
        assert_eq!(EventKind::of_subject("agent.A.frame"), None);
        assert!("scores".parse::<EventKind>().unwrap_err().contains("valid are action"));
    }
}
