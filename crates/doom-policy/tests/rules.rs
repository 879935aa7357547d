//! What a rules file does: order, hold, probability, parameters, labels, changes, and the same again from the same seed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use common::{decide, label, load, load_file, observation, rules};
use doom_game::{Button, Label, Needs, Variable};
use doom_policy::{Policy, PolicyError};

/// The actions over MOVE_LEFT, ATTACK and the turning delta, one for each row of variables.
fn actions(policy: &mut dyn Policy, rows: &[&[f64]]) -> Vec<Vec<f64>> {
    rows.iter().map(|row| decide(policy, &observation(0, row, &[]), 3)).collect()
}

const NOOP: [f64; 3] = [0.0; 3];
const LEFT: [f64; 3] = [1.0, 0.0, 0.0];
const ATTACK: [f64; 3] = [0.0, 1.0, 0.0];

/// What a policy with one rule does where its condition is this one, with HEALTH 40 and these labels.
fn holds(condition: &str, labels: &[Label]) -> bool {
    let mut policy = rules(&format!("[[rule]]\nwhen = \"\"\"HEALTH == HEALTH and ({condition})\"\"\"\npress = 'ATTACK'"), &[]);
    policy.begin_episode(1);
    // HEALTH comes first; the player's place, where it is needed, is (100, 0).
    decide(&mut *policy, &observation(70, &[40.0, 100.0, 0.0], labels), 3) == ATTACK
}

#[test]
fn the_first_rule_that_holds_decides_and_else_the_fallback() {
    let text = "
        [[rule]]
        when = 'HEALTH < 30'
        press = 'MOVE_LEFT + ATTACK'
        [[rule]]
        when = 'HEALTH < 60'
        press = 'ATTACK'
        [fallback]
        press = 'TURN_LEFT_RIGHT_DELTA=(HEALTH / -10)'";
    let mut policy = rules(text, &[]);
    policy.begin_episode(1);
    let actions = actions(&mut *policy, &[&[20.0], &[30.0], &[59.0], &[60.0]]);
    assert_eq!(actions, [[1.0, 1.0, 0.0], ATTACK, ATTACK, [0.0, 0.0, -6.0]]);
    assert_eq!(policy.rule_match_rate(), Some(0.75));
}

#[test]
fn without_a_fallback_nothing_is_pressed() {
    let mut policy = rules("rule = [{ when = 'false', press = 'ATTACK' }]", &[]);
    policy.begin_episode(1);
    assert_eq!(policy.rule_match_rate(), Some(0.0));
    assert_eq!(actions(&mut *policy, &[&[], &[]]), [NOOP, NOOP]);
    assert_eq!(policy.rule_match_rate(), Some(0.0));
}

#[test]
fn what_is_held_is_asked_again_only_after_its_steps_and_counts_for_its_rule() {
    let text = "
        [parameters]
        steps = 3
        [[rule]]
        when = 'HEALTH < 30'
        press = 'ATTACK'
        hold = 'steps'
        [fallback]
        press = 'MOVE_LEFT'
        hold = 2";
    let mut policy = rules(text, &[]);
    policy.begin_episode(1);
    let low: &[f64] = &[10.0];
    let high: &[f64] = &[90.0];
    let rows = [low, high, high, high, low, low, high, high];
    assert_eq!(actions(&mut *policy, &rows), [ATTACK, ATTACK, ATTACK, LEFT, LEFT, ATTACK, ATTACK, ATTACK]);
    assert_eq!(policy.rule_match_rate(), Some(0.75));
    // A new episode holds nothing of the last.
    policy.begin_episode(1);
    assert_eq!(actions(&mut *policy, &[high]), [LEFT]);
    let mut longer = rules(text, &[("steps", 4.4)]);
    longer.begin_episode(1);
    assert_eq!(actions(&mut *longer, &[low, high, high, high, high]), [ATTACK, ATTACK, ATTACK, ATTACK, LEFT]);
    // What is no number or out of bounds while it plays holds for one step, or for the longest.
    let mut odd = rules("rule = [{ when = 'true', press = 'ATTACK', hold = '0 / (HEALTH - 1)' }]", &[]);
    odd.begin_episode(1);
    assert_eq!(actions(&mut *odd, &[&[1.0], &[1.0]]), [ATTACK, ATTACK]);
}

#[test]
fn a_rule_fires_as_often_as_its_probability_says() {
    let text = "
        [parameters]
        chance = { default = 0.25, min = 0, max = 1 }
        [[rule]]
        when = 'true'
        probability = 'chance'
        press = 'ATTACK'";
    let rate = |chance: f64| {
        let mut policy = rules(text, &[("chance", chance)]);
        policy.begin_episode(3);
        for _ in 0..4000 {
            decide(&mut *policy, &observation(0, &[], &[]), 3);
        }
        policy.rule_match_rate().unwrap()
    };
    // The deviation is 0.007.
    assert!((rate(0.25) - 0.25).abs() < 0.035, "{}", rate(0.25));
    assert_eq!((rate(0.0), rate(1.0)), (0.0, 1.0));
}

