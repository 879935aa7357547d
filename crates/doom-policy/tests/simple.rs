//! `random` and `cycle:…`: what they press, from which seed, and what they refuse.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use common::{decide, observation, schema};
use doom_game::{Button, Schema};
use doom_policy::{Policy, PolicyError, PolicySpec};

fn buttons() -> Schema {
    schema(&[Button::MOVE_LEFT, Button::ATTACK, Button::TURN_LEFT_RIGHT_DELTA], &[])
}

fn policy(spec: &str) -> Box<dyn Policy> {
    spec.parse::<PolicySpec>().unwrap().load(&[]).unwrap().bind(&buttons()).unwrap_or_else(|e| panic!("{e}"))
}

fn actions(policy: &mut dyn Policy, n: usize) -> Vec<Vec<f64>> {
    (0..n).map(|_| decide(policy, &observation(0, &[], &[]), 3)).collect()
}

#[test]
fn random_presses_each_button_and_none_equally_often_and_never_two() {
    let mut random = policy("random");
    random.begin_episode(7);
    let mut counts = [0u32; 4];
    for action in actions(&mut *random, 8000) {
        let pressed: Vec<usize> = (0..3).filter(|i| action[*i] != 0.0).collect();
        assert!(pressed.len() <= 1, "{action:?}");
        counts[pressed.first().copied().unwrap_or(3)] += 1;
        assert!([0.0, 1.0].contains(&action[0]) && [0.0, 1.0].contains(&action[1]) && action[2].abs() <= 10.0, "{action:?}");
    }
    // 2000 each are expected, with a deviation of 39.
    assert!(counts.iter().all(|n| (1800..2200).contains(n)), "{counts:?}");
    assert_eq!(random.rule_match_rate(), None);
}

#[test]
fn random_is_the_seeds_and_an_episode_does_not_depend_on_the_one_before() {
    let mut random = policy("random");
    random.begin_episode(7);
    let first = actions(&mut *random, 200);
    random.begin_episode(8);
    assert_ne!(actions(&mut *random, 150), first[..150]);
    random.begin_episode(7);
    assert_eq!(actions(&mut *random, 200), first);
}

#[test]
fn a_cycle_goes_round_and_begins_anew_with_each_episode() {
    let mut cycle = policy("cycle: attack , MOVE_LEFT + ATTACK,TURN_LEFT_RIGHT_DELTA=-3.5,noop*2");
    cycle.begin_episode(1);
    let round = vec![vec![0.0, 1.0, 0.0], vec![1.0, 1.0, 0.0], vec![0.0, 0.0, -3.5], vec![0.0; 3], vec![0.0; 3]];
    assert_eq!(actions(&mut *cycle, 5), round);
    assert_eq!(actions(&mut *cycle, 3), round[..3]);
    cycle.begin_episode(2);
    assert_eq!(actions(&mut *cycle, 5), round);
    assert_eq!(cycle.rule_match_rate(), None);
}

#[test]
fn what_no_policy_is_is_refused_with_what_is_valid() {
    for text in ["", "rando", "cycle", "rules:", "rules", "neural:x"] {
        let error = text.parse::<PolicySpec>().unwrap_err();
        assert_eq!(error, format!("unknown policy `{text}`; valid are random, cycle:ATTACK,MOVE_LEFT+ATTACK,NOOP*3, and rules:FILE"));
    }
}

#[test]
fn a_slip_in_a_cycle_is_told_with_its_item() {
    let refused = |text: &str| format!("cycle:{text}").parse::<PolicySpec>().unwrap_err();
    assert!(refused("ATTACK,ATACK").starts_with("cycle, item 2: unknown button `ATACK` (did you mean ATTACK?); valid are ATTACK, USE,"));
    for (text, error) in [
        ("ATTACK+ATTACK", "cycle, item 1: ATTACK is pressed already"),
        ("ATTACK=1", "cycle, item 1: ATTACK is either pressed or not; write it without a value"),
        ("NOOP,LOOK_UP_DOWN_DELTA", "cycle, item 2: LOOK_UP_DOWN_DELTA is a delta button and needs a value; write LOOK_UP_DOWN_DELTA=1.5"),
        ("LOOK_UP_DOWN_DELTA=inf", "cycle, item 1: LOOK_UP_DOWN_DELTA needs a finite number, not `inf`"),
        ("ATTACK*0", "cycle, item 1: `0` is no repetition; write *N with N from 1 to 10000"),
        ("ATTACK*-1", "cycle, item 1: `-1` is no repetition; write *N with N from 1 to 10000"),
        ("ATTACK*10000,NOOP", "cycle, item 2: the cycle is longer than 10000 steps"),
    ] {
        assert_eq!(refused(text), error);
    }
    assert!(refused("ATTACK,,USE").starts_with("cycle, item 2: unknown button ``"));
}

#[test]
fn a_button_that_the_scenario_lacks_and_a_parameter_that_nothing_takes_are_refused() {
    let program = "cycle:ATTACK,USE".parse::<PolicySpec>().unwrap().load(&[]).unwrap();
    let Err(error) = program.bind(&buttons()) else { panic!("bound") };
    assert_eq!(error.to_string(), "cycle: the scenario has no button USE; it has MOVE_LEFT, ATTACK, TURN_LEFT_RIGHT_DELTA");
    for policy in ["random", "cycle:ATTACK"] {
        let error = policy.parse::<PolicySpec>().unwrap().load(&[("speed".into(), 1.0)]).unwrap_err();
        assert!(matches!(error, PolicyError::Parameter { .. }));
        assert_eq!(error.to_string(), format!("the policy `{policy}` has no parameter `speed`; it has none"));
    }
}
