//! What `watch` and `replay` share: which events are shown, how many of them, and the writer of their lines.

use clap::Args;
use cli_common::exit::Failure;
use doom_protocol::Condition;

use super::{
    selection::Selection,
    writer::{Look, Writer},
};
use crate::cli::Global;

/// The flags of a command that shows events.
#[derive(Debug, Args)]
pub(crate) struct Display {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// End after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

impl Display {
    /// Begins to write; `conditions` are those of the sources in their order. With `hand_back` every chunk comes back once it is written.
    ///
    /// # Errors
    /// As [`Writer::start`].
    pub(crate) fn start(&self, global: &Global, conditions: Vec<Condition>, hand_back: bool) -> Result<Writer, Failure> {
        let look = Look { json: global.json, root: global.subject_root.clone(), conditions, most: self.count };
        Writer::start(look, hand_back)
    }
}
