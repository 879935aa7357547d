//! Standard error where it is a terminal: one progress line below the log.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use crate::snapshot::Snapshot;

/// Back to the line's beginning, and nothing left on it.
const CLEAR: &str = "\r\x1b[2K";

/// Redraws one line five times a second until it is aborted; elsewhere does nothing.
pub(crate) async fn show(snapshot: Arc<Snapshot>) {
    if !io::stderr().is_terminal() {
        return;
    }
    let _clears = ClearAtEnd;
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    loop {
        ticks.tick().await;
        let ledger = snapshot.ledger.summary();
        let line = format!(
            "{CLEAR}{} {} | episode {} | {:.0} steps/s | last score {:.1} | dropped {} | records waiting {}",
            snapshot.facts.agent,
            snapshot.lifecycle.state().as_str(),
            snapshot.progress.episode.load(Relaxed),
            snapshot.steps_per_second(),
            snapshot.progress.last_episode().total_reward,
            ledger.dropped,
            snapshot.ledger.records().spooled,
        );
        write(line.as_bytes());
    }
}

/// A terminal that is gone is no reason to stop playing.
fn write(bytes: &[u8]) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(bytes).and_then(|()| err.flush());
}

/// The shell's prompt comes after the last log line, not after the progress line.
struct ClearAtEnd;

impl Drop for ClearAtEnd {
    fn drop(&mut self) {
        write(CLEAR.as_bytes());
    }
}

/// Where log lines go: standard error, each line over the progress line, which is drawn again below it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut err = io::stderr().lock();
        if err.is_terminal() {
            err.write_all(CLEAR.as_bytes())?;
        }
        err.write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
