//! Means with confidence intervals for each condition, and main effects.
//!
//! The same seeds are played in every condition, so a seed is a block. Where the data are whole (every condition has every seed once) the
//! error is what condition and seed leave over, with (c − 1)(b − 1) degrees of freedom for c conditions and b seeds: differences
//! between seeds do not blur the effects. Where episodes are missing, the error is the spread within conditions, with N − c.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use statrs::distribution::{ContinuousCDF, FisherSnedecor, StudentsT};

use super::{design::Design, events::number};
use crate::work::table::{Row, Table};

/// One episode, as far as it is analysed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observed<'a> {
    /// An index of the design's conditions.
    pub(crate) condition: usize,
    /// The seed.
    pub(crate) block: u32,
    /// Where the responses are.
    pub(crate) row: &'a Row,
}

/// A value of a response.
#[derive(Debug, Clone, Copy)]
struct Point {
    condition: usize,
    block: u32,
    value: f64,
}

fn points(observed: &[Observed<'_>], response: &str) -> Vec<Point> {
    let point = |o: &Observed<'_>| Some(Point { condition: o.condition, block: o.block, value: number(o.row.get(response))? });
    observed.iter().filter_map(point).collect()
}

fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    values.clone().sum::<f64>() / values.count().max(1) as f64
}

/// The t by which a standard error is multiplied; not a number where there are no degrees of freedom.
fn t_quantile(confidence: f64, df: f64) -> f64 {
    StudentsT::new(0.0, 1.0, df).map_or(f64::NAN, |t| t.inverse_cdf(0.5 + confidence / 2.0))
}

fn set(row: &mut Row, name: &str, value: impl Into<Value>) {
    row.insert(name.to_owned(), value.into());
}

