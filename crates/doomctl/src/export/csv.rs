//! CSV (RFC 4180, UTF-8, a line with the names first). A variable that first appears in the middle adds a column at the end; the rows before it are
//! then given an empty field when the file is finished.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use doom_bus::consume::Delivered;
use doom_protocol::{EventKind, Timestamp};

use super::{
    columns::Values,
    fill::Table,
    sink::{Progress, Sink, Unwritten, at},
};

/// Rows that are gathered before they are written.
const GATHERED: usize = 4096;

/// The file.
pub(crate) struct Csv {
    out: BufWriter<File>,
    table: Table,
    text: Vec<u8>,
    path: PathBuf,
    progress: Progress,
}

impl Csv {
    /// Begins it, or goes on.
    pub(crate) fn open(kind: EventKind, path: &Path, progress: Progress) -> io::Result<Self> {
        let mut table = Table::new(kind);
        table.know(&progress.columns);
        let out = BufWriter::with_capacity(1 << 18, at(path, progress.bytes)?);
        Ok(Self { out, table, text: Vec::new(), path: path.to_owned(), progress })
    }

    fn put_rows(&mut self) -> io::Result<()> {
        let rows = &mut self.table.rows;
        rows.level();
        if self.progress.columns.len() != rows.columns.len() {
            if self.progress.widths.is_empty() {
                let names = rows.columns.iter().map(|column| column.name.as_str());
                line(&mut self.text, names);
            }
            self.progress.columns = rows.columns.iter().map(|column| column.name.clone()).collect();
            self.progress.widths.push((self.progress.bytes, rows.columns.len()));
        }
        // Values are there for rows that have one alone: each column has a place of its own.
        let mut places = vec![0usize; rows.columns.len()];
        for row in 0..rows.rows {
            for (index, (column, place)) in rows.columns.iter().zip(&mut places).enumerate() {
                if index > 0 {
                    self.text.push(b',');
                }
                if column.present.get(row) == Some(&1) {
                    field(&column.values, *place, &mut self.text)?;
                    *place += 1;
                }
            }
            self.text.extend_from_slice(b"\r\n");
        }
        self.out.write_all(&self.text)?;
        self.progress.bytes += self.text.len() as u64;
        self.progress.rows += rows.rows as u64;
        self.text.clear();
        rows.clear();
        Ok(())
    }
}

fn line<'a>(text: &mut Vec<u8>, fields: impl Iterator<Item = &'a str>) {
    for (index, name) in fields.enumerate() {
        if index > 0 {
            text.push(b',');
        }
        quoted(name.as_bytes(), text);
    }
    text.extend_from_slice(b"\r\n");
}

fn quoted(bytes: &[u8], text: &mut Vec<u8>) {
    if !bytes.iter().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n')) {
        text.extend_from_slice(bytes);
        return;
    }
    text.push(b'"');
    for byte in bytes {
        text.extend(std::iter::repeat_n(*byte, if *byte == b'"' { 2 } else { 1 }));
    }
    text.push(b'"');
}

fn field(values: &Values, place: usize, text: &mut Vec<u8>) -> io::Result<()> {
    match values {
        Values::Integers(list) => write!(text, "{}", list.get(place).copied().unwrap_or_default()),
        // As JSON has them: the shortest text that reads as the same number.
        Values::Floats(list) => serde_json::to_writer(text, &list.get(place).copied().unwrap_or_default()).map_err(io::Error::from),
        Values::Flags(list) => write!(text, "{}", list.get(place).copied().unwrap_or_default()),
        Values::Times(list) => write!(text, "{}", Timestamp::from_micros(list.get(place).copied().unwrap_or_default())),
        Values::Texts(bytes, ends) => {
            let begin = place.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
            let end = ends.get(place).copied().unwrap_or(begin);
            quoted(bytes.get(begin..end).unwrap_or_default(), text);
            Ok(())
        }
    }
}

impl Sink for Csv {
    fn add(&mut self, delivered: &Delivered, sequence: u64) -> Result<(), Unwritten> {
        self.table.add(delivered, sequence).map_err(Unwritten::NoEvent)?;
        if self.table.rows.rows >= GATHERED {
            self.put_rows()?;
        }
        Ok(())
    }

    fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    fn is_due(&self) -> bool {
        true
    }

    fn checkpoint(&mut self) -> io::Result<Progress> {
        // Without a row nothing is known of the variables yet, so the names wait.
        if self.table.rows.rows > 0 {
            self.put_rows()?;
        }
        self.out.flush()?;
        self.out.get_ref().sync_data()?;
        Ok(self.progress.clone())
    }

    fn finish(mut self: Box<Self>) -> io::Result<PathBuf> {
        self.put_rows()?;
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        if self.progress.widths.len() < 2 {
            return Ok(self.path);
        }
        let wide = self.path.with_extension("wide");
        let made = widen(&self.path, &wide, &self.progress);
        if made.is_err() {
            // Nobody needs half of it.
            let _ = fs::remove_file(&wide);
        }
        made?;
        fs::rename(&wide, &self.path)?;
        Ok(self.path)
    }
}

/// Copies the file with all names in its first line and as many fields in every row.
fn widen(from: &Path, to: &Path, progress: &Progress) -> io::Result<()> {
    let mut input = BufReader::with_capacity(1 << 18, File::open(from)?);
    let mut output = BufWriter::with_capacity(1 << 18, File::create(to)?);
    let mut text = Vec::new();
    line(&mut text, progress.columns.iter().map(String::as_str));
    output.write_all(&text)?;
    let mut offset = 0u64;
    let mut first = true;
    loop {
        // A record ends at a line's end outside of quotes: there are as many quotes before it as make pairs.
        text.clear();
        while input.read_until(b'\n', &mut text)? > 0 && text.iter().filter(|byte| **byte == b'"').count() % 2 == 1 {}
        if text.is_empty() {
            break;
        }
        let width = progress.widths.iter().rev().find(|(begin, _)| *begin <= offset).map_or(0, |(_, width)| *width);
        offset += text.len() as u64;
        if std::mem::replace(&mut first, false) {
            continue;
        }
        text.truncate(text.len().saturating_sub(2));
        text.extend(std::iter::repeat_n(b',', progress.columns.len().saturating_sub(width)));
        text.extend_from_slice(b"\r\n");
        output.write_all(&text)?;
    }
    output.flush()?;
    output.get_ref().sync_all()
}
