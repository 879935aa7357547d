//! The operator's commands: who is there, how they are, what they are told, how far behind their readers are.

pub(crate) mod agents;
pub(crate) mod control;
mod figures;
pub(crate) mod health;
pub(crate) mod lag;
mod table;
pub(crate) mod top;

use cli_common::exit::{self, Failure};
use doom_bus::operator::OperatorError;

use crate::connection;

/// The exit code of what went wrong with a question.
fn failure(error: OperatorError) -> Failure {
    let code = match &error {
        OperatorError::NotPermitted { .. } => exit::NO_PERMISSION,
        OperatorError::Api(error) => connection::code_of(error),
        OperatorError::NoStream(..) => exit::DATA,
        OperatorError::Client(_) => exit::INTERNAL,
        _ => exit::UNAVAILABLE,
    };
    Failure::new(code, error)
}
