//! The JetStream streams of clau-doom, as data: what `configs/streams.toml` declares. `doomctl` and tests apply them; the agent
//! only recognises them.

mod file;

use std::{fmt, sync::LazyLock, time::Duration};

pub use file::StreamFileError;

/// The stream of steps, scores and deaths.
pub const AGENT_EVENTS: &str = "AGENT_EVENTS";
/// The stream of scores and deaths alone.
pub const AGENT_RECORDS: &str = "AGENT_RECORDS";
/// The work queue of evaluations.
pub const EVALUATIONS: &str = "EVALUATIONS";
/// The stream of messages that consumers gave up.
pub const DEAD_LETTERS: &str = "DEAD_LETTERS";

/// The file that is compiled in.
pub const STANDARD: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/streams.toml"));

/// When a message leaves a stream before its limits do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retention {
    /// Never.
    #[default]
    Limits,
    /// When it is acknowledged; one consumer for each subject.
    WorkQueue,
    /// When all consumers that there are have acknowledged it.
    Interest,
}

impl Retention {
    /// As the server names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limits => "limits",
            Self::WorkQueue => "workqueue",
            Self::Interest => "interest",
        }
    }
}

/// Where a stream is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// On disk.
    #[default]
    File,
    /// Gone with the server.
    Memory,
}

impl Storage {
    /// As the server names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Memory => "memory",
        }
    }
}

/// Another stream, and what of it is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSource {
    /// That stream's name.
    pub stream: String,
    /// Subjects below the root.
    pub subjects: Vec<String>,
}

/// One stream. Its subjects lie below a root, which [`StreamDefinition::all_subjects`] puts in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamDefinition {
    /// The stream's name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Subjects below the root; none where there is a source.
    pub subjects: Vec<String>,
    /// Subjects of the server's own, whatever the root.
    pub of_the_server: Vec<String>,
    /// What it copies from another stream, where it has no subjects.
    pub source: Option<StreamSource>,
    /// How long messages stay; `None` is for ever.
    pub max_age: Option<Duration>,
    /// Bytes in all; `None` is without limit.
    pub max_bytes: Option<u64>,
    /// Bytes of one message; `None` is the server's limit.
    pub max_message: Option<u64>,
    /// When messages leave before that.
    pub retention: Retention,
    /// Where it is kept.
    pub storage: Storage,
    /// How long the server remembers a `Nats-Msg-Id`.
    pub duplicate_window: Duration,
}

impl StreamDefinition {
    /// All of its subjects, under a root.
    #[must_use]
    pub fn all_subjects(&self, root: &str) -> Vec<String> {
        let below = self.subjects.iter().map(|s| format!("{root}.{s}"));
        below.chain(self.of_the_server.iter().cloned()).collect()
    }
}

/// The streams of one file, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSet {
    streams: Vec<StreamDefinition>,
}

impl StreamSet {
    /// Reads a file's text; see `configs/streams.toml` for its form.
    ///
    /// # Errors
    /// [`StreamFileError`] with the line: what is no TOML, unknown keys, subjects that overlap or capture requests, sources that do not exist.
    pub fn parse(text: &str) -> Result<Self, StreamFileError> {
        file::parse(text).map(|streams| Self { streams })
    }

    /// The streams of the design.
    #[must_use]
    pub fn standard() -> &'static Self {
        // A test parses the file, so that it is never empty in a build that passes.
        static STANDARD_SET: LazyLock<StreamSet> =
            LazyLock::new(|| StreamSet::parse(STANDARD).unwrap_or(StreamSet { streams: Vec::new() }));
        &STANDARD_SET
    }

    /// One by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&StreamDefinition> {
        self.streams.iter().find(|s| s.name == name)
    }

    /// All of them, in the file's order.
    pub fn iter(&self) -> std::slice::Iter<'_, StreamDefinition> {
        self.streams.iter()
    }

    /// These alone, in the file's order.
    ///
    /// # Errors
    /// The first name that the set does not have, with those that it has.
    pub fn only(&self, names: &[String]) -> Result<Self, String> {
        if let Some(unknown) = names.iter().find(|n| self.get(n).is_none()) {
            return Err(format!("there is no stream {unknown:?}; there are {self}"));
        }
        Ok(Self { streams: self.iter().filter(|s| names.contains(&s.name)).cloned().collect() })
    }
}

impl<'a> IntoIterator for &'a StreamSet {
    type Item = &'a StreamDefinition;
    type IntoIter = std::slice::Iter<'a, StreamDefinition>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for StreamSet {
    /// The names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(|s| s.name.as_str()).collect();
        f.write_str(&names.join(", "))
    }
}
