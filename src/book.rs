//! Which facts hold for an episode: those of the run, or, in a worker, those of the evaluation that it is played for.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
};

use crate::encode::RunFacts;

/// So many evaluations are remembered; what waits in the lanes is never older.
const REMEMBERED: usize = 1024;

/// See the module. Asked once an episode by each encoder, written once an evaluation.
#[derive(Debug)]
pub(crate) struct Book {
    /// By the first episode that each holds for.
    pages: Mutex<VecDeque<Arc<RunFacts>>>,
    /// A worker's, between two evaluations.
    at_rest: Arc<RunFacts>,
    rests: AtomicBool,
}

impl Book {
    pub(crate) fn new(facts: RunFacts) -> Self {
        let facts = Arc::new(facts);
        Self { pages: Mutex::new(VecDeque::from([Arc::clone(&facts)])), at_rest: facts, rests: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<RunFacts>>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From their first episode on, these hold.
    pub(crate) fn turn(&self, facts: RunFacts) {
        let mut pages = self.lock();
        while pages.len() >= REMEMBERED {
            pages.pop_front();
        }
        pages.push_back(Arc::new(facts));
        self.rests.store(false, Release);
    }

    /// What was turned to last has been played to its end.
    pub(crate) fn rest(&self) {
        self.rests.store(true, Release);
    }

    /// What is played for at the moment: between two evaluations that of the process itself, which is nothing.
    pub(crate) fn played(&self) -> Arc<RunFacts> {
        if self.rests.load(Acquire) { Arc::clone(&self.at_rest) } else { self.now() }
    }

    /// Those that were turned to last.
    pub(crate) fn now(&self) -> Arc<RunFacts> {
        let pages = self.lock();
        // There is always one: it begins with one, and the last is never taken out.
        Arc::clone(&pages[pages.len() - 1])
    }

    /// Those of an episode.
    pub(crate) fn of(&self, episode: u64) -> Arc<RunFacts> {
        let pages = self.lock();
        let page = pages.iter().rev().find(|facts| facts.first_episode <= episode);
        Arc::clone(page.unwrap_or(&pages[0]))
    }
}
