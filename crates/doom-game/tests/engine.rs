//! What is the engine's own beside the contracts of every backend: names and numbers, ViZDoom's scenarios, refusals.
//!
//! On the real engine, which `cargo xtask setup` fetches. Where it is missing these tests fail.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::{sync::mpsc, thread, time::Duration};

use doom_game::{
    BackendFactory, Button, EpisodeStart, GameError, Needs, Scenario, ScreenFormat, ScreenResolution, Variable, VizdoomFactory, find_engine,
};
use rustix::process::{Pid, Signal, kill_process};

const START: Duration = Duration::from_secs(30);

fn scenario(name: &str, overrides: &[(&str, &str)]) -> Scenario {
    let search = find_engine().unwrap_or_else(|e| panic!("{e}"));
    let overrides: Vec<_> = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    // ViZDoom's own file, by its path: the same game wherever it is looked up.
    let file = search.scenarios_dir.as_ref().unwrap().join(name);
    Scenario::load(file.to_str().unwrap(), &search, &overrides).unwrap_or_else(|e| panic!("{e}"))
}

fn factory(name: &str, overrides: &[(&str, &str)], needs: Needs) -> VizdoomFactory {
    let search = find_engine().unwrap_or_else(|e| panic!("{e}"));
    VizdoomFactory::new(scenario(name, overrides), &search, needs, START).unwrap_or_else(|e| panic!("{e}"))
}

fn seeded(seed: u32) -> EpisodeStart {
    EpisodeStart { seed, record: None }
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
fn buffers_that_no_observation_holds_stay_off_and_are_named() {
    let buffers = ["depth_buffer", "automap_buffer", "objects_info", "sectors_info", "notifications_buffer"];
    let asked = buffers.map(|buffer| format!("{buffer}_enabled"));
    let overrides: Vec<_> = asked.iter().map(String::as_str).chain(["labels_buffer_enabled"]).map(|key| (key, "true")).collect();
    assert_eq!(scenario("basic.cfg", &overrides).buffers.unread(), asked);
    let game = factory("basic.cfg", &overrides, Needs::default()).start().unwrap();
    // What the engine is told to fill stands on its command line.
    let pid = game.interrupter().pid().unwrap();
    let told = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    let told: Vec<_> = told.split('\0').collect();
    assert!(told.contains(&"+viz_labels"), "an observation holds the labels: {told:?}");
    for switch in ["+viz_depth", "+viz_automap", "+viz_objects", "+viz_sectors"] {
        assert!(!told.contains(&switch), "{told:?}");
    }
}

#[test]
fn an_interrupt_frees_a_new_episode_that_hangs() {
    let mut game = factory("basic.cfg", &[], Needs::default()).start().unwrap();
    let interrupt = game.interrupter();
    let pid = Pid::from_raw(interrupt.pid().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let (returned, wait) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        let hung = wait.recv_timeout(Duration::from_millis(300)) == Err(mpsc::RecvTimeoutError::Timeout);
        interrupt.interrupt();
        if hung && wait.recv_timeout(START) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("the interrupt did not end the call");
            std::process::abort();
        }
        hung
    });
    let result = game.new_episode(&seeded(1));
    let _ = returned.send(());
    assert!(watchdog.join().unwrap(), "it did not hang: {result:?}");
    assert!(matches!(result, Err(GameError::Died(_))), "{result:?}");
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
