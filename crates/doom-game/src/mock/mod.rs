//! A game without an engine: deterministic, cheap, and plausible enough that everything above the trait can be proved on it.
//!
//! It reads the same scenario files and gives the same kinds of numbers (monsters, ammunition, kills, deaths, timeouts, pixels), but
//! they are invented, and the backend's name says so. Integers only, nothing is allocated in a step.

mod faults;
mod input;
mod layout;
mod math;
mod values;
mod view;
mod world;

use std::{sync::Arc, time::Duration};

pub use self::faults::{Fault, FaultError, Faults, Trigger};
use self::{
    faults::{MockInterrupt, Shared, Stop},
    input::Input,
    layout::Layout,
    values::Totals,
    view::View,
    world::World,
};
use crate::{
    backend::{BackendFactory, BackendInfo, End, EpisodeStart, GameBackend, GameError, Interrupt, Needs, Observation, Schema, Step},
    scenario::Scenario,
};

/// Makes mocks; the faults are shared by all of them, so that one fires once.
pub struct MockFactory {
    scenario: Scenario,
    needs: Needs,
    shared: Arc<Shared>,
}

impl MockFactory {
    /// `needs` beyond the scenario's variables: as for the engine.
    #[must_use]
    pub fn new(scenario: Scenario, needs: Needs, faults: Faults) -> Self {
        Self { scenario, needs, shared: Arc::new(Shared::new(faults)) }
    }
}

impl BackendFactory for MockFactory {
    fn start(&mut self) -> Result<Box<dyn GameBackend>, GameError> {
        self.shared.start()?;
        Ok(Box::new(MockBackend::new(&self.scenario, &self.needs, Arc::clone(&self.shared))))
    }
}

/// One mock game.
pub struct MockBackend {
    info: BackendInfo,
    scenario: Scenario,
    schema: Schema,
    limits: Vec<f64>,
    world: World,
    view: View,
    variables: Vec<f64>,
    shared: Arc<Shared>,
    stop: Arc<Stop>,
    slow: Option<Duration>,
    episode: u32,
    /// The tic at which the next fault is due; `u32::MAX` where none is.
    fault_tic: u32,
    /// Deaths over the life of the game, as the engine counts them.
    deaths: u32,
    open: bool,
    /// Of the last observation.
    tic: u32,
}

impl MockBackend {
    fn new(scenario: &Scenario, needs: &Needs, shared: Arc<Shared>) -> Self {
        let mut variables = scenario.variables.clone();
        for variable in &needs.variables {
            if !variables.contains(variable) {
                variables.push(*variable);
            }
        }
        let limit = |button| scenario.button_max_values.iter().find(|(b, _)| *b == button).map_or(0.0, |(_, max)| *max);
        let limits = scenario.buttons.iter().map(|b| limit(*b)).collect();
        let world = World::new(Layout::of(scenario), scenario.doom_skill);
        let view = View::new(scenario, needs.frames, needs.labels || scenario.buffers.labels, &world);
        let slow = shared.slow();
        Self {
            info: BackendInfo { name: "mock", engine_version: "mock-1".to_owned() },
            variables: vec![0.0; variables.len()],
            schema: Schema {
                buttons: scenario.buttons.clone(),
                variables,
                scenario_variables: scenario.variables.len(),
                screen: (scenario.screen_resolution.width(), scenario.screen_resolution.height()),
            },
            scenario: scenario.clone(),
            limits,
            world,
            view,
            shared,
            stop: Arc::new(Stop::default()),
            slow,
            episode: 0,
            fault_tic: u32::MAX,
            deaths: 0,
            open: false,
            tic: 0,
        }
    }

    /// A game that crashed or was interrupted stays so.
    fn alive(&self) -> Result<(), GameError> {
        if self.stop.is_set() { Err(GameError::Died("the mock crashed or was interrupted".to_owned())) } else { Ok(()) }
    }

