//! The agent runtime: one process, one agent, one game.
//!
//! `run` assembles the parts and sees them to their end: the game thread (`game_loop`) offers slots to the lanes of `doom-bus`;
//! `encode` turns slots into events, and is the one place that knows both the game's schema and the wire; `lifecycle` owns the
//! state; `commands`, `watchdog` and `snapshot` read it. Nothing the game thread calls ever waits for the broker.

pub mod ask;
mod book;
mod broker;
pub mod check;
pub mod cli;
mod clock;
mod commands;
pub mod config;
mod encode;
mod engine_files;
mod episode_log;
mod fits;
pub mod frames;
pub mod game_loop;
mod host;
mod lifecycle;
pub mod logging;
mod metrics;
pub mod nats_choice;
pub mod outputs;
pub mod placement;
mod probes;
mod progress;
mod run;
pub mod serve;
pub mod settings;
mod settings_file;
pub mod signals;
mod snapshot;
mod state_dir;
mod terminal;
mod watchdog;
mod will;

pub use cli_common::exit;
pub use run::{Outcome, run};
