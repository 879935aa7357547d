//! How a scenario fails to load: what was wrong, where, and what would be right.

use std::{fmt, io, path::PathBuf};

use crate::names::UnknownName;

/// Where in the input something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file (or in one of our compiled-in scenarios); line and column count from 1, columns in characters.
    File {
        /// The file as the user knows it.
        file: String,
        /// Line, from 1.
        line: u32,
        /// Column, from 1.
        column: u32,
    },
    /// In an override given on the command line, such as `--set doom_skill=9`.
    Override {
        /// The key as given.
        key: String,
        /// The value as given.
        value: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Override { key, value } => write!(f, "--set {key}={value}"),
        }
    }
}

/// A scenario that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// No such scenario.
    #[error("scenario `{name}` not found; looked for {}", .looked.join(", "))]
    NotFound {
        /// As given.
        name: String,
        /// Every place, in the order in which they were tried.
        looked: Vec<String>,
    },
    /// The file is there, but reading it failed.
    #[error("scenario {} cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is larger than a scenario can be.
    #[error("scenario {file} is larger than {limit} bytes; a scenario file is a few hundred bytes of `key = value` lines")]
    TooLarge {
        /// The file.
        file: String,
        /// In bytes.
        limit: u64,
    },
    /// The bytes are not a text file.
    #[error("{place}: {what}; a scenario is a UTF-8 text file")]
    NotText {
        /// The first wrong byte.
        place: Place,
        /// What is there.
        what: &'static str,
    },
    /// A line that does not have the form of a scenario line.
    #[error("{place}: {what}")]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong and what is expected.
        what: String,
    },
    /// A key that ViZDoom does not know.
    #[error("{place}: {source}")]
    UnknownKey {
        /// Where the key is.
        place: Place,
        /// The nearest and the valid keys.
        source: Box<UnknownName>,
    },
    /// A button or game variable that ViZDoom does not know.
    #[error("{place}: {source}")]
    UnknownName {
        /// Where the name is.
        place: Place,
        /// The nearest and the valid names.
        source: Box<UnknownName>,
    },
    /// A value of the wrong type or out of range.
    #[error("{place}: {key} cannot be `{value}`: {expected}")]
    BadValue {
        /// Where the value is.
        place: Place,
        /// The key's canonical spelling.
        key: &'static str,
        /// As given.
        value: String,
        /// What is expected.
        expected: String,
    },
    /// Something that ViZDoom can do and this agent cannot.
    #[error("{place}: {what}")]
    Unsupported {
        /// Where.
        place: Place,
        /// What and why.
        what: String,
    },
    /// A WAD or other file that the scenario names is missing.
    #[error("{key} of scenario `{scenario}`: no file `{file}`; looked for {}", .looked.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "))]
    MissingFile {
        /// The scenario's name.
        scenario: String,
        /// The key that names the file.
        key: &'static str,
        /// As given.
        file: String,
        /// Every path, in the order in which they were tried.
        looked: Vec<PathBuf>,
    },
}
