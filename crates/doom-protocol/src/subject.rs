//! The one place where subjects are built.

use std::{fmt, str::FromStr};

use crate::{EventKind, Id, control::Verb};

/// The first tokens of every subject; `clau-doom` unless told otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectRoot(String);

impl SubjectRoot {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A subject that is there, without the root: `None` where it is not below it.
    #[must_use]
    pub fn strip<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix(&self.0)?.strip_prefix('.')
    }

    /// Where readers hear one kind of event, of one agent, generation or experiment, or of all of them where none is named. A part that the
    /// subject of this kind does not have is not looked at.
    #[must_use]
    pub fn pattern(&self, kind: EventKind, agent: Option<&Id>, generation: Option<&Id>, experiment: Option<&Id>) -> String {
        let any = |id: Option<&Id>| id.map_or("*", Id::as_str).to_owned();
        let below = match kind {
            EventKind::Action | EventKind::Observe | EventKind::Score | EventKind::Death => format!("agent.{}.{kind}", any(agent)),
            EventKind::Generation => format!("generation.{}.agent.{}.score", any(generation), any(agent)),
            // Of what has so many tokens the stream keeps the stages alone: a request for an evaluation is stored by none.
            EventKind::Stage => format!("generation.{}.*", any(generation)),
            EventKind::Experiment => format!("experiment.{}.>", any(experiment)),
            EventKind::Metric => format!("metrics.agent.{}.*", any(agent)),
            EventKind::Error | EventKind::Lifecycle => format!("system.doom_agent.{kind}"),
        };
        format!("{self}.{below}")
    }

    /// A subject below it, or a pattern.
    #[must_use]
    pub fn below(&self, rest: &str) -> String {
        format!("{}.{rest}", self.0)
    }

    /// Patterns of what agents answer. A stream that takes one of them acknowledges it in the asker's inbox before the agent can answer.
    #[must_use]
    pub fn requests(&self) -> [String; 3] {
        [self.below("agent.*.health"), self.below("agent.*.control.>"), self.below("system.control.>")]
    }

    /// Where a message of this subject goes that a consumer gives up.
    #[must_use]
    pub fn dead_letter(&self, subject: &str) -> String {
        self.below(&format!("deadletter.{}", self.strip(subject).unwrap_or(subject)))
    }

    /// The subject that a dead letter had, as far as its own subject tells: one that was not below the root is not known from one that was.
    #[must_use]
    pub fn of_dead_letter(&self, letter: &str) -> Option<String> {
        Some(self.below(self.strip(letter)?.strip_prefix("deadletter.")?))
    }
}

impl Default for SubjectRoot {
    fn default() -> Self {
        Self("clau-doom".to_owned())
    }
}

impl FromStr for SubjectRoot {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        for token in s.split('.') {
            token.parse::<Id>().map_err(|e| format!("{s:?} is no subject root: {e}"))?;
        }
        Ok(Self(s.to_owned()))
    }
}

impl fmt::Display for SubjectRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The subjects of one agent, built once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    root: String,
    id: Id,
    /// Every action.
    pub action: String,
    /// Every observation.
    pub observe: String,
    /// One record per episode.
    pub score: String,
    /// One record per death.
    pub death: String,
    /// Pictures, with `--frames`.
    pub frame: String,
    /// Health requests to this agent.
    pub health: String,
    /// Faults of any agent.
    pub error: String,
    /// Ready, recovering, stopped of any agent.
    pub lifecycle: String,
    /// The heartbeat.
    pub heartbeat: String,
}

impl SubjectRoot {
    /// One command to every agent that hears it and is addressed by its body.
    #[must_use]
    pub fn broadcast(&self, verb: Verb) -> String {
        format!("{self}.system.control.{verb}")
    }

    /// One metric of every agent, as a filter.
    #[must_use]
    pub fn metric_of_all(&self, name: &str) -> String {
        format!("{self}.metrics.agent.*.{name}")
    }

    /// Everything below it, for who counts messages.
    #[must_use]
    pub fn everything(&self) -> String {
        format!("{self}.>")
    }
}

