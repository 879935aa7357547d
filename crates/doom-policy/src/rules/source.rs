//! The text of a rules file, and where in it something is.

use std::ops::Range;

use doom_game::nearest;

use crate::PolicyError;

/// Something wrong at a byte of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: String,
}

impl Fault {
    pub(super) fn new(at: usize, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }
}

/// A file and its text.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) file: String,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// `file:line:column`, counted from 1, columns in characters.
    pub(super) fn place(&self, at: usize) -> String {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line = before.matches('\n').count() + 1;
        format!("{}:{line}:{}", self.file, before[line_start..].chars().count() + 1)
    }

    pub(super) fn error(&self, fault: Fault) -> PolicyError {
        PolicyError::Text { place: self.place(fault.at), what: fault.what }
    }

    /// A string of the file, from its decoded text and its token's span.
    pub(super) fn string<'t>(&self, text: &'t str, span: Range<usize>) -> Text<'t> {
        let token = self.text.get(span.clone()).unwrap_or_default();
        let quotes = if token.starts_with("\"\"\"") || token.starts_with("'''") { 3 } else { 1 };
        let inside = token.get(quotes..).unwrap_or_default();
        // A newline right after the opening quotes is not part of the string.
        let skipped = match inside {
            _ if quotes == 1 => 0,
            _ if inside.starts_with("\r\n") => 2,
            _ => usize::from(inside.starts_with('\n')),
        };
        // Where nothing was escaped, a place in the text is a place in the file.
        let exact = inside.get(skipped..).is_some_and(|rest| rest.starts_with(text));
        if exact { Text { text, start: span.start + quotes + skipped, exact } } else { Text { text, start: span.start, exact } }
    }
}

/// A string of the file that is read further.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'t> {
    pub(super) text: &'t str,
    start: usize,
    exact: bool,
}

impl Text<'_> {
    /// The file's byte for a byte of the text.
    pub(super) fn at(&self, offset: usize) -> usize {
        if self.exact { self.start + offset } else { self.start }
    }
}

/// ` (did you mean X?)`, or nothing.
pub(super) fn meant<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map(|n| format!(" (did you mean {n}?)")).unwrap_or_default()
}
