//! What the commands that read events share: what is chosen, what is shown of it, how a line looks, and the thread that writes it.

pub(crate) mod display;
pub(crate) mod lines;
pub(crate) mod selection;
pub(crate) mod table;
pub(crate) mod writer;

use cli_common::exit::{self, Failure};
use doom_bus::{ApiError, consume::ConsumeError};

use crate::connection;

/// The exit code of what went wrong with the broker.
pub(crate) fn failure(error: ConsumeError) -> Failure {
    let code = match &error {
        // What a stream does not take of a reader is a matter of what was asked for.
        ConsumeError::Api(ApiError::Refused { .. }) | ConsumeError::Different { .. } => exit::DATA,
        ConsumeError::Api(error) => connection::code_of(error),
        ConsumeError::Gone { .. } => exit::UNAVAILABLE,
        ConsumeError::Name(..) => exit::USAGE,
        _ => exit::INTERNAL,
    };
    Failure::new(code, error)
}
