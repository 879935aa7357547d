//! The one place where subjects are built.

use std::{fmt, str::FromStr};

use crate::{Id, control::Verb};

/// The first tokens of every subject; `clau-doom` unless told otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectRoot(String);

impl SubjectRoot {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_root_has_tokens_like_ids() {
        assert!("a.b".parse::<SubjectRoot>().is_ok());
        for bad in ["", ".", "a..b", "a.>", "*"] {
            assert!(bad.parse::<SubjectRoot>().is_err(), "{bad:?}");
        }
    }
}
