//! Columns of text, as wide as what stands in them.

use std::fmt;

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// Rows below a heading; displays itself without trailing blanks.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    columns: [(&'static str, Side); N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(columns: [(&'static str, Side); N]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    pub(super) fn push(&mut self, row: [String; N]) {
        self.rows.push(row);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = self.columns.map(|(name, _)| name.to_owned());
        let all = || std::iter::once(&heading).chain(&self.rows);
        let widths: [usize; N] = std::array::from_fn(|i| all().map(|row| row[i].chars().count()).max().unwrap_or(0));
        for (number, row) in all().enumerate() {
            let cells = row.iter().zip(self.columns).zip(widths).map(|((text, (_, side)), width)| match side {
                Side::Left => format!("{text:<width$}"),
                Side::Right => format!("{text:>width$}"),
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            if number > 0 {
                f.write_str("\n")?;
            }
            f.write_str(line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let mut table = Table::new([("AGENT", Side::Left), ("N", Side::Right), ("NOTE", Side::Left)]);
        table.push(["a-long-name".to_owned(), "1".to_owned(), String::new()]);
        table.push(["b".to_owned(), "100".to_owned(), "yes".to_owned()]);
        assert_eq!(table.to_string(), "AGENT          N  NOTE\na-long-name    1\nb            100  yes");
    }
}
