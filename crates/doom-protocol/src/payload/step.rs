//! What happens at every step: the action, and the observation that is its result.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Values, episode_payload};

/// The buttons of one action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pressed<'a> {
    /// Sum of 2^i over the pressed binary buttons, in scenario order.
    pub action_id: u64,
    /// One flag per button of the scenario; a delta button counts as pressed where its value is not 0.
    pub buttons: Cow<'a, [bool]>,
    /// Names of the pressed, joined by `+`, or `NOOP`.
    pub action_type: Cow<'a, str>,
    /// The numbers of the delta buttons, where the scenario has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Values<'a>>,
}

episode_payload!(
    /// Action k (from 1), decided on observation k−1 and carrying its tic.
    Action, "agent.action", {
        /// k, from 1.
        step: u64,
        /// The tic of the observation it was decided on.
        tic: u32,
        /// What was pressed.
        action: Pressed<'a>,
        /// Tics that it is held for.
        frame_skip: u32,
        /// The policy's name.
        policy: Cow<'a, str>,
        /// How long the decision took, microseconds.
        decision_us: u64,
    }
);

episode_payload!(
    /// Observation k, the result of action k; observation 0 is the reset.
    Observe, "agent.observe", {
        /// k, from 0.
        step: u64,
        /// The controller's last map tic.
        tic: u32,
        /// Over the whole skipped step; 0 at the reset.
        reward: f64,
        /// Since the reset.
        total_reward: f64,
        /// The scenario's variables by name.
        variables: Values<'a>,
        /// The episode ended in death or a level exit.
        terminated: bool,
        /// The episode ended by its timeout alone.
        truncated: bool,
    }
);
