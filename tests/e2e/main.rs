//! End to end: the real binary, a real nats-server, the real engine; and the same on the mock.
//!
//! What the agent sends is read as a stranger would read it: bytes, headers and JSON, without any of the agent's own types.
//! A test that needs the engine (`engine::…`) fails where `cargo xtask setup` has not fetched it.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod cli;
mod clients;
mod delivery;
mod determinism;
mod faults;
mod frames;
mod kubernetes;
mod logs;
mod policies;
mod process;
mod proofs;
mod scaling;
mod schemas;
mod security;
mod support;
mod wire;
mod work;
