//! The same scenario, seed and actions give the same observations, rewards and end.

use doom_game::{Needs, Variable};

use crate::{
    host::{Host, game, game_with, scenario, seeded},
    play::{Player, Seen, assert_close, episode, look},
};

const SCENARIOS: [&str; 4] = ["basic", "deadly_corridor", "deathmatch", "health_gathering"];

fn everything() -> Needs {
    Needs { variables: Variable::ALL.to_vec(), labels: true, frames: true, run_dir: None }
}

pub(crate) fn the_same_seed_and_actions_give_the_same_game_in_two_backends(host: &dyn Host) {
    for name in SCENARIOS {
        // What the tic number of the process is, and how many died in it, is the backend's and not the game's.
        let needs = Needs { variables: Variable::ALL.iter().copied().filter(|v| *v != Variable::DEATHCOUNT).collect(), ..everything() };
        let mut factory = host.factory(scenario(name, &[]), needs);
        let (mut a, mut b) = (factory.start().unwrap(), factory.start().unwrap());
        episode(&mut *b, 99, 3, 20);
        for seed in [1, 4_000_000_000] {
            let (a, b) = (episode(&mut *a, seed, 4, 60), episode(&mut *b, seed, 4, 60));
            assert!(a.len() > 10 && a == b, "{name}, seed {seed}: {:?}", a.iter().zip(&b).find(|(a, b)| a != b));
        }
    }
}

pub(crate) fn an_episode_does_not_depend_on_those_before_it(host: &dyn Host) {
    for name in ["defend_the_center", "my_way_home", "deathmatch"] {
        let mut game = game(host, name, &[("episode_timeout", "400")]);
        let first = episode(&mut *game, 7, 4, 200);
        episode(&mut *game, 8, 1, 30);
        episode(&mut *game, 9, 20, 200);
        assert!(episode(&mut *game, 7, 4, 200) == first, "{name}");
    }
}

pub(crate) fn another_seed_is_another_game(host: &dyn Host) {
    let mut game = game(host, "basic", &[]);
    // The same actions: the difference is the game's.
    let variables = |trace: &[Seen]| trace.iter().map(|seen| (seen.frame, seen.labels.clone())).collect::<Vec<_>>();
    let mut plays = Vec::new();
    let needs = Needs { labels: true, frames: true, ..Needs::default() };
    let mut game_with_labels = game_with(host, "basic", &[], needs);
    for seed in [1, 2, 3] {
        game_with_labels.new_episode(&seeded(seed)).unwrap();
        plays.push(variables(&[look(&*game_with_labels, 0.0, None)]));
    }
    plays.dedup();
    assert!(plays.len() > 1, "three seeds put the monster at the same place");
    assert_ne!(episode(&mut *game, 1, 4, 50), episode(&mut *game, 2, 4, 50));
}

pub(crate) fn every_seed_is_accepted(host: &dyn Host) {
    let mut game = game(host, "basic", &[]);
    for seed in [0, 1, i32::MAX.unsigned_abs(), 1 << 31, u32::MAX] {
        let first = episode(&mut *game, seed, 4, 10);
        assert!(episode(&mut *game, seed, 4, 10) == first, "{seed}");
    }
}

pub(crate) fn a_skip_is_the_same_as_that_many_steps_of_one_tic(host: &dyn Host) {
    for name in SCENARIOS {
        let needs = || Needs { variables: Variable::ALL.to_vec(), ..Needs::default() };
        let (mut long, mut short) = (game_with(host, name, &[], needs()), game_with(host, name, &[], needs()));
        long.new_episode(&seeded(3)).unwrap();
        short.new_episode(&seeded(3)).unwrap();
        let mut player = Player::new(long.schema(), 3);
        let mut compared = 0;
        for _ in 0..50 {
            let action = player.action();
            let step = long.step(&action, 4).unwrap();
            if step.end.is_some() {
                break;
            }
            let mut reward = 0.0;
            for _ in 0..4 {
                let one = short.step(&action, 1).unwrap();
                assert_eq!(one.end, None, "{name}");
                reward += one.reward;
            }
            assert_close(step.reward, reward);
            let (long, short) = (look(&*long, 0.0, None), look(&*short, 0.0, None));
            assert_eq!((long.tic, &long.variables), (short.tic, &short.variables), "{name}");
            compared += 1;
        }
        assert!(compared > 5, "{name} ended after {compared} steps");
    }
}

pub(crate) fn what_is_asked_for_besides_does_not_change_the_game(host: &dyn Host) {
    let (mut with, mut without) = (game_with(host, "deadly_corridor", &[], everything()), game(host, "deadly_corridor", &[]));
    let own = without.schema().scenario_variables;
    let game = |trace: Vec<Seen>| {
        trace.into_iter().map(|seen| (seen.tic, seen.variables[..own].to_vec(), seen.reward, seen.end)).collect::<Vec<_>>()
    };
    assert_eq!(game(episode(&mut *with, 5, 2, 100)), game(episode(&mut *without, 5, 2, 100)));
}
