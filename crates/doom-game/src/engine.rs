//! Plays the real engine: a [`Scenario`] becomes a `vizdoom` configuration, and its game a [`GameBackend`].
//!
//! A step neither allocates nor copies pixels; labels reuse their memory.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use vizdoom::{Config, Game, Killer};

use crate::{
    BackendFactory, BackendInfo, End, EpisodeStart, Frame, GameBackend, GameError, GameFiles, Interrupt, Label, Needs, Observation,
    Scenario, Schema, SearchPaths, Step,
};

/// The factory of [`VizdoomBackend`]s.
#[derive(Debug)]
pub struct VizdoomFactory {
    scenario: Scenario,
    files: GameFiles,
    executable: PathBuf,
    needs: Needs,
    start_timeout: Duration,
}

impl VizdoomFactory {
    /// A factory for a scenario whose files are found by `search` (see [`find_engine`]); an engine that is not ready within
    /// `start_timeout` is killed.
    ///
    /// # Errors
    /// [`GameError::Scenario`] where a file of the scenario is missing, [`GameError::Start`] where the engine is.
    pub fn new(scenario: Scenario, search: &SearchPaths, needs: Needs, start_timeout: Duration) -> Result<Self, GameError> {
        let files = scenario.check_files(search).map_err(|e| GameError::Scenario(e.to_string()))?;
        let own = || search.engine_dir.as_ref().map(|dir| dir.join("vizdoom"));
        let executable = files.vizdoom.clone().or_else(own).ok_or_else(|| {
            GameError::Start("no ViZDoom engine is known; set VIZDOOM_DIR to its directory or run `cargo xtask setup`".into())
        })?;
        Ok(Self { scenario, files, executable, needs, start_timeout })
    }
}

impl BackendFactory for VizdoomFactory {
    fn start(&mut self) -> Result<Box<dyn GameBackend>, GameError> {
        Ok(Box::new(VizdoomBackend::start(self)?))
    }
}

