//! Our scenarios on our backend are the games that the stock Python package plays from ViZDoom's files of the same name: equal
//! rewards, tics, variables, pictures and ends, bit for bit, for the same seeds, actions and frame skips.
//!
//! The stock package plays at test time (`tests/python/parity.py`). It and the engine come with `cargo xtask setup`; where they are
//! missing these tests fail.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use doom_game::{
    BackendFactory, Button, End, EpisodeStart, GameBackend, Needs, Scenario, SearchPaths, Variable, VizdoomFactory, find_engine,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

const SKIPS: [u32; 5] = [1, 2, 4, 8, 20];
/// Episodes for each frame skip of a scenario.
const SEEDS: u32 = 6;
const SCENARIOS: u32 = 7;
const _: () = assert!(SCENARIOS * SEEDS * SKIPS.len() as u32 >= 200);

struct Episode {
    seed: u32,
    skip: u32,
    actions: Vec<Vec<f64>>,
}

/// One observation, everything as bits.
#[derive(PartialEq)]
struct Seen {
    reward: u64,
    tic: u64,
    end: u64,
    picture: u64,
    variables: Vec<u64>,
}

impl Seen {
    fn end(&self) -> Option<End> {
        [None, Some(End::Death), Some(End::LevelExit), Some(End::Timeout)][f64::from_bits(self.end) as usize]
    }

