//! The progress line, where standard error is a terminal.

use std::{io::IsTerminal, io::Write, sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use crate::snapshot::Snapshot;

/// Redraws one line five times a second until it is aborted; elsewhere does nothing.
pub(crate) async fn show(snapshot: Arc<Snapshot>) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    loop {
        ticks.tick().await;
        let ledger = snapshot.ledger.summary();
        let line = format!(
            "\r\x1b[2K{} {} | episode {} | {:.0} steps/s | last score {:.1} | dropped {} | records waiting {}",
            snapshot.facts.agent,
            snapshot.lifecycle.state().as_str(),
            snapshot.progress.episode.load(Relaxed),
            snapshot.steps_per_second(),
            snapshot.progress.last_episode().total_reward,
            ledger.dropped,
            snapshot.ledger.records().spooled,
        );
        let mut err = std::io::stderr().lock();
        // A terminal that is gone is no reason to stop playing.
        let _ = err.write_all(line.as_bytes()).and_then(|()| err.flush());
    }
}
