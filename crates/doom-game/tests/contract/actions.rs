//! Which calls and actions are right, and that a wrong one harms nothing.

use doom_game::{Button, End, GameBackend, GameError, Needs, Step, Variable};

use crate::{
    host::{Host, game, game_with, seeded},
    play::{Player, assert_close, episode, hold, idle, look, press, value},
};

#[track_caller]
fn assert_usage(result: Result<Step, GameError>, says: &str) {
    match result {
        Err(GameError::Usage(text)) => assert!(text.contains(says), "{text}"),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn a_call_out_of_turn_is_wrong_use_and_harms_nothing(host: &dyn Host) {
    let mut game = game(host, "basic", &[]);
    let idle = idle(game.schema());
    assert_usage(game.step(&idle, 1), "no episode is open");
    let trace = hold(&mut *game, 1, &idle, 100);
    assert_eq!(trace.last().unwrap().end, Some(End::Timeout));
    let terminal = look(&*game, 0.0, None);
    assert_usage(game.step(&idle, 1), "no episode is open");
    assert_eq!(look(&*game, 0.0, None), terminal, "the terminal tic stays to be seen");
    assert!(hold(&mut *game, 1, &idle, 100) == trace);
    // In the middle of an episode another may start.
    game.new_episode(&seeded(2)).unwrap();
    game.step(&idle, 3).unwrap();
    assert!(hold(&mut *game, 1, &idle, 100) == trace);
}

pub(crate) fn an_action_that_is_none_is_wrong_use_and_harms_nothing(host: &dyn Host) {
    let mut game = game(host, "basic", &[]);
    let undisturbed = episode(&mut *game, 5, 3, 40);
    game.new_episode(&seeded(5)).unwrap();
    let mut player = Player::new(game.schema(), 5);
    for expected in &undisturbed[1..] {
        assert_usage(game.step(&[0.0; 2], 3), "3");
        assert_usage(game.step(&[0.0; 4], 3), "3");
        assert_usage(game.step(&[], 3), "3");
        assert_usage(game.step(&[0.0; 3], 0), "at least one tic");
        assert_usage(game.step(&[1.0, f64::NAN, 1.0], 3), "MOVE_RIGHT");
        assert_usage(game.step(&[1.0, 1.0, f64::INFINITY], 3), "ATTACK");
        assert_usage(game.step(&[f64::NEG_INFINITY, 1.0, 1.0], 3), "MOVE_LEFT");
        let step = game.step(&player.action(), 3).unwrap();
        assert_eq!(look(&*game, step.reward, step.end), *expected);
    }
}

/// How far the player of deathmatch has turned to the right after each of three steps, in degrees.
fn turns(host: &dyn Host, overrides: &[(&str, &str)], delta: f64, skip: u32) -> Vec<f64> {
    // The engine holds the player still for the first tics of this map.
    let overrides = [overrides, &[("episode_start_time", "20")]].concat();
    let mut game = game(host, "deathmatch", &overrides);
    game.new_episode(&seeded(1)).unwrap();
    let mut action = idle(game.schema());
    action[game.schema().button(Button::TURN_LEFT_RIGHT_DELTA).unwrap()] = delta;
    let angle = |game: &dyn GameBackend| value(game.schema(), &look(game, 0.0, None), Variable::ANGLE);
    let mut angles = vec![angle(&*game)];
    for _ in 0..3 {
        game.step(&action, skip).unwrap();
        angles.push(angle(&*game));
    }
    angles.windows(2).map(|pair| (pair[0] - pair[1]).rem_euclid(360.0)).collect()
}

pub(crate) fn a_delta_button_turns_by_its_number_in_every_tic(host: &dyn Host) {
    // Angles are counted in 1/65536 of a turn.
    let near = |a: f64, b: f64| assert!((a - b).abs() < 0.05, "{a} is not {b}");
    for turned in turns(host, &[], 10.0, 1) {
        near(turned, 10.0);
    }
    for turned in turns(host, &[], -2.5, 1) {
        near(turned, 357.5);
    }
    for turned in turns(host, &[], 5.0, 4) {
        near(turned, 20.0);
    }
}

pub(crate) fn a_delta_button_goes_no_further_than_its_greatest_value(host: &dyn Host) {
    let limited = turns(host, &[("button_max_value", "TURN_LEFT_RIGHT_DELTA 4")], 50.0, 1);
    for turned in limited {
        assert!((turned - 4.0).abs() < 0.05, "{turned}");
    }
}

pub(crate) fn every_button_of_the_game_is_accepted(host: &dyn Host) {
    let all = Button::ALL.iter().map(|b| b.name()).collect::<Vec<_>>().join(" ");
    let needs = Needs { variables: vec![Variable::HEALTH], ..Needs::default() };
    let mut game = game_with(host, "deathmatch", &[("available_buttons", &all)], needs);
    assert_eq!(game.schema().buttons, Button::ALL);
    for pressed in 0..Button::ALL.len() {
        game.new_episode(&seeded(1)).unwrap();
        let mut action = idle(game.schema());
        action[pressed] = 1.0;
        let step = game.step(&action, 2).unwrap();
        assert_eq!(step.end, None, "{}", Button::ALL[pressed]);
        assert_close(value(game.schema(), &look(&*game, 0.0, None), Variable::HEALTH), 100.0);
    }
}

/// How far an action that is held for ten tics moves the player ahead and to the left, and turns the view to the left and down.
fn moved(game: &mut dyn GameBackend, action: &[f64]) -> [f64; 4] {
    let read = |game: &dyn GameBackend| {
        [Variable::POSITION_X, Variable::POSITION_Y, Variable::ANGLE, Variable::PITCH]
            .map(|v| value(game.schema(), &look(game, 0.0, None), v))
    };
    game.new_episode(&seeded(1)).unwrap();
    let before = read(game);
    game.step(action, 10).unwrap();
    let after = read(game);
    let (dx, dy) = (after[0] - before[0], after[1] - before[1]);
    let (sin, cos) = before[2].to_radians().sin_cos();
    let half_turn = |degrees: f64| (degrees + 180.0).rem_euclid(360.0) - 180.0;
    [dx * cos + dy * sin, dy * cos - dx * sin, half_turn(after[2] - before[2]), half_turn(after[3] - before[3])]
}

pub(crate) fn every_direction_is_the_one_that_its_button_names(host: &dyn Host) {
    let all = Button::ALL.iter().map(|b| b.name()).collect::<Vec<_>>().join(" ");
    let needs = Needs { variables: vec![Variable::PITCH], ..Needs::default() };
    let overrides = [("available_buttons", all.as_str()), ("episode_start_time", "20")];
    let mut game = game_with(host, "health_gathering", &overrides, needs);
    let cases = [
        (Button::MOVE_FORWARD, 1.0, 0, 1.0),
        (Button::MOVE_BACKWARD, 1.0, 0, -1.0),
        (Button::MOVE_FORWARD_BACKWARD_DELTA, 5.0, 0, 1.0),
        (Button::MOVE_LEFT, 1.0, 1, 1.0),
        (Button::MOVE_RIGHT, 1.0, 1, -1.0),
        (Button::MOVE_LEFT_RIGHT_DELTA, 5.0, 1, -1.0),
        (Button::TURN_LEFT, 1.0, 2, 1.0),
        (Button::TURN_RIGHT, 1.0, 2, -1.0),
        (Button::TURN_LEFT_RIGHT_DELTA, 1.0, 2, -1.0),
        (Button::LOOK_UP, 1.0, 3, -1.0),
        (Button::LOOK_DOWN, 1.0, 3, 1.0),
        (Button::LOOK_UP_DOWN_DELTA, 1.0, 3, -1.0),
    ];
    for (button, number, axis, sign) in cases {
        let action: Vec<f64> = press(game.schema(), &[button]).iter().map(|pressed| pressed * number).collect();
        let moved = moved(&mut *game, &action);
        assert!(moved[axis] * sign > 0.1, "{button}: {moved:?}");
        let aside: f64 = moved.iter().enumerate().filter(|(other, _)| *other != axis).map(|(_, by)| by.abs()).sum();
        assert!(aside < 0.2, "{button}: {moved:?}");
    }
}