    /// What differs, in words.
    fn difference(&self, expected: &Self, names: &[Variable]) -> String {
        let mut parts = Vec::new();
        let mut part = |what: String, ours: u64, theirs: u64| {
            if ours != theirs {
                parts.push(format!("{what} is {}, the stock package has {}", f64::from_bits(ours), f64::from_bits(theirs)));
            }
        };
        part("reward".into(), self.reward, expected.reward);
        part("tic".into(), self.tic, expected.tic);
        part("end".into(), self.end, expected.end);
        for ((name, ours), theirs) in names.iter().zip(&self.variables).zip(&expected.variables) {
            part(name.to_string(), *ours, *theirs);
        }
        if self.picture != expected.picture {
            parts.push("the picture differs".into());
        }
        parts.join("; ")
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Everything that the engine counts.
fn needs() -> Needs {
    Needs { variables: Variable::ALL.to_vec(), frames: true, ..Needs::default() }
}

/// Starts the stock package; it runs beside our game.
fn start_stock(dir: &Path, scenario: &str, settings: &str, game: &dyn GameBackend, episodes: &[Episode]) -> Child {
    let python = workspace().join("vendor/python/bin/python");
    assert!(python.exists(), "no Python with the stock ViZDoom package at {}; run `cargo xtask setup`", python.display());
    let episodes: Vec<_> = episodes.iter().map(|e| serde_json::json!({"seed": e.seed, "skip": e.skip, "actions": e.actions})).collect();
    let case = serde_json::json!({
        "scenario": scenario,
        "settings": settings,
        "buttons": game.schema().buttons.iter().map(|b| b.name()).collect::<Vec<_>>(),
        "variables": game.schema().variables.iter().map(|v| v.name()).collect::<Vec<_>>(),
        "episodes": episodes,
    });
    fs::write(dir.join("case.json"), serde_json::to_vec(&case).unwrap()).unwrap();
    let script = workspace().join("tests/python/parity.py");
    // The stock engine writes into its working directory and HOME.
    Command::new(python).arg(script).args(["case.json", "trace.bin"]).current_dir(dir).env("HOME", dir).spawn().unwrap()
}

fn read_trace(path: &Path, variables: usize) -> Vec<Vec<Seen>> {
    let bytes = fs::read(path).unwrap();
    let mut words = bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
    let mut episodes = Vec::new();
    while let Some(length) = words.next() {
        let mut next = || words.next().unwrap();
        let mut one =
            || Seen { reward: next(), tic: next(), end: next(), picture: next(), variables: (0..variables).map(|_| next()).collect() };
        episodes.push((0..length).map(|_| one()).collect());
    }
    episodes
}

fn look(game: &dyn GameBackend, reward: f64, end: Option<End>) -> Seen {
    let observation = game.observe();
    let digest = |data: &[u8]| (1u64..).zip(data).fold(0u64, |sum, (weight, byte)| sum.wrapping_add(weight * u64::from(*byte)));
    let end = match end {
        None => 0.0f64,
        Some(End::Death) => 1.0,
        Some(End::LevelExit) => 2.0,
        Some(End::Timeout) => 3.0,
    };
    Seen {
        reward: reward.to_bits(),
        tic: f64::from(observation.tic).to_bits(),
        end: end.to_bits(),
        picture: observation.frame.map_or(0, |frame| digest(frame.data)),
        variables: observation.variables.iter().map(|v| v.to_bits()).collect(),
    }
}

fn play(game: &mut dyn GameBackend, episode: &Episode) -> Vec<Seen> {
    game.new_episode(&EpisodeStart { seed: episode.seed, record: None }).unwrap();
    let mut trace = vec![look(game, 0.0, None)];
    for action in &episode.actions {
        let step = game.step(action, episode.skip).unwrap();
        trace.push(look(game, step.reward, step.end));
        if step.end.is_some() {
            break;
        }
    }
    trace
}

/// Actions of chance for so many tics; `eager` buttons are pressed three times in four, the others one time in three.
fn actions(buttons: &[Button], eager: &[Button], chance: &mut ChaCha8Rng, steps: u32) -> Vec<Vec<f64>> {
    let mut number = |button: &Button| {
        let word = chance.next_u32();
        let pressed = if eager.contains(button) { !word.is_multiple_of(4) } else { word.is_multiple_of(3) };
        // Quarters, so that delta buttons get fractions too.
        if button.is_delta() { f64::from(word % 65) / 4.0 - 8.0 } else { f64::from(u8::from(pressed)) }
    };
    (0..steps).map(|_| buttons.iter().map(&mut number).collect()).collect()
}

/// Plays `name` for `tics` at the most, on both, and compares; `expected` are the ends that must be among those seen.
fn compare(name: &str, tics: u32, eager: &[Button], expected: &[End]) {
    let settings = [("episode_timeout", tics.to_string())];
    let overrides = settings.each_ref().map(|(key, value)| ((*key).to_owned(), value.clone()));
    let lines: String = settings.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    let scenario = Scenario::load(name, &SearchPaths::default(), &overrides).unwrap();
    let search = find_engine().unwrap_or_else(|e| panic!("{e}"));
    let mut factory = VizdoomFactory::new(scenario, &search, needs(), Duration::from_secs(60)).unwrap_or_else(|e| panic!("{e}"));
    let mut game = factory.start().unwrap_or_else(|e| panic!("{e}"));
    let schema = game.schema().clone();

    let mut episodes = Vec::new();
    for skip in SKIPS {
        for i in 0..SEEDS {
            let seed = 1000 * skip + 7 * i;
            let mut chance = ChaCha8Rng::seed_from_u64(u64::from(seed));
            let actions = actions(&schema.buttons, eager, &mut chance, tics.div_ceil(skip) + 1);
            episodes.push(Episode { seed, skip, actions });
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut stock = start_stock(dir.path(), name, &lines, &*game, &episodes);
    let ours: Vec<_> = episodes.iter().map(|episode| play(&mut *game, episode)).collect();
    assert!(stock.wait().unwrap().success(), "the stock package failed, see above");
    let theirs = read_trace(&dir.path().join("trace.bin"), schema.variables.len());

    assert_eq!(theirs.len(), episodes.len());
    let mut seen = Vec::new();
    for ((episode, ours), theirs) in episodes.iter().zip(&ours).zip(&theirs) {
        for (step, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            let Episode { seed, skip, .. } = episode;
            assert!(ours == theirs, "{name}, seed {seed}, skip {skip}, step {step}: {}", ours.difference(theirs, &schema.variables));
        }
        assert_eq!(ours.len(), theirs.len());
        let tic = |seen: &Seen| f64::from_bits(seen.tic) as u32;
        let [.., before, last] = ours.as_slice() else { panic!("no step") };
        let end = last.end().unwrap_or_else(|| panic!("{name}, seed {}: the timeout did not end it", episode.seed));
        seen.push((end, episode.skip, tic(last) - tic(before) < episode.skip));
    }
    for end in expected {
        assert!(seen.iter().any(|(e, skip, _)| e == end && [1, 4].contains(skip)), "{name}: no {end:?} at skip 1 or 4: {seen:?}");
        assert!(seen.iter().any(|(e, _, inside)| e == end && *inside), "{name}: no {end:?} inside a skip: {seen:?}");
    }
}

#[test]
fn basic_is_the_stock_game() {
    compare("basic", 301, &[Button::ATTACK], &[End::LevelExit, End::Timeout]);
}

#[test]
fn deadly_corridor_is_the_stock_game() {
    compare("deadly_corridor", 701, &[Button::MOVE_FORWARD], &[End::Death]);
}

#[test]
fn deathmatch_is_the_stock_game() {
    compare("deathmatch", 351, &[Button::MOVE_FORWARD], &[End::Timeout]);
}

#[test]
fn defend_the_center_is_the_stock_game() {
    compare("defend_the_center", 901, &[Button::ATTACK], &[End::Death]);
}

#[test]
fn defend_the_line_is_the_stock_game() {
    compare("defend_the_line", 601, &[Button::ATTACK], &[End::Death]);
}

#[test]
fn health_gathering_is_the_stock_game() {
    compare("health_gathering", 901, &[Button::MOVE_FORWARD], &[End::Death]);
}

#[test]
fn my_way_home_is_the_stock_game() {
    compare("my_way_home", 351, &[Button::MOVE_FORWARD], &[End::Timeout]);
}
