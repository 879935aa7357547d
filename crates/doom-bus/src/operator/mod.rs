//! The operator's side of the wire: who is there, how they are, what they are told, and how far behind the readers of their events are.
//!
//! Every question here has a bound, and ends before it where everyone who was expected has answered. What a stream says to a question (the
//! acknowledgement that comes where it captures the subject) is no answer of an agent and is passed over. A permission that is missing ends a
//! question at once, with the subject it is missing for.

mod command;
mod discover;
mod health;
mod lag;
mod questions;
mod rates;

use crate::ApiError;

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
    /// The JetStream API does not answer as asked.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// There is no such stream, but others.
    #[error("there is no stream {0}; {1}")]
    NoStream(String, String),
    /// The client refused.
    #[error("the NATS client refused: {0}")]
    Client(String),
}
