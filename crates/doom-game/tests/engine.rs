//! The ViZDoom backend on the real engine, which `cargo xtask setup` fetches. Where it is missing these tests fail.
#![cfg(feature = "vizdoom")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::{sync::mpsc, thread, time::Duration};

use doom_game::{
    BackendFactory, Button, End, EpisodeStart, GameBackend, GameError, Needs, Scenario, ScreenFormat, ScreenResolution, Variable,
    VizdoomFactory, find_engine,
};

const START: Duration = Duration::from_secs(30);

fn factory(name: &str, overrides: &[(&str, &str)], needs: Needs) -> VizdoomFactory {
    let search = find_engine().unwrap_or_else(|e| panic!("{e}"));
    let overrides: Vec<_> = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    // ViZDoom's own file, by its path: the same game wherever it is looked up.
    let file = search.scenarios_dir.as_ref().unwrap().join(name);
    let scenario = Scenario::load(file.to_str().unwrap(), &search, &overrides).unwrap_or_else(|e| panic!("{e}"));
    VizdoomFactory::new(scenario, &search, needs, START).unwrap_or_else(|e| panic!("{e}"))
}

fn seeded(seed: u32) -> EpisodeStart {
    EpisodeStart { seed, record: None }
}

/// Plays one fixed action to the end: the end, the total reward, the number of steps.
fn play(game: &mut dyn GameBackend, action: &[f64], skip: u32) -> (End, f64, u32) {
    let (mut total, mut steps) = (0.0, 0);
    loop {
        let step = game.step(action, skip).unwrap();
        total += step.reward;
        steps += 1;
        if let Some(end) = step.end {
            return (end, total, steps);
        }
    }
}

#[test]
fn names_and_numbers_are_the_engines() {
    assert_eq!(vizdoom::count(vizdoom::Table::Button) as usize, Button::ALL.len());
    assert_eq!(vizdoom::count(vizdoom::Table::Variable) as usize, Variable::ALL.len());
    let number = |table, name: &str| usize::try_from(vizdoom::lookup(table, name).unwrap_or_else(|e| panic!("{e}"))).unwrap();
    for button in Button::ALL {
        assert_eq!(number(vizdoom::Table::Button, button.name()), button.index());
        assert_eq!(vizdoom::is_delta(i32::try_from(button.index()).unwrap()), button.is_delta(), "{button}");
    }
    for variable in Variable::ALL {
        assert_eq!(number(vizdoom::Table::Variable, variable.name()), variable.index());
    }
    assert_eq!(vizdoom::count(vizdoom::Table::ScreenFormat) as usize, ScreenFormat::ALL.len());
    for (index, format) in ScreenFormat::ALL.iter().enumerate() {
        assert_eq!(number(vizdoom::Table::ScreenFormat, format.name()), index);
    }
    assert_eq!(vizdoom::count(vizdoom::Table::Resolution) as usize, ScreenResolution::all().count());
    for resolution in ScreenResolution::all() {
        assert_eq!(number(vizdoom::Table::Resolution, resolution.name()), resolution.index());
    }
}

#[test]
fn a_timeout_a_kill_and_a_death_end_as_such() {
    let mut basic = factory("basic.cfg", &[], Needs::default()).start().unwrap();
    basic.new_episode(&seeded(1)).unwrap();
    let idle = vec![0.0; basic.schema().buttons.len()];
    let (end, total, steps) = play(&mut *basic, &idle, 4);
    assert_eq!((end, total, steps), (End::Timeout, -300.0, 75));
    assert_eq!(basic.observe().tic, 314);
    assert!(basic.observe().frame.is_none(), "no picture of the terminal tic");

    let attack = basic.schema().button(Button::ATTACK).unwrap();
    let mut shoot = idle.clone();
    shoot[attack] = 1.0;
    let exit = (0..60).any(|seed| {
        basic.new_episode(&seeded(seed)).unwrap();
        play(&mut *basic, &shoot, 4).0 == End::LevelExit
    });
    assert!(exit, "no seed of sixty puts the monster in front of the gun");

    let needs = Needs { variables: vec![Variable::DEAD, Variable::HEALTH, Variable::DAMAGE_TAKEN], ..Needs::default() };
    let mut centre = factory("defend_the_center.cfg", &[], needs).start().unwrap();
    centre.new_episode(&seeded(1)).unwrap();
    let idle = vec![0.0; centre.schema().buttons.len()];
    let (end, total, _) = play(&mut *centre, &idle, 4);
    assert_eq!((end, total), (End::Death, -1.0));
    let value = |v| centre.observe().variables[centre.schema().variable(v).unwrap()];
    assert!((value(Variable::DEAD) - 1.0).abs() < f64::EPSILON);
    assert!(value(Variable::HEALTH) <= 0.0 && value(Variable::DAMAGE_TAKEN) >= 100.0, "the damage of the last hit is in");
}