impl Subjects {
    /// For an agent under a root.
    #[must_use]
    pub fn new(root: &SubjectRoot, id: &Id) -> Self {
        let agent = |leaf: &str| format!("{root}.agent.{id}.{leaf}");
        let system = |leaf: &str| format!("{root}.system.doom_agent.{leaf}");
        Self {
            action: agent("action"),
            observe: agent("observe"),
            score: agent("score"),
            death: agent("death"),
            frame: agent("frame"),
            health: agent("health"),
            error: system("error"),
            lifecycle: system("lifecycle"),
            heartbeat: system("health"),
            root: root.to_string(),
            id: id.clone(),
        }
    }

    /// The first tokens, which other subjects share.
    #[must_use]
    pub fn root(&self) -> SubjectRoot {
        SubjectRoot(self.root.clone())
    }

    /// Every command to this agent (`*` for the verb, so that an unknown one gets its answer).
    #[must_use]
    pub fn agent_control(&self) -> String {
        format!("{}.agent.{}.control.*", self.root, self.id)
    }

    /// Every broadcast command.
    #[must_use]
    pub fn system_control(&self) -> String {
        format!("{}.system.control.*", self.root)
    }

    /// Whether an answer may be sent there. Who asks names the subject of the answer: it must be no subject on which something is commanded,
    /// recorded or asked of the server, or we would do there what the asker himself may not.
    #[must_use]
    pub fn may_answer(&self, reply: &str) -> bool {
        const OURS: [&str; 7] = ["agent", "system", "generation", "experiment", "evaluation", "metrics", "deadletter"];
        let below = reply.strip_prefix(&self.root).and_then(|rest| rest.strip_prefix('.'));
        !reply.starts_with('$') && !below.is_some_and(|below| OURS.contains(&below.split('.').next().unwrap_or_default()))
    }

    /// One command to this agent.
    #[must_use]
    pub fn command(&self, verb: Verb) -> String {
        format!("{}.agent.{}.control.{verb}", self.root, self.id)
    }

    /// The generation's copy of a score.
    #[must_use]
    pub fn generation_score(&self, generation: &Id) -> String {
        format!("{}.generation.{generation}.agent.{}.score", self.root, self.id)
    }

    /// An experiment's run.
    #[must_use]
    pub fn experiment_run(&self, experiment: &Id, run: u64) -> String {
        format!("{}.experiment.{experiment}.run.{run}", self.root)
    }

    /// One metric of this agent.
    #[must_use]
    pub fn metric(&self, name: &str) -> String {
        format!("{}.metrics.agent.{}.{name}", self.root, self.id)
    }
}

/// What is said of work: evaluations, generations, experiments. None of these belongs to one agent.
impl SubjectRoot {
    /// Where an evaluation is requested of the queue group of idle workers.
    #[must_use]
    pub fn evaluate(&self, generation: &Id) -> String {
        format!("{self}.generation.{generation}.evaluate")
    }

    /// Requests of every generation, for workers.
    #[must_use]
    pub fn evaluate_all(&self) -> String {
        format!("{self}.generation.*.evaluate")
    }

    /// Where an evaluation waits in the work queue. Outside of `generation.>`, so that a stream over that does not get in its way.
    #[must_use]
    pub fn queued(&self, generation: &Id, evaluation: &Id) -> String {
        format!("{self}.evaluation.queued.{generation}.{evaluation}")
    }

    /// The whole work queue.
    #[must_use]
    pub fn queued_all(&self) -> String {
        format!("{self}.evaluation.queued.*.*")
    }

    /// One finished episode of an evaluation; episodes count from 1. `None`: all of its episodes, as a filter.
    #[must_use]
    pub fn evaluation_episode(&self, generation: &Id, evaluation: &Id, episode: Option<u64>) -> String {
        let episode = episode.map_or_else(|| "*".to_owned(), |n| n.to_string());
        format!("{self}.generation.{generation}.evaluation.{evaluation}.episode.{episode}")
    }

    /// How far an evaluation is.
    #[must_use]
    pub fn evaluation_progress(&self, generation: &Id, evaluation: &Id) -> String {
        format!("{self}.generation.{generation}.evaluation.{evaluation}.progress")
    }

