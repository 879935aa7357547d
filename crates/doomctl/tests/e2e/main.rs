//! `doomctl` from outside: the real binary against a real nats-server, or none.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod cluster;
mod connection;
mod dlq;
mod export;
mod older_server;
mod operator;
mod refusals;
mod replay;
mod streams;
mod support;
mod watch;
