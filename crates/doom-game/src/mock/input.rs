//! What the player does in a tic, from the numbers of an action.

use super::math::{UNIT, degrees};
use crate::{backend::GameError, names::Button};

/// Lengths in 1/256 map unit, angles in 1/65536 turn, to the left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) attack: bool,
    pub(super) turn: i64,
    pub(super) look: i64,
    pub(super) ahead: i64,
    pub(super) left: i64,
    /// A weapon slot.
    pub(super) select: Option<usize>,
    /// To the next (1) or previous (-1) weapon.
    pub(super) cycle: i64,
}

impl Input {
    /// Reads an action; `limits` has the largest value of each delta button, 0 for none.
    pub(super) fn read(buttons: &[Button], limits: &[f64], action: &[f64]) -> Result<Self, GameError> {
        if action.len() != buttons.len() {
            let (given, wanted) = (action.len(), buttons.len());
            return Err(GameError::Usage(format!("the action has {given} numbers, the scenario has {wanted} buttons")));
        }
        let (mut fast, mut strafe) = (false, false);
        for (button, value) in buttons.iter().zip(action) {
            if !value.is_finite() {
                return Err(GameError::Usage(format!("the action has {value} for {button}; expected a finite number")));
            }
            fast |= *button == Button::SPEED && *value != 0.0;
            strafe |= *button == Button::STRAFE && *value != 0.0;
        }
        let walk = if fast { 16 } else { 8 } * UNIT;
        let turn = degrees(if fast { 7.0 } else { 3.5 });
        let mut input = Self::default();
        for ((button, value), limit) in buttons.iter().zip(action).zip(limits) {
            let delta = if *limit > 0.0 { value.clamp(-limit, *limit) } else { value.clamp(-32768.0, 32767.0) };
            let pressed = *value != 0.0;
            match *button {
                _ if !pressed => {}
                Button::ATTACK => input.attack = true,
                Button::MOVE_FORWARD => input.ahead += walk,
                Button::MOVE_BACKWARD => input.ahead -= walk,
                Button::MOVE_LEFT => input.left += walk,
                Button::MOVE_RIGHT => input.left -= walk,
                Button::TURN_LEFT if strafe => input.left += walk,
                Button::TURN_RIGHT if strafe => input.left -= walk,
                Button::TURN_LEFT => input.turn += turn,
                Button::TURN_RIGHT => input.turn -= turn,
                Button::TURN180 => input.turn += 32768,
                Button::LOOK_UP => input.look -= turn,
                Button::LOOK_DOWN => input.look += turn,
                Button::TURN_LEFT_RIGHT_DELTA => input.turn -= degrees(delta),
                Button::LOOK_UP_DOWN_DELTA => input.look -= degrees(delta),
                Button::MOVE_FORWARD_BACKWARD_DELTA => input.ahead += (delta.clamp(-32.0, 32.0) * UNIT as f64) as i64,
                Button::MOVE_LEFT_RIGHT_DELTA => input.left -= (delta.clamp(-32.0, 32.0) * UNIT as f64) as i64,
                Button::SELECT_NEXT_WEAPON => input.cycle = 1,
                Button::SELECT_PREV_WEAPON => input.cycle = -1,
                other => input.select = weapon(other).or(input.select),
            }
        }
        Ok(input)
    }
}

/// The slot that a button selects; the rest of the buttons do nothing here.
fn weapon(button: Button) -> Option<usize> {
    let first = Button::SELECT_WEAPON1.index();
    let last = Button::SELECT_WEAPON0.index();
    (first..=last).contains(&button.index()).then(|| (button.index() - first + 1) % 10)
}