    /// What an evaluation came to.
    #[must_use]
    pub fn evaluation_result(&self, generation: &Id, evaluation: &Id) -> String {
        format!("{self}.generation.{generation}.evaluation.{evaluation}.result")
    }

    /// Progress or results of every evaluation of every generation, as a filter; `leaf` is `progress` or `result`.
    #[must_use]
    pub fn evaluations_all(&self, leaf: &str) -> String {
        format!("{self}.generation.*.evaluation.*.{leaf}")
    }

    /// `start`, `evolve` or `complete` of a generation.
    #[must_use]
    pub fn generation_stage(&self, generation: &Id, stage: &str) -> String {
        format!("{self}.generation.{generation}.{stage}")
    }

    /// `start`, `complete` or `error` of an experiment.
    #[must_use]
    pub fn experiment_stage(&self, experiment: &Id, stage: &str) -> String {
        format!("{self}.experiment.{experiment}.{stage}")
    }

    /// An experiment's run.
    #[must_use]
    pub fn experiment_run(&self, experiment: &Id, run: u64) -> String {
        format!("{self}.experiment.{experiment}.run.{run}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_queue_lies_outside_of_the_generations() {
        let (root, generation, evaluation) = (SubjectRoot::default(), "g".parse().unwrap(), "e-1".parse().unwrap());
        assert_eq!(root.evaluate(&generation), "clau-doom.generation.g.evaluate");
        assert_eq!(root.queued(&generation, &evaluation), "clau-doom.evaluation.queued.g.e-1");
        assert_eq!(root.evaluation_episode(&generation, &evaluation, Some(3)), "clau-doom.generation.g.evaluation.e-1.episode.3");
        assert_eq!(root.evaluation_result(&generation, &evaluation), "clau-doom.generation.g.evaluation.e-1.result");
    }

    #[test]
    fn subjects_are_the_designs() {
        let s = Subjects::new(&SubjectRoot::default(), &"A".parse().unwrap());
        assert_eq!(s.action, "clau-doom.agent.A.action");
        assert_eq!(s.heartbeat, "clau-doom.system.doom_agent.health");
        assert_eq!(s.generation_score(&"g1".parse().unwrap()), "clau-doom.generation.g1.agent.A.score");
        assert_eq!(s.experiment_run(&"e".parse().unwrap(), 3), "clau-doom.experiment.e.run.3");
        assert_eq!(s.command(Verb::Pause), "clau-doom.agent.A.control.pause");
    }

    #[test]
    fn a_dead_letter_keeps_the_subject_it_had() {
        let root: SubjectRoot = "r.s".parse().unwrap();
        assert_eq!(root.dead_letter("r.s.agent.A.score"), "r.s.deadletter.agent.A.score");
        assert_eq!(root.of_dead_letter("r.s.deadletter.agent.A.score").unwrap(), "r.s.agent.A.score");
        assert_eq!(root.dead_letter("orders.new"), "r.s.deadletter.orders.new");
        assert_eq!((root.of_dead_letter("r.s.agent.A"), root.strip("r.spam.x")), (None, None));
    }

    #[test]
    fn answers_go_to_inboxes_and_not_where_something_is_commanded_or_recorded() {
        let s = Subjects::new(&SubjectRoot::default(), &"A".parse().unwrap());
        for inbox in ["_INBOX.x.y", "replies", "clau-doom.replies.1", "clau-doomed.agent.A.score"] {
            assert!(s.may_answer(inbox), "{inbox}");
        }
        let control = s.command(Verb::Shutdown);
        for other in [&control, &s.score, &s.lifecycle, "clau-doom.system.control.pause", "$JS.API.STREAM.PURGE.AGENT_EVENTS", "$SYS.x"] {
            assert!(!s.may_answer(other), "{other}");
        }
    }

    #[test]
    fn a_root_has_tokens_like_ids() {
        assert!("a.b".parse::<SubjectRoot>().is_ok());
        for bad in ["", ".", "a..b", "a.>", "*"] {
            assert!(bad.parse::<SubjectRoot>().is_err(), "{bad:?}");
        }
    }
}
