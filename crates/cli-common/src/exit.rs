//! Exit codes, and errors that know theirs.

use std::{fmt, process::ExitCode};

/// Finished, or told to stop.
pub const DONE: i32 = 0;
/// Done, and the answer is no: not healthy, not confirmed, something would change.
pub const NO: i32 = 1;
/// The command line or the configuration file.
pub const USAGE: i32 = 2;
/// The scenario's, the policy's or the configuration's data.
pub const DATA: i32 = 65;
/// NATS is required and absent, or a live agent has the id.
pub const UNAVAILABLE: i32 = 69;
/// A fault of our own.
pub const INTERNAL: i32 = 70;
/// The engine cannot start or keeps failing.
pub const ENGINE: i32 = 71;
/// The server does not permit it (`doomctl`).
pub const NO_PERMISSION: i32 = 77;
/// Quit by a second signal.
pub const KILLED: i32 = 130;

/// What ends the process, said for the person who must act.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: i32,
    /// What was wrong, where, and what to do.
    pub message: String,
}

impl Failure {
    /// A failure with this code.
    pub fn new(code: i32, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for ExitCode {
    fn from(failure: Failure) -> Self {
        status(failure.code)
    }
}

/// An exit code for the system.
#[must_use]
pub fn status(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
