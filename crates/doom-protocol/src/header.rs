//! Names of the headers that every event bears.

/// 32 hex digits, as in the envelope.
pub const TRACE_ID: &str = "trace-id";
/// The agent's id.
pub const SOURCE_AGENT: &str = "source-agent";
/// As in the envelope.
pub const TIMESTAMP: &str = "timestamp";
/// The process's UUIDv7.
pub const INSTANCE: &str = "instance";
/// `vizdoom` or `mock`.
pub const BACKEND: &str = "backend";
/// On action, observe, score and death: counts from 1, unique with the instance.
pub const SEQ: &str = "seq";
/// `application/json` or `application/msgpack`.
pub const CONTENT_TYPE: &str = "Content-Type";
/// On records: JetStream's duplicate detection.
pub const MSG_ID: &str = "Nats-Msg-Id";
/// On records of subjects that are the agent's own: how far the sender's spool is stored there, for the sender's next start.
pub const STORED_THROUGH: &str = "stored-through";

// On pictures that travel as bytes alone: what the envelope and the payload would say.

/// The envelope's type.
pub const TYPE: &str = "type";
/// The envelope's version.
pub const VERSION: &str = "version";
/// As in the payload.
pub const EPISODE_ID: &str = "episode-id";
/// As in the payload, where an experiment was given.
pub const EXPERIMENT_ID: &str = "experiment-id";
/// As in the payload, where a run was given.
pub const RUN_ID: &str = "run-id";
/// As in the payload, where a generation was given.
pub const GENERATION_ID: &str = "generation-id";
/// The observation that the picture belongs to.
pub const STEP: &str = "step";
/// As in the payload.
pub const TIC: &str = "tic";
/// ViZDoom's name of the screen format.
pub const FORMAT: &str = "format";
/// In pixels.
pub const WIDTH: &str = "width";
/// In pixels.
pub const HEIGHT: &str = "height";
/// `png`, `jpeg` or `raw`.
pub const ENCODING: &str = "encoding";

// On dead letters: the history of the message that they bear. Its own headers stay beside them, but for the server's (`Nats-…`).

/// The subject that the message had.
pub const DEAD_LETTER_SUBJECT: &str = "dead-letter-subject";
/// The stream that it was read from.
pub const DEAD_LETTER_STREAM: &str = "dead-letter-stream";
/// Its sequence there.
pub const DEAD_LETTER_SEQUENCE: &str = "dead-letter-sequence";
/// The consumer that gave up.
pub const DEAD_LETTER_CONSUMER: &str = "dead-letter-consumer";
/// How often it was delivered to that consumer.
pub const DEAD_LETTER_DELIVERIES: &str = "dead-letter-deliveries";
/// The last error, on one line.
pub const DEAD_LETTER_ERROR: &str = "dead-letter-error";
/// The `Nats-Msg-Id` that the message had.
pub const DEAD_LETTER_MSG_ID: &str = "dead-letter-msg-id";
/// How often a letter with this message has been given back to its subject; stands on what is given back as well.
pub const DEAD_LETTER_REDRIVES: &str = "dead-letter-redrives";
