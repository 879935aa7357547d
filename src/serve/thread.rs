//! A worker's game thread: waits for a job, plays it, says how it ended.

use std::sync::{Mutex, PoisonError};

use doom_bus::work::PlayEnd;
use doom_game::BackendFactory;
use doom_policy::PolicyProgram;
use tokio::sync::oneshot;

use super::ThreadEnd;
use crate::{
    encode::RunFacts,
    game_loop::{LoopEnd, Plan, Stage},
    lifecycle::State,
};

/// One evaluation, ready to be played.
pub(crate) struct Job {
    pub(crate) plan: Plan,
    pub(crate) factory: Box<dyn BackendFactory>,
    pub(crate) program: PolicyProgram,
    /// `first_episode` is put in by the game thread, which counts.
    pub(crate) facts: RunFacts,
    pub(crate) end: oneshot::Sender<(PlayEnd, u64)>,
}

/// The way to the game thread: room for one.
#[derive(Default)]
pub(crate) struct Jobs(Mutex<Option<Job>>);

impl Jobs {
    /// Lays a job down; the lifecycle is poked afterwards.
    pub(crate) fn put(&self, job: Job) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(job);
    }

    /// Takes what lies there.
    pub(crate) fn take(&self) -> Option<Job> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Plays job after job until the agent is told to stop.
pub(crate) fn play(mut stage: Stage, thread: ThreadEnd) -> LoopEnd {
    stage.placement.enter();
    let mut next_episode = 1;
    loop {
        let Some(mut job) = stage.lifecycle.idle(|| thread.jobs.take()) else { break };
        job.facts.first_episode = next_episode;
        thread.book.turn(job.facts);
        let mut game = stage.game_loop(job.plan, job.factory, job.program, next_episode);
        game.lives_on = true;
        let end = game.play();
        next_episode = game.next_episode;
        let end = match end {
            LoopEnd::Finished => PlayEnd::Finished,
            LoopEnd::Stopped => PlayEnd::Stopped,
            LoopEnd::Engine(error) => PlayEnd::Fault(error.to_string()),
            LoopEnd::Data(reason) => PlayEnd::Refused(reason),
        };
        thread.book.rest();
        // Whoever waited for it may have gone.
        let _ = job.end.send((end, game.finished));
        stage = game.into_stage();
    }
    // Whoever waits for a job that was never begun hears that it was not.
    drop(thread.jobs.take());
    stage.lifecycle.enter(State::Draining);
    LoopEnd::Stopped
}
