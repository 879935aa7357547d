//! Scores as a table: one row an episode, every column of the score record; as CSV or JSON Lines.

use std::{collections::BTreeMap, fs::File, io::Write, path::Path};

use cli_common::exit::{self, Failure};
use doom_protocol::payload::EvaluationEpisode;
use serde_json::Value;

/// A row: column to value. What is nested in the record has a dotted name, such as `final_variables.HEALTH`.
pub(crate) type Row = BTreeMap<String, Value>;

/// Rows, and the columns that come first.
#[derive(Debug, Default)]
pub(crate) struct Table {
    first: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// `first` names the columns to begin with; the others follow by name.
    pub(crate) fn new(first: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { first: first.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// All columns that any row has.
    pub(crate) fn columns(&self) -> Vec<String> {
        let mut columns = self.first.clone();
        let mut rest: Vec<&String> = self.rows.iter().flat_map(BTreeMap::keys).collect();
        rest.sort_unstable();
        rest.dedup();
        columns.extend(rest.into_iter().filter(|c| !self.first.contains(c)).cloned());
        columns
    }

    /// Writes it by the name's ending: `.csv`, or `.json`/`.jsonl` for JSON Lines.
    ///
    /// # Errors
    /// Exit code 65 where the file cannot be written or its ending says nothing.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Failure> {
        let fail = |e: &dyn std::fmt::Display| Failure::new(exit::DATA, format!("{} cannot be written: {e}", path.display()));
        // Beside it first, so that nobody meets half a table.
        let partial = path.with_extension("partial");
        let file = File::create(&partial).map_err(|e| fail(&e))?;
        match path.extension().and_then(|e| e.to_str()) {
            Some("csv") => self.csv(file).map_err(|e| fail(&e))?,
            Some("json" | "jsonl") => self.json_lines(file).map_err(|e| fail(&e))?,
            _ => return Err(fail(&"its name must end with .csv, .json or .jsonl")),
        }
        std::fs::rename(&partial, path).map_err(|e| fail(&e))
    }

    /// As CSV; what a row does not have is empty.
    pub(crate) fn csv(&self, out: impl Write) -> csv::Result<()> {
        let columns = self.columns();
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(&columns)?;
        for row in &self.rows {
            writer.write_record(columns.iter().map(|c| row.get(c).map_or(String::new(), text)))?;
        }
        writer.flush()?;
        Ok(())
    }

    fn json_lines(&self, mut out: impl Write) -> std::io::Result<()> {
        for row in &self.rows {
            writeln!(out, "{}", serde_json::to_string(row)?)?;
        }
        out.flush()
    }
}

/// Whether a table can be saved there, before the work begins.
///
/// # Errors
/// Exit code 65.
pub(crate) fn check_path(path: &Path) -> Result<(), Failure> {
    let refuse = |why: &str| Err(Failure::new(exit::DATA, format!("{} cannot be written: {why}", path.display())));
    if !matches!(path.extension().and_then(|e| e.to_str()), Some("csv" | "json" | "jsonl")) {
        return refuse("its name must end with .csv, .json or .jsonl");
    }
    match path.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(folder) if !folder.is_dir() => refuse("its folder is not there"),
        _ if path.is_dir() => refuse("it is a folder"),
        _ => Ok(()),
    }
}

/// A value as a cell.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The row of an episode.
pub(crate) fn row(episode: &EvaluationEpisode<'_>) -> Row {
    let mut row = Row::new();
    if let Ok(value) = serde_json::to_value(episode) {
        flatten("", value, &mut row);
    }
    row
}

fn flatten(name: &str, value: Value, row: &mut Row) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                flatten(&if name.is_empty() { key } else { format!("{name}.{key}") }, value, row);
            }
        }
        other => {
            row.insert(name.to_owned(), other);
        }
    }
}

/// Lines of cells, aligned: for a person.
pub(crate) fn aligned(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |i: usize| rows.iter().map(|r| r.get(i).map_or(0, |c| c.chars().count())).max().unwrap_or(0).max(head[i].len());
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(head.to_vec())];
    lines.extend(rows.iter().map(|r| line(r.iter().map(String::as_str).collect())));
    lines.join("\n")
}
