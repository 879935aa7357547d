//! Readers against a real nats-server: order, acknowledgements, resumption, and every refusal.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod batches;
mod feed;
mod refusals;
mod replay;
mod support;
