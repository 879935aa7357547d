//! Why a policy cannot be used.

use std::path::PathBuf;

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
}
