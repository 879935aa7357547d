//! The two implementations, as far as the contracts have to tell them apart.

use doom_game::{BackendFactory, EpisodeStart, GameBackend, MockFactory, Needs, Scenario, SearchPaths};
#[cfg(feature = "vizdoom")]
use doom_game::{VizdoomFactory, find_engine};

/// Makes games of one kind.
pub(crate) trait Host {
    /// What [`doom_game::BackendInfo`] says.
    fn info(&self) -> (&'static str, &'static str);
    /// Whether a process plays, which has a process id.
    fn has_process(&self) -> bool;
    /// Makes backends for a scenario.
    fn factory(&self, scenario: Scenario, needs: Needs) -> Box<dyn BackendFactory>;
    /// A game with an open episode of basic whose next step does not return, and its factory.
    fn hanging(&self) -> (Box<dyn GameBackend>, Box<dyn BackendFactory>);
}

/// One of our own scenarios, with overrides.
pub(crate) fn scenario(name: &str, overrides: &[(&str, &str)]) -> Scenario {
    let overrides: Vec<_> = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Scenario::load(name, &SearchPaths::default(), &overrides).unwrap_or_else(|e| panic!("{e}"))
}

/// A game of one of our own scenarios, with overrides and needs.
pub(crate) fn game_with(host: &dyn Host, name: &str, overrides: &[(&str, &str)], needs: Needs) -> Box<dyn GameBackend> {
    host.factory(scenario(name, overrides), needs).start().unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The same with nothing needed besides.
pub(crate) fn game(host: &dyn Host, name: &str, overrides: &[(&str, &str)]) -> Box<dyn GameBackend> {
    game_with(host, name, overrides, Needs::default())
}

pub(crate) fn seeded(seed: u32) -> EpisodeStart {
    EpisodeStart { seed, record: None }
}

/// The mock.
pub(crate) struct Mock;

impl Host for Mock {
    fn info(&self) -> (&'static str, &'static str) {
        ("mock", "mock-1")
    }

    fn has_process(&self) -> bool {
        false
    }

    fn factory(&self, scenario: Scenario, needs: Needs) -> Box<dyn BackendFactory> {
        Box::new(MockFactory::new(scenario, needs, "".parse().unwrap()))
    }

    fn hanging(&self) -> (Box<dyn GameBackend>, Box<dyn BackendFactory>) {
        let mut factory = MockFactory::new(scenario("basic", &[]), Needs::default(), "hang@tic=1".parse().unwrap());
        let mut game = factory.start().unwrap();
        game.new_episode(&seeded(1)).unwrap();
        (game, Box::new(factory))
    }
}

/// The real engine.
#[cfg(feature = "vizdoom")]
pub(crate) struct Engine;

#[cfg(feature = "vizdoom")]
impl Host for Engine {
    fn info(&self) -> (&'static str, &'static str) {
        ("vizdoom", "1.3.2")
    }

    fn has_process(&self) -> bool {
        true
    }

    fn factory(&self, scenario: Scenario, needs: Needs) -> Box<dyn BackendFactory> {
        let search = find_engine().unwrap_or_else(|e| panic!("{e}"));
        let start = std::time::Duration::from_secs(60);
        Box::new(VizdoomFactory::new(scenario, &search, needs, start).unwrap_or_else(|e| panic!("{e}")))
    }

    fn hanging(&self) -> (Box<dyn GameBackend>, Box<dyn BackendFactory>) {
        let mut factory = self.factory(scenario("basic", &[]), Needs::default());
        let mut game = factory.start().unwrap();
        game.new_episode(&seeded(1)).unwrap();
        let pid = game.interrupter().pid().unwrap().try_into().unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::STOP).unwrap();
        (game, factory)
    }
}
