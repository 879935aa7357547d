//! Integer geometry, so that every machine plays the same game: lengths in 1/256 map unit, angles in 1/65536 turn.

use std::sync::LazyLock;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// One map unit.
pub(super) const UNIT: i64 = 256;

/// Sine at 1024 angles of a turn, in 1/65536.
static SINE: LazyLock<[i64; 1024]> =
    LazyLock::new(|| std::array::from_fn(|i| ((i as f64 * std::f64::consts::TAU / 1024.0).sin() * 65536.0).round() as i64));

/// A point or a direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) x: i64,
    pub(super) y: i64,
}

impl Point {
    /// From whole map units.
    pub(super) fn units(x: i64, y: i64) -> Self {
        Self { x: x * UNIT, y: y * UNIT }
    }

    /// In map units.
    pub(super) fn to_units(self) -> (f64, f64) {
        (self.x as f64 / UNIT as f64, self.y as f64 / UNIT as f64)
    }

    /// The square of the distance.
    pub(super) fn distance2(self, other: Self) -> i64 {
        (self.x - other.x).pow(2) + (self.y - other.y).pow(2)
    }

    /// What is seen of `self` from `eye`: how far ahead it is, and how far to the left.
    pub(super) fn seen_from(self, eye: Self, angle: u16) -> (i64, i64) {
        let (sin, cos) = sin_cos(angle);
        let (dx, dy) = (self.x - eye.x, self.y - eye.y);
        ((dx * cos + dy * sin) >> 16, (dy * cos - dx * sin) >> 16)
    }

    /// Moves so far ahead and to the left.
    pub(super) fn moved(self, angle: u16, ahead: i64, left: i64) -> Self {
        let (sin, cos) = sin_cos(angle);
        Self { x: self.x + ((ahead * cos - left * sin) >> 16), y: self.y + ((ahead * sin + left * cos) >> 16) }
    }

    /// Moves towards `other`, about so far.
    pub(super) fn towards(self, other: Self, by: i64) -> Self {
        let (dx, dy) = (other.x - self.x, other.y - self.y);
        let (long, short) = (dx.abs().max(dy.abs()), dx.abs().min(dy.abs()));
        // The octagon's length: within 12 % of the true one, without a root.
        let length = (long + short / 2).max(1);
        Self { x: self.x + dx * by / length, y: self.y + dy * by / length }
    }
}

/// Sine and cosine in 1/65536.
pub(super) fn sin_cos(angle: u16) -> (i64, i64) {
    let index = usize::from(angle >> 6);
    (SINE[index], SINE[(index + 256) % 1024])
}

/// An angle in degrees as a fraction of a turn.
pub(super) fn degrees(degrees: f64) -> i64 {
    (degrees * 65536.0 / 360.0).round() as i64
}

/// The game's dice.
#[derive(Debug, Clone)]
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u32) -> Self {
        Self(ChaCha8Rng::seed_from_u64(u64::from(seed)))
    }

    /// A number from 0 to below `n`.
    pub(super) fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::from(self.below((high - low).unsigned_abs() as u32 + 1))
    }
}
