//! Why a reader cannot begin or go on, said for the person who must act.

use crate::ApiError;

/// Why a reader cannot begin or go on.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumeError {
    /// There is no server, no JetStream, no such stream, no permission, or the server refuses something else.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A durable consumer of this name is something else.
    #[error("stream {stream} has a durable consumer {durable:?} that differs in {differs}; choose another name, or delete it first")]
    Different {
        /// The stream.
        stream: String,
        /// The consumer.
        durable: String,
        /// In what.
        differs: String,
    },
    /// The consumer or its stream was deleted while we read.
    #[error("consumer {consumer} of stream {stream} is gone: {reason}")]
    Gone {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
        /// As the server says it.
        reason: String,
    },
    /// A name that cannot be one.
    #[error("{0:?} is no name of a durable consumer: {1}")]
    Name(String, String),
    /// What came makes no sense, or the connection was closed by us.
    #[error("{0}")]
    Broken(String),
}
