//! What goes where: results to standard output, everything else to standard error.

use std::{fmt::Display, io::Write};

use cli_common::exit::{self, Failure};
use serde::Serialize;
use tracing_subscriber::EnvFilter;

/// Writes to standard error what ends the process, or what the operator should know beside the result.
pub(crate) fn complain(of: impl Display) {
    // With nobody to read it, the exit code has to do.
    let _ = writeln!(std::io::stderr(), "doomctl: {of}");
}

/// A result for machines, as one line of JSON.
///
/// # Errors
/// Exit code 70 where it is no JSON.
pub(crate) fn say_json(result: &impl Serialize) -> Result<(), Failure> {
    cli_common::output::say(&serde_json::to_string(result).map_err(|e| Failure::new(exit::INTERNAL, e))?);
    Ok(())
}

/// Warnings of the connection, on standard error; `DOOM_AGENT_LOG` has other filters.
pub(crate) fn log_to_standard_error() {
    let filter = EnvFilter::try_from_env("DOOM_AGENT_LOG").unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().with_target(false).init();
}
