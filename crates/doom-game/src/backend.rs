//! The seam between the agent and a game: one trait, what a step returns, and how a game can fail.
//!
//! A backend promises: the same scenario, seed and actions give the same observations, rewards and end (PLAYER mode);
//! the observation after the last step of an episode carries the terminal tic's variables; no call waits on anything but the
//! game itself. A call that the game never answers is ended by [`Interrupt::interrupt`] from another thread.

use std::{path::PathBuf, sync::Arc};

use crate::names::{Button, Variable};

/// What the numbers of an action and of an observation mean; constant for the life of a backend.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// One entry per element of an action, in scenario order.
    pub buttons: Vec<Button>,
    /// One entry per element of [`Observation::variables`]: first the scenario's own, in its order, then those that only the score needs.
    pub variables: Vec<Variable>,
    /// How many of `variables` the scenario itself lists; these are published with every observation.
    pub scenario_variables: usize,
    /// Width and height of the frame in pixels, in which labels are placed.
    pub screen: (u32, u32),
}

impl Schema {
    /// The index of a variable in [`Observation::variables`].
    #[must_use]
    pub fn variable(&self, variable: Variable) -> Option<usize> {
        self.variables.iter().position(|v| *v == variable)
    }

    /// The index of a button in an action.
    #[must_use]
    pub fn button(&self, button: Button) -> Option<usize> {
        self.buttons.iter().position(|b| *b == button)
    }
}

/// Where the data come from; mock data say so in every message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendInfo {
    /// `vizdoom` or `mock`.
    pub name: &'static str,
    /// The engine's version, such as `1.3.2`; the mock gives its own, such as `mock-1`.
    pub engine_version: String,
}

/// Why an episode ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The player is dead (takes precedence over the others).
    Death,
    /// The map was left, or the scenario's script ended the episode.
    LevelExit,
    /// The episode timeout ran out.
    Timeout,
}

impl End {
    /// The wire's name for it: `death`, `level_exit` or `timeout`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Death => "death",
            Self::LevelExit => "level_exit",
            Self::Timeout => "timeout",
        }
    }
}

/// The result of one environment step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The reward over all tics of the step.
    pub reward: f64,
    /// Set when the step ended the episode.
    pub end: Option<End>,
}

/// A visible object: its name and its bounding box in the frame, in pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// The engine's name of the object's class, such as `Cacodemon`.
    pub name: String,
    /// The engine's category of it, such as `Monster`, `Health` or `Self` (the player).
    pub category: String,
    /// The object's id, unique within the episode.
    pub id: u32,
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
    /// The object's position on the map, in map units.
    pub position: [f64; 3],
}

/// A view of the screen buffer; it lives until the next step.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Pixels, `height * width * channels` bytes, interleaved or planar as `format` says.
    pub data: &'a [u8],
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// 1, 3 or 4.
    pub channels: u32,
    /// ViZDoom's name of the screen format, such as `GRAY8` or `CRCGCB`.
    pub format: &'static str,
}

/// What the agent sees between two steps. After the step that ended an episode: the terminal tic.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// The controller's last map tic (35 per second).
    pub tic: u32,
    /// Values in the order of [`Schema::variables`].
    pub variables: &'a [f64],
    /// Visible objects, where the scenario or [`Needs::labels`] asked for them; else empty.
    pub labels: &'a [Label],
    /// The screen, where there is one (none on the terminal tic).
    pub frame: Option<Frame<'a>>,
}

/// What the agent wants of a backend beyond what the scenario lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Variables to read besides the scenario's.
    pub variables: Vec<Variable>,
    /// The labels buffer and its objects.
    pub labels: bool,
    /// Pixels are looked at; where false a backend may skip what only pixels need, if nothing else changes.
    pub frames: bool,
    /// Where the engine may write (its working directory and HOME); made by the caller.
    pub run_dir: Option<PathBuf>,
}

/// How a new episode starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EpisodeStart {
    /// The engine's seed for this episode.
    pub seed: u32,
    /// Record the episode to this `.lmp` file.
    pub record: Option<PathBuf>,
}

/// Ends a call that the game does not answer; shared with the watchdog's thread.
pub trait Interrupt: Send + Sync {
    /// Makes a pending call return [`GameError::Died`] soon (the engine is killed). Idempotent; harmless after the backend is gone.
    fn interrupt(&self);
    /// The engine's process id, where there is a process.
    fn pid(&self) -> Option<u32>;
}

/// One game.
pub trait GameBackend {
    /// Where the data come from.
    fn info(&self) -> &BackendInfo;
    /// What actions and observations hold.
    fn schema(&self) -> &Schema;
    /// For the watchdog; it stays valid for the life of the backend.
    fn interrupter(&self) -> Arc<dyn Interrupt>;
    /// Starts an episode; afterwards [`GameBackend::observe`] gives observation 0.
    ///
    /// # Errors
    /// [`GameError::Usage`] where the recording cannot be written: no episode is open then, and another may start. After any other
    /// error every further call fails, and the backend must be replaced.
    fn new_episode(&mut self, start: &EpisodeStart) -> Result<(), GameError>;
    /// Holds `action` for `skip` tics (at least 1), or fewer if the episode ends inside.
    ///
    /// `action` has one number per button of the schema: 0 or 1 for binary buttons, any number for delta buttons.
    ///
    /// # Errors
    /// [`GameError::Usage`] leaves the game as it was. After any other error every further call fails, and the backend must be
    /// replaced; what was seen last can still be read.
    fn step(&mut self, action: &[f64], skip: u32) -> Result<Step, GameError>;
    /// What is seen now; borrowed, so that it ends before the next step.
    fn observe(&self) -> Observation<'_>;
}

/// Makes backends, again after a fault; called on the game thread.
pub trait BackendFactory: Send {
    /// Starts an engine.
    ///
    /// # Errors
    /// [`GameError::Start`] or [`GameError::Scenario`].
    fn start(&mut self) -> Result<Box<dyn GameBackend>, GameError>;
}

/// How a game fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GameError {
    /// The engine could not be started; the text says what to do.
    #[error("the engine cannot start: {0}")]
    Start(String),
    /// The engine refused something of the scenario (map, WAD, setting).
    #[error("scenario refused: {0}")]
    Scenario(String),
    /// The engine ended, crashed or was killed (also by [`Interrupt::interrupt`]).
    #[error("the engine died: {0}")]
    Died(String),
    /// A call of ours was wrong (action of the wrong length, no episode open).
    #[error("wrong use of the game: {0}")]
    Usage(String),
}
