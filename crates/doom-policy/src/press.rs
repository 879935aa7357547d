//! One combination of buttons, as policies write it: `ATTACK+MOVE_LEFT`, `NOOP`, `TURN_LEFT_RIGHT_DELTA=3.5`.

use doom_game::{Button, Schema};

use crate::PolicyError;

/// Buttons and their values; empty is NOOP.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Press(Vec<(Button, f64)>);

impl Press {
    /// Reads one combination.
    pub(crate) fn parse(text: &str, place: &str) -> Result<Self, PolicyError> {
        if text.trim().eq_ignore_ascii_case("NOOP") {
            return Ok(Self(Vec::new()));
        }
        let mut pressed: Vec<(Button, f64)> = Vec::new();
        for part in text.split('+') {
            let (button, value) = Self::part(part.trim(), place)?;
            if pressed.iter().any(|(b, _)| *b == button) {
                return Err(PolicyError::Text { place: place.to_owned(), what: format!("{button} is pressed already") });
            }
            pressed.push((button, value));
        }
        Ok(Self(pressed))
    }

    fn part(text: &str, place: &str) -> Result<(Button, f64), PolicyError> {
        let fail = |what: String| PolicyError::Text { place: place.to_owned(), what };
        let (name, value) = text.split_once('=').map_or((text, None), |(n, v)| (n.trim(), Some(v.trim())));
        let button: Button = name.parse().map_err(|e: doom_game::UnknownName| fail(e.to_string()))?;
        let value = match value {
            None if button.is_delta() => return Err(fail(format!("{button} is a delta button and needs a value; write {button}=1.5"))),
            None => 1.0,
            Some(_) if !button.is_delta() => return Err(fail(format!("{button} is either pressed or not; write it without a value"))),
            Some(v) => match v.parse::<f64>() {
                Ok(n) if n.is_finite() => n,
                _ => return Err(fail(format!("{button} needs a finite number, not `{v}`"))),
            },
        };
        Ok((button, value))
    }

    /// The whole action over a schema.
    pub(crate) fn action(&self, schema: &Schema, place: &str) -> Result<Vec<f64>, PolicyError> {
        let mut action = vec![0.0; schema.buttons.len()];
        for (button, value) in &self.0 {
            let Some(i) = schema.button(*button) else {
                return Err(PolicyError::no_button(place.to_owned(), *button, schema));
            };
            action[i] = *value;
        }
        Ok(action)
    }
}
