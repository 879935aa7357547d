//! The command line: what is refused and how, and the commands that answer instead of playing.

mod bad_input;
mod commands;
#[cfg(feature = "vizdoom")]
mod engine;