#[test]
fn of_several_presses_each_is_drawn_equally_often() {
    let mut policy = rules("rule = [{ when = 'true', press = ['ATTACK', 'MOVE_LEFT', 'NOOP'] }]", &[]);
    policy.begin_episode(5);
    let mut counts = [0u32; 3];
    for _ in 0..6000 {
        let action = decide(&mut *policy, &observation(0, &[], &[]), 3);
        let which = [ATTACK, LEFT, NOOP].iter().position(|a| *a == action[..]).unwrap_or_else(|| panic!("{action:?}"));
        counts[which] += 1;
    }
    assert!(counts.iter().all(|n| (1850..2150).contains(n)), "{counts:?}");
}

#[test]
fn the_same_seed_draws_the_same_whatever_was_played_before() {
    let text = "rule = [{ when = 'true', probability = 0.5, press = ['ATTACK', 'MOVE_LEFT', 'NOOP'] }]";
    let mut policy = rules(text, &[]);
    let mut episode = |seed, n| {
        policy.begin_episode(seed);
        (0..n).map(|_| decide(&mut *policy, &observation(0, &[], &[]), 3)).collect::<Vec<_>>()
    };
    let first = episode(1, 300);
    assert_ne!(episode(2, 250), first[..250]);
    assert_eq!(episode(1, 300), first);
    let mut again = rules(text, &[]);
    again.begin_episode(1);
    let again: Vec<_> = (0..300).map(|_| decide(&mut *again, &observation(0, &[], &[]), 3)).collect();
    assert_eq!(again, first);
}

#[test]
fn a_change_is_against_when_the_rules_were_asked_last() {
    let text = "rule = [{ when = 'change(HEALTH) < 0', press = 'ATTACK', hold = 2 }]";
    let mut policy = rules(text, &[]);
    for _ in 0..2 {
        policy.begin_episode(1);
        let rows: [&[f64]; 7] = [&[100.0], &[90.0], &[80.0], &[80.0], &[80.0], &[80.0], &[85.0]];
        // At first nothing has changed; what changes while an action is held is not lost.
        assert_eq!(actions(&mut *policy, &rows), [NOOP, ATTACK, ATTACK, ATTACK, ATTACK, NOOP, NOOP]);
    }
}

#[test]
fn expressions_bind_as_in_arithmetic_and_know_no_number_as_false() {
    for yes in [
        "1 + 2 * 3 == 7 and (1 + 2) * 3 == 9",
        "8 / 4 / 2 == 1 and 8 - 4 - 2 == 2",
        "-10 % 360 == 350 and 370 % 360 == 10",
        "-2 * -3 == 6 and --1 == 1 and abs(-2.5e-1) == 0.25",
        "min(1, 2) == 1 and max(1, 2) == 2",
        "true or false and false",
        "not false and not (true and false)",
        "health == 40 and Health >= 40 and HEALTH <= 40 and HEALTH != 41",
        "tic == 70 and tic % 70 == 0",
        "not (0 / 0 < 1) and not (0 / 0 != 1) and not (0 / 0 == 0 / 0)",
        "not (min(1, 0 / 0) == 1) and not (max(0 / 0, 1) == 1)",
    ] {
        assert!(holds(yes, &[]), "{yes}");
    }
}

#[test]
fn labels_are_counted_and_placed_from_the_middle_of_the_frame() {
    // The player stands at (100, 0); the frame has 200 by 100 pixels, each box 20 by 10.
    let labels = [
        label("Cacodemon", "Monster", (150, 50), [400.0, 400.0, 0.0]),
        label("DoomImp", "Monster", (50, 75), [100.0, -50.0, 0.0]),
        Label { width: 40, ..label("Medikit", "Health", (110, 25), [103.0, 4.0, 0.0]) },
    ];
    for yes in [
        "count(monsters) == 2 and count(health) == 1 and count(keys) == 0",
        "count('doomimp') == 1 and count('Cacodemon', health) == 2 and count(monsters, 'DoomImp') == 2",
        "seen(monsters) and not seen(players) and seen(health, 'Cacodemon')",
        "nearest(monsters).x == -0.5 and nearest(monsters).y == 0.5",
        "nearest(monsters).left == -0.6 and nearest(monsters).right == -0.4",
        "nearest(monsters).width == 0.1 and nearest(monsters).height == 0.1",
        "nearest(monsters).distance == 50 and nearest('Cacodemon').distance == 500",
        "nearest(monsters, health).distance == 5 and abs(nearest(health).x - 0.2) < 1e-9",
        "largest(monsters, health).width == 0.2 and abs(central(monsters, health).x - 0.2) < 1e-9",
        // Of equals the engine's first.
        "largest(monsters).x == 0.5 and central(monsters).x == 0.5",
        "not (nearest(keys).x < 0) and not (nearest(keys).x >= 0) and not (nearest(keys).distance > 0)",
    ] {
        assert!(holds(yes, &labels), "{yes}");
    }
}

