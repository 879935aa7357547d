//! Medians, ranges and percentiles.

use serde::Serialize;

/// Of several rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    /// The one in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Each of them.
    pub rounds: Vec<f64>,
}

impl Spread {
    /// `None` of nothing.
    #[must_use]
    pub fn of(rounds: Vec<f64>) -> Option<Self> {
        let (min, max) = (quantile(&rounds, 0.0)?, quantile(&rounds, 1.0)?);
        Some(Self { median: quantile(&rounds, 0.5)?, min, max, rounds })
    }
}

/// The `q`-quantile (0 to 1), between two values where it falls between them; `None` of nothing.
#[must_use]
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index within the values")]
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = q.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    let (low, high, part) = (*sorted.get(low)?, *sorted.get(high)?, place.fract());
    Some(low + (high - low) * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_middle_and_the_ends() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0, 10.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (2.5, 1.0, 10.0));
        assert_eq!(spread.rounds, [3.0, 1.0, 2.0, 10.0]);
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        let values: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.99), Some(99.0));
        assert_eq!(quantile(&[5.0], 0.99), Some(5.0));
        assert_eq!(quantile(&[0.0, 1.0], 0.25), Some(0.25));
    }
}
