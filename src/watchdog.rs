//! Ends an engine that does not answer: a step (or a reset) that takes longer than it may is interrupted by killing the engine. Where even that
//! does not let the game go on, the agent ends, so that whoever started it can start another.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    lifecycle::{Lifecycle, State},
    progress::Progress,
};

/// How often the watchdog looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// So many times an engine is ended in vain before the agent gives up.
const VAIN_INTERRUPTS: u32 = 3;

/// Runs until it is aborted. A pause suspends it; the time of starting is the backend's own to bound.
pub(crate) async fn watch(lifecycle: Arc<Lifecycle>, progress: Arc<Progress>, step_within: Duration) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut seen = (0, State::Starting);
    let mut since = Instant::now();
    let mut interrupts = 0;
    loop {
        ticks.tick().await;
        let now = (progress.beats.load(Relaxed), lifecycle.state());
        if now != seen {
            seen = now;
            since = Instant::now();
            interrupts = 0;
            continue;
        }
        if now.1 == State::Running && since.elapsed() > step_within {
            if interrupts == VAIN_INTERRUPTS {
                tracing::error!("the game does not go on although its engine was ended; the agent gives up");
                lifecycle.stop();
            }
            interrupts += 1;
            if let Some(engine) = progress.engine() {
                tracing::error!(seconds = since.elapsed().as_secs_f64(), pid = engine.pid(), "the engine does not answer; ending it");
                engine.interrupt();
            }
            since = Instant::now();
        }
    }
}