#[test]
fn groups_have_names() {
    let text = "
        [groups]
        foes = \"monsters, 'Barrel'\"
        things = 'foes, health'
        [[rule]]
        when = 'count(foes) == 1 and count(things) == 2'
        press = 'ATTACK'";
    let labels = [label("Barrel", "Explosive", (50, 50), [0.0; 3]), label("Medikit", "Health", (50, 50), [0.0; 3])];
    let mut policy = rules(text, &[]);
    policy.begin_episode(1);
    assert_eq!(decide(&mut *policy, &observation(0, &[], &labels), 3), ATTACK);
}

#[test]
fn a_value_that_is_no_number_moves_nothing() {
    let text = "rule = [{ when = 'true', press = 'TURN_LEFT_RIGHT_DELTA=nearest(monsters).x+ATTACK' }]";
    let mut policy = rules(text, &[]);
    policy.begin_episode(1);
    assert_eq!(decide(&mut *policy, &observation(0, &[0.0, 0.0], &[]), 3), ATTACK);
    let labels = [label("DoomImp", "Monster", (50, 50), [0.0; 3])];
    assert_eq!(decide(&mut *policy, &observation(0, &[0.0, 0.0], &labels), 3), [0.0, 1.0, -0.5]);
}

#[test]
fn a_program_needs_what_its_rules_read_and_no_more() {
    let needs = |when: &str| load(format!("rule = [{{ when = \"{when}\", press = 'ATTACK' }}]").as_bytes(), &[]).unwrap().needs();
    assert_eq!(needs("tic > 5"), Needs::default());
    assert_eq!(needs("ammo2 > 0 and change(HEALTH) < 0 and AMMO2 < 9").variables, [Variable::AMMO2, Variable::HEALTH]);
    let looks = needs("central(monsters).x < 0");
    assert!(looks.labels && !looks.frames && looks.variables.is_empty());
    assert_eq!(needs("largest(monsters).distance < 9").variables, [Variable::POSITION_X, Variable::POSITION_Y]);
    assert_eq!(needs("nearest(monsters).x < POSITION_Y").variables, [Variable::POSITION_Y, Variable::POSITION_X]);
}

#[test]
fn the_hash_is_of_the_text_and_the_values_and_the_name_shows_no_directory() {
    let text = "parameters.a = 1\nrule = [{ when = 'HEALTH < a', press = 'ATTACK' }]";
    let plain = load(text.as_bytes(), &[]).unwrap();
    assert_eq!(plain.name(), "rules:rules.toml");
    // sha256sum of the file followed by a newline and `a=1`.
    assert_eq!(plain.sha256(), "4c59557d9ce5f42b1a81df7dd19b8b8c3213cb9adb8552823f2177a2b95f3435");
    assert_eq!(load(text.as_bytes(), &[("a", 1.0)]).unwrap().sha256(), plain.sha256());
    assert_eq!(load(text.as_bytes(), &[("a", 2.0), ("a", 1.0)]).unwrap().sha256(), plain.sha256(), "the last value counts");
    let mut hashes = vec![plain.sha256().to_owned()];
    hashes.push(load(text.as_bytes(), &[("a", 1.5)]).unwrap().sha256().to_owned());
    hashes.push(load(format!("{text}\n").as_bytes(), &[]).unwrap().sha256().to_owned());
    hashes.dedup();
    assert_eq!(hashes.len(), 3);
}

#[test]
fn a_button_that_the_scenario_lacks_is_told_with_its_place() {
    let program = load(b"[[rule]]\nwhen = 'true'\npress = ['ATTACK', 'MOVE_LEFT+USE']", &[]).unwrap();
    let Err(error) = program.bind(&common::schema(&[Button::MOVE_LEFT, Button::ATTACK], &[])) else { panic!("bound") };
    assert!(error.to_string().ends_with("rules.toml:3:31: the scenario has no button USE; it has MOVE_LEFT, ATTACK"), "{error}");
    let program = load(b"rule = [{ when = 'HEALTH < 1', press = 'ATTACK' }]", &[]).unwrap();
    let Err(error) = program.bind(&common::schema(&[Button::ATTACK], &[])) else { panic!("bound") };
    assert!(matches!(error, PolicyError::Variable { variable: Variable::HEALTH }), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.toml");
    let error = |file| load_file(file, &[]).unwrap_err();
    assert!(error(&file).to_string().ends_with("rules.toml cannot be read: No such file or directory (os error 2)"));
    assert!(error(directory.path()).to_string().ends_with(" cannot be read: it is not a regular file"));
    std::fs::write(&file, vec![b'#'; 64 * 1024 + 1]).unwrap();
    assert!(error(&file).to_string().ends_with("rules.toml cannot be read: it is larger than 65536 bytes"));
    std::fs::write(&file, b"about = 'x'\n# \xc3\xa9\xff").unwrap();
    assert!(error(&file).to_string().ends_with("rules.toml:2:4: this is not UTF-8 text"));
}
