//! `cycle:A,B+C,NOOP*3`: a fixed sequence of combinations, from its start in every episode.

use doom_game::{Observation, Schema};

use crate::{Policy, PolicyError, press::Press};

/// Repetitions and length are bounded, so that a slip of the keyboard cannot fill the memory.
const MOST_STEPS: usize = 10_000;

/// A checked cycle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CycleProgram(Vec<Press>);

impl CycleProgram {
    pub(crate) fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut steps = Vec::new();
        for (i, item) in text.split(',').enumerate() {
            let place = format!("cycle, item {}", i + 1);
            let fail = |what: String| PolicyError::Text { place: place.clone(), what };
            let (press, times) = match item.split_once('*') {
                None => (item, 1),
                Some((press, times)) => match times.trim().parse::<usize>() {
                    Ok(n @ 1..=MOST_STEPS) => (press, n),
                    _ => return Err(fail(format!("`{}` is no repetition; write *N with N from 1 to {MOST_STEPS}", times.trim()))),
                },
            };
            let press = Press::parse(press, &place)?;
            if steps.len() + times > MOST_STEPS {
                return Err(fail(format!("the cycle is longer than {MOST_STEPS} steps")));
            }
            steps.extend(std::iter::repeat_n(press, times));
        }
        Ok(Self(steps))
    }

    pub(crate) fn bind(&self, schema: &Schema) -> Result<Cycle, PolicyError> {
        Ok(Cycle { actions: self.0.iter().map(|p| p.action(schema, "cycle")).collect::<Result<_, _>>()?, next: 0 })
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Cycle {
    actions: Vec<Vec<f64>>,
    next: usize,
}

impl Policy for Cycle {
    fn begin_episode(&mut self, _seed: u32) {
        self.next = 0;
    }

    fn decide(&mut self, _observation: &Observation<'_>, action: &mut [f64]) {
        if let Some(now) = self.actions.get(self.next) {
            action.copy_from_slice(now);
        }
        self.next = (self.next + 1) % self.actions.len().max(1);
    }

    fn rule_match_rate(&self) -> Option<f64> {
        None
    }
}
