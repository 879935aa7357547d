//! Messages that are no events of the kind that is exported: kept as dead letters before the export goes on behind them.

use cli_common::exit::{self, Failure};
use doom_bus::{Link, consume::Delivered, dead_letters::Copies};
use doom_protocol::SubjectRoot;
use tokio::runtime::Handle;

use crate::output;

/// Of an export that the server does not know by a name.
const NAMELESS: &str = "export";

/// The way from the exporting thread to the stream of dead letters.
pub(crate) struct Burial {
    copies: Copies,
    runtime: Handle,
    /// What is acknowledged as a whole must be kept: a durable export ends where a letter is not stored, and goes on from there another time.
    required: bool,
    failed: bool,
}

impl Burial {
    /// Of an export under a durable name, or without one. Made where the connection is served: its runtime is used.
    pub(crate) fn new(link: &Link, root: &SubjectRoot, durable: Option<&str>) -> Self {
        let copies = Copies::new(link, root, durable.unwrap_or(NAMELESS));
        Self { copies, runtime: Handle::current(), required: durable.is_some(), failed: false }
    }

    /// Keeps a message: the letter's sequence, or none where that cannot be and need not.
    ///
    /// # Errors
    /// Exit code 69 where it cannot be and must.
    pub(crate) fn bury(&mut self, delivered: &Delivered, why: &str) -> Result<Option<u64>, Failure> {
        if self.failed {
            return Ok(None);
        }
        match self.runtime.block_on(self.copies.keep(delivered.message(), why)) {
            Ok(letter) => Ok(Some(letter)),
            Err(error) if self.required => Err(Failure::new(exit::UNAVAILABLE, format!("{error}; the export ends before that message"))),
            Err(error) => {
                self.failed = true;
                output::complain(format_args!("{error}; messages that are no events are named alone"));
                Ok(None)
            }
        }
    }
}
