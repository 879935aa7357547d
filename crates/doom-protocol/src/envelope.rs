//! The envelope of every event: type, version, payload, trace id, timestamp.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{Timestamp, TraceId};

/// The version of the envelope and its payloads; 1.x only adds.
pub const VERSION: &str = "1.0";

/// A payload knows the `type` of its envelope.
pub trait Payload: Serialize {
    /// Such as `agent.action`.
    const TYPE: &'static str;
}

/// `{"type","version","payload","trace_id","timestamp"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope<'a, P> {
    /// What the payload is.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// [`VERSION`].
    pub version: Cow<'a, str>,
    /// The event.
    pub payload: P,
    /// One per episode.
    pub trace_id: TraceId,
    /// The same instant as the payload's and the header's.
    pub timestamp: Timestamp,
}

impl<P: Payload> Envelope<'static, P> {
    /// Wraps a payload under its own type.
    pub fn new(payload: P, trace_id: TraceId, timestamp: Timestamp) -> Self {
        Self { kind: Cow::Borrowed(P::TYPE), version: Cow::Borrowed(VERSION), payload, trace_id, timestamp }
    }
}
