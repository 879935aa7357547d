//! Why a server does not run.

use std::path::PathBuf;

/// Why a server could not be started or steered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NatsServerError {
    /// No executable in any of the places.
    #[error("no nats-server in {}; run `cargo xtask setup`, or name one with NATS_SERVER", places.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "))]
    NotFound {
        /// Where it was looked for.
        places: Vec<PathBuf>,
    },
    /// A file or process operation failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The server ended, or was not ready in time; its log says why.
    #[error("nats-server is not ready: {reason}; its log ends with: {log}")]
    NotReady {
        /// What was seen.
        reason: String,
        /// The last lines of its log.
        log: String,
    },
}

impl NatsServerError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
