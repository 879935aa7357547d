//! A rules file bound to a game: asks the rules in order, and holds what they choose.

use doom_game::{Observation, Schema, Variable};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    code::{Code, Facts},
    document::{self, Document, HOLDS},
    sight::Sight,
};
use crate::{Policy, PolicyError};

/// A press: button indices and their values.
type Press = Vec<(usize, Code)>;

#[derive(Debug)]
struct Act {
    choices: Vec<Press>,
    hold: Code,
}

#[derive(Debug)]
struct Rule {
    when: Code,
    probability: Code,
    act: Act,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Rules {
    rng: ChaCha8Rng,
    rules: Vec<Rule>,
    fallback: Act,
    facts: Facts,
    looks: bool,
    /// Where in an observation the values are, in the order of [`Facts::values`].
    places: Vec<usize>,
    player: Option<(usize, usize)>,
    /// `facts` are of this episode.
    asked: bool,
    stack: Vec<f64>,
    held: Vec<f64>,
    /// Decisions for which `held` still stands.
    steps: u32,
    by_rule: bool,
    decisions: u64,
    matched: u64,
}

impl Rules {
    /// `place` says where a byte of the file is.
    pub(super) fn bind(document: &Document, schema: &Schema, place: impl Fn(usize) -> String) -> Result<Self, PolicyError> {
        let act = |act: &document::Act| -> Result<Act, PolicyError> {
            let button = |pressed: &super::parse::Pressed| match schema.button(pressed.button) {
                Some(index) => Ok((index, pressed.value.clone())),
                None => Err(PolicyError::no_button(place(pressed.at), pressed.button, schema)),
            };
            let press = |press: &Vec<_>| press.iter().map(button).collect::<Result<Press, _>>();
            Ok(Act { choices: act.choices.iter().map(press).collect::<Result<_, _>>()?, hold: act.hold.clone() })
        };
        let rule = |rule: &document::Rule| -> Result<Rule, PolicyError> {
            Ok(Rule { when: rule.when.clone(), probability: rule.probability.clone(), act: act(&rule.act)? })
        };
        let variable = |variable: Variable| schema.variable(variable).ok_or(PolicyError::Variable { variable });
        let reads = &document.reads;
        let rules = document.rules.iter().map(rule).collect::<Result<Vec<_>, _>>()?;
        let fallback = act(&document.fallback)?;
        let acts = rules.iter().map(|r| &r.act).chain([&fallback]);
        let values = acts.flat_map(|a| a.choices.iter().flatten().map(|(_, value)| value).chain([&a.hold]));
        let codes = rules.iter().flat_map(|r| [&r.when, &r.probability]).chain(values);
        let depth = codes.map(|code| code.depth).max().unwrap_or(0);
        let player = if reads.place { Some((variable(Variable::POSITION_X)?, variable(Variable::POSITION_Y)?)) } else { None };
        Ok(Self {
            rng: ChaCha8Rng::seed_from_u64(0),
            facts: Facts {
                tic: 0.0,
                values: vec![0.0; reads.variables.len()],
                changes: vec![0.0; reads.variables.len()],
                sight: Sight::new(&reads.groups, &reads.picks, schema.screen),
            },
            looks: !reads.groups.is_empty(),
            places: reads.variables.iter().map(|v| variable(*v)).collect::<Result<_, _>>()?,
            player,
            asked: false,
            stack: Vec::with_capacity(depth),
            held: vec![0.0; schema.buttons.len()],
            steps: 0,
            by_rule: false,
            decisions: 0,
            matched: 0,
            rules,
            fallback,
        })
    }

    fn see(&mut self, observation: &Observation<'_>) {
        let value = |place: usize| observation.variables.get(place).copied().unwrap_or(f64::NAN);
        let facts = &mut self.facts;
        facts.tic = f64::from(observation.tic);
        for ((old, change), place) in facts.values.iter_mut().zip(&mut facts.changes).zip(&self.places) {
            let new = value(*place);
            *change = if self.asked { new - *old } else { 0.0 };
            *old = new;
        }
        self.asked = true;
        if self.looks {
            let player = self.player.map_or((f64::NAN, f64::NAN), |(x, y)| (value(x), value(y)));
            facts.sight.look(observation.labels, player);
        }
    }

    /// The first rule that holds and whose chance comes up, or the fallback, says what is held, and for how long.
    fn choose(&mut self) {
        let Self { rng, rules, facts, stack, held, .. } = self;
        let hit = rules.iter().find(|rule| {
            rule.when.holds(facts, stack) && {
                let probability = rule.probability.value(facts, stack);
                // Drawn where it decides something; what is no number never comes up.
                probability >= 1.0 || (probability > 0.0 && rng.random::<f64>() < probability)
            }
        });
        self.by_rule = hit.is_some();
        let act = hit.map_or(&self.fallback, |rule| &rule.act);
        // A fixed width, so that releases on other platforms draw the same.
        let choice = if act.choices.len() > 1 { rng.random_range(0..act.choices.len() as u32) as usize } else { 0 };
        held.fill(0.0);
        for (button, value) in act.choices.get(choice).into_iter().flatten() {
            let value = value.value(facts, stack);
            if let Some(place) = held.get_mut(*button) {
                *place = if value.is_finite() { value } else { 0.0 };
            }
        }
        let hold = act.hold.value(facts, stack).round();
        // What is no number holds for one step.
        self.steps = hold.max(*HOLDS.start()).min(*HOLDS.end()) as u32;
    }
}

impl Policy for Rules {
    fn begin_episode(&mut self, seed: u32) {
        self.rng = ChaCha8Rng::seed_from_u64(u64::from(seed));
        self.asked = false;
        self.steps = 0;
        self.decisions = 0;
        self.matched = 0;
    }

    fn decide(&mut self, observation: &Observation<'_>, action: &mut [f64]) {
        if self.steps == 0 {
            self.see(observation);
            self.choose();
        }
        self.steps -= 1;
        self.decisions += 1;
        self.matched += u64::from(self.by_rule);
        if action.len() == self.held.len() {
            action.copy_from_slice(&self.held);
        }
    }

    fn rule_match_rate(&self) -> Option<f64> {
        Some(if self.decisions == 0 { 0.0 } else { self.matched as f64 / self.decisions as f64 })
    }
}
