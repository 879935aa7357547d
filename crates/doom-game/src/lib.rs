//! The game behind one trait: scenario files, the mock backend and the ViZDoom backend.
//!
//! `backend` is the seam; `names` the buttons and variables of ViZDoom 1.3.2; `scenario` reads scenario files;
//! `mock` plays without an engine; `engine` (feature `vizdoom`) plays the real one.
#![recursion_limit = "512"]

mod backend;
mod clear;
#[cfg(feature = "vizdoom")]
mod engine;
mod mock;
mod names;
mod scenario;

pub use backend::{
    BackendFactory, BackendInfo, End, EpisodeStart, Frame, GameBackend, GameError, Interrupt, Label, Needs, Observation, Schema, Step,
};
pub use clear::clear_run_dir;
#[cfg(feature = "vizdoom")]
pub use engine::{VizdoomBackend, VizdoomFactory, find_engine};
pub use mock::{Fault, FaultError, Faults, MockBackend, MockFactory, Trigger};
pub use names::{Button, UnknownName, Variable, nearest};
pub use scenario::{
    AutomapMode, Buffers, FileRef, FileRefBase, GameFiles, Mode, Place, Render, Rewards, SamplingRate, Scenario, ScenarioError,
    ScreenFormat, ScreenResolution, SearchPaths,
};
