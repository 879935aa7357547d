//! Agents that share a CPU play by turns.
//!
//! Game thread and engine wake each other thousands of times a second. Where several such pairs share a CPU the scheduler goes from pair
//! to pair at nearly every wake-up, and each finds the caches full of another engine's things. So a pair plays for [`TURN`], and hands
//! over between two steps. Who is alone on its CPU pays one relaxed load a step.
//!
//! The turn is a lock on a file ([`Place`]): it ends with its process. Who wants it queues for a second lock first, so that the one whose
//! turn is over cannot take it again at once; the kernel hands each lock on in the order of asking. A file lock cannot be waited for with
//! a limit, so a thread beside the game waits for it. An agent that was stopped (SIGSTOP) in the middle of its turn keeps it: the others
//! wait for [`PATIENCE`] once, and then play on without turns until it has gone on.

use std::{
    fs::File,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Long beside a step (0.1 to 1 ms) and beside what a change costs; short enough that four agents look live.
const TURN: Duration = Duration::from_millis(20);
/// Some eight agents' turns, and far less than a step may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// The two locks of a CPU.
#[derive(Debug)]
pub(super) struct Place {
    queue: File,
    turn: File,
}

impl Place {
    pub(super) fn new(queue: File, turn: File) -> Self {
        Self { queue, turn }
    }

    /// Takes the turn where nobody has it and nobody waits for it.
    fn take(&self) -> bool {
        let taken = self.queue.try_lock().is_ok() && self.turn.try_lock().is_ok();
        let _ = self.queue.unlock();
        taken
    }

    /// Waits for the turn.
    fn wait(&self) -> io::Result<()> {
        self.queue.lock()?;
        let taken = self.turn.lock();
        self.queue.unlock()?;
        taken
    }

    fn is_wanted(&self) -> bool {
        let wanted = self.queue.try_lock().is_err();
        if !wanted {
            let _ = self.queue.unlock();
        }
        wanted
    }

    fn leave(&self) {
        let _ = self.turn.unlock();
    }
}

/// Whether there are turns, and where: what the placement tells the game thread.
#[derive(Debug, Default)]
pub(super) struct Rule {
    shared: AtomicBool,
    place: Mutex<Option<Arc<Place>>>,
}

impl Rule {
    /// The game has moved; `None` where it has no CPU of its own.
    pub(super) fn set_place(&self, place: Option<Place>) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place.map(Arc::new);
        self.set_shared(false);
    }

    /// Others play on the same CPU.
    pub(super) fn set_shared(&self, shared: bool) {
        self.shared.store(shared, Relaxed);
    }

    fn place(&self) -> Option<Arc<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug)]
enum State {
    /// Does not have the turn.
    Out,
    /// Has it, until then at least.
    Playing(Arc<Place>, Instant),
    /// Its thread waits for it, and the game plays on; looked at again then.
    Impatient(Instant),
}

/// The game thread's end.
#[derive(Debug)]
pub(crate) struct Turns {
    rule: Arc<Rule>,
    state: State,
    waiter: Option<Waiter>,
}

/// The thread that waits for the turn.
#[derive(Debug)]
struct Waiter {
    ask: Option<Sender<Arc<Place>>>,
    /// The place, and whether its turn is ours: one that nobody wants any more when it comes is let go at once.
    answers: Receiver<(Arc<Place>, bool)>,
    wanted: Arc<Mutex<bool>>,
    asked: bool,
    thread: Option<JoinHandle<()>>,
}

