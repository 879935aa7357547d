//! Names of the headers that every event bears.

/// 32 hex digits, as in the envelope.
pub const TRACE_ID: &str = "trace-id";
/// The agent's id.
pub const SOURCE_AGENT: &str = "source-agent";
/// As in the envelope.
pub const TIMESTAMP: &str = "timestamp";
/// The process's UUIDv7.
pub const INSTANCE: &str = "instance";
/// `vizdoom` or `mock`.
pub const BACKEND: &str = "backend";
/// On action, observe, score and death: counts from 1, unique with the instance.
pub const SEQ: &str = "seq";
/// `application/json` or `application/msgpack`.
pub const CONTENT_TYPE: &str = "Content-Type";
/// On records: JetStream's duplicate detection.
pub const MSG_ID: &str = "Nats-Msg-Id";
