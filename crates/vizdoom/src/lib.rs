//! A safe handle on one ViZDoom game: start, step, frames without copies, deadline, teardown.
//!
//! [`Game::start`] checks what it can before the engine runs, so that a wrong path or map is an error that names it. A [`Game`]
//! promises: a step does not allocate and copies no pixels; the variables of the terminal tic are there after the end; an engine that
//! dies at any moment gives an [`Error`]; one that hangs is let go by its [`Killer`] from another thread; and when the game is
//! dropped, neither the engine nor its shared memory is left. The engine itself dies with this process, however that ends (Linux).
//!
//! A call waits for the engine without a limit of its own, except [`Game::start`] and the teardown: deadlines for steps belong to
//! whoever holds the [`Killer`].

mod check;
mod config;
mod error;
mod game;
mod instance;
mod names;
mod process;
mod raw;
mod view;
mod wad;

pub use config::{Automap, Buffers, Config, Render, Rewards};
pub use error::Error;
pub use game::{Game, Step};
pub use instance::sweep;
pub use names::{Table, count, is_delta, lookup, version};
pub use process::Killer;
pub use view::{Image, Label, Line, Object, Sector};

/// The directory of ViZDoom that this library was built with; `engine/vizdoom` in it is the executable.
#[must_use]
pub fn built_with() -> &'static std::path::Path {
    std::path::Path::new(vizdoom_sys::BUILT_WITH)
}
