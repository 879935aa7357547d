//! The rules files in `configs/rules`: each is for the scenario of its name, and plays it better than chance.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use common::{configs, load, load_file, play, scenario};
use doom_game::Schema;
use doom_policy::{PolicyProgram, PolicySpec};

fn shipped(name: &str) -> PolicyProgram {
    load_file(&configs().join("rules").join(format!("{name}.toml")), &[]).unwrap_or_else(|e| panic!("{e}"))
}

fn mean(rewards: &[f64]) -> f64 {
    rewards.iter().sum::<f64>() / rewards.len() as f64
}

#[test]
fn each_loads_and_binds_to_the_scenario_of_its_name() {
    let mut names: Vec<String> =
        std::fs::read_dir(configs().join("rules")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["basic.toml", "deadly_corridor.toml", "defend_the_center.toml", "health_gathering.toml"]);
    for file in names {
        let name = file.strip_suffix(".toml").unwrap();
        let (program, scenario) = (shipped(name), scenario(name));
        let needs = program.needs();
        let schema = Schema { buttons: scenario.buttons, scenario_variables: 0, variables: needs.variables, screen: (160, 120) };
        assert!(needs.labels, "{name} looks");
        assert!(program.bind(&schema).is_ok(), "{name}");
        assert_eq!(program.name(), format!("rules:{file}"));
    }
}

#[test]
fn rules_beat_chance_on_the_mock() {
    let random = "random".parse::<PolicySpec>().unwrap().load(&[]).unwrap();
    for name in ["basic", "defend_the_center", "health_gathering"] {
        let scenario = scenario(name);
        let (by_rules, by_chance) = (play(&scenario, &shipped(name), 1..21), play(&scenario, &random, 1..21));
        assert!(mean(&by_rules) > mean(&by_chance), "{name}: {by_rules:?} against {by_chance:?}");
        if name == "basic" {
            // The map pays 106 for the kill: every episode ends with it, and soon.
            assert!(by_rules.iter().all(|reward| *reward > 0.0) && mean(&by_chance) < 0.0, "{by_rules:?} against {by_chance:?}");
        }
    }
}

#[test]
fn the_files_in_the_documentation_play() {
    let page = std::fs::read_to_string(configs().join("../docs/POLICIES.md")).unwrap();
    let files: Vec<&str> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!files.is_empty());
    for file in files {
        let program = load(file.as_bytes(), &[("aim", 0.1)]).unwrap_or_else(|e| panic!("{e}"));
        assert!(play(&scenario("basic"), &program, 1..4).iter().all(|reward| reward.is_finite()));
    }
}

#[test]
fn the_same_seeds_play_the_same_games() {
    let scenario = scenario("defend_the_center");
    let program = shipped("defend_the_center");
    assert_eq!(play(&scenario, &program, 5..10), play(&scenario, &program, 5..10));
}
