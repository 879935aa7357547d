//! How episodes begin, what ends them, what the terminal tic shows, and what is paid.

use doom_game::{Button, End, GameBackend, Needs, Scenario, Variable};

use crate::{
    host::{Host, game, game_with, scenario, seeded},
    play::{Player, Seen, assert_close, episode, exit_of_basic, hold, idle, look, press, sweep, total, value},
};

fn last(trace: &[Seen]) -> &Seen {
    trace.last().unwrap()
}

pub(crate) fn an_episode_begins_at_its_start_time(host: &dyn Host) {
    for (start, first) in [("0", 1), ("1", 1), ("14", 14), ("35", 35)] {
        let mut game = game(host, "basic", &[("episode_start_time", start)]);
        for seed in 0..3 {
            game.new_episode(&seeded(seed)).unwrap();
            assert_eq!(game.observe().tic, first, "start time {start}");
            let idle = idle(game.schema());
            for (skip, tic) in [(1, first + 1), (4, first + 5), (20, first + 25)] {
                game.step(&idle, skip).unwrap();
                assert_eq!(game.observe().tic, tic);
            }
        }
    }
}

pub(crate) fn a_timeout_comes_after_exactly_its_tics_and_cuts_the_skip_short(host: &dyn Host) {
    for (skip, steps, rest) in [(1, 24, 1), (7, 4, 3), (8, 3, 8), (20, 2, 4), (1000, 1, 24)] {
        let mut game = game(host, "basic", &[("episode_timeout", "24")]);
        let idle = idle(game.schema());
        let trace = hold(&mut *game, 1, &idle, skip);
        assert_eq!((trace.len() - 1, last(&trace).end), (steps, Some(End::Timeout)), "skip {skip}");
        assert_eq!(last(&trace).tic, 14 + 24, "skip {skip}");
        // One point is taken for each tic: the last step counts what ran.
        assert_close(last(&trace).reward, -f64::from(rest));
        assert_close(total(&trace), -24.0);
        assert!(trace.iter().rev().skip(1).all(|seen| seen.end.is_none()));
    }
}

pub(crate) fn a_death_shows_the_damage_of_the_last_hit(host: &dyn Host) {
    let needs = Needs { variables: vec![Variable::DEAD, Variable::HITS_TAKEN], ..Needs::default() };
    let mut game = game_with(host, "defend_the_center", &[], needs);
    let idle = idle(game.schema());
    let trace = hold(&mut *game, 1, &idle, 4);
    let (before, terminal) = (&trace[trace.len() - 2], last(&trace));
    assert_eq!(terminal.end, Some(End::Death));
    let now = |variable| value(game.schema(), terminal, variable);
    let then = |variable| value(game.schema(), before, variable);
    assert_eq!((now(Variable::DEAD), then(Variable::DEAD)), (1.0, 0.0));
    assert!(now(Variable::HEALTH) <= 0.0 && then(Variable::HEALTH) > 0.0, "{terminal:?}");
    assert!(now(Variable::DAMAGE_TAKEN) >= 100.0 && now(Variable::DAMAGE_TAKEN) > then(Variable::DAMAGE_TAKEN), "{terminal:?}");
    assert!(now(Variable::HITS_TAKEN) > then(Variable::HITS_TAKEN), "{terminal:?}");
    assert!(terminal.tic > before.tic && terminal.tic <= before.tic + 4, "{terminal:?}");
    assert_close(total(&trace), -1.0);
}