    fn end(&self) -> Option<End> {
        let timeout = self.scenario.episode_timeout;
        if self.world.is_dead() {
            Some(End::Death)
        } else if self.world.exited {
            Some(End::LevelExit)
        } else {
            (timeout > 0 && self.world.tic >= timeout.saturating_add(self.first_tic())).then_some(End::Timeout)
        }
    }

    /// The engine's first observation is at the start time, and at tic 1 at the earliest.
    fn first_tic(&self) -> u32 {
        self.scenario.episode_start_time.max(1)
    }

    fn look(&mut self, terminal: bool) {
        self.tic = self.world.tic;
        for (value, variable) in self.variables.iter_mut().zip(&self.schema.variables) {
            *value = values::value(&self.world, *variable, self.deaths);
        }
        self.view.draw(&self.world, terminal);
    }
}

impl GameBackend for MockBackend {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn interrupter(&self) -> Arc<dyn Interrupt> {
        Arc::new(MockInterrupt(Arc::clone(&self.stop)))
    }

    fn new_episode(&mut self, start: &EpisodeStart) -> Result<(), GameError> {
        self.alive()?;
        self.open = false;
        if let Some(path) = &start.record {
            // There is nothing to replay; the file says what it is.
            let text = format!("mock recording: scenario {}, seed {}\n", self.scenario.name, start.seed);
            std::fs::write(path, text).map_err(|e| GameError::Usage(format!("the recording {} cannot be written: {e}", path.display())))?;
        }
        self.episode = self.shared.episode();
        self.fault_tic = self.shared.next_tic(self.episode);
        self.world.reset(start.seed);
        let idle = Input::default();
        while self.world.tic < self.first_tic() {
            self.world.advance(&idle);
        }
        self.open = true;
        self.look(false);
        Ok(())
    }

    fn step(&mut self, action: &[f64], skip: u32) -> Result<Step, GameError> {
        if !self.open {
            return Err(GameError::Usage("no episode is open; start one first".to_owned()));
        }
        if skip == 0 {
            return Err(GameError::Usage("a step lasts at least one tic".to_owned()));
        }
        self.alive()?;
        let input = Input::read(&self.schema.buttons, &self.limits, action)?;
        if let Some(slow) = self.slow {
            self.stop.wait(Some(slow));
            self.alive()?;
        }
        let before = Totals::of(&self.world);
        let mut tics = 0;
        let mut end = None;
        while tics < skip && end.is_none() {
            if self.world.tic >= self.fault_tic {
                self.shared.fire(self.episode, self.world.tic, &self.stop).inspect_err(|_| self.stop.set())?;
                self.fault_tic = self.shared.next_tic(self.episode);
            }
            self.world.advance(&input);
            tics += 1;
            end = self.end();
        }
        if end == Some(End::Death) {
            self.deaths += 1;
        }
        let reward = Totals::of(&self.world).reward_since(&before, &self.scenario.rewards, tics, end);
        self.open = end.is_none();
        self.look(end.is_some());
        Ok(Step { reward, end })
    }

    fn observe(&self) -> Observation<'_> {
        Observation { tic: self.tic, variables: &self.variables, labels: self.view.labels(), frame: self.view.frame() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SearchPaths;

    #[test]
    fn a_death_is_one_whatever_else_ended_the_episode_and_an_exit_before_a_timeout() {
        let scenario = Scenario::load("basic", &SearchPaths::default(), &[]).unwrap();
        let mut mock = MockBackend::new(&scenario, &Needs::default(), Arc::new(Shared::new(Faults::default())));
        mock.new_episode(&EpisodeStart::default()).unwrap();
        assert_eq!(mock.end(), None);
        mock.world.tic = 314;
        assert_eq!(mock.end(), Some(End::Timeout));
        mock.world.exited = true;
        assert_eq!(mock.end(), Some(End::LevelExit));
        mock.world.player.health = 0;
        assert_eq!(mock.end(), Some(End::Death));
    }
}
