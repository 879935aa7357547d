//! All I/O with the broker: the connection, the two lanes out of the game loop, records, control, health.
//!
//! Data flows one way: the game thread offers slots to a [`LaneSender`]; a publisher task encodes and sends them; the [`Ledger`]
//! says of every seq what became of it. Nothing here ever makes the game thread wait for the broker.

mod api;
mod attempt;
mod backlog;
mod connect;
pub mod consume;
mod control;
pub mod dead_letters;
mod frames;
mod gathering;
mod health;
mod identity;
mod jsonl;
mod lane;
mod ledger;
mod login;
pub mod operator;
mod outgoing;
mod records;
mod refusal;
mod refusals;
mod session;
mod spool;
pub mod streams;
mod telemetry;
mod throttle;
pub mod work;

pub use api::ApiError;
pub use backlog::{Left, RecordSettings, Refused};
pub use connect::{ConnectSettings, Link, LinkState, Status, connect};
pub use control::{Command, Standing, serve_control};
pub use frames::{FrameCounts, publish_frames};
pub use health::serve_health;
pub use identity::{Identity, older_namesake};
pub use jsonl::JsonLines;
pub use lane::{LaneReceiver, LaneSender, Overflow, lane};
pub use ledger::{Ledger, Ranges};
pub use login::{Auth, ConnectError, Tls};
pub use outgoing::{Encode, Origin, Outgoing, Stamp, publish_once};
pub use records::{Records, SystemRecords};
pub use refusal::Refusal;
pub use refusals::Refusals;
pub use session::{Readiness, Session, SessionEvent};
pub use spool::Spool;
pub use streams::{create_streams, find_stream, health_trap};
pub use telemetry::{Sink, publish_telemetry};

pub use async_nats::Subject;

/// The Rust of `docs/MESSAGING.md` compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/MESSAGING.md")]
struct Messaging;