pub(crate) fn a_kill_that_ends_the_level_is_in_the_terminal_variables(host: &dyn Host) {
    let mut game = game(host, "basic", &[]);
    let (_, trace) = exit_of_basic(&mut *game, 4);
    let (before, terminal) = (&trace[trace.len() - 2], last(&trace));
    let now = |variable| value(game.schema(), terminal, variable);
    assert_eq!((now(Variable::KILLCOUNT), value(game.schema(), before, Variable::KILLCOUNT)), (1.0, 0.0));
    assert!(now(Variable::HITCOUNT) >= 1.0 && now(Variable::DAMAGECOUNT) > 0.0 && now(Variable::AMMO2) < 50.0, "{terminal:?}");
    assert_close(now(Variable::HEALTH), 100.0);
    assert!(terminal.tic > before.tic && terminal.tic <= before.tic + 4, "the tic stays right after the exit: {terminal:?}");
    assert!(terminal.reward > 90.0, "the map pays for the kill: {terminal:?}");
}

pub(crate) fn without_a_timeout_an_episode_lasts_until_death(host: &dyn Host) {
    let mut game = game(host, "defend_the_line", &[]);
    let idle = idle(game.schema());
    assert_eq!(last(&hold(&mut *game, 1, &idle, 20)).end, Some(End::Death));
}

/// The tic and the first tic of an episode that ends by itself.
fn span(trace: &[Seen]) -> (u32, u32) {
    (trace[0].tic, last(trace).tic)
}

pub(crate) fn a_death_in_the_tic_of_the_timeout_is_a_death(host: &dyn Host) {
    let mut free = game(host, "defend_the_center", &[]);
    let idle = idle(free.schema());
    let undisturbed = hold(&mut *free, 2, &idle, 1);
    assert_eq!(last(&undisturbed).end, Some(End::Death));
    let (first, end) = span(&undisturbed);
    for (timeout, expected) in [(end - first, End::Death), (end - first - 1, End::Timeout)] {
        for skip in [1, 4, 20] {
            let mut game = game(host, "defend_the_center", &[("episode_timeout", &timeout.to_string())]);
            let trace = hold(&mut *game, 2, &idle, skip);
            assert_eq!((last(&trace).end, last(&trace).tic), (Some(expected), first + timeout), "skip {skip}");
            assert_close(total(&trace), if expected == End::Death { -1.0 } else { 0.0 });
        }
    }
}

pub(crate) fn an_exit_in_the_tic_of_the_timeout_is_an_exit(host: &dyn Host) {
    let mut free = game(host, "basic", &[]);
    let (seed, undisturbed) = exit_of_basic(&mut *free, 1);
    let shoot = sweep(free.schema());
    let (first, end) = span(&undisturbed);
    for (timeout, expected) in [(end - first, End::LevelExit), (end - first - 1, End::Timeout)] {
        for skip in [1, 4, 20] {
            let mut game = game(host, "basic", &[("episode_timeout", &timeout.to_string())]);
            let trace = hold(&mut *game, seed, &shoot, skip);
            assert_eq!((last(&trace).end, last(&trace).tic), (Some(expected), first + timeout), "skip {skip}");
        }
    }
}

/// Plays 40 tics of each action of chance to the end: every skip that divides 40 plays the same game.
fn in_blocks(game: &mut dyn GameBackend, seed: u32, skip: u32) -> (f64, Seen) {
    game.new_episode(&seeded(seed)).unwrap();
    let mut player = Player::new(game.schema(), seed);
    let mut total = 0.0;
    loop {
        let action = player.action();
        for _ in 0..40 / skip {
            let step = game.step(&action, skip).unwrap();
            total += step.reward;
            if step.end.is_some() {
                return (total, look(game, 0.0, step.end));
            }
        }
    }
}

pub(crate) fn the_frame_skip_changes_what_is_seen_and_not_what_happens(host: &dyn Host) {
    let mut ends = Vec::new();
    for name in ["basic", "deadly_corridor", "defend_the_center"] {
        let needs = Needs { variables: vec![Variable::DEAD, Variable::HITS_TAKEN], ..Needs::default() };
        let mut game = game_with(host, name, &[("episode_timeout", "301")], needs);
        for seed in 0..6 {
            let (reward, terminal) = in_blocks(&mut *game, seed, 1);
            for skip in [2, 4, 8, 20] {
                let (total, seen) = in_blocks(&mut *game, seed, skip);
                assert_eq!(seen, terminal, "{name}, seed {seed}, skip {skip}");
                assert_close(total, reward);
            }
            ends.extend(terminal.end);
        }
    }
    assert!([End::Death, End::Timeout].iter().all(|end| ends.contains(end)), "{ends:?}");
}

