//! The one owner of the lifecycle: `starting → running ⇄ paused → draining → stopped`, `recovering` while the engine is replaced, and
//! `idle` in a worker that has no evaluation.
//!
//! Others ask (pause, resume, stop); only the game thread moves between running, paused and draining, at a step boundary. Its fast
//! path is one relaxed load of a flag that says whether there is anything to look at.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// Where the agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Starting,
    Idle,
    Running,
    Paused,
    Recovering,
    Draining,
    Stopped,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Recovering => "recovering",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }

    pub(crate) fn is_ending(self) -> bool {
        matches!(self, Self::Draining | Self::Stopped)
    }
}

#[derive(Debug, Default)]
struct Wanted {
    pause: bool,
    stop: bool,
    /// A worker is to give up what it plays, and go on otherwise.
    give_up: bool,
}

/// What the game thread is to do after a step boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Go on; `paused` says that time has passed in a pause.
    GoOn { paused: bool },
    /// Close the episode and end.
    Stop,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    look: AtomicBool,
    wanted: Mutex<Wanted>,
    changed: Condvar,
    state: watch::Sender<State>,
}

impl Lifecycle {
    pub(crate) fn new(start_paused: bool) -> Self {
        Self {
            look: AtomicBool::new(start_paused),
            wanted: Mutex::new(Wanted { pause: start_paused, ..Wanted::default() }),
            changed: Condvar::new(),
            state: watch::Sender::new(State::Starting),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> State {
        *self.state.borrow()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Asks for a pause (latched while starting or recovering). `false` where the agent is ending.
    pub(crate) fn pause(&self) -> bool {
        self.ask(|w| w.pause = true)
    }

    /// Asks to go on. `false` where the agent is ending.
    pub(crate) fn resume(&self) -> bool {
        self.ask(|w| w.pause = false)
    }

    /// Asks for the end; idempotent.
    pub(crate) fn stop(&self) {
        self.ask(|w| w.stop = true);
    }

    fn ask(&self, change: impl FnOnce(&mut Wanted)) -> bool {
        let mut wanted = self.lock();
        if wanted.stop || self.state().is_ending() {
            return false;
        }
        change(&mut wanted);
        self.look.store(wanted.pause || wanted.stop || wanted.give_up, Relaxed);
        self.changed.notify_all();
        true
    }

    /// Asks a worker to end the evaluation that it plays; [`Self::idle`] forgets it.
    pub(crate) fn give_up(&self) {
        self.ask(|w| w.give_up = true);
    }

    /// Tells [`Self::idle`] that there may be something to take.
    pub(crate) fn poke(&self) {
        let _wanted = self.lock();
        self.changed.notify_all();
    }

    /// For a worker's game thread: waits until there is something to play (`take` is asked after each [`Self::poke`], and not during a
    /// pause). `None` where it is told to stop.
    pub(crate) fn idle<T>(&self, mut take: impl FnMut() -> Option<T>) -> Option<T> {
        let mut wanted = self.lock();
        loop {
            if wanted.stop {
                return None;
            }
            wanted.give_up = false;
            self.look.store(wanted.pause, Relaxed);
            if wanted.pause {
                self.enter(State::Paused);
            } else if let Some(taken) = take() {
                self.enter(State::Starting);
                return Some(taken);
            } else {
                self.enter(State::Idle);
            }
            wanted = self.changed.wait(wanted).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// For the game thread, at every step boundary: is there anything to look at? One relaxed load.
    pub(crate) fn must_look(&self) -> bool {
        self.look.load(Relaxed)
    }

    /// For the game thread, at a boundary: waits out a pause and says how to go on.
    pub(crate) fn boundary(&self) -> Flow {
        let mut wanted = self.lock();
        let mut paused = false;
        while !wanted.stop && !wanted.give_up && wanted.pause {
            paused = true;
            self.enter(State::Paused);
            wanted = self.changed.wait(wanted).unwrap_or_else(PoisonError::into_inner);
        }
        if wanted.stop || wanted.give_up {
            return Flow::Stop;
        }
        self.enter(State::Running);
        Flow::GoOn { paused }
    }

    /// For the game thread: waits before the next try to start an engine. `false` where it is told to stop meanwhile.
    pub(crate) fn wait_unless_stopped(&self, duration: Duration) -> bool {
        let until = Instant::now() + duration;
        let mut wanted = self.lock();
        while !wanted.stop && !wanted.give_up {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            wanted = self.changed.wait_timeout(wanted, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    /// Whether the agent's end was asked for.
    pub(crate) fn is_stopping(&self) -> bool {
        self.lock().stop
    }

    /// Whether the end was asked for, of the agent or (in a worker) of what it plays.
    pub(crate) fn is_ending_play(&self) -> bool {
        let wanted = self.lock();
        wanted.stop || wanted.give_up
    }

    /// Moves on; an ending state is never left except towards `stopped`.
    pub(crate) fn enter(&self, state: State) {
        self.state.send_if_modified(|now| {
            let allowed = *now != state && *now != State::Stopped && (*now != State::Draining || state == State::Stopped);
            if allowed {
                *now = state;
            }
            allowed
        });
    }
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_asked_for_while_starting_is_latched() {
        let lifecycle = std::sync::Arc::new(Lifecycle::new(false));
        assert!(lifecycle.pause() && lifecycle.must_look());
        let game = std::thread::spawn({
            let lifecycle = std::sync::Arc::clone(&lifecycle);
            move || lifecycle.boundary()
        });
        let mut state = lifecycle.watch();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { state.wait_for(|s| *s == State::Paused).await.map(|_| ()).unwrap() });
        assert!(lifecycle.resume());
        assert_eq!(game.join().unwrap(), Flow::GoOn { paused: true });
        assert_eq!(lifecycle.state(), State::Running);
    }

    #[test]
    fn nothing_is_obeyed_after_the_end_was_asked_for() {
        let lifecycle = Lifecycle::new(true);
        lifecycle.stop();
        assert!(!lifecycle.resume() && !lifecycle.pause());
        assert_eq!(lifecycle.boundary(), Flow::Stop);
        lifecycle.enter(State::Draining);
        lifecycle.enter(State::Running);
        assert_eq!(lifecycle.state(), State::Draining);
    }
}
