//! What the tests of policies share: schemas, observations, rules files, and games of the mock.
#![expect(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};

use doom_game::{BackendFactory, Button, EpisodeStart, Faults, Label, MockFactory, Observation, Scenario, Schema, SearchPaths, Variable};
use doom_policy::{Policy, PolicyError, PolicyProgram, PolicySpec};

/// A schema with a frame of 200 by 100 pixels.
pub(crate) fn schema(buttons: &[Button], variables: &[Variable]) -> Schema {
    Schema { buttons: buttons.to_vec(), variables: variables.to_vec(), scenario_variables: variables.len(), screen: (200, 100) }
}

pub(crate) fn observation<'a>(tic: u32, variables: &'a [f64], labels: &'a [Label]) -> Observation<'a> {
    Observation { tic, variables, labels, frame: None }
}

/// A monster whose box is 20 by 10 pixels around a place in the frame.
pub(crate) fn label(name: &str, category: &str, middle: (u32, u32), position: [f64; 3]) -> Label {
    let (x, y) = (middle.0 - 10, middle.1 - 5);
    Label { name: name.into(), category: category.into(), id: 1, x, y, width: 20, height: 10, position }
}

/// The next action.
pub(crate) fn decide(policy: &mut dyn Policy, seen: &Observation<'_>, buttons: usize) -> Vec<f64> {
    let mut action = vec![f64::NAN; buttons];
    policy.decide(seen, &mut action);
    action
}

/// Loads a rules file `rules.toml` with this text; its directory does not outlive the call.
pub(crate) fn load(text: &[u8], parameters: &[(&str, f64)]) -> Result<PolicyProgram, PolicyError> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.toml");
    std::fs::write(&file, text).unwrap();
    load_file(&file, parameters)
}

pub(crate) fn load_file(file: &Path, parameters: &[(&str, f64)]) -> Result<PolicyProgram, PolicyError> {
    let parameters: Vec<_> = parameters.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect();
    PolicySpec::Rules(file.into()).load(&parameters)
}

/// A policy of this text over three buttons and all that it needs.
pub(crate) fn rules(text: &str, parameters: &[(&str, f64)]) -> Box<dyn Policy> {
    let program = load(text.as_bytes(), parameters).unwrap_or_else(|e| panic!("{e}"));
    let buttons = [Button::MOVE_LEFT, Button::ATTACK, Button::TURN_LEFT_RIGHT_DELTA];
    program.bind(&schema(&buttons, &program.needs().variables)).unwrap_or_else(|e| panic!("{e}"))
}

/// `configs/` of the project.
pub(crate) fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

pub(crate) fn scenario(name: &str) -> Scenario {
    let file = configs().join("scenarios").join(name);
    Scenario::load(file.to_str().unwrap(), &SearchPaths::default(), &[]).unwrap_or_else(|e| panic!("{e}"))
}

/// The total reward of each episode that a policy plays on the mock, with four tics a step.
pub(crate) fn play(scenario: &Scenario, program: &PolicyProgram, seeds: std::ops::Range<u32>) -> Vec<f64> {
    let mut game = MockFactory::new(scenario.clone(), program.needs(), Faults::default()).start().unwrap();
    let mut policy = program.bind(game.schema()).unwrap_or_else(|e| panic!("{e}"));
    let mut action = vec![0.0; game.schema().buttons.len()];
    let episode = |seed| {
        game.new_episode(&EpisodeStart { seed, record: None }).unwrap();
        policy.begin_episode(seed);
        let mut total = 0.0;
        loop {
            policy.decide(&game.observe(), &mut action);
            let step = game.step(&action, 4).unwrap();
            total += step.reward;
            if step.end.is_some() {
                return total;
            }
        }
    };
    seeds.map(episode).collect()
}
