//! What playing promises, on the real engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{basic, start};
use vizdoom::{Error, Step};

/// Plays a fixed sequence of actions to the end.
fn episode(game: &mut vizdoom::Game, seed: u32, skip: u32) -> Vec<(Step, Vec<f64>, u64)> {
    game.new_episode(seed, None).unwrap();
    let mut trace = Vec::new();
    for k in 0u32.. {
        let action = [f64::from(k % 4 == 1), f64::from(k % 7 == 2), f64::from(k % 3 == 0)];
        let step = game.step(&action, skip).unwrap();
        let picture = if step.finished { 0 } else { sum(game.screen().unwrap().data) };
        trace.push((step, game.variables().to_vec(), picture));
        if step.finished {
            return trace;
        }
    }
    unreachable!()
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

#[test]
fn an_episode_is_played_to_its_end_and_the_terminal_variables_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut game = start(&basic(dir.path()));
    let trace = episode(&mut game, 42, 4);
    let (last, variables, _) = trace.last().unwrap();
    assert!(last.tic > 14 && last.tic <= 314, "{last:?}");
    assert!(last.map_ended || last.timed_out, "{last:?}");
    assert!(variables[0] < 50.0, "ammo was used: {variables:?}");
    assert!(variables[4] > 0.0, "health is read on the terminal tic too: {variables:?}");
    let total: f64 = trace.iter().map(|(step, ..)| step.reward).sum();
    assert!((total - last.total_reward).abs() < 1e-9);
    assert!(matches!(game.step(&[0.0; 3], 1), Err(Error::EpisodeFinished)));
    game.new_episode(1, None).unwrap();
    assert!(!game.last().finished && game.last().total_reward == 0.0, "misuse leaves the game as it was");
}

#[test]
fn a_kill_in_the_last_tic_is_in_the_terminal_variables() {
    let dir = tempfile::tempdir().unwrap();
    let mut game = start(&basic(dir.path()));
    for seed in 0..40 {
        let trace = episode(&mut game, seed, 4);
        let (last, variables, _) = trace.last().unwrap();
        if last.map_ended {
            assert!(variables[1] >= 1.0, "the map ends with the kill: {variables:?}");
            let before = &trace[trace.len() - 2].0;
            assert!(last.tic > before.tic && last.tic <= before.tic + 4, "the tic stays right after the exit: {before:?} {last:?}");
            return;
        }
    }
    panic!("no episode ended with a kill");
}

#[test]
fn the_same_seed_and_actions_give_the_same_game_in_two_engines() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [mut a, mut b] = dirs.each_ref().map(|dir| start(&basic(dir.path())));
    let _ = episode(&mut b, 99, 3); // what came before does not matter
    for seed in [1, 2, 4_294_967_295] {
        let (a, b) = (episode(&mut a, seed, 2), episode(&mut b, seed, 2));
        assert!(a == b, "seed {seed}");
        assert!(a.len() > 10);
    }
    assert!(episode(&mut a, 1, 2) != episode(&mut a, 2, 2), "the seed matters");
}

#[test]
fn a_timeout_is_reached_and_counts_the_tics_that_ran() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = basic(dir.path());
    config.episode_timeout = 10;
    let mut game = start(&config);
    game.new_episode(1, None).unwrap();
    assert_eq!(game.last().tic, 14);
    assert!(!game.step(&[0.0; 3], 7).unwrap().finished);
    let last = game.step(&[0.0; 3], 7).unwrap();
    assert!(last.finished && last.timed_out && !last.map_ended && !last.player_dead, "{last:?}");
    assert_eq!((last.tic, last.reward), (24, -3.0), "three of the seven tics ran");
}

#[test]
fn wrong_calls_are_refused_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut game = start(&basic(dir.path()));
    game.new_episode(1, None).unwrap();
    assert!(matches!(game.step(&[0.0; 2], 1), Err(Error::ActionLength { got: 2, want: 3 })));
    assert!(matches!(game.step(&[0.0; 3], 0), Err(Error::NoTics)));
    assert!(matches!(game.command(&"x".repeat(129)), Err(Error::BadArgument(_))));
    assert!(game.step(&[0.0; 3], 1).is_ok());
}

#[test]
fn a_recorded_episode_replays_tic_by_tic_with_the_same_rewards_and_variables() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(150));
    std::fs::create_dir(&deep).unwrap();
    let file = deep.join("episode.lmp"); // longer than a console command may be
    let run_dir = tempfile::tempdir().unwrap();
    let config = basic(run_dir.path());
    let mut game = start(&config);
    game.new_episode(5, Some(&file)).unwrap();
    let mut played = vec![(game.last(), game.variables().to_vec())];
    let mut pressed = Vec::new();
    while !game.last().finished {
        let k = played.len();
        let action = [0.0, f64::from(k % 2 == 0), f64::from(k % 5 == 0)];
        let step = game.step(&action, 1).unwrap();
        pressed.push(action.to_vec());
        played.push((step, game.variables().to_vec()));
    }
    drop(game);
    assert!(file.metadata().unwrap().len() > 100, "the recording is written when the game ends");

    let mut game = start(&config);
    game.replay(&file, 0).unwrap();
    let mut replayed = vec![(game.last(), game.variables().to_vec())];
    let mut actions = Vec::new();
    while !game.last().finished {
        let step = game.step(&[0.0; 3], 1).unwrap();
        actions.push(game.last_action().unwrap());
        replayed.push((step, game.variables().to_vec()));
    }
    assert_eq!(replayed, played);
    assert_eq!(actions, pressed, "each step of a replay shows what was pressed");
    assert!(replayed.last().unwrap().0.map_ended || replayed.len() > 300, "to the end of the episode");
    let before = std::fs::read_dir(run_dir.path()).unwrap().filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "lmp"));
    assert_eq!(before.count(), 0, "no link is left in the run directory");
}
