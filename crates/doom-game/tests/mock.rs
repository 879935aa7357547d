//! What the mock promises beside the contracts of every backend: games that behave plausibly, faults where they were asked for, and
//! the same game in every process.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::{
    collections::{BTreeMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    process::Command,
    sync::mpsc,
    time::{Duration, Instant},
};

use doom_game::{
    BackendFactory, Button, End, EpisodeStart, GameBackend, GameError, Label, MockFactory, Needs, Scenario, SearchPaths, Step, Variable,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

fn factory(name: &str, overrides: &[(&str, &str)], faults: &str) -> MockFactory {
    let needs = Needs { variables: Variable::ALL.to_vec(), labels: true, ..Needs::default() };
    factory_with(name, overrides, faults, needs)
}

fn factory_with(name: &str, overrides: &[(&str, &str)], faults: &str, needs: Needs) -> MockFactory {
    let overrides: Vec<_> = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let scenario = Scenario::load(name, &SearchPaths::default(), &overrides).unwrap_or_else(|e| panic!("{e}"));
    MockFactory::new(scenario, needs, faults.parse().unwrap())
}

fn game(name: &str) -> Box<dyn GameBackend> {
    factory(name, &[], "").start().unwrap()
}

fn open(game: &mut dyn GameBackend, seed: u32) {
    game.new_episode(&EpisodeStart { seed, record: None }).unwrap();
}

fn value(game: &dyn GameBackend, variable: Variable) -> f64 {
    game.observe().variables[game.schema().variable(variable).unwrap()]
}

fn press(game: &dyn GameBackend, pressed: &[Button]) -> Vec<f64> {
    game.schema().buttons.iter().map(|button| f64::from(u8::from(pressed.contains(button)))).collect()
}

/// Presses a button of chance in each step, as the random policy does.
fn random(game: &dyn GameBackend, chance: &mut ChaCha8Rng) -> Vec<f64> {
    let mut action = press(game, &[]);
    let at = chance.next_u32() as usize % action.len();
    action[at] = 1.0;
    action
}

/// Turns to what is in sight and nearest to the middle, and presses `ahead` when it is there, give or take `slack` pixels; turns on where nothing is.
fn turn_to(game: &dyn GameBackend, wanted: impl Fn(&str) -> bool, slack: u32, ahead: Button) -> Vec<f64> {
    let middle = game.schema().screen.0 / 2;
    let off = |label: &Label| (label.x + label.width / 2).abs_diff(middle);
    let target = game.observe().labels.iter().filter(|label| wanted(&label.name)).min_by_key(|label| off(label));
    let button = match target {
        Some(label) if label.x > middle + slack => Button::TURN_RIGHT,
        Some(label) if label.x + label.width + slack < middle => Button::TURN_LEFT,
        Some(_) => ahead,
        None => Button::TURN_LEFT,
    };
    press(game, &[button])
}

fn aim(game: &dyn GameBackend) -> Vec<f64> {
    turn_to(game, |name| !["Medikit", "GreenArmor", "Clip", "Shotgun"].contains(&name), 0, Button::ATTACK)
}

type Policy = fn(&dyn GameBackend, &mut ChaCha8Rng) -> Vec<f64>;

/// Plays to the end.
fn play(game: &mut dyn GameBackend, seed: u32, policy: Policy) -> End {
    open(game, seed);
    let mut chance = ChaCha8Rng::seed_from_u64(u64::from(seed));
    for _ in 0..50_000 {
        let action = policy(game, &mut chance);
        if let Some(end) = game.step(&action, 4).unwrap().end {
            return end;
        }
    }
    panic!("the episode has no end")
}

#[test]
fn every_scenario_of_ours_comes_to_each_end_that_its_game_has() {
    let forward: Policy = |game, _| press(game, &[Button::MOVE_FORWARD]);
    let idle: Policy = |game, _| press(game, &[]);
    let aiming: Policy = |game, _| aim(game);
    let gathering: Policy = |game, _| turn_to(game, |name| name == "Medikit", 13, Button::MOVE_FORWARD);
    let to_the_vest: Policy = |game, _| {
        // The vest of the mock's maze is at (420, 420).
        let (dx, dy) = (420.0 - value(game, Variable::POSITION_X), 420.0 - value(game, Variable::POSITION_Y));
        let off = (dy.atan2(dx).to_degrees() - value(game, Variable::ANGLE) + 180.0).rem_euclid(360.0) - 180.0;
        press(game, if off.abs() < 15.0 { &[Button::MOVE_FORWARD] } else { &[Button::TURN_LEFT] })
    };
    let cases: [(&str, &[Policy], &[End]); 7] = [
        ("basic", &[random, idle], &[End::LevelExit, End::Timeout]),
        ("deadly_corridor", &[random, forward], &[End::Death, End::LevelExit]),
        ("deathmatch", &[random, aiming], &[End::Death]),
        ("defend_the_center", &[random, aiming], &[End::Death]),
        ("defend_the_line", &[random, idle], &[End::Death]),
        ("health_gathering", &[random, idle, gathering], &[End::Death, End::Timeout]),
        ("my_way_home", &[idle, to_the_vest], &[End::LevelExit, End::Timeout]),
    ];
    assert!(Scenario::embedded().eq(cases.iter().map(|(name, ..)| *name)));
    for (name, policies, expected) in cases {
        let mut game = game(name);
        let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
        for policy in policies {
            for seed in 0..20 {
                *seen.entry(play(&mut *game, seed, *policy).as_str()).or_default() += 1;
            }
        }
        println!("{name}: {seen:?}");
        for end in expected {
            assert!(seen.contains_key(end.as_str()), "{name}: no {end:?} in {seen:?}");
        }
    }
}

#[test]
fn who_aims_kills_more_and_spends_less_than_who_presses_at_random() {
    let play_all = |policy: Policy| {
        let mut game = game("defend_the_center");
        let mut sums = [0.0; 3];
        for seed in 0..20 {
            play(&mut *game, seed, policy);
            let used = 26.0 - value(&*game, Variable::AMMO2);
            let (kills, hits) = (value(&*game, Variable::KILLCOUNT), value(&*game, Variable::HITCOUNT));
            assert!((0.0..=26.0).contains(&used) && kills <= hits && hits <= used, "{kills} kills, {hits} hits, {used} bullets");
            for (sum, one) in sums.iter_mut().zip([kills, hits, used]) {
                *sum += one;
            }
        }
        sums
    };
    let (aimed, random) = (play_all(|game, _| aim(game)), play_all(random));
    assert!(aimed[0] > 2.0 * random[0] && random[2] > 0.0, "{aimed:?} {random:?}");
    assert!(aimed[1] / aimed[2] > 2.0 * random[1] / random[2], "{aimed:?} {random:?}");
}

#[test]
fn numbers_change_as_in_a_game() {
    for name in Scenario::embedded() {
        let mut game = game(name);
        for seed in 0..5 {
            open(&mut *game, seed);
            let mut chance = ChaCha8Rng::seed_from_u64(u64::from(seed));
            let counters = [Variable::KILLCOUNT, Variable::HITCOUNT, Variable::DAMAGECOUNT, Variable::DAMAGE_TAKEN, Variable::ITEMCOUNT];
            let read = |game: &dyn GameBackend| counters.map(|v| value(game, v));
            let mut before = (read(&*game), value(&*game, Variable::HEALTH));
            assert!(before.0[..2].iter().all(|counter| *counter == 0.0), "{name} starts with {before:?}");
            for _ in 0..300 {
                let action = random(&*game, &mut chance);
                let end = game.step(&action, 4).unwrap().end;
                let now = (read(&*game), value(&*game, Variable::HEALTH));
                assert!(now.0.iter().zip(&before.0).all(|(now, before)| now >= before), "{name}: a counter went back");
                assert!(now.1 <= 100.0 && (now.1 >= before.1 || now.0[3] > before.0[3]), "{name}: health went {before:?} to {now:?}");
                assert_eq!(end == Some(End::Death), now.1 <= 0.0, "{name}");
                before = now;
                if end.is_some() {
                    break;
                }
            }
        }
    }
}

#[test]
fn the_skill_makes_the_game_harder() {
    let lasted = |skill: &str| {
        let mut game = factory("defend_the_line", &[("doom_skill", skill)], "").start().unwrap();
        let tics = |seed| {
            play(&mut *game, seed, |game, _| press(game, &[]));
            game.observe().tic
        };
        (0..10).map(tics).sum::<u32>()
    };
    let (easy, hard) = (lasted("1"), lasted("5"));
    assert!(easy > hard + hard / 2, "{easy} {hard}");
}

fn step(game: &mut dyn GameBackend) -> Result<Step, GameError> {
    let idle = press(game, &[]);
    game.step(&idle, 4)
}

#[track_caller]
fn assert_died(result: Result<Step, GameError>, says: &str) {
    match result {
        Err(GameError::Died(text)) => assert!(text.contains(says), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_crash_comes_in_its_tic_once_in_the_life_of_the_factory() {
    let mut factory = factory("health_gathering", &[], "crash@tic=40");
    let mut game = factory.start().unwrap();
    open(&mut *game, 1);
    // From tic 1 on, four at a time: tic 40 is within the tenth step.
    for _ in 0..9 {
        step(&mut *game).unwrap();
    }
    let seen = game.observe().tic;
    assert_died(step(&mut *game), "crash@tic=40");
    assert_eq!(game.observe().tic, seen, "the step that failed showed nothing");
    assert_died(step(&mut *game), "");
    let mut game = factory.start().unwrap();
    open(&mut *game, 2);
    for _ in 0..20 {
        step(&mut *game).unwrap();
    }
}

#[test]
fn a_fault_of_an_episode_comes_in_its_first_step_also_after_a_replacement() {
    let mut factory = factory("basic", &[], "crash@episode=2,crash@episode=4");
    let mut game = factory.start().unwrap();
    for (episode, crashes) in (1..=5).zip([false, true, false, true, false]) {
        open(&mut *game, episode);
        let result = step(&mut *game);
        if crashes {
            assert_died(result, &format!("crash@episode={episode}"));
            game = factory.start().unwrap();
        } else {
            result.unwrap();
        }
    }
}

#[test]
fn a_hang_lasts_until_the_interrupt_and_comes_once() {
    for faults in ["hang@episode=2", "hang@tic=15"] {
        let mut factory = factory("my_way_home", &[], faults);
        let mut game = factory.start().unwrap();
        open(&mut *game, 1);
        if faults.contains("episode") {
            step(&mut *game).unwrap();
            open(&mut *game, 2);
        } else {
            // From tic 10 to tic 14; the next one goes through tic 15.
            step(&mut *game).unwrap();
        }
        let interrupt = game.interrupter();
        let (returned, wait) = mpsc::channel::<()>();
        let watchdog = std::thread::spawn(move || {
            let hung = wait.recv_timeout(Duration::from_millis(100)) == Err(mpsc::RecvTimeoutError::Timeout);
            interrupt.interrupt();
            hung
        });
        let result = step(&mut *game);
        let _ = returned.send(());
        assert!(watchdog.join().unwrap(), "{faults} does not hang: {result:?}");
        assert_died(result, faults);
        let mut game = factory.start().unwrap();
        for seed in 2..4 {
            open(&mut *game, seed);
            (0..5).for_each(|_| assert!(step(&mut *game).is_ok()));
        }
    }
}

#[test]
fn a_slow_step_takes_at_least_so_long_and_an_interrupt_ends_it() {
    let mut game = factory("basic", &[], "slow=20ms").start().unwrap();
    open(&mut *game, 1);
    let since = Instant::now();
    for _ in 0..3 {
        step(&mut *game).unwrap();
    }
    assert!(since.elapsed() >= Duration::from_millis(60));

    let mut game = factory("basic", &[], "slow=3600s").start().unwrap();
    open(&mut *game, 1);
    let interrupt = game.interrupter();
    let helper = std::thread::spawn(move || interrupt.interrupt());
    assert_died(step(&mut *game), "");
    helper.join().unwrap();
}

#[test]
fn the_start_fails_as_often_as_asked_and_then_no_more() {
    let mut factory = factory("basic", &[], "fail_start=2,crash@tic=20");
    for n in 1..=2 {
        let Err(GameError::Start(text)) = factory.start() else { panic!("start {n} succeeded") };
        assert!(text.contains(&format!("{n} of 2")), "{text}");
    }
    let mut game = factory.start().unwrap();
    open(&mut *game, 1);
    let failed = (0..5).map(|_| step(&mut *game)).find(Result::is_err).unwrap();
    assert_died(failed, "crash@tic=20");
    assert!(factory.start().is_ok());
}

/// A digest of everything that is seen in some episodes of every scenario.
fn digest() -> u64 {
    // DefaultHasher::new() has fixed keys.
    let mut hasher = DefaultHasher::new();
    let needs = Needs { variables: Variable::ALL.to_vec(), labels: true, frames: true, run_dir: None };
    for name in Scenario::embedded() {
        let mut game = factory_with(name, &[], "", needs.clone()).start().unwrap();
        for seed in [0, 7, u32::MAX] {
            open(&mut *game, seed);
            let mut chance = ChaCha8Rng::seed_from_u64(u64::from(seed));
            for _ in 0..40 {
                let action = random(&*game, &mut chance);
                let step = game.step(&action, 3).unwrap();
                let seen = game.observe();
                (seen.tic, step.reward.to_bits(), step.end.map(End::as_str)).hash(&mut hasher);
                seen.variables.iter().for_each(|v| v.to_bits().hash(&mut hasher));
                seen.labels.iter().for_each(|label| (&label.name, label.id, label.x, label.y, label.width, label.height).hash(&mut hasher));
                seen.frame.map(|frame| frame.data).hash(&mut hasher);
                if step.end.is_some() {
                    break;
                }
            }
        }
    }
    hasher.finish()
}

/// Set for the copies of the test below that play.
const PLAYER: &str = "DOOM_GAME_TEST_PLAYER";

#[test]
fn every_process_plays_the_same_game() {
    if std::env::var_os(PLAYER).is_some() {
        println!("\ndigest {}", digest());
        return;
    }
    let play = |_| {
        let program = std::env::current_exe().unwrap();
        let output = Command::new(program).args(["--exact", "every_process_plays_the_same_game", "--nocapture"]).env(PLAYER, "1").output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        text.lines().find_map(|line| line.strip_prefix("digest ")).unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let digests: HashSet<String> = (0..2).map(play).collect();
    assert_eq!(digests, HashSet::from([digest().to_string()]));
}
