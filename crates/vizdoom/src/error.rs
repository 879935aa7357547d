//! How a game fails. One variant for each exception of libvizdoom, and one for each thing that is refused beforehand.

use std::{io, path::PathBuf, time::Duration};

/// How a game fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that the engine needs cannot be used.
    #[error("{what} {} {problem}", path.display())]
    File {
        /// What the file is for, such as `the engine's executable`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// Neither the scenario's WAD nor the game's has the map. The engine would look for it for ever.
    #[error("map {map} is not in {}; there are {}", wads.join(" or "), known.join(", "))]
    Map {
        /// The map that was asked for.
        map: String,
        /// Where it was looked for.
        wads: Vec<String>,
        /// The maps that are there.
        known: Vec<String>,
    },
    /// A name that libvizdoom does not have.
    #[error("there is no {what} named {name}")]
    UnknownName {
        /// Such as `button`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A number out of range.
    #[error("{what} is {value}, it must be {valid}")]
    OutOfRange {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        valid: &'static str,
    },
    /// The run directory cannot be used.
    #[error("cannot use the run directory {}: {source}", path.display())]
    RunDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The episode cannot be recorded or replayed there.
    #[error("recording {}: {problem}", path.display())]
    Recording {
        /// The `.lmp` file.
        path: PathBuf,
        /// Why, and what to do.
        problem: String,
    },
    /// An action of the wrong length.
    #[error("an action has {want} numbers, one for each button; this one has {got}")]
    ActionLength {
        /// How many the caller gave.
        got: usize,
        /// How many buttons there are.
        want: usize,
    },
    /// A step of no tics.
    #[error("a step lasts at least one tic")]
    NoTics,
    /// A step after the end of the episode.
    #[error("the episode is over; start a new one")]
    EpisodeFinished,
    /// The engine did not get ready.
    #[error("the engine did not start: {source}{}", quoted(output))]
    Start {
        /// What went wrong.
        source: Box<Error>,
        /// The last lines that the engine wrote.
        output: String,
    },
    /// The engine took too long to get ready, and was killed.
    #[error("it was not ready after {0:?}")]
    StartTimeout(Duration),
    /// libvizdoom did not find a file.
    #[error("{0}")]
    FileDoesNotExist(String),
    /// The message queues with the engine failed.
    #[error("the message queue to the engine failed: {0}")]
    MessageQueue(String),
    /// The memory shared with the engine could not be used; often the engine is of another version.
    #[error("the memory shared with the engine failed: {0}")]
    SharedMemory(String),
    /// The engine reported an error.
    #[error("the engine reports: {0}")]
    Engine(String),
    /// There is no engine: it ended before.
    #[error("the engine is not running")]
    NotRunning,
    /// The engine ended by itself, or was killed.
    #[error("{0}")]
    UnexpectedExit(String),
    /// The engine has no OpenAL, which the audio buffer needs.
    #[error("the engine has no sound system for the audio buffer: {0}")]
    NoOpenAlSound(String),
    /// libvizdoom was given a value that it cannot take.
    #[error("{0}")]
    BadArgument(String),
    /// Anything else that libvizdoom threw.
    #[error("libvizdoom failed: {0}")]
    Other(String),
}

fn quoted(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!("; it wrote last:\n{output}") }
}

impl Error {
    /// Whether a setting or a file was refused, before or while the engine started; trying again gives the same.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::File { .. }
            | Self::Map { .. }
            | Self::UnknownName { .. }
            | Self::OutOfRange { .. }
            | Self::RunDir { .. }
            | Self::Recording { .. }
            | Self::FileDoesNotExist(_)
            | Self::BadArgument(_) => true,
            Self::Start { source, .. } => source.is_refusal(),
            _ => false,
        }
    }

    /// Whether the call was wrong and the game is as it was.
    #[must_use]
    pub fn is_misuse(&self) -> bool {
        matches!(self, Self::ActionLength { .. } | Self::NoTics | Self::EpisodeFinished | Self::Recording { .. })
    }
}
