//! `doomctl` from outside: the real binary against a real nats-server, or none.
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod connection;
mod dlq;
mod export;
mod replay;
mod streams;
mod support;
mod watch;
