//! What a reader wants: agents, an experiment, a generation, kinds of events. It becomes streams, subjects (which the server matches) and
//! conditions (which the reader must match, since the subject does not say them).

use std::borrow::Cow;

use serde::Deserialize;

use crate::{Codec, CodecError, EventKind, Id, SubjectRoot};

/// Everything that is named must hold; of agents and of events one of those named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of these agents; empty is of all.
    pub agents: Vec<Id>,
    /// Of this experiment.
    pub experiment: Option<Id>,
    /// Of this generation.
    pub generation: Option<Id>,
    /// Of these kinds.
    pub events: Vec<EventKind>,
}

/// Which of two streams is asked for scores and deaths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// AGENT_RECORDS, which keeps them whatever telemetry comes.
    Kept,
    /// AGENT_EVENTS, where they stand between the telemetry, as it happened.
    AsItHappened,
}

/// One stream's part of what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The stream's name.
    pub stream: &'static str,
    /// What the server is to match; never two that overlap.
    pub subjects: Vec<String>,
    /// What the reader must match.
    pub condition: Condition,
}

/// Why a filter cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Nothing is asked for.
    #[error("no event is asked for")]
    NoEvent,
    /// This kind is not told by that.
    #[error("an event `{kind}` says no {part}, so it cannot be chosen by one; leave out the {part} or the event")]
    Untold {
        /// The kind.
        kind: EventKind,
        /// `agent`, `experiment` or `generation`.
        part: &'static str,
    },
}

impl Filter {
    /// Where to read, one entry a stream.
    ///
    /// # Errors
    /// [`FilterError`], where a kind of event does not say what it is to be chosen by.
    pub fn sources(&self, root: &SubjectRoot, reading: Reading) -> Result<Vec<Source>, FilterError> {
        let mut events = self.events.clone();
        events.sort_unstable();
        events.dedup();
        if events.is_empty() {
            return Err(FilterError::NoEvent);
        }
        let mut agents: Vec<Option<&Id>> = self.agents.iter().map(Some).collect();
        agents.sort_unstable();
        agents.dedup();
        if agents.is_empty() {
            agents.push(None);
        }
        let mut sources: Vec<Source> = Vec::new();
        for kind in events {
            self.check(kind)?;
            let stream = home(kind, reading);
            let mut subjects: Vec<String> =
                agents.iter().map(|agent| root.pattern(kind, *agent, self.generation.as_ref(), self.experiment.as_ref())).collect();
            // Where a subject does not say the agent, all of them gave the same.
            subjects.dedup();
            match sources.iter_mut().find(|source| source.stream == stream) {
                Some(source) => source.subjects.extend(subjects),
                None => sources.push(Source { stream, subjects, condition: self.condition(kind) }),
            }
        }
        Ok(sources)
    }

    fn check(&self, kind: EventKind) -> Result<(), FilterError> {
        let system = matches!(kind, EventKind::Metric | EventKind::Error | EventKind::Lifecycle);
        let untold = |part| Err(FilterError::Untold { kind, part });
        match kind {
            _ if system && self.experiment.is_some() => untold("experiment"),
            _ if (system || kind == EventKind::Experiment) && self.generation.is_some() => untold("generation"),
            EventKind::Stage if self.experiment.is_some() => untold("experiment"),
            EventKind::Stage if !self.agents.is_empty() => untold("agent"),
            _ => Ok(()),
        }
    }

    /// What the subject of a kind does not say. Kinds of one stream agree in it.
    fn condition(&self, kind: EventKind) -> Condition {
        let agent_in_subject = !matches!(kind, EventKind::Experiment | EventKind::Error | EventKind::Lifecycle);
        Condition {
            agents: if agent_in_subject { Vec::new() } else { self.agents.clone() },
            experiment: self.experiment.clone().filter(|_| kind != EventKind::Experiment),
            generation: self.generation.clone().filter(|_| !matches!(kind, EventKind::Generation | EventKind::Stage)),
        }
    }
}

fn home(kind: EventKind, reading: Reading) -> &'static str {
    match kind {
        EventKind::Score | EventKind::Death if reading == Reading::Kept => "AGENT_RECORDS",
        EventKind::Action | EventKind::Observe | EventKind::Score | EventKind::Death => "AGENT_EVENTS",
        EventKind::Generation | EventKind::Stage => "GENERATION_EVENTS",
        EventKind::Experiment => "EXPERIMENT_EVENTS",
        EventKind::Metric => "METRICS",
        EventKind::Error | EventKind::Lifecycle => "SYSTEM_EVENTS",
    }
}

/// What must stand in an event's payload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    agents: Vec<Id>,
    experiment: Option<Id>,
    generation: Option<Id>,
}

