//! Why a reader cannot begin or go on, said for the person who must act.

/// Why a reader cannot begin or go on.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumeError {
    /// Nobody answers, or the login is refused.
    #[error("{0}")]
    NoServer(String),
    /// The server does not keep anything, or not for this account.
    #[error(
        "JetStream is not enabled on this server (for this account); events are kept by streams alone: start nats-server with --jetstream"
    )]
    NoJetStream,
    /// There is no such stream.
    #[error("there is no stream {0}; `doomctl streams apply` makes the streams of the design")]
    NoStream(String),
    /// The login may not do this.
    #[error("no permission: {0}; grant it to this login, or use another")]
    NoPermission(String),
    /// No answer came.
    #[error("the server does not answer {0} within {1} s; it is busy, or this login may not ask")]
    NoAnswer(String, u64),
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
    /// Anything else that the server refuses.
    #[error("the server refuses {what}: {description} ({code})")]
    Refused {
        /// What was asked.
        what: String,
        /// Its words.
        description: String,
        /// Its error code.
        code: u64,
    },
    /// What came makes no sense, or the connection was closed by us.
    #[error("{0}")]
    Broken(String),
}