/// For each condition and response: n, mean, standard deviation, and the confidence interval of the mean (Student's t, n − 1).
pub(crate) fn conditions(design: &Design, observed: &[Observed<'_>]) -> Table {
    let names = design.factors.iter().map(|f| f.name.as_str());
    let mut table = Table::new(["condition"].into_iter().chain(names).chain(["response", "n", "mean", "sd", "df", "ci_low", "ci_high"]));
    for response in &design.responses {
        let all = points(observed, response);
        for condition in 0..design.conditions.len() {
            let values: Vec<f64> = all.iter().filter(|p| p.condition == condition).map(|p| p.value).collect();
            let n = values.len();
            let mut row: Row = design.levels(condition);
            set(&mut row, "condition", condition + 1);
            set(&mut row, "response", response.as_str());
            set(&mut row, "n", n);
            if n > 0 {
                let middle = mean(values.iter().copied());
                set(&mut row, "mean", middle);
                if n > 1 {
                    let df = (n - 1) as f64;
                    let sd = (values.iter().map(|v| (v - middle).powi(2)).sum::<f64>() / df).sqrt();
                    let half = t_quantile(design.confidence, df) * sd / (n as f64).sqrt();
                    set(&mut row, "sd", sd);
                    set(&mut row, "df", n - 1);
                    set(&mut row, "ci_low", middle - half);
                    set(&mut row, "ci_high", middle + half);
                }
            }
            table.rows.push(row);
        }
    }
    table
}

/// The mean square of the error and its degrees of freedom, and by what it was found.
fn error(all: &[Point]) -> Option<(f64, f64, &'static str)> {
    let conditions: BTreeSet<usize> = all.iter().map(|p| p.condition).collect();
    let blocks: BTreeSet<u32> = all.iter().map(|p| p.block).collect();
    let (c, b, n) = (conditions.len(), blocks.len(), all.len());
    let of = |keep: &dyn Fn(&Point) -> bool| {
        let values: Vec<f64> = all.iter().filter(|p| keep(p)).map(|p| p.value).collect();
        mean(values.into_iter())
    };
    let by_condition: BTreeMap<usize, f64> = conditions.iter().map(|k| (*k, of(&|p| p.condition == *k))).collect();
    let pairs: BTreeSet<(usize, u32)> = all.iter().map(|p| (p.condition, p.block)).collect();
    let whole = pairs.len() == c * b && n == c * b && c > 1 && b > 1;
    let (sum, df, how) = if whole {
        let by_block: BTreeMap<u32, f64> = blocks.iter().map(|k| (*k, of(&|p| p.block == *k))).collect();
        let grand = mean(all.iter().map(|p| p.value));
        let residual = |p: &Point| p.value - by_condition[&p.condition] - by_block[&p.block] + grand;
        (all.iter().map(|p| residual(p).powi(2)).sum::<f64>(), (c - 1) * (b - 1), "blocked by seed")
    } else {
        (all.iter().map(|p| (p.value - by_condition[&p.condition]).powi(2)).sum::<f64>(), n.saturating_sub(c), "within conditions")
    };
    (df > 0).then(|| (sum / df as f64, df as f64, how))
}

/// For each factor and response: the F test of its main effect; with two levels, the difference of their means and its interval.
pub(crate) fn effects(design: &Design, observed: &[Observed<'_>]) -> Table {
    let mut table =
        Table::new(["factor", "response", "levels", "effect", "se", "ci_low", "ci_high", "df", "error_df", "f", "p", "error", "aliases"]);
    for response in &design.responses {
        let all = points(observed, response);
        let error = error(&all);
        for (i, factor) in design.factors.iter().enumerate() {
            let level_of = |p: &Point| design.conditions[p.condition][i];
            let groups: Vec<Vec<f64>> =
                (0..factor.levels.len()).map(|level| all.iter().filter(|p| level_of(p) == level).map(|p| p.value).collect()).collect();
            let mut row = Row::new();
            set(&mut row, "factor", factor.name.as_str());
            set(&mut row, "response", response.as_str());
            set(&mut row, "levels", factor.levels.iter().map(crate::work::table::text).collect::<Vec<_>>().join("|"));
            if let Some(fraction) = &design.fraction {
                set(&mut row, "aliases", fraction.aliases(i, &design.factors).join(" "));
            }
            if groups.iter().all(|g| !g.is_empty()) {
                let means: Vec<f64> = groups.iter().map(|g| mean(g.iter().copied())).collect();
                let grand = mean(all.iter().map(|p| p.value));
                let between: f64 = groups.iter().zip(&means).map(|(g, m)| g.len() as f64 * (m - grand).powi(2)).sum();
                let df = (groups.len() - 1) as f64;
                set(&mut row, "df", groups.len() - 1);
                if let [low, high] = &means[..] {
                    set(&mut row, "effect", high - low);
                }
                if let Some((square, error_df, how)) = error {
                    set(&mut row, "error_df", error_df as u64);
                    set(&mut row, "error", how);
                    if let [low, high] = &means[..] {
                        let se = (square * groups.iter().map(|g| 1.0 / g.len() as f64).sum::<f64>()).sqrt();
                        let half = t_quantile(design.confidence, error_df) * se;
                        set(&mut row, "se", se);
                        set(&mut row, "ci_low", high - low - half);
                        set(&mut row, "ci_high", high - low + half);
                    }
                    if square > 0.0 {
                        let f = between / df / square;
                        set(&mut row, "f", f);
                        if let Ok(distribution) = FisherSnedecor::new(df, error_df) {
                            set(&mut row, "p", distribution.sf(f));
                        }
                    }
                }
            }
            table.rows.push(row);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(values: &[(usize, u32, f64)]) -> Vec<Point> {
        values.iter().map(|(condition, block, value)| Point { condition: *condition, block: *block, value: *value }).collect()
    }

    #[test]
    fn t_is_the_tables() {
        for (confidence, df, t) in [(0.95, 1.0, 12.706), (0.95, 10.0, 2.228), (0.99, 5.0, 4.032), (0.90, 30.0, 1.697)] {
            assert!((t_quantile(confidence, df) - t).abs() < 1e-3, "{confidence} {df}");
        }
    }

    #[test]
    fn whole_data_are_blocked_by_seed() {
        // Two conditions over three seeds that differ much: the difference is 1, 2, 3.
        let (square, df, how) = error(&all(&[(0, 1, 10.0), (0, 2, 20.0), (0, 3, 30.0), (1, 1, 11.0), (1, 2, 22.0), (1, 3, 33.0)])).unwrap();
        // Of a paired t test: the variance of the differences is 1, and the error's mean square half of it.
        assert!((square - 0.5).abs() < 1e-9, "{square}");
        assert_eq!((df, how), (2.0, "blocked by seed"));
    }

    #[test]
    fn with_missing_episodes_the_error_is_the_spread_within_conditions() {
        let (square, df, how) = error(&all(&[(0, 1, 1.0), (0, 2, 3.0), (1, 1, 5.0)])).unwrap();
        assert_eq!((square, df, how), (2.0, 1.0, "within conditions"));
        assert!(error(&all(&[(0, 1, 1.0), (1, 1, 2.0)])).is_none());
    }
}
