//! The open episode's figures as of its last step, for whoever must speak of an episode that nobody can close any more.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Tries to read figures that are being written; a writer is done in nanoseconds.
const TRIES: usize = 1_000;

/// See the module.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) episode: u64,
    pub(crate) steps: u64,
    pub(crate) tics: u32,
    pub(crate) total_reward: f64,
    pub(crate) kills: i64,
    pub(crate) damage_dealt: f64,
    pub(crate) damage_taken: f64,
    pub(crate) hits: i64,
    pub(crate) items: i64,
    pub(crate) ammo_used: f64,
    pub(crate) cells_visited: u64,
}

impl Figures {
    fn to_bits(self) -> [u64; 11] {
        [
            self.episode,
            self.steps,
            u64::from(self.tics),
            self.total_reward.to_bits(),
            self.kills.cast_unsigned(),
            self.damage_dealt.to_bits(),
            self.damage_taken.to_bits(),
            self.hits.cast_unsigned(),
            self.items.cast_unsigned(),
            self.ammo_used.to_bits(),
            self.cells_visited,
        ]
    }

    fn of_bits(bits: [u64; 11]) -> Self {
        Self {
            episode: bits[0],
            steps: bits[1],
            tics: u32::try_from(bits[2]).unwrap_or(u32::MAX),
            total_reward: f64::from_bits(bits[3]),
            kills: bits[4].cast_signed(),
            damage_dealt: f64::from_bits(bits[5]),
            damage_taken: f64::from_bits(bits[6]),
            hits: bits[7].cast_signed(),
            items: bits[8].cast_signed(),
            ammo_used: f64::from_bits(bits[9]),
            cells_visited: bits[10],
        }
    }
}

/// One writer, any readers: a version that is odd while the figures are being written, so that nobody reads half of two steps.
#[derive(Debug, Default)]
pub(crate) struct LastFigures {
    version: AtomicU64,
    bits: [AtomicU64; 11],
}

impl LastFigures {
    /// For the game thread, at every step: a dozen plain stores.
    pub(crate) fn write(&self, figures: &Figures) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (place, bits) in self.bits.iter().zip(figures.to_bits()) {
            place.store(bits, Ordering::Relaxed);
        }
        self.version.store(version + 2, Ordering::Release);
    }

    /// `None` where the writer was put aside in the midst of it.
    pub(crate) fn read(&self) -> Option<Figures> {
        for _ in 0..TRIES {
            let before = self.version.load(Ordering::Acquire);
            let bits = std::array::from_fn(|i| self.bits[i].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == before {
                return Some(Figures::of_bits(bits));
            }
            std::hint::spin_loop();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(step: u64) -> Figures {
        let value = step as f64;
        Figures {
            episode: 7,
            steps: step,
            tics: u32::try_from(step).unwrap(),
            total_reward: -value,
            kills: step as i64,
            damage_dealt: value,
            damage_taken: value,
            hits: -(step as i64),
            items: step as i64,
            ammo_used: value,
            cells_visited: step,
        }
    }

    #[test]
    fn what_is_read_is_of_one_step() {
        let last = LastFigures::default();
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=200_000).for_each(|step| last.write(&of(step))));
            let mut seen = 0;
            while seen < 200_000 {
                let Some(figures) = last.read().filter(|f| f.steps > 0) else { continue };
                assert_eq!(figures, of(figures.steps));
                assert!(figures.steps >= seen);
                seen = figures.steps;
            }
        });
    }
}