impl Waiter {
    fn start(entered: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (ask, asked) = channel::<Arc<Place>>();
        let (answer, answers) = channel();
        let wanted = Arc::new(Mutex::new(false));
        let still_wanted = Arc::clone(&wanted);
        let thread = std::thread::Builder::new().name("turns".to_owned()).spawn(move || {
            entered();
            while let Ok(place) = asked.recv() {
                let got = place.wait().inspect_err(|error| tracing::debug!(%error, "no turn can be had")).is_ok();
                // Held over the answer, so that it is either seen by who changes its mind, or not given.
                let wanted = still_wanted.lock().unwrap_or_else(PoisonError::into_inner);
                if got && !*wanted {
                    place.leave();
                }
                if answer.send((place, got && *wanted)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { ask: Some(ask), answers, wanted, asked: false, thread: Some(thread) })
    }

    /// Asks, unless that was done, and waits for the answer. Whoever gets no turn plays on without.
    fn wait(&mut self, place: &Arc<Place>, patience: Duration) -> Result<Option<Arc<Place>>, RecvTimeoutError> {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = true;
        if !self.asked {
            let ask = self.ask.as_ref().ok_or(RecvTimeoutError::Disconnected)?;
            ask.send(Arc::clone(place)).map_err(|_| RecvTimeoutError::Disconnected)?;
            self.asked = true;
        }
        let (place, ours) = self.answers.recv_timeout(patience)?;
        self.asked = false;
        Ok(ours.then_some(place))
    }

    /// What comes now is let go.
    fn give_up(&mut self) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        *wanted = false;
        if let Ok((place, ours)) = self.answers.try_recv() {
            self.asked = false;
            if ours {
                place.leave();
            }
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.give_up();
        self.ask = None;
        // One that still waits for an agent that was stopped ends when it has got what nobody wants any more.
        if !self.asked
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

impl Turns {
    pub(super) fn new(rule: Arc<Rule>) -> Self {
        Self { rule, state: State::Out, waiter: None }
    }

    /// For the game thread, between two steps: hands over where its turn is over and others wait. `entered` makes what the
    /// thread that waits calls at its start.
    pub(super) fn between_steps<E: FnOnce() + Send + 'static>(&mut self, entered: impl FnOnce() -> E) {
        if self.rule.shared.load(Relaxed) {
            self.look(Instant::now(), entered);
        } else if !matches!(self.state, State::Out) {
            self.leave();
        }
    }

    /// Before a wait that is no step.
    pub(crate) fn leave(&mut self) {
        match std::mem::replace(&mut self.state, State::Out) {
            State::Playing(place, _) => place.leave(),
            State::Impatient(_) => self.waiter.iter_mut().for_each(Waiter::give_up),
            State::Out => {}
        }
    }

    fn look<E: FnOnce() + Send + 'static>(&mut self, now: Instant, entered: impl FnOnce() -> E) {
        let Some(here) = self.rule.place() else { return self.leave() };
        let mut patience = PATIENCE;
        match &mut self.state {
            State::Playing(_, until) | State::Impatient(until) if now < *until => return,
            State::Playing(place, until) if Arc::ptr_eq(&here, place) => {
                if !place.is_wanted() {
                    *until = now + TURN;
                    return;
                }
                self.leave();
            }
            State::Impatient(_) => patience = Duration::ZERO,
            // The game has moved, or has just come.
            State::Playing(..) | State::Out => {
                self.leave();
                if here.take() {
                    self.state = State::Playing(here, now + TURN);
                    return;
                }
            }
        }
        self.wait(&here, patience, entered);
    }

    #[cold]
    fn wait<E: FnOnce() + Send + 'static>(&mut self, here: &Arc<Place>, patience: Duration, entered: impl FnOnce() -> E) {
        let waiter = match &mut self.waiter {
            Some(waiter) => waiter,
            none => match Waiter::start(entered()) {
                Ok(waiter) => none.insert(waiter),
                Err(error) => return tracing::debug!(%error, "no thread to wait for turns"),
            },
        };
        self.state = match waiter.wait(here, patience) {
            Ok(Some(place)) if Arc::ptr_eq(here, &place) => State::Playing(place, Instant::now() + TURN),
            Ok(elsewhere) => {
                elsewhere.iter().for_each(|place| place.leave());
                State::Out
            }
            Err(RecvTimeoutError::Timeout) => State::Impatient(Instant::now() + TURN),
            Err(RecvTimeoutError::Disconnected) => State::Out,
        };
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn place(dir: &std::path::Path) -> Place {
        let file = |name| File::create(dir.join(name)).unwrap();
        Place::new(file("queue"), file("turn"))
    }

    fn player(dir: &std::path::Path) -> Turns {
        let rule = Arc::new(Rule::default());
        rule.set_place(Some(place(dir)));
        rule.set_shared(true);
        Turns::new(rule)
    }

    fn step(turns: &mut Turns) {
        turns.between_steps(|| || {});
    }

    #[test]
    fn two_who_share_a_cpu_play_one_after_the_other_for_a_turn_each() {
        let dir = tempfile::tempdir().unwrap();
        let (log, played) = sync_channel(0);
        let players: Vec<_> = (0..2)
            .map(|player_number| {
                let (log, mut turns) = (log.clone(), player(dir.path()));
                std::thread::spawn(move || {
                    let mut last = None;
                    loop {
                        step(&mut turns);
                        let State::Playing(_, until) = &turns.state else { continue };
                        if last.replace(*until) != Some(*until) && log.send((player_number, *until)).is_err() {
                            return;
                        }
                    }
                })
            })
            .collect();
        drop(log);
        let seen: Vec<_> = played.iter().take(12).collect();
        drop(played);
        players.into_iter().for_each(|player| player.join().unwrap());
        let changes = seen.windows(2).filter(|w| w[0].0 != w[1].0).count();
        assert!(changes >= 4, "{seen:?}");
        // A turn begins when the one before is over: it ends a whole turn later.
        assert!(seen.windows(2).all(|w| w[0].0 == w[1].0 || w[1].1 >= w[0].1), "{seen:?}");
    }

    #[test]
    fn who_is_alone_keeps_the_turn_and_who_is_not_shared_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let mut turns = player(dir.path());
        step(&mut turns);
        let State::Playing(_, first) = turns.state else { panic!("{turns:?}") };
        while Instant::now() < first {
            std::thread::yield_now();
        }
        step(&mut turns);
        assert!(matches!(turns.state, State::Playing(_, until) if until > first));
        assert!(turns.waiter.is_none(), "nobody waited");
        turns.rule.set_shared(false);
        step(&mut turns);
        assert!(matches!(turns.state, State::Out));
        assert!(place(dir.path()).take(), "the turn is free");
    }

    #[test]
    fn a_turn_that_is_never_over_keeps_nobody_for_long_and_is_had_when_it_is() {
        let dir = tempfile::tempdir().unwrap();
        // Such as an agent that was stopped.
        let stopped = place(dir.path());
        assert!(stopped.take());
        let mut turns = player(dir.path());
        let asked = Instant::now();
        step(&mut turns);
        assert!(matches!(turns.state, State::Impatient(_)) && asked.elapsed() >= PATIENCE);
        // From now on without waiting, while its thread waits on.
        step(&mut turns);
        assert!(matches!(turns.state, State::Impatient(_)));
        stopped.leave();
        while !matches!(turns.state, State::Playing(..)) {
            step(&mut turns);
        }
    }

    #[test]
    fn who_pauses_while_it_waits_keeps_nobody_from_playing() {
        let dir = tempfile::tempdir().unwrap();
        let stopped = place(dir.path());
        assert!(stopped.take());
        let mut turns = player(dir.path());
        step(&mut turns);
        turns.leave();
        stopped.leave();
        // Its thread gets the turn and lets it go, and only then does the queue move on.
        let other = place(dir.path());
        other.wait().unwrap();
        other.leave();
        while !matches!(turns.state, State::Playing(..)) {
            step(&mut turns);
        }
    }
}
