//! Which seed an episode gets.

/// `seed + i·step mod 2^32` for episode i (from 0), or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seeds {
    /// A first seed and the step to the next.
    Steps {
        /// Of the first episode.
        first: u32,
        /// From one episode to the next.
        step: u32,
    },
    /// One seed an episode, from the start again when it is used up.
    List(Vec<u32>),
}

impl Seeds {
    /// The seed of episode `number` (from 1). A faulted episode has used up its number and its seed.
    #[must_use]
    pub fn of(&self, number: u64) -> u32 {
        let i = number.saturating_sub(1);
        match self {
            // Truncation is the modulus.
            Self::Steps { first, step } => first.wrapping_add((i as u32).wrapping_mul(*step)),
            Self::List(list) if list.is_empty() => 0,
            Self::List(list) => list[(i % list.len() as u64) as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_step_modulo_two_to_the_thirty_two_and_lists_wrap() {
        let steps = Seeds::Steps { first: u32::MAX, step: 2 };
        assert_eq!([steps.of(1), steps.of(2), steps.of(3)], [u32::MAX, 1, 3]);
        let list = Seeds::List(vec![42, 73]);
        assert_eq!([list.of(1), list.of(2), list.of(3)], [42, 73, 42]);
    }
}
