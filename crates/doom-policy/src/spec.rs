//! A policy as the command line names it.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::{PolicyError, cycle::CycleProgram, program::PolicyProgram};

/// `random`, `cycle:…` or `rules:FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicySpec {
    /// A random button at each step.
    Random,
    /// A fixed sequence; the text after `cycle:`.
    Cycle(String),
    /// Rules from a file.
    Rules(PathBuf),
}

impl FromStr for PolicySpec {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s.split_once(':') {
            None if s == "random" => Ok(Self::Random),
            Some(("cycle", steps)) => CycleProgram::parse(steps).map(|_| Self::Cycle(steps.to_owned())).map_err(|e| e.to_string()),
            Some(("rules", file)) if !file.is_empty() => Ok(Self::Rules(file.into())),
            _ => Err(format!("unknown policy `{s}`; valid are random, cycle:ATTACK,MOVE_LEFT+ATTACK,NOOP*3, and rules:FILE")),
        }
    }
}

impl fmt::Display for PolicySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random => f.write_str("random"),
            Self::Cycle(steps) => write!(f, "cycle:{steps}"),
            Self::Rules(file) => write!(f, "rules:{}", file.display()),
        }
    }
}

impl PolicySpec {
    /// Reads and checks everything that does not depend on the scenario.
    ///
    /// # Errors
    /// [`PolicyError`], with the place, for files, names and parameters.
    pub fn load(&self, parameters: &[(String, f64)]) -> Result<PolicyProgram, PolicyError> {
        PolicyProgram::load(self, parameters)
    }
}
