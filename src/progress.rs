//! What the game thread lets others see: plain atomics, written with relaxed stores, read by health, metrics, watchdog and terminal.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use doom_game::Interrupt;

use crate::game_loop::LastFigures;

/// Finished episodes that wait to be logged; more are only counted.
const MOST_FINISHED: usize = 256;

/// The figures of a finished episode, for the log, the terminal and metrics.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LastEpisode {
    pub(crate) number: u64,
    pub(crate) seed: u32,
    pub(crate) end_reason: &'static str,
    pub(crate) steps: u64,
    pub(crate) kills: i64,
    pub(crate) wall_seconds: f64,
    pub(crate) total_reward: f64,
    pub(crate) kill_rate: f64,
    pub(crate) decision_p99_us: u64,
}

/// What has finished since somebody took it.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub(crate) episodes: Vec<LastEpisode>,
    /// How many there were, and sums over all of them, also over those for which there was no room.
    pub(crate) count: u64,
    pub(crate) reward: f64,
    pub(crate) steps: u64,
    pub(crate) kills: i64,
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
    /// Of the open episode.
    pub(crate) figures: LastFigures,
    engine: Mutex<Option<Arc<dyn Interrupt>>>,
    last: Mutex<LastEpisode>,
    finished: Mutex<Finished>,
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

    /// Once an episode; what is locked here is held by others for no longer than it takes to copy or swap it.
    pub(crate) fn set_last_episode(&self, last: LastEpisode) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.count += 1;
        finished.reward += last.total_reward;
        finished.steps += last.steps;
        finished.kills += last.kills;
        if finished.episodes.len() < MOST_FINISHED {
            finished.episodes.push(last);
        }
    }

    pub(crate) fn take_finished(&self) -> Finished {
        let empty = Finished { episodes: Vec::with_capacity(MOST_FINISHED), ..Finished::default() };
        std::mem::replace(&mut *self.finished.lock().unwrap_or_else(PoisonError::into_inner), empty)
    }

    pub(crate) fn last_episode(&self) -> LastEpisode {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