#[test]
fn variables_that_are_needed_besides_come_after_the_scenarios() {
    let needs = Needs { variables: vec![Variable::KILLCOUNT, Variable::AMMO2], ..Needs::default() };
    let game = factory("basic.cfg", &[], needs).start().unwrap();
    assert_eq!(game.schema().variables, [Variable::AMMO2, Variable::KILLCOUNT]);
    assert_eq!(game.schema().scenario_variables, 1);
    assert_eq!((game.info().name, game.info().engine_version.as_str()), ("vizdoom", "1.3.2"));
}

#[test]
fn labels_are_there_where_they_are_needed() {
    let needs = Needs { labels: true, frames: true, ..Needs::default() };
    let mut game = factory("basic.cfg", &[("screen_resolution", "RES_160X120"), ("screen_format", "GRAY8")], needs).start().unwrap();
    game.new_episode(&seeded(1)).unwrap();
    let seen = game.observe();
    assert!(seen.labels.iter().any(|label| label.name == "Cacodemon" && label.width > 0), "{:?}", seen.labels);
    let frame = seen.frame.unwrap();
    assert_eq!((frame.width, frame.height, frame.channels, frame.format, frame.data.len()), (160, 120, 1, "GRAY8", 160 * 120));
    let mut without = factory("basic.cfg", &[], Needs::default()).start().unwrap();
    without.new_episode(&seeded(1)).unwrap();
    assert!(without.observe().labels.is_empty());
}

#[test]
fn wrong_use_is_said_and_harms_nothing() {
    let mut game = factory("basic.cfg", &[], Needs::default()).start().unwrap();
    let is_usage = |result: Result<doom_game::Step, GameError>| assert!(matches!(result, Err(GameError::Usage(_))), "{result:?}");
    is_usage(game.step(&[0.0; 3], 1));
    game.new_episode(&seeded(1)).unwrap();
    is_usage(game.step(&[0.0; 2], 1));
    is_usage(game.step(&[0.0; 3], 0));
    is_usage(game.step(&[0.0, f64::NAN, 0.0], 1));
    assert_eq!(play(&mut *game, &[0.0; 3], 100).0, End::Timeout);
    is_usage(game.step(&[0.0; 3], 1));
    game.new_episode(&seeded(2)).unwrap();
    assert!(game.step(&[0.0; 3], 1).is_ok());
}

#[test]
fn an_interrupt_frees_a_pending_step_and_the_factory_starts_again() {
    let mut factory = factory("basic.cfg", &[], Needs::default());
    let mut game = factory.start().unwrap();
    let interrupt = game.interrupter();
    let pid = interrupt.pid().unwrap();
    assert!(std::process::Command::new("kill").args(["-STOP", &pid.to_string()]).status().unwrap().success());
    let (done, wait) = mpsc::channel();
    let helper = thread::spawn({
        let interrupt = game.interrupter();
        move || {
            // Long enough that the call below is pending; were it not, the outcome is the same.
            let _: Result<(), _> = wait.recv_timeout(Duration::from_millis(200));
            interrupt.interrupt();
        }
    });
    assert!(matches!(game.new_episode(&seeded(1)), Err(GameError::Died(_))));
    let _: Result<(), _> = done.send(());
    helper.join().unwrap();
    assert!(interrupt.pid().is_none());
    drop(game);
    interrupt.interrupt();
    let mut game = factory.start().unwrap();
    game.new_episode(&seeded(1)).unwrap();
    assert!(game.step(&[0.0; 3], 4).is_ok());
}

#[test]
fn a_map_that_does_not_exist_is_the_scenarios_fault() {
    let Err(error) = factory("basic.cfg", &[("doom_map", "map66")], Needs::default()).start() else { panic!("it started") };
    assert!(matches!(&error, GameError::Scenario(text) if text.contains("map66") && text.contains("MAP01")), "{error}");
}

#[test]
fn every_scenario_of_vizdoom_plays() {
    let directory = find_engine().unwrap().scenarios_dir.unwrap();
    let mut played = 0;
    for name in [
        "basic.cfg",
        "deadly_corridor.cfg",
        "deathmatch.cfg",
        "defend_the_center.cfg",
        "defend_the_line.cfg",
        "health_gathering.cfg",
        "my_way_home.cfg",
        "predict_position.cfg",
        "take_cover.cfg",
    ] {
        assert!(directory.join(name).is_file(), "{name}");
        let mut game = factory(name, &[], Needs::default()).start().unwrap_or_else(|e| panic!("{name}: {e}"));
        game.new_episode(&seeded(1)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let idle = vec![0.0; game.schema().buttons.len()];
        for _ in 0..5 {
            assert_eq!(game.step(&idle, 4).unwrap().end, None, "{name}");
        }
        assert!(game.observe().frame.is_some(), "{name}");
        played += 1;
    }
    assert_eq!(played, 9);
}
