//! Cuts a scenario's text into entries, by ViZDoom's rules, and knows where each of them stands.
//!
//! A line is `key = value`, or `key += value` for lists and game arguments; a list is `{ A B C }`, over as many lines as it likes.
//! A line whose first character is `#` is a comment. ViZDoom would read a `#` behind a value as part of the value; here it is an error.
//! Blanks inside a value stay as they are, where ViZDoom would make one of several.
//! Never panics, whatever the bytes.

use super::error::{Place, ScenarioError};

/// A word and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) text: &'t str,
    pub(super) place: Place,
}

/// The right-hand side of an entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'t> {
    /// One value, trimmed; may be empty.
    Single(Token<'t>),
    /// The words between braces.
    List(Vec<Token<'t>>),
}

/// One `key = value`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry<'t> {
    pub(super) key: Token<'t>,
    pub(super) append: bool,
    pub(super) value: Value<'t>,
}

/// The lines of a text that are not comments and not blank, with what is needed to say where something stands.
struct Lines<'t, 'f> {
    file: &'f str,
    lines: std::iter::Enumerate<std::str::Lines<'t>>,
}

/// One line: its number from 0 and its text as it stands.
#[derive(Clone, Copy)]
struct Line<'t> {
    number: usize,
    text: &'t str,
}

impl<'t> Lines<'t, '_> {
    fn next(&mut self) -> Option<Line<'t>> {
        self.lines.by_ref().map(|(number, text)| Line { number, text }).find(|l| {
            let trimmed = l.text.trim();
            !trimmed.is_empty() && !trimmed.starts_with('#')
        })
    }

    /// The next line that holds something, without taking it.
    fn peek(&self) -> Option<Line<'t>> {
        Lines { file: self.file, lines: self.lines.clone() }.next()
    }

    /// The place of the byte `at` of a line.
    fn place(&self, line: Line<'_>, at: usize) -> Place {
        let column = line.text.get(..at).map_or(0, |before| before.chars().count()) + 1;
        let clip = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place::File { file: self.file.into(), line: clip(line.number + 1), column: clip(column) }
    }

    fn error(&self, line: Line<'_>, at: usize, what: impl Into<String>) -> ScenarioError {
        ScenarioError::Syntax { place: self.place(line, at), what: what.into() }
    }
}

/// Checks that the bytes are text.
pub(super) fn text<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, ScenarioError> {
    let not_text = |valid: &str, what| {
        let line = valid.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = valid.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        let clip = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        ScenarioError::NotText { place: Place::File { file: file.into(), line: clip(line), column: clip(column) }, what }
    };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let valid = bytes.get(..e.valid_up_to()).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default();
            return Err(not_text(valid, "these bytes are not UTF-8"));
        }
    };
    match text.find(|c: char| c.is_control() && !c.is_whitespace()) {
        Some(at) => Err(not_text(text.get(..at).unwrap_or_default(), "a control character stands here, as in a binary file")),
        None => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
    }
}

/// Cuts a text into entries.
pub(super) fn entries<'t>(file: &str, text: &'t str) -> Result<Vec<Entry<'t>>, ScenarioError> {
    let mut lines = Lines { file, lines: text.lines().enumerate() };
    let mut entries = Vec::new();
    while let Some(line) = lines.next() {
        let start = line.text.len() - line.text.trim_start().len();
        let Some((left, right)) = line.text.split_once('=') else {
            return Err(lines.error(line, start, "expected `key = value`; there is no `=` on this line"));
        };
        let (name, append) = left.strip_suffix('+').map_or((left, false), |name| (name, true));
        let name = name.trim();
        if name.is_empty() {
            return Err(lines.error(line, start, "expected a key before `=`"));
        }
        let key = Token { text: name, place: lines.place(line, start) };
        let from = left.len() + 1;
        let value = if right.trim().starts_with('{') {
            Value::List(list(&mut lines, line, from)?)
        } else if right.trim().is_empty() && lines.peek().is_some_and(|l| l.text.trim_start().starts_with('{')) {
            let next = lines.next().unwrap_or(line);
            Value::List(list(&mut lines, next, 0)?)
        } else {
            let at = from + right.len() - right.trim_start().len();
            refuse_comment(&lines, line, from)?;
            Value::Single(Token { text: right.trim(), place: lines.place(line, at) })
        };
        entries.push(Entry { key, append, value });
    }
    Ok(entries)
}

/// Reads `{ … }`, which starts behind byte `from` of `line`.
fn list<'t>(lines: &mut Lines<'t, '_>, mut line: Line<'t>, mut from: usize) -> Result<Vec<Token<'t>>, ScenarioError> {
    let opened = line;
    let open = from + line.text.get(from..).and_then(|rest| rest.find('{')).unwrap_or(0);
    from = open + 1;
    let mut tokens = Vec::new();
    loop {
        refuse_comment(lines, line, from)?;
        let rest = line.text.get(from..).unwrap_or_default();
        let (inside, close) = rest.split_once('}').map_or((rest, None), |(inside, after)| (inside, Some(after)));
        for word in inside.split_whitespace() {
            let at = from + (word.as_ptr() as usize - rest.as_ptr() as usize);
            if let Some(bad) = word.find(['{', '=', ',']) {
                let what = match word.as_bytes().get(bad) {
                    Some(b',') => "names in a list are separated by blanks, not by commas".to_owned(),
                    _ => {
                        format!("the list that starts on line {} is not closed by `}}`: `{word}` cannot stand in it", opened.number + 1)
                    }
                };
                return Err(lines.error(line, at + bad, what));
            }
            tokens.push(Token { text: word, place: lines.place(line, at) });
        }
        if let Some(after) = close {
            if after.trim().is_empty() {
                return Ok(tokens);
            }
            return Err(lines.error(line, line.text.len() - after.trim_start().len(), "nothing may follow `}` on its line"));
        }
        match lines.next() {
            Some(next) => (line, from) = (next, 0),
            None => return Err(lines.error(opened, open, "this list is not closed: the file ends before its `}`")),
        }
    }
}

/// A `#` behind a blank is meant as a comment, which ViZDoom does not have there.
fn refuse_comment(lines: &Lines<'_, '_>, line: Line<'_>, from: usize) -> Result<(), ScenarioError> {
    let rest = line.text.get(from..).unwrap_or_default();
    let mut before = ' ';
    for (at, c) in rest.char_indices() {
        if c == '#' && before.is_whitespace() {
            let what = "a comment cannot follow a value (ViZDoom reads it as part of the value); give it a line of its own";
            return Err(lines.error(line, from + at, what));
        }
        before = c;
    }
    Ok(())
}
