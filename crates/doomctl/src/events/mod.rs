//! What the commands that read events share: what is chosen, how a line looks, and the thread that writes it.

pub(crate) mod lines;
pub(crate) mod selection;
pub(crate) mod table;
pub(crate) mod writer;

use cli_common::exit::{self, Failure};
use doom_bus::consume::ConsumeError;

/// The exit code of what went wrong with the broker.
pub(crate) fn failure(error: ConsumeError) -> Failure {
    let code = match &error {
        ConsumeError::NoServer(_) | ConsumeError::NoJetStream | ConsumeError::NoAnswer(..) | ConsumeError::Gone { .. } => exit::UNAVAILABLE,
        ConsumeError::NoPermission(_) => exit::NO_PERMISSION,
        ConsumeError::Name(..) => exit::USAGE,
        ConsumeError::NoStream(_) | ConsumeError::Different { .. } | ConsumeError::Refused { .. } => exit::DATA,
        _ => exit::INTERNAL,
    };
    Failure::new(code, error)
}
