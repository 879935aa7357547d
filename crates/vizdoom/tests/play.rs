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
fn buffers_labels_objects_and_sectors_are_reported_where_they_are_on_and_only_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = basic(dir.path());
    config.buffers.depth = true;
    config.buffers.labels = true;
    config.buffers.automap = Some(vizdoom::Automap::default());
    config.buffers.objects = true;
    config.buffers.sectors = true;
    config.screen_format = "RGB24".into();
    let mut game = start(&config);
    game.new_episode(3, None).unwrap();
    game.step(&[0.0; 3], 1).unwrap();
    assert_eq!(game.screen().unwrap().data.len(), 160 * 120 * 3);
    assert_eq!(game.automap().unwrap().data.len(), 160 * 120 * 3);
    for one in [game.depth().unwrap(), game.labels_buffer().unwrap()] {
        assert_eq!((one.data.len(), one.width, one.height, one.channels), (160 * 120, 160, 120, 1));
    }
    let monster = game.labels().find(|label| label.name == "Cacodemon").expect("the monster of basic.wad is in view");
    assert!(monster.width > 0 && monster.x + monster.width <= 160 && monster.y + monster.height <= 120, "{monster:?}");
    let within =
        |label: &vizdoom::Label<'_>| game.labels_buffer().unwrap().data[(label.y * 160 + label.x) as usize..].contains(&label.value);
    assert!(within(&monster));
    assert!(game.objects().any(|object| object.id == monster.id && object.position == monster.position));
    assert!(game.sectors().next().is_some_and(|sector| sector.lines.len() > 3));
    drop(game);

    let mut game = start(&basic(dir.path()));
    game.new_episode(3, None).unwrap();
    assert!(game.depth().is_none() && game.labels_buffer().is_none() && game.automap().is_none());
    assert_eq!((game.labels().count(), game.objects().count(), game.sectors().count()), (0, 0, 0));
}

#[test]
fn a_recorded_episode_replays_with_the_same_actions_and_end() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(150));
    std::fs::create_dir(&deep).unwrap();
    let file = deep.join("episode.lmp"); // longer than a console command may be
    let run_dir = tempfile::tempdir().unwrap();
    let config = basic(run_dir.path());
    let mut game = start(&config);
    game.new_episode(5, Some(&file)).unwrap();
    let mut played = Vec::new();
    while !game.last().finished {
        let action = [0.0, f64::from(played.len() % 2 == 0), f64::from(played.len() % 5 == 0)];
        game.step(&action, 1).unwrap();
        played.push((action.to_vec(), game.variables().to_vec()));
    }
    let end = game.last();
    drop(game);
    assert!(file.metadata().unwrap().len() > 100, "the recording is written when the game ends");

    let mut game = start(&config);
    game.replay(&file, 0).unwrap();
    let mut replayed = Vec::new();
    while !game.last().finished {
        game.step(&[0.0; 3], 1).unwrap();
        replayed.push((game.last_action().unwrap(), game.variables().to_vec()));
    }
    assert_eq!(game.last().map_ended, end.map_ended);
    let ends = |trace: &[(Vec<f64>, Vec<f64>)]| trace.last().unwrap().1[..4].to_vec();
    assert_eq!(ends(&replayed), ends(&played), "ammo, kills, hits, damage");
    let before = std::fs::read_dir(run_dir.path()).unwrap().filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "lmp"));
    assert_eq!(before.count(), 0, "no link is left in the run directory");
}
