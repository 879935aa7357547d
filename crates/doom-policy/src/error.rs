//! Why a policy cannot be used.

use std::path::PathBuf;

use doom_game::{Button, Schema, Variable};

/// Said before anything starts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A file cannot be read.
    #[error("the policy file {path} cannot be read: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in a text is wrong; `place` is a file with line and column, or the policy's own text.
    #[error("{place}: {what}")]
    Text {
        /// Where.
        place: String,
        /// What was wrong, and what would be right.
        what: String,
    },
    /// A parameter that the policy does not have.
    #[error("the policy `{policy}` has no parameter `{name}`; {valid}")]
    Parameter {
        /// The policy.
        policy: String,
        /// The parameter as given.
        name: String,
        /// What there is.
        valid: String,
    },
    /// A parameter with a value outside its declared range.
    #[error("the parameter `{name}` of the policy `{policy}` cannot be {value}; it takes {range}")]
    Range {
        /// The policy.
        policy: String,
        /// The parameter.
        name: String,
        /// The value as given.
        value: f64,
        /// What it may be.
        range: String,
    },
    /// A button that the scenario does not have.
    #[error("{place}: the scenario has no button {button}; it has {available}")]
    Button {
        /// Where the policy names it.
        place: String,
        /// The button.
        button: String,
        /// The scenario's buttons.
        available: String,
    },
    /// The game was started without a variable of [`PolicyProgram::needs`](crate::PolicyProgram::needs).
    #[error("the game does not give {variable}, which the policy reads")]
    Variable {
        /// The variable.
        variable: Variable,
    },
}

impl PolicyError {
    /// The scenario has no such button.
    pub(crate) fn no_button(place: String, button: Button, schema: &Schema) -> Self {
        let available = schema.buttons.iter().map(|b| b.name()).collect::<Vec<_>>().join(", ");
        Self::Button { place, button: button.to_string(), available }
    }
}
