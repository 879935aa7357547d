//! The JetStream streams of clau-doom, as data. `doomctl` and tests apply them; the agent only recognises them.

use std::time::Duration;

/// One stream, for a subject root that is put in by [`StreamDefinition::subjects`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamDefinition {
    /// The stream's name.
    pub name: &'static str,
    /// Subjects below the root.
    pub subjects: &'static [&'static str],
    /// Subjects of the server's own, whatever the root.
    pub of_the_server: &'static [&'static str],
    /// How long messages stay.
    pub max_age: Duration,
    /// Bytes in all; `None` is without limit.
    pub max_bytes: Option<i64>,
    /// Bytes of one message; `None` is the server's limit.
    pub max_message: Option<i32>,
    /// The stream and the subjects (below the root) that this one sources, where it has none of its own.
    pub sources: Option<(&'static str, &'static [&'static str])>,
}

const DAY: Duration = Duration::from_secs(86_400);
/// How long the server remembers a `Nats-Msg-Id`.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Every stream of the design.
pub const STREAMS: [StreamDefinition; 7] = [
    StreamDefinition {
        name: "AGENT_EVENTS",
        subjects: &["agent.*.action", "agent.*.observe", "agent.*.score", "agent.*.death"],
        of_the_server: &[],
        max_age: Duration::from_secs(7 * 86_400),
        max_bytes: Some(1 << 30),
        max_message: Some(1 << 20),
        sources: None,
    },
    StreamDefinition {
        name: "AGENT_RECORDS",
        subjects: &[],
        of_the_server: &[],
        max_age: Duration::from_secs(30 * 86_400),
        max_bytes: None,
        max_message: None,
        sources: Some(("AGENT_EVENTS", &["agent.*.score", "agent.*.death"])),
    },
    StreamDefinition {
        name: "EXPERIMENT_EVENTS",
        subjects: &["experiment.>"],
        of_the_server: &[],
        max_age: Duration::from_secs(30 * 86_400),
        max_bytes: None,
        max_message: None,
        sources: None,
    },
    StreamDefinition {
        name: "GENERATION_EVENTS",
        subjects: &[
            "generation.*.agent.*.score",
            "generation.*.start",
            "generation.*.evolve",
            "generation.*.complete",
            "generation.*.evaluation.*.episode.*",
            "generation.*.evaluation.*.result",
        ],
        of_the_server: &[],
        max_age: Duration::from_secs(30 * 86_400),
        max_bytes: None,
        max_message: None,
        sources: None,
    },
    StreamDefinition {
        name: "METRICS",
        subjects: &["metrics.>"],
        of_the_server: &[],
        max_age: DAY,
        max_bytes: Some(512 << 20),
        max_message: None,
        sources: None,
    },
    StreamDefinition {
        name: "SYSTEM_EVENTS",
        subjects: &["system.doom_agent.error", "system.doom_agent.lifecycle"],
        of_the_server: &[],
        max_age: Duration::from_secs(30 * 86_400),
        max_bytes: None,
        max_message: None,
        sources: None,
    },
    StreamDefinition {
        name: "DEAD_LETTERS",
        subjects: &["deadletter.>"],
        of_the_server: &["$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"],
        max_age: Duration::from_secs(30 * 86_400),
        max_bytes: None,
        max_message: None,
        sources: None,
    },
];

impl StreamDefinition {
    /// All of its subjects, under a root.
    #[must_use]
    pub fn subjects(&self, root: &str) -> Vec<String> {
        let below = self.subjects.iter().map(|s| format!("{root}.{s}"));
        below.chain(self.of_the_server.iter().map(|s| (*s).to_owned())).collect()
    }
}
