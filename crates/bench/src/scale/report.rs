//! What was measured: a table that grows step by step, JSON, and a page.

use std::{fmt::Write, fs, path::PathBuf};

use anyhow::{Context, Result};
use bench::circumstances::Circumstances;
use doom_protocol::Timestamp;
use serde::Serialize;

use super::{
    Backend,
    step::{Process, Step},
};

/// Everything so far; written anew after every step, so that nothing is lost by what comes after it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    circumstances: Circumstances,
    written_at: Timestamp,
    steps: Vec<Step>,
    remarks: Vec<Remark>,
    #[serde(skip)]
    json: PathBuf,
    #[serde(skip)]
    markdown: Option<PathBuf>,
}

/// How the steps of a backend ended.
#[derive(Debug, Serialize)]
struct Remark {
    backend: Backend,
    text: String,
}

/// What a table says of a step: the column's name, and its width on a terminal.
const COLUMNS: [(&str, usize); 17] = [
    ("agents", 6),
    ("tics/s", 6),
    ("late p99", 8),
    ("5ms+", 7),
    ("lost", 5),
    ("unc.", 5),
    ("CPU", 6),
    ("engine", 6),
    ("MB", 5),
    ("engine", 6),
    ("msg/s", 6),
    ("kB/s", 6),
    ("broker", 6),
    ("MB", 5),
    ("/core", 6),
    ("others", 6),
    ("", 0),
];

impl Report {
    pub(crate) fn begin(circumstances: Circumstances, json: PathBuf, markdown: Option<PathBuf>) -> Self {
        println!("{}", circumstances.in_words());
        Self { circumstances, written_at: Timestamp::now(), steps: Vec::new(), remarks: Vec::new(), json, markdown }
    }

    /// Before the first step of a backend.
    pub(crate) fn heading(&self, backend: Backend) {
        println!("\n{}", name(backend));
        println!("{}", row(COLUMNS.map(|(name, _)| name.to_owned())));
    }

    pub(crate) fn step(&mut self, step: Step) -> Result<()> {
        println!("{}", row(cells(&step)));
        self.steps.push(step);
        self.write()
    }

    /// How it ended, or why a step was left out.
    pub(crate) fn remark(&mut self, backend: Backend, text: String) -> Result<()> {
        println!("{text}");
        self.remarks.push(Remark { backend, text });
        self.write()
    }

    /// Says where everything is.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.write()?;
        eprintln!("\nThe figures are in {}.", self.json.display());
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        self.written_at = Timestamp::now();
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(&self.json, text).with_context(|| format!("cannot write {}", self.json.display()))?;
        if let Some(page) = &self.markdown {
            fs::write(page, self.page()).with_context(|| format!("cannot write {}", page.display()))?;
        }
        Ok(())
    }

    fn page(&self) -> String {
        let mut page = self.circumstances.in_words() + "\n";
        for backend in [Backend::Mock, Backend::Engine] {
            let steps: Vec<&Step> = self.steps.iter().filter(|step| step.backend == backend).collect();
            if steps.is_empty() {
                continue;
            }
            // A String takes whatever is written.
            let _ = writeln!(page, "\n{}:\n\n| {} |", name(backend), COLUMNS.map(|(name, _)| name).join(" | "));
            let _ = writeln!(page, "|{}", "---:|".repeat(COLUMNS.len()));
            for step in steps {
                let _ = writeln!(page, "| {} |", cells(step).join(" | "));
            }
            for remark in self.remarks.iter().filter(|remark| remark.backend == backend) {
                let _ = writeln!(page, "\n{}", remark.text);
            }
        }
        page
    }
}

fn name(backend: Backend) -> &'static str {
    match backend {
        Backend::Mock => "on the mock",
        Backend::Engine => "on the engine",
    }
}

/// In the order of [`COLUMNS`].
fn cells(step: &Step) -> [String; COLUMNS.len()] {
    let engine = |value: &dyn Fn(&Process) -> String| step.engine.as_ref().map_or("-".to_owned(), value);
    [
        step.agents.to_string(),
        format!("{:.2}", step.tics_per_second),
        format!("{:.2} ms", step.late.p99_ms),
        format!("{:.2} %", step.late.share * 100.0),
        (step.ledger.dropped + step.missing).to_string(),
        step.ledger.unconfirmed.to_string(),
        format!("{:.2} %", step.agent.cpu_percent),
        engine(&|engine| format!("{:.2} %", engine.cpu_percent)),
        format!("{:.1}", step.agent.proportional_mb),
        engine(&|engine| format!("{:.1}", engine.proportional_mb)),
        format!("{:.1}", step.messages_per_second),
        format!("{:.1}", step.bytes_per_second / 1e3),
        format!("{:.0} %", step.broker.cpu_percent),
        format!("{:.0}", step.broker.resident_mb),
        format!("{:.0}", step.agents_per_core),
        format!("{:.0} %", step.others_percent),
        step.bends.as_ref().map_or(String::new(), |why| format!("BENDS: {why}")),
    ]
}

/// Right-aligned.
fn row(cells: [String; COLUMNS.len()]) -> String {
    let padded = cells.iter().zip(COLUMNS).map(|(cell, (_, width))| format!("{cell:>width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}