pub(crate) fn rewards_cover_the_whole_step_by_the_scenarios_rates(host: &dyn Host) {
    // Only the living, and what the map pays besides.
    let rates = [("living_reward", "0.5"), ("death_penalty", "7"), ("map_exit_reward", "1000"), ("kill_reward", "10000")];
    let mut basic = game(host, "basic", &rates);
    let (seed, trace) = exit_of_basic(&mut *basic, 4);
    let shoot = sweep(basic.schema());
    let plain = hold(&mut *game(host, "basic", &[("living_reward", "0")]), seed, &shoot, 4);
    let (first, end) = span(&trace);
    assert_close(total(&trace), total(&plain) + 0.5 * f64::from(end - first) + 1000.0 + 10000.0);
    let needs = Needs { variables: vec![Variable::DEAD, Variable::HITS_TAKEN], ..Needs::default() };
    let rates = [("death_penalty", "7"), ("hit_taken_penalty", "100"), ("damage_taken_penalty", "0.25"), ("map_exit_reward", "1000")];
    let mut centre = game_with(host, "defend_the_center", &rates, needs);
    let idle = idle(centre.schema());
    let trace = hold(&mut *centre, 3, &idle, 8);
    let taken = |variable| value(centre.schema(), last(&trace), variable);
    assert_eq!(last(&trace).end, Some(End::Death));
    assert_close(total(&trace), -7.0 - 100.0 * taken(Variable::HITS_TAKEN) - 0.25 * taken(Variable::DAMAGE_TAKEN));
    // What is lost costs nothing, what is gained is paid for.
    let rates = [("living_reward", "0"), ("death_penalty", "0"), ("health_reward", "1")];
    let mut gathering = game(host, "health_gathering", &rates);
    let forward = press(gathering.schema(), &[Button::MOVE_FORWARD, Button::TURN_LEFT]);
    let trace = hold(&mut *gathering, 1, &forward, 1);
    let gained: f64 = trace
        .windows(2)
        .map(|pair| {
            (value(gathering.schema(), &pair[1], Variable::HEALTH) - value(gathering.schema(), &pair[0], Variable::HEALTH)).max(0.0)
        })
        .sum();
    assert_close(total(&trace), gained);
}

pub(crate) fn every_scenario_of_ours_plays(host: &dyn Host) {
    for name in Scenario::embedded() {
        let scenario = scenario(name, &[]);
        let needs = Needs { variables: vec![Variable::HEALTH, Variable::DEAD], frames: true, ..Needs::default() };
        let mut game = host.factory(scenario.clone(), needs).start().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(game.schema().buttons, scenario.buttons, "{name}");
        for seed in 1..3 {
            let trace = episode(&mut *game, seed, 4, 80);
            let now = |seen: &Seen, variable| value(game.schema(), seen, variable);
            assert!((1.0..=100.0).contains(&now(&trace[0], Variable::HEALTH)), "{name}");
            assert_eq!(trace[0].tic, scenario.episode_start_time.max(1), "{name}");
            for (k, seen) in trace.iter().enumerate().filter(|(_, seen)| seen.end.is_none()) {
                assert_eq!(seen.tic as usize, trace[0].tic as usize + 4 * k, "{name}");
                assert!(seen.frame.is_some() && now(seen, Variable::DEAD) == 0.0, "{name}");
            }
            assert!(trace.len() > 5 && trace.iter().all(|seen| seen.variables.iter().all(|v| v.is_finite())), "{name}");
        }
    }
}