/// Borrowed where it has no escapes (`Option<Cow<str>>` would always be copied).
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Looked<'a> {
    #[serde(borrow)]
    payload: Told<'a>,
}

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow, default)]
    agent_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    experiment_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    generation_id: Option<Text<'a>>,
}

impl Condition {
    /// Whether the server has matched everything already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.agents.is_empty() && self.experiment.is_none() && self.generation.is_none()
    }

    /// Whether an event's payload fulfils it.
    ///
    /// # Errors
    /// Where it has to be looked at and is no envelope.
    pub fn admits(&self, codec: Codec, bytes: &[u8]) -> Result<bool, CodecError> {
        if self.is_empty() {
            return Ok(true);
        }
        let told = codec.decode::<Looked<'_>>(bytes)?.payload;
        let is = |told: &Option<Text<'_>>, wanted: &Id| told.as_ref().is_some_and(|text| text.0 == wanted.as_str());
        Ok((self.agents.is_empty() || self.agents.iter().any(|wanted| is(&told.agent_id, wanted)))
            && self.experiment.as_ref().is_none_or(|wanted| is(&told.experiment_id, wanted))
            && self.generation.as_ref().is_none_or(|wanted| is(&told.generation_id, wanted)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Id {
        text.parse().unwrap()
    }

    fn filter(agents: &[&str], events: &[EventKind]) -> Filter {
        Filter { agents: agents.iter().map(|a| id(a)).collect(), events: events.to_vec(), ..Filter::default() }
    }

    #[test]
    fn a_filter_becomes_streams_and_subjects() {
        let root = SubjectRoot::default();
        let all = filter(&[], &[EventKind::Score, EventKind::Action, EventKind::Score]);
        let kept = all.sources(&root, Reading::Kept).unwrap();
        let names: Vec<_> = kept.iter().map(|s| (s.stream, s.subjects.join(" "))).collect();
        assert_eq!(
            names,
            [("AGENT_EVENTS", "clau-doom.agent.*.action".to_owned()), ("AGENT_RECORDS", "clau-doom.agent.*.score".to_owned())]
        );
        let live = all.sources(&root, Reading::AsItHappened).unwrap();
        assert_eq!(live.len(), 1);
        assert_eq!(live[0].subjects, ["clau-doom.agent.*.action", "clau-doom.agent.*.score"]);
        let some = filter(&["B", "A", "B"], &[EventKind::Death]).sources(&root, Reading::Kept).unwrap();
        assert_eq!(some[0].subjects, ["clau-doom.agent.A.death", "clau-doom.agent.B.death"]);
        assert!(some[0].condition.is_empty());
        let system = filter(&["A", "B"], &[EventKind::Error]).sources(&root, Reading::Kept).unwrap();
        assert_eq!(system[0].subjects, ["clau-doom.system.doom_agent.error"]);
        assert!(!system[0].condition.is_empty());
    }

    #[test]
    fn what_a_kind_does_not_say_is_refused() {
        let root = SubjectRoot::default();
        let asked = Filter { experiment: Some(id("e1")), ..filter(&[], &[EventKind::Metric]) };
        let refused = asked.sources(&root, Reading::Kept).unwrap_err();
        assert_eq!(refused, FilterError::Untold { kind: EventKind::Metric, part: "experiment" });
        let asked = Filter { generation: Some(id("g1")), ..filter(&[], &[EventKind::Experiment]) };
        assert!(asked.sources(&root, Reading::Kept).is_err());
        let asked = filter(&["A"], &[EventKind::Stage]);
        assert_eq!(asked.sources(&root, Reading::Kept), Err(FilterError::Untold { kind: EventKind::Stage, part: "agent" }));
        assert_eq!(filter(&[], &[]).sources(&root, Reading::Kept), Err(FilterError::NoEvent));
    }

    #[test]
    fn conditions_are_looked_up_in_the_payload_of_either_codec() {
        let root = SubjectRoot::default();
        let asked = Filter { experiment: Some(id("e1")), generation: Some(id("g1")), ..filter(&[], &[EventKind::Score]) };
        let condition = asked.sources(&root, Reading::Kept).unwrap().remove(0).condition;
        let event = |experiment: &str, generation: Option<&str>| serde_json::json!({"type": "agent.score", "payload": {"agent_id": "e1", "experiment_id": experiment, "generation_id": generation, "steps": 7}});
        for codec in [Codec::Json, Codec::Msgpack] {
            for (value, admitted) in [
                (event("e1", Some("g1")), true),
                (event("e2", Some("g1")), false),
                (event("e1", None), false),
                (event("g1", Some("e1")), false),
            ] {
                let mut bytes = Vec::new();
                codec.encode(&value, &mut bytes).unwrap();
                assert_eq!(condition.admits(codec, &bytes).unwrap(), admitted, "{value}");
            }
            assert!(condition.admits(codec, b"no envelope").is_err());
        }
    }
}
