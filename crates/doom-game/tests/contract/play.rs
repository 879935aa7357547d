//! Plays episodes with actions of chance and keeps what was seen.

use std::hash::{DefaultHasher, Hash, Hasher};

use doom_game::{Button, End, GameBackend, Label, Schema, Variable};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use crate::host::seeded;

/// What one observation showed, and what the step before it gave.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) tic: u32,
    pub(crate) variables: Vec<f64>,
    pub(crate) labels: Vec<Label>,
    /// A digest of the pixels.
    pub(crate) frame: Option<u64>,
    pub(crate) reward: f64,
    pub(crate) end: Option<End>,
}

pub(crate) fn look(game: &dyn GameBackend, reward: f64, end: Option<End>) -> Seen {
    let observation = game.observe();
    let digest = |data: &[u8]| {
        let mut hasher = DefaultHasher::new();
        data.hash(&mut hasher);
        hasher.finish()
    };
    Seen {
        tic: observation.tic,
        variables: observation.variables.to_vec(),
        labels: observation.labels.to_vec(),
        frame: observation.frame.map(|frame| digest(frame.data)),
        reward,
        end,
    }
}

/// Actions of chance, a function of a seed.
pub(crate) struct Player {
    chance: ChaCha8Rng,
    buttons: Vec<Button>,
}

impl Player {
    pub(crate) fn new(schema: &Schema, seed: u32) -> Self {
        Self { chance: ChaCha8Rng::seed_from_u64(u64::from(seed)), buttons: schema.buttons.clone() }
    }

    /// Binary buttons are pressed one time in three, delta buttons get whole numbers from -8 to 8.
    pub(crate) fn action(&mut self) -> Vec<f64> {
        let chance = &mut self.chance;
        let number = |button: &Button| {
            let word = chance.next_u32();
            if button.is_delta() { f64::from(word % 17) - 8.0 } else { f64::from(u8::from(word.is_multiple_of(3))) }
        };
        self.buttons.iter().map(number).collect()
    }
}

/// Plays an episode of chance for at most `steps`: observation 0, and one for each step.
pub(crate) fn episode(game: &mut dyn GameBackend, seed: u32, skip: u32, steps: usize) -> Vec<Seen> {
    game.new_episode(&seeded(seed)).unwrap();
    let mut player = Player::new(game.schema(), seed);
    let mut trace = vec![look(game, 0.0, None)];
    while trace.len() <= steps && trace.last().unwrap().end.is_none() {
        let step = game.step(&player.action(), skip).unwrap();
        trace.push(look(game, step.reward, step.end));
    }
    trace
}

/// Holds one action until the episode ends.
pub(crate) fn hold(game: &mut dyn GameBackend, seed: u32, action: &[f64], skip: u32) -> Vec<Seen> {
    game.new_episode(&seeded(seed)).unwrap();
    let mut trace = vec![look(game, 0.0, None)];
    while trace.last().unwrap().end.is_none() {
        let step = game.step(action, skip).unwrap();
        trace.push(look(game, step.reward, step.end));
        assert!(trace.len() < 100_000, "the episode has no end");
    }
    trace
}

pub(crate) fn idle(schema: &Schema) -> Vec<f64> {
    vec![0.0; schema.buttons.len()]
}

/// Presses these buttons and no other.
pub(crate) fn press(schema: &Schema, buttons: &[Button]) -> Vec<f64> {
    schema.buttons.iter().map(|button| f64::from(u8::from(buttons.contains(button)))).collect()
}

/// What [`exit_of_basic`] does: slides along the wall and shoots.
pub(crate) fn sweep(schema: &Schema) -> Vec<f64> {
    press(schema, &[Button::ATTACK, Button::MOVE_LEFT])
}

/// An episode of basic that ends with the kill, not in its first step, and its seed.
pub(crate) fn exit_of_basic(game: &mut dyn GameBackend, skip: u32) -> (u32, Vec<Seen>) {
    let action = sweep(game.schema());
    let found = (0..100).find_map(|seed| {
        let trace = hold(game, seed, &action, skip);
        (trace.len() > 2 && trace.last().unwrap().end == Some(End::LevelExit)).then_some((seed, trace))
    });
    found.unwrap_or_else(|| panic!("no seed of a hundred puts the monster in front of the gun"))
}

pub(crate) fn value(schema: &Schema, seen: &Seen, variable: Variable) -> f64 {
    seen.variables[schema.variable(variable).unwrap_or_else(|| panic!("{variable} is not read"))]
}

pub(crate) fn total(trace: &[Seen]) -> f64 {
    trace.iter().map(|seen| seen.reward).sum()
}

#[track_caller]
pub(crate) fn assert_close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-6, "{a} is not {b}");
}
