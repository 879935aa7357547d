//! How a game is ended from another thread, what follows, and what recording does.

use std::{sync::mpsc, thread, time::Duration};

use doom_game::{EpisodeStart, GameBackend, GameError, Interrupt};

use crate::{
    host::{Host, game, seeded},
    play::{episode, idle},
};

/// No call takes longer than this once it was interrupted.
const BOUND: Duration = Duration::from_secs(60);

fn is_died<T>(result: &Result<T, GameError>) -> bool {
    matches!(result, Err(GameError::Died(_)))
}

/// What is over stays over, for every call.
fn assert_over(game: &mut dyn GameBackend) {
    let idle = idle(game.schema());
    for _ in 0..2 {
        let step = game.step(&idle, 1);
        assert!(matches!(step, Err(GameError::Died(_) | GameError::Usage(_))), "{step:?}");
        assert!(is_died(&game.new_episode(&seeded(1))));
    }
    let _ = game.observe();
}

pub(crate) fn an_interrupt_ends_a_step_that_hangs(host: &dyn Host) {
    let (mut game, mut factory) = host.hanging();
    let interrupt = game.interrupter();
    assert_eq!(interrupt.pid().is_some(), host.has_process());
    let (returned, wait) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        let hung = wait.recv_timeout(Duration::from_millis(300)) == Err(mpsc::RecvTimeoutError::Timeout);
        interrupt.interrupt();
        if hung && wait.recv_timeout(BOUND) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("the interrupt did not end the step");
            std::process::abort();
        }
        hung
    });
    let idle = idle(game.schema());
    let step = game.step(&idle, 4);
    let _ = returned.send(());
    assert!(watchdog.join().unwrap(), "the step did not hang: {step:?}");
    assert!(is_died(&step), "{step:?}");
    assert_over(&mut *game);
    drop(game);
    let mut game = factory.start().unwrap();
    assert!(episode(&mut *game, 1, 4, 20).len() > 1, "the next one plays");
}

pub(crate) fn an_interrupt_between_steps_ends_the_game(host: &dyn Host) {
    let mut game = game(host, "basic", &[]);
    game.new_episode(&seeded(1)).unwrap();
    let tic = game.observe().tic;
    game.interrupter().interrupt();
    let idle = idle(game.schema());
    assert!(is_died(&game.step(&idle, 1)));
    assert_eq!(game.observe().tic, tic, "what was seen last can still be read");
    assert_over(&mut *game);
    let mut unopened = crate::host::game(host, "basic", &[]);
    unopened.interrupter().interrupt();
    assert!(is_died(&unopened.new_episode(&seeded(1))));
}

pub(crate) fn an_interrupt_is_idempotent_and_harmless_after_the_game(host: &dyn Host) {
    let (first, second) = (game(host, "basic", &[]), game(host, "basic", &[]));
    let (one, other) = (first.interrupter(), first.interrupter());
    let mut second = second;
    for interrupt in [&one, &other, &one] {
        interrupt.interrupt();
    }
    drop(first);
    other.interrupt();
    assert_eq!(one.pid(), None);
    assert!(episode(&mut *second, 1, 4, 20).len() > 1, "another game is not concerned");
    let third = second.interrupter();
    assert_eq!(third.pid().is_some(), host.has_process());
    drop(second);
    third.interrupt();
    let _: std::sync::Arc<dyn Interrupt> = third;
}

pub(crate) fn a_recording_is_written_and_changes_nothing(host: &dyn Host) {
    let dir = tempfile::tempdir().unwrap();
    let mut game = game(host, "basic", &[]);
    let plain = episode(&mut *game, 5, 4, 100);
    let files: Vec<_> = (0..2).map(|i| dir.path().join(format!("{i}.lmp"))).collect();
    for file in &files {
        game.new_episode(&EpisodeStart { seed: 5, record: Some(file.clone()) }).unwrap();
        let mut player = crate::play::Player::new(game.schema(), 5);
        for expected in &plain[1..] {
            let step = game.step(&player.action(), 4).unwrap();
            assert_eq!(crate::play::look(&*game, step.reward, step.end), *expected);
        }
    }
    // The engine writes one when the next episode starts or the game ends.
    drop(game);
    for file in &files {
        assert!(file.metadata().unwrap().len() > 0, "{}", file.display());
    }
}

pub(crate) fn a_recording_that_cannot_be_written_is_wrong_use(host: &dyn Host) {
    let dir = tempfile::tempdir().unwrap();
    let mut game = game(host, "basic", &[]);
    let plain = episode(&mut *game, 5, 4, 20);
    let start = EpisodeStart { seed: 5, record: Some(dir.path().join("none/of/these/file.lmp")) };
    let Err(GameError::Usage(text)) = game.new_episode(&start) else { panic!("it started") };
    assert!(text.contains("file.lmp"), "{text}");
    let idle = idle(game.schema());
    assert!(matches!(game.step(&idle, 1), Err(GameError::Usage(_))), "no episode is open");
    assert!(episode(&mut *game, 5, 4, 20) == plain);
}
