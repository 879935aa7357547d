//! The operator's side of the wire: who is there, how they are, what they are told, and how far behind the readers of their events are.
//!
//! Every question here has a bound, and ends before it where everyone who was expected has answered. What a stream says to a question (the
//! acknowledgement that comes where it captures the subject) is no answer of an agent and is passed over. A permission that is missing ends a
//! question at once, with the subject it is missing for.

mod api;
mod command;
mod discover;
mod health;
mod lag;
mod questions;
mod rates;

use std::time::Duration;

pub use self::{
    command::{Order, Outcome, Target, command},
    discover::{Found, discover},
    health::{Member, Reply, health, survey},
    lag::{ConsumerLag, StreamLag, lag},
    rates::{Rates, SubjectRate, rates},
};

/// Why a question could not be asked, or its answers not be heard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// The server does not let us publish or subscribe there.
    #[error("the server does not permit {subject}: {said}")]
    NotPermitted {
        /// What was asked for.
        subject: String,
        /// What the server said.
        said: String,
    },
    /// The connection was lost in the midst of it; answers may have been lost with it.
    #[error("the connection to NATS was lost while waiting for answers; what was sent may have been heard")]
    Lost,
    /// JetStream is not there, for this server or this account.
    #[error("the server has no JetStream for this account; start nats-server with -js, or enable it for the account")]
    NoJetStream,
    /// The JetStream API said no, or something that is no answer.
    #[error("{subject}: {said}")]
    Api {
        /// What was asked.
        subject: String,
        /// What the server said.
        said: String,
    },
    /// The JetStream API did not answer.
    #[error("{subject} was not answered within {} s", within.as_secs())]
    Silent {
        /// What was asked.
        subject: String,
        /// The bound.
        within: Duration,
    },
    /// The client refused.
    #[error("the NATS client refused: {0}")]
    Client(String),
}
