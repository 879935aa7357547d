//! The lifecycle over random interleavings of commands and engine faults, with a game thread that plays: what was asked for is what comes, a pause
//! that is asked for while the engine is replaced is latched, and an end is final.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use proptest::prelude::*;

use super::{Flow, Lifecycle, State};

#[derive(Debug, Clone, Copy)]
enum Act {
    Pause,
    Resume,
    Stop,
    /// The engine fails in the next step; the game thread replaces it.
    Fault,
    /// The game goes on for a few steps (none where it is paused).
    Steps,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![5 => Just(Act::Pause), 5 => Just(Act::Resume), 1 => Just(Act::Stop), 4 => Just(Act::Fault), 4 => Just(Act::Steps)]
}

/// What the game thread shows.
#[derive(Default)]
struct Game {
    fault: AtomicBool,
    steps: AtomicU64,
    recoveries: AtomicU64,
}

/// As the game loop does: engines, and on each of them steps.
fn play(lifecycle: &Lifecycle, game: &Game) {
    while !lifecycle.is_stopping() {
        // A new engine; then the first boundary.
        let mut look = true;
        loop {
            if look && lifecycle.boundary() == Flow::Stop {
                return lifecycle.enter(State::Draining);
            }
            if game.fault.swap(false, SeqCst) {
                break;
            }
            game.steps.fetch_add(1, SeqCst);
            look = lifecycle.must_look();
            thread::yield_now();
        }
        lifecycle.enter(State::Recovering);
        game.recoveries.fetch_add(1, SeqCst);
        if !lifecycle.wait_unless_stopped(Duration::from_micros(50)) {
            break;
        }
    }
    lifecycle.enter(State::Draining);
}

/// Waits until it is so; a game thread that never gets there is a failure.
fn reaches(what: &str, mut is: impl FnMut() -> bool) -> Result<(), TestCaseError> {
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while !is() {
        prop_assert!(std::time::Instant::now() < until, "never so: {}", what);
        thread::yield_now();
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_asked_for_last_is_what_comes(start_paused: bool, acts in prop::collection::vec(act(), 1..40)) {
        let (lifecycle, game) = (Arc::new(Lifecycle::new(start_paused)), Arc::new(Game::default()));
        let player = thread::spawn({
            let (lifecycle, game) = (Arc::clone(&lifecycle), Arc::clone(&game));
            move || play(&lifecycle, &game)
        });
        let (mut paused, mut stopped) = (start_paused, false);
        for act in acts {
            match act {
                Act::Pause => {
                    prop_assert_eq!(lifecycle.pause(), !stopped, "an ending agent refuses");
                    paused = true;
                }
                Act::Resume => {
                    prop_assert_eq!(lifecycle.resume(), !stopped, "an ending agent refuses");
                    paused = false;
                }
                Act::Stop => {
                    lifecycle.stop();
                    stopped = true;
                }
                Act::Fault => game.fault.store(true, SeqCst),
                Act::Steps => {}
            }
            if stopped {
                reaches("draining after a stop", || lifecycle.state() == State::Draining)?;
                // And nothing leads out of it but the end.
                lifecycle.enter(State::Running);
                lifecycle.enter(State::Recovering);
                prop_assert_eq!(lifecycle.state(), State::Draining);
            } else if paused {
                reaches("paused", || lifecycle.state() == State::Paused)?;
                let before = game.steps.load(SeqCst);
                thread::yield_now();
                prop_assert_eq!(game.steps.load(SeqCst), before, "no step in a pause");
            } else {
                let before = game.steps.load(SeqCst);
                reaches("steps", || game.steps.load(SeqCst) > before + 2)?;
                reaches("running", || lifecycle.state() == State::Running)?;
            }
        }
        lifecycle.stop();
        player.join().unwrap();
        lifecycle.enter(State::Stopped);
        lifecycle.enter(State::Draining);
        prop_assert_eq!(lifecycle.state(), State::Stopped);
    }
}
