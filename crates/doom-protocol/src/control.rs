//! Commands to agents and their replies.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize, de::IgnoredAny};

use crate::Id;

/// The largest command body that is read, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// What an agent can be told; the last token of the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Stop between two steps.
    Pause,
    /// Go on.
    Resume,
    /// Close the episode as `aborted`, deliver what is owed, exit 0.
    Shutdown,
}

impl Verb {
    /// All verbs.
    pub const ALL: [Self; 3] = [Self::Pause, Self::Resume, Self::Shutdown];

    /// The subject token.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Verb {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|v| v.as_str() == s).ok_or_else(|| format!("unknown command {s:?}; valid are pause, resume, shutdown"))
    }
}

/// The optional body of a command; filters are ANDed, an empty body addresses everyone who hears it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ControlRequest {
    /// Free text for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Only these agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<String>>,
    /// Only agents of this experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment_id: Option<String>,
    /// Only agents of this generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_id: Option<String>,
    /// Bounds the reply and, for shutdown, the drain; milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

impl ControlRequest {
    /// Reads a body; empty is the default.
    ///
    /// # Errors
    /// A text that says what is wrong with the body: too large, not JSON, a field of the wrong type.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        if body.len() > MAX_BODY {
            return Err(format!("the body has {} bytes; at most {MAX_BODY} are read", body.len()));
        }
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let request = serde_json::from_slice(body).map_err(|e| format!("the body is not a command: {e}"))?;
        match serde_json::from_slice::<Foreign>(body) {
            Ok(foreign) if foreign.is() => Err("the body is not a command: it is an event, a reply or an acknowledgement".to_owned()),
            _ => Ok(request),
        }
    }

    /// Whether an agent with these ids is addressed.
    #[must_use]
    pub fn addresses(&self, agent: &Id, experiment: Option<&str>, generation: Option<&str>) -> bool {
        self.agents.as_ref().is_none_or(|list| list.iter().any(|a| a == agent.as_str()))
            && self.experiment_id.as_deref().is_none_or(|e| experiment == Some(e))
            && self.generation_id.as_deref().is_none_or(|g| generation == Some(g))
    }
}

/// What marks messages of other kinds. The server delivers such on any subject that somebody names for an answer or for a consumer, also where
/// that somebody may not publish; with unknown fields passed over they would be commands to everyone.
#[derive(Deserialize)]
struct Foreign<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    payload: Option<IgnoredAny>,
    trace_id: Option<IgnoredAny>,
    stream: Option<IgnoredAny>,
    seq: Option<IgnoredAny>,
    agent_id: Option<IgnoredAny>,
    state: Option<IgnoredAny>,
}

impl Foreign<'_> {
    fn is(&self) -> bool {
        let of_nats = self.kind.as_ref().is_some_and(|kind| kind.starts_with("io.nats."));
        let event = self.payload.is_some() && self.trace_id.is_some();
        let acknowledgement = self.stream.is_some() && self.seq.is_some();
        of_nats || event || acknowledgement || (self.agent_id.is_some() && self.state.is_some())
    }
}

/// Sent when the commanded state is reached, or when it cannot be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ControlReply {
    /// Who answers.
    pub agent_id: String,
    /// Whether the state was reached.
    pub ok: bool,
    /// The lifecycle's state now.
    pub state: String,
    /// The controller's last map tic.
    pub tic: u32,
    /// Why not, where `ok` is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_anded_and_absent_ones_address_everyone() {
        let a: Id = "A".parse().unwrap();
        assert!(ControlRequest::parse(b"").unwrap().addresses(&a, None, None));
        let r = ControlRequest::parse(br#"{"agents":["A"],"experiment_id":"e","unknown":1}"#).unwrap();
        assert!(r.addresses(&a, Some("e"), None));
        assert!(!r.addresses(&a, None, None));
        assert!(!ControlRequest::parse(br#"{"agents":[]}"#).unwrap().addresses(&a, None, None));
    }

    #[test]
    fn a_malformed_body_is_refused_with_a_reason() {
        for bad in [&b"{"[..], b"[1]", br#"{"deadline_ms":-1}"#, br#"{"agents":"A"}"#, &vec![b'['; 70_000]] {
            assert!(ControlRequest::parse(bad).is_err());
        }
    }

    #[test]
    fn what_is_meant_for_others_is_no_command() {
        for foreign in [
            r#"{"type":"agent.score","version":"1.0","payload":{},"trace_id":"0","timestamp":"t"}"#,
            r#"{"stream":"AGENT_EVENTS","seq":7}"#,
            r#"{"type":"io.nats.jetstream.api.v1.stream_names_response","streams":[]}"#,
            r#"{"agent_id":"A","instance":"i","state":"running"}"#,
        ] {
            assert!(ControlRequest::parse(foreign.as_bytes()).is_err(), "{foreign}");
        }
        assert!(ControlRequest::parse(br#"{"type":1,"reason":"numbered"}"#).is_ok());
        assert!(ControlRequest::parse(br#"{"type":"pause","agent_id":"orchestrator"}"#).is_ok());
    }
}
