//! Who picks the action.
//!
//! A [`PolicySpec`] is what the command line says; loading it reads and checks everything and gives a [`PolicyProgram`]; binding
//! that to a game's schema gives a [`Policy`] that decides without allocating. The same seed and observations give the same actions.

mod cycle;
mod error;
mod press;
mod program;
mod random;
mod rules;
mod spec;

pub use error::PolicyError;
pub use program::PolicyProgram;
pub use spec::PolicySpec;

use doom_game::Observation;

/// Decides, step by step; owned by the game thread.
pub trait Policy: Send {
    /// A new episode begins; every random choice of it comes from this seed.
    fn begin_episode(&mut self, seed: u32);
    /// Fills `action`: one number per button of the schema, 0 or 1 for binary buttons, any number for delta buttons.
    fn decide(&mut self, observation: &Observation<'_>, action: &mut [f64]);
    /// The share (0 to 1) of the episode's decisions that a rule made, and not the fallback; a held step counts for the rule that began
    /// it. `None` for a policy without rules.
    fn rule_match_rate(&self) -> Option<f64>;
}
