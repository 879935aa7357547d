//! The names of ViZDoom 1.3.2: 43 buttons (38 binary, 5 delta) and 132 game variables, in the engine's order.
//!
//! Source: upstream `include/ViZDoomTypes.h`, enums `Button` and `GameVariable`. Names are matched without regard to case.

use std::{fmt, str::FromStr};

/// Declares a newtype over an upstream enum: its names in upstream's order, parsing and display.
macro_rules! names {
    ($(#[$doc:meta])* $type:ident, $what:literal, [$($name:ident),* $(,)?]) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(u16);

        #[allow(non_upper_case_globals, missing_docs, reason = "one constant per upstream name")]
        impl $type {
            names!(@consts 0u16, $($name,)*);
            /// All of them, in upstream's order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
            const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];
        }

        impl $type {
            /// Upstream's name, such as `ATTACK`.
            #[must_use]
            pub fn name(self) -> &'static str {
                Self::NAMES[usize::from(self.0)]
            }
            /// Upstream's number of it.
            #[must_use]
            pub fn index(self) -> usize {
                usize::from(self.0)
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;
            fn from_str(s: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|x| x.name().eq_ignore_ascii_case(s)).ok_or_else(|| UnknownName::new($what, s, Self::NAMES))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
    (@consts $n:expr, $name:ident, $($rest:ident,)*) => {
        pub const $name: Self = Self($n);
        names!(@consts $n + 1, $($rest,)*);
    };
    (@consts $n:expr,) => {};
}

names!(
    /// A button of the engine.
    Button, "button", [
        ATTACK, USE, JUMP, CROUCH, TURN180, ALTATTACK, RELOAD, ZOOM, SPEED, STRAFE, MOVE_RIGHT, MOVE_LEFT, MOVE_BACKWARD,
        MOVE_FORWARD, TURN_RIGHT, TURN_LEFT, LOOK_UP, LOOK_DOWN, MOVE_UP, MOVE_DOWN, LAND, SELECT_WEAPON1, SELECT_WEAPON2,
        SELECT_WEAPON3, SELECT_WEAPON4, SELECT_WEAPON5, SELECT_WEAPON6, SELECT_WEAPON7, SELECT_WEAPON8, SELECT_WEAPON9,
        SELECT_WEAPON0, SELECT_NEXT_WEAPON, SELECT_PREV_WEAPON, DROP_SELECTED_WEAPON, ACTIVATE_SELECTED_ITEM, SELECT_NEXT_ITEM,
        SELECT_PREV_ITEM, DROP_SELECTED_ITEM, LOOK_UP_DOWN_DELTA, TURN_LEFT_RIGHT_DELTA, MOVE_FORWARD_BACKWARD_DELTA,
        MOVE_LEFT_RIGHT_DELTA, MOVE_UP_DOWN_DELTA,
]);

names!(
    /// A game variable of the engine.
    Variable, "game variable", [
        KILLCOUNT, ITEMCOUNT, SECRETCOUNT, FRAGCOUNT, DEATHCOUNT, HITCOUNT, HITS_TAKEN, DAMAGECOUNT, DAMAGE_TAKEN, HEALTH, ARMOR,
        DEAD, ON_GROUND, ATTACK_READY, ALTATTACK_READY, SELECTED_WEAPON, SELECTED_WEAPON_AMMO, AMMO0, AMMO1, AMMO2, AMMO3, AMMO4,
        AMMO5, AMMO6, AMMO7, AMMO8, AMMO9, WEAPON0, WEAPON1, WEAPON2, WEAPON3, WEAPON4, WEAPON5, WEAPON6, WEAPON7, WEAPON8,
        WEAPON9, POSITION_X, POSITION_Y, POSITION_Z, ANGLE, PITCH, ROLL, VIEW_HEIGHT, VELOCITY_X, VELOCITY_Y, VELOCITY_Z,
        CAMERA_POSITION_X, CAMERA_POSITION_Y, CAMERA_POSITION_Z, CAMERA_ANGLE, CAMERA_PITCH, CAMERA_ROLL, CAMERA_FOV,
        PLAYER_NUMBER, PLAYER_COUNT, PLAYER1_FRAGCOUNT, PLAYER2_FRAGCOUNT, PLAYER3_FRAGCOUNT, PLAYER4_FRAGCOUNT, PLAYER5_FRAGCOUNT,
        PLAYER6_FRAGCOUNT, PLAYER7_FRAGCOUNT, PLAYER8_FRAGCOUNT, PLAYER9_FRAGCOUNT, PLAYER10_FRAGCOUNT, PLAYER11_FRAGCOUNT,
        PLAYER12_FRAGCOUNT, PLAYER13_FRAGCOUNT, PLAYER14_FRAGCOUNT, PLAYER15_FRAGCOUNT, PLAYER16_FRAGCOUNT, USER1, USER2, USER3,
        USER4, USER5, USER6, USER7, USER8, USER9, USER10, USER11, USER12, USER13, USER14, USER15, USER16, USER17, USER18, USER19,
        USER20, USER21, USER22, USER23, USER24, USER25, USER26, USER27, USER28, USER29, USER30, USER31, USER32, USER33, USER34,
        USER35, USER36, USER37, USER38, USER39, USER40, USER41, USER42, USER43, USER44, USER45, USER46, USER47, USER48, USER49,
        USER50, USER51, USER52, USER53, USER54, USER55, USER56, USER57, USER58, USER59, USER60,
]);

impl Button {
    /// Delta buttons take any number; the others 0 or 1.
    #[must_use]
    pub fn is_delta(self) -> bool {
        self >= Self::LOOK_UP_DOWN_DELTA
    }
}

/// A name that the engine does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{name}`{}; valid are {valid}", .nearest.map(|n| format!(" (did you mean {n}?)")).unwrap_or_default())]
pub struct UnknownName {
    what: &'static str,
    name: String,
    nearest: Option<&'static str>,
    valid: String,
}

impl UnknownName {
    /// For a name of kind `what` that is none of `names`.
    pub(crate) fn new(what: &'static str, name: &str, names: &'static [&'static str]) -> Self {
        Self { what, name: name.into(), nearest: nearest(name, names.iter().copied()), valid: names.join(", ") }
    }
}

/// The candidate that `name` may have been meant to be: the nearest in spelling without regard to case, at most three edits away
/// and fewer than half of its characters.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let upper = name.to_ascii_uppercase();
    let ranked = candidates.into_iter().map(|n| (distance(&upper, &n.to_ascii_uppercase()), n));
    ranked.min().filter(|(d, _)| *d <= 3 && 2 * d < upper.chars().count()).map(|(_, n)| n)
}

/// Levenshtein distance; names are short.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut previous = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let substitute: usize = previous + usize::from(ca != *cb);
            let best = substitute.min(row[j] + 1).min(row[j + 1] + 1);
            previous = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_upstreams() {
        assert_eq!((Button::ALL.len(), Variable::ALL.len()), (43, 132));
        assert_eq!(Button::ALL.iter().filter(|b| b.is_delta()).count(), 5);
    }

    #[test]
    fn an_unknown_name_says_the_nearest_and_the_valid_ones() {
        let text = "ATACK".parse::<Button>().unwrap_err().to_string();
        assert!(text.contains("did you mean ATTACK?") && text.contains("MOVE_LEFT"), "{text}");
    }

    #[test]
    fn case_does_not_matter() {
        assert_eq!("kIllCount".parse::<Variable>(), Ok(Variable::KILLCOUNT));
    }
}
