//! What the game thread lets others see: plain atomics, written with relaxed stores, read by health, metrics, watchdog and terminal.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use doom_game::Interrupt;

/// The figures of the last finished episode, for the terminal and metrics.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LastEpisode {
    pub(crate) total_reward: f64,
    pub(crate) kill_rate: f64,
    pub(crate) decision_p99_us: u64,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Progress {
    /// Steps of this process.
    pub(crate) steps: AtomicU64,
    /// Goes up whenever the game has answered; the watchdog looks at nothing else.
    pub(crate) beats: AtomicU64,
    /// Microseconds of the run's clock at the last step; 0 before the first.
    pub(crate) last_step: AtomicU64,
    /// The open episode's number; 0 where none is open.
    pub(crate) episode: AtomicU64,
    /// Episodes finished, aborted ones included.
    pub(crate) episodes_done: AtomicU64,
    pub(crate) tic: AtomicU32,
    pub(crate) engine_restarts: AtomicU32,
    engine: Mutex<Option<Arc<dyn Interrupt>>>,
    last: Mutex<LastEpisode>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("steps", &self.steps).finish_non_exhaustive()
    }
}

impl Progress {
    pub(crate) fn beat(&self) {
        self.beats.store(self.beats.load(Relaxed) + 1, Relaxed);
    }

    pub(crate) fn set_engine(&self, engine: Option<Arc<dyn Interrupt>>) {
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = engine;
    }

    pub(crate) fn engine(&self) -> Option<Arc<dyn Interrupt>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_last_episode(&self, last: LastEpisode) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    pub(crate) fn last_episode(&self) -> LastEpisode {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
