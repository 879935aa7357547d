//! Readers of what agents publish, over JetStream pull consumers.
//!
//! | reader | for | acknowledges | order |
//! |---|---|---|---|
//! | [`Feed`] | events as they come, of all agents; durable if it has a name | each event by itself, or none without a name | as stored; a redelivery comes later |
//! | [`Batches`] | what a stream holds, N at a time, with a deadline | a whole batch at once, or none without a name | as stored, each once |
//! | [`Replay`] | the past again, at its own pace or faster | none | as stored, each once |
//!
//! All of them ask for a batch while the one before is still coming, survive reconnects, and tell what cannot be
//! ([`ConsumeError`]) before anything is delivered. Requests to the server and the parsing of what it sends are our own here, since the
//! client library's consumer spends more on each message than reading it takes.

mod batches;
mod consumer;
mod delivery;
mod error;
mod feed;
mod pull;
mod replay;

pub use batches::{Batch, Batches};
pub use consumer::{Consumer, Retention, Start};
pub use delivery::{Delivered, Info};
pub use error::ConsumeError;
pub use feed::Feed;
pub use replay::{Replay, Speed};

/// The Rust of the document is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/CONSUMING.md")]
struct Document;
