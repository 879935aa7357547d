//! The process's signals: the first SIGINT or SIGTERM asks for the end, the second one is the end.

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{self, Failure};

/// From now on signals are received; the future completes at the first one that asks for the end, and a second one ends the process at once.
///
/// # Errors
/// Where the system refuses.
pub fn told_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    let receive = |kind| signal(kind).map_err(|e| Failure::new(exit::INTERNAL, format!("signals cannot be received: {e}")));
    let (mut interrupt, mut terminate) = (receive(SignalKind::interrupt())?, receive(SignalKind::terminate())?);
    // A file that may not grow is an error for whoever writes it, and not the end of the process. Once received, always received.
    let _ = receive(SignalKind::from_raw(libc::SIGXFSZ))?;
    Ok(async move {
        let first = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        tracing::info!(signal = first, "stopping; a second signal quits at once");
        tokio::spawn(async move {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            std::process::exit(exit::KILLED)
        });
    })
}