/// Where ViZDoom is: `VIZDOOM_DIR` (alone, where it is set), beside this program, in `../share/doom-agent`, or where it was built.
///
/// # Errors
/// [`GameError::Start`] with every place that was looked at.
pub fn find_engine() -> Result<SearchPaths, GameError> {
    let roots: Vec<PathBuf> = if let Some(dir) = std::env::var_os("VIZDOOM_DIR") {
        vec![dir.into()]
    } else {
        let program = std::env::current_exe().ok();
        let beside = program.as_deref().and_then(Path::parent);
        let share = beside.and_then(Path::parent).map(|prefix| prefix.join("share/doom-agent"));
        let installed = beside.map(Path::to_owned).into_iter().chain(share).flat_map(|dir| [dir.join("vizdoom"), dir]);
        installed.chain([vizdoom::built_with().to_owned()]).collect()
    };
    // The layout of `cargo xtask setup`, and the engine's directory itself.
    let places: Vec<PathBuf> = roots.into_iter().flat_map(|root| [root.join("engine"), root]).collect();
    match places.iter().find(|dir| dir.join("vizdoom").is_file() && dir.join("vizdoom.pk3").is_file()) {
        Some(dir) => Ok(SearchPaths { scenarios_dir: Some(dir.join("scenarios")), engine_dir: Some(dir.clone()) }),
        None => Err(GameError::Start(format!(
            "no ViZDoom engine (vizdoom and vizdoom.pk3) in {}; set VIZDOOM_DIR to its directory or run `cargo xtask setup`",
            places.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// One game on the real engine.
#[derive(Debug)]
pub struct VizdoomBackend {
    game: Game,
    info: BackendInfo,
    schema: Schema,
    format: &'static str,
    labels: bool,
    /// Grows to the most that were ever visible; the first `visible` ones are.
    pool: Vec<Label>,
    visible: usize,
    open: bool,
    _run_dir: RunDir,
}

impl VizdoomBackend {
    fn start(factory: &VizdoomFactory) -> Result<Self, GameError> {
        let VizdoomFactory { scenario, files, needs, .. } = factory;
        let mut variables = scenario.variables.clone();
        for variable in &needs.variables {
            if !variables.contains(variable) {
                variables.push(*variable);
            }
        }
        let screen = (scenario.screen_resolution.width(), scenario.screen_resolution.height());
        let schema = Schema { buttons: scenario.buttons.clone(), scenario_variables: scenario.variables.len(), variables, screen };
        let run_dir = RunDir::new(needs.run_dir.as_deref()).map_err(|e| GameError::Start(format!("no run directory: {e}")))?;
        let mut config = config(scenario, files, &schema, &factory.executable, &run_dir.path);
        config.buffers.labels |= needs.labels;
        if let Some(settings) = &files.config {
            // The engine writes its settings back when it ends; the scenario's stay as they are.
            let copy = run_dir.path.join("engine.ini");
            fs::copy(settings, &copy).map_err(|e| GameError::Scenario(format!("cannot copy {}: {e}", settings.display())))?;
            config.engine_config = Some(copy);
        }
        let unread = scenario.buffers.unread();
        if !unread.is_empty() {
            tracing::info!(scenario = scenario.name, "nothing here reads these buffers, they stay off: {}", unread.join(", "));
        }
        let labels = config.buffers.labels;
        let game = Game::start(&config, factory.start_timeout).map_err(start_error)?;
        Ok(Self {
            game,
            info: BackendInfo { name: "vizdoom", engine_version: vizdoom::version().into() },
            schema,
            format: scenario.screen_format.name(),
            labels,
            pool: Vec::new(),
            visible: 0,
            open: false,
            _run_dir: run_dir,
        })
    }

    fn refresh_labels(&mut self) {
        self.visible = 0;
        if !self.labels || self.game.last().finished {
            return;
        }
        for label in self.game.labels() {
            if self.visible == self.pool.len() {
                let (name, category) = (String::new(), String::new());
                self.pool.push(Label { name, category, id: 0, x: 0, y: 0, width: 0, height: 0, position: [0.0; 3] });
            }
            let Some(slot) = self.pool.get_mut(self.visible) else { return };
            slot.name.clear();
            slot.name.push_str(label.name);
            slot.category.clear();
            slot.category.push_str(label.category);
            (slot.id, slot.x, slot.y, slot.width, slot.height) = (label.id, label.x, label.y, label.width, label.height);
            slot.position = label.position;
            self.visible += 1;
        }
    }
}

impl GameBackend for VizdoomBackend {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn interrupter(&self) -> Arc<dyn Interrupt> {
        Arc::new(EngineInterrupt(self.game.killer()))
    }

    fn new_episode(&mut self, start: &EpisodeStart) -> Result<(), GameError> {
        self.open = false;
        self.game.new_episode(start.seed, start.record.as_deref()).map_err(play_error)?;
        self.open = true;
        self.refresh_labels();
        Ok(())
    }

    fn step(&mut self, action: &[f64], skip: u32) -> Result<Step, GameError> {
        if !self.open {
            return Err(GameError::Usage("no episode is open; start one first".into()));
        }
        if let Some((button, value)) = self.schema.buttons.iter().zip(action).find(|(_, value)| !value.is_finite()) {
            return Err(GameError::Usage(format!("the action for {button} is {value}, it must be a finite number")));
        }
        let step = self.game.step(action, skip).map_err(play_error)?;
        self.open = !step.finished;
        self.refresh_labels();
        Ok(Step { reward: step.reward, end: end(&step) })
    }

    fn observe(&self) -> Observation<'_> {
        let last = self.game.last();
        let screen = if last.finished { None } else { self.game.screen() };
        Observation {
            tic: last.tic,
            variables: self.game.variables(),
            labels: self.pool.get(..self.visible).unwrap_or_default(),
            frame: screen.map(|image| Frame {
                data: image.data,
                width: image.width,
                height: image.height,
                channels: image.channels,
                format: self.format,
            }),
        }
    }
}

/// Death before the exit before the timeout.
fn end(step: &vizdoom::Step) -> Option<End> {
    match step {
        vizdoom::Step { finished: false, .. } => None,
        vizdoom::Step { player_dead: true, .. } => Some(End::Death),
        vizdoom::Step { map_ended: true, .. } => Some(End::LevelExit),
        _ => Some(End::Timeout),
    }
}

struct EngineInterrupt(Killer);

impl Interrupt for EngineInterrupt {
    fn interrupt(&self) {
        self.0.kill();
    }

    fn pid(&self) -> Option<u32> {
        self.0.pid()
    }
}

fn start_error(error: vizdoom::Error) -> GameError {
    use vizdoom::Error;
    match &error {
        Error::File { what: "the engine's executable", .. } | Error::RunDir { .. } => GameError::Start(error.to_string()),
        Error::Start { source, output } if output.is_empty() => GameError::Start(source.to_string()),
        Error::Start { source, output } => GameError::Start(format!("{source}; it wrote last:\n{output}")),
        refused if refused.is_refusal() => GameError::Scenario(error.to_string()),
        _ => GameError::Start(error.to_string()),
    }
}

fn play_error(error: vizdoom::Error) -> GameError {
    if error.is_misuse() { GameError::Usage(error.to_string()) } else { GameError::Died(error.to_string()) }
}

fn config(scenario: &Scenario, files: &GameFiles, schema: &Schema, executable: &Path, run_dir: &Path) -> Config {
    let mut config = Config::new(executable, &files.game, run_dir).variables(schema.variables.iter().map(|v| v.name()));
    let greatest = |button| scenario.button_max_values.iter().rev().find(|(b, _)| *b == button).map(|(_, max)| *max);
    config.buttons = schema.buttons.iter().map(|button| (button.name().into(), greatest(*button))).collect();
    config.wad.clone_from(&files.scenario);
    config.map.clone_from(&scenario.doom_map);
    config.args.clone_from(&scenario.game_args);
    config.skill = scenario.doom_skill;
    config.mode = scenario.mode.name().into();
    config.screen_format = scenario.screen_format.name().into();
    config.resolution = (scenario.screen_resolution.width(), scenario.screen_resolution.height());
    config.ticrate = scenario.ticrate;
    config.episode_start_time = scenario.episode_start_time;
    config.episode_timeout = scenario.episode_timeout;
    config.seed = scenario.seed.unwrap_or_default();
    config.window = scenario.window_visible;
    config.console = scenario.console_enabled;
    config.sound = scenario.sound_enabled;
    let r = &scenario.render;
    config.render = vizdoom::Render {
        hud: r.hud,
        minimal_hud: r.minimal_hud,
        weapon: r.weapon,
        crosshair: r.crosshair,
        decals: r.decals,
        particles: r.particles,
        effects_sprites: r.effects_sprites,
        messages: r.messages,
        corpses: r.corpses,
        screen_flashes: r.screen_flashes,
        all_frames: r.all_frames,
    };
    // Of the scenario's other buffers an `Observation` has nothing; the engine need not fill them.
    config.buffers.labels = scenario.buffers.labels;
    let w = &scenario.rewards;
    config.rewards = vizdoom::Rewards {
        living: w.living_reward,
        death_penalty: w.death_penalty,
        map_exit: w.map_exit_reward,
        kill: w.kill_reward,
        secret: w.secret_reward,
        item: w.item_reward,
        frag: w.frag_reward,
        hit: w.hit_reward,
        hit_taken_penalty: w.hit_taken_penalty,
        damage_made: w.damage_made_reward,
        damage_taken_penalty: w.damage_taken_penalty,
        health: w.health_reward,
        armor: w.armor_reward,
    };
    config
}

/// The engine's run directory; one of our own is removed with the game.
#[derive(Debug)]
struct RunDir {
    path: PathBuf,
    ours: bool,
}

impl RunDir {
    fn new(given: Option<&Path>) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if let Some(path) = given {
            fs::create_dir_all(path)?;
            return Ok(Self { path: path.into(), ours: false });
        }
        loop {
            let name = format!("doom-agent-engine-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path, ours: true }),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_one_whatever_else_ended_the_episode_and_an_exit_before_a_timeout() {
        let step = |player_dead, map_ended, timed_out| vizdoom::Step {
            finished: player_dead || map_ended || timed_out,
            player_dead,
            map_ended,
            timed_out,
            ..vizdoom::Step::default()
        };
        assert_eq!(end(&step(false, false, false)), None);
        for (map_ended, timed_out) in [(false, false), (false, true), (true, false), (true, true)] {
            assert_eq!(end(&step(true, map_ended, timed_out)), Some(End::Death));
        }
        assert_eq!(end(&step(false, true, true)), Some(End::LevelExit));
        assert_eq!(end(&step(false, false, true)), Some(End::Timeout));
    }
}
