//! Starts and supervises a real nats-server on loopback: for `--nats embedded`, for tests and for benches.
//!
//! The server listens on a free port that it chooses itself, is ready when `start` returns, and ends at the latest with the thread
//! that holds it: dropping a [`NatsServer`] kills and reaps the process, and the kernel does so where we are killed ourselves.

mod binary;
mod error;
mod keeper;
mod server;

pub use binary::find as find_binary;
pub use error::NatsServerError;
pub use server::{Builder, NatsServer};
