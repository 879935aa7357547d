//! What was measured: tables for a person, JSON for programs.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use bench::{circumstances::Circumstances, stats::Spread};
use doom_protocol::{LedgerSummary, Timestamp};
use serde::Serialize;

use super::setting::{Contender, Setting};

/// Steps per second of a contender.
#[derive(Debug, Serialize)]
pub(crate) struct Speed {
    pub(crate) setting: Setting,
    pub(crate) population: usize,
    pub(crate) contender: Contender,
    pub(crate) steps_per_second: Spread,
    /// Of all agents and rounds together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ledger: Option<LedgerSummary>,
    /// The share of the machine's CPU time that others used.
    pub(crate) others: Spread,
}

/// Of two contenders, made within each round.
#[derive(Debug, Serialize)]
pub(crate) struct Ratio {
    pub(crate) setting: Setting,
    pub(crate) population: usize,
    pub(crate) of: Contender,
    pub(crate) over: Contender,
    pub(crate) ratio: Spread,
}

/// Anything else.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) value: Spread,
}

/// Everything so far.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    circumstances: Circumstances,
    written_at: Timestamp,
    pub(super) speeds: Vec<Speed>,
    pub(super) ratios: Vec<Ratio>,
    pub(super) figures: Vec<Figure>,
}

impl Report {
    /// `root` is the workspace's.
    pub(crate) fn begin(root: &Path) -> Self {
        let circumstances = Circumstances::now(root);
        println!("{}", circumstances.in_words());
        Self { circumstances, written_at: Timestamp::now(), speeds: Vec::new(), ratios: Vec::new(), figures: Vec::new() }
    }

    /// The machine, how quiet it was, and what was measured.
    pub(super) fn in_words(&self) -> String {
        self.circumstances.in_words()
    }

    /// Adds what contenders of one setting came to, and prints it.
    pub(crate) fn speeds(&mut self, speeds: Vec<Speed>, ratios: Vec<Ratio>) {
        if let Some(first) = speeds.first() {
            let population = if first.population == 1 { String::new() } else { format!(", {} at once", first.population) };
            println!("\n{} {}{population}", first.setting.name(), first.setting.format);
            println!("  {:<32}{:>9}   {:<17} {:>8}  CPU of others", "steps/s", "median", "range", "dropped");
        }
        for speed in &speeds {
            let Spread { median, min, max, .. } = &speed.steps_per_second;
            let dropped = speed.ledger.map_or("-".to_owned(), |ledger| ledger.dropped.to_string());
            let others = speed.others.median * 100.0;
            println!("  {:<32}{median:>9.0}   {:<17} {dropped:>8}  {others:.0} %", speed.contender.name(), format!("{min:.0}-{max:.0}"));
        }
        for Ratio { of, over, ratio, .. } in &ratios {
            let Spread { median, min, max, .. } = ratio;
            println!("  {:<41} {median:>6.2}   {min:.2}-{max:.2}", format!("{} / {}", of.name(), over.name()));
        }
        self.speeds.extend(speeds);
        self.ratios.extend(ratios);
    }

    /// Adds a figure, and prints it.
    pub(crate) fn figure(&mut self, what: impl Into<String>, unit: &'static str, values: Vec<f64>) {
        let what = what.into();
        let Some(value) = Spread::of(values) else { return };
        let range = if value.rounds.len() > 1 { format!("   {:.3}-{:.3}", value.min, value.max) } else { String::new() };
        println!("  {what:<72} {:>10.3} {unit}{range}", value.median);
        self.figures.push(Figure { what, unit, value });
    }

    /// Writes all of it.
    pub(crate) fn write(&mut self, path: &Path) -> Result<()> {
        self.written_at = Timestamp::now();
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }
}
