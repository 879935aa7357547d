//! The runs of a design, in random order.

use cli_common::{
    exit::{self, Failure},
    output::say,
};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::design::Design;
use crate::{
    cli::Global,
    output,
    work::table::{Table, aligned, text},
};

/// One run: a condition, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// From 1, in the order in which runs are handed out.
    pub(crate) number: u64,
    /// An index of the design's conditions.
    pub(crate) condition: usize,
    /// From 0.
    pub(crate) replicate: u64,
}

impl Design {
    /// Every run. The order is drawn from `order_seed` (ChaCha8), over all replicates together.
    pub(crate) fn plan(&self) -> Vec<Run> {
        let conditions = 0..self.conditions.len();
        let mut order: Vec<(u64, usize)> = (0..self.replicates).flat_map(|r| conditions.clone().map(move |c| (r, c))).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(self.order_seed));
        let numbered = order.into_iter().zip(1..);
        numbered.map(|((replicate, condition), number)| Run { number, condition, replicate }).collect()
    }
}

/// `doomctl experiment plan`.
///
/// # Errors
/// Exit code 70 where it is no JSON.
pub(crate) fn show(global: &Global, design: &Design) -> Result<i32, Failure> {
    let names: Vec<String> = design.factors.iter().map(|f| f.name.clone()).collect();
    let mut table = Table::new(["run_id", "condition", "replicate"].into_iter().map(str::to_owned).chain(names));
    for run in design.plan() {
        let mut row = crate::work::table::Row::new();
        row.insert("run_id".to_owned(), run.number.into());
        row.insert("condition".to_owned(), (run.condition + 1).into());
        row.insert("replicate".to_owned(), (run.replicate + 1).into());
        row.extend(design.levels(run.condition));
        table.rows.push(row);
    }
    if global.json {
        table.rows.iter().try_for_each(output::say_json)?;
        return Ok(exit::DONE);
    }
    let columns = table.columns();
    let head: Vec<&str> = columns.iter().map(String::as_str).collect();
    let rows: Vec<Vec<String>> =
        table.rows.iter().map(|row| columns.iter().map(|c| row.get(c).map_or(String::new(), text)).collect()).collect();
    say(&aligned(&head, &rows));
    let episodes = design.plan().len() as u64 * design.episodes;
    let kind = match &design.fraction {
        Some(fraction) => format!("fractional factorial, resolution {}", fraction.resolution()),
        None => "full factorial".to_owned(),
    };
    output::complain(format!(
        "{kind}: {} conditions, {} runs, {episodes} episodes; order drawn from {}, seeds {} to {}",
        design.conditions.len(),
        rows.len(),
        design.order_seed,
        design.seeds.first().unwrap_or(&0),
        design.seeds.last().unwrap_or(&0)
    ));
    Ok(exit::DONE)
}
