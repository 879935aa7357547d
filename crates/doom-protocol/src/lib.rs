//! What travels between clau-doom's programs: ids, subjects, payloads, envelope, headers, codecs and stream definitions.
//!
//! Pure data: nothing here opens a socket or reads a clock. Readers ignore unknown fields; version 1.x only adds.

mod codec;
pub mod control;
mod envelope;
mod event;
mod filter;
pub mod header;
mod health;
mod id;
pub mod pattern;
pub mod payload;
#[cfg(test)]
mod schema;
pub mod service;
pub mod stream;
mod subject;
mod time;

pub use codec::{Codec, CodecError};
pub use envelope::{Envelope, Payload, VERSION};
pub use event::{Decoded, Event, EventKind};
pub use filter::{Condition, Filter, FilterError, Reading, Source};
pub use health::{EngineHealth, HealthReply, LedgerSummary, NatsHealth, RecordsHealth};
pub use id::{EpisodeId, Id, IdError, Instance, TraceId};
pub use subject::{SubjectRoot, Subjects};
pub use time::Timestamp;
