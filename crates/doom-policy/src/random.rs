//! `random`: one of the scenario's buttons at each step, or none, all equally likely; a delta button gets a uniform value.

use doom_game::{Observation, Schema};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Policy;

/// Delta buttons move by up to this many units either way.
const DELTA: f64 = 10.0;

/// See the module.
#[derive(Debug)]
pub(crate) struct Random {
    rng: ChaCha8Rng,
    delta: Vec<bool>,
}

impl Random {
    pub(crate) fn new(schema: &Schema) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(0), delta: schema.buttons.iter().map(|b| b.is_delta()).collect() }
    }
}

impl Policy for Random {
    fn begin_episode(&mut self, seed: u32) {
        self.rng = ChaCha8Rng::seed_from_u64(u64::from(seed));
    }

    fn decide(&mut self, _observation: &Observation<'_>, action: &mut [f64]) {
        action.fill(0.0);
        // One more choice than buttons: none of them. A fixed width, so that releases on other platforms draw the same.
        let choice = self.rng.random_range(0..=self.delta.len() as u32) as usize;
        if let (Some(place), Some(delta)) = (action.get_mut(choice), self.delta.get(choice)) {
            *place = if *delta { self.rng.random_range(-DELTA..DELTA) } else { 1.0 };
        }
    }

    fn rule_match_rate(&self) -> Option<f64> {
        None
    }
}
