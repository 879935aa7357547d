//! TOML tables and values, with the place of what is wrong in them.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::source::{Fault, Source, Text, meant};

/// Keys and texts are shown in errors up to this length.
const SHOWN: usize = 64;

/// A value and where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) at: usize,
    value: &'a Spanned<DeValue<'a>>,
}

/// An entry of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a str,
    pub(super) at: usize,
    pub(super) value: Value<'a>,
}

/// A table whose keys are known; `what` names it in errors.
#[derive(Debug)]
pub(super) struct Table<'a> {
    what: &'static str,
    at: usize,
    entries: Vec<Entry<'a>>,
}

impl<'a> Table<'a> {
    /// In the order of the file; any key.
    pub(super) fn open(what: &'static str, at: usize, table: &'a DeTable<'a>) -> Self {
        let entry = |(key, value): (&'a Spanned<_>, &'a Spanned<_>)| -> Entry<'a> {
            let key: &'a Spanned<std::borrow::Cow<'a, str>> = key;
            Entry { key: key.get_ref(), at: key.span().start, value: Value::of(value) }
        };
        let mut entries: Vec<Entry<'a>> = table.iter().map(entry).collect();
        entries.sort_by_key(|e| e.at);
        Self { what, at, entries }
    }

    /// Refuses keys that are none of `known`.
    pub(super) fn closed(self, known: &[&str]) -> Result<Self, Fault> {
        match self.entries.iter().find(|e| !known.contains(&e.key)) {
            None => Ok(self),
            Some(Entry { key, at, .. }) => {
                let near = meant(key, known.iter().copied());
                Err(Fault::new(*at, format!("unknown key `{}` in {}{near}; valid are {}", shown(key), self.what, known.join(", "))))
            }
        }
    }

    pub(super) fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        self.entries.iter().find(|e| e.key == key).map(|e| e.value)
    }

    pub(super) fn require(&self, key: &str, example: &str) -> Result<Value<'a>, Fault> {
        self.get(key).ok_or_else(|| Fault::new(self.at, format!("{} has no `{key}`; write {key} = {example}", self.what)))
    }
}

impl<'a> Value<'a> {
    pub(super) fn of(value: &'a Spanned<DeValue<'a>>) -> Self {
        Self { at: value.span().start, value }
    }

    fn wrong<T>(self, key: &str, wanted: &str) -> Result<T, Fault> {
        Err(Fault::new(self.at, format!("`{}` must be {wanted}, not {}", shown(key), self.kind())))
    }

    fn kind(self) -> &'static str {
        match self.value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    pub(super) fn table(self, what: &'static str, key: &str) -> Result<Table<'a>, Fault> {
        match self.value.get_ref() {
            DeValue::Table(table) => Ok(Table::open(what, self.at, table)),
            _ => self.wrong(key, "a table"),
        }
    }

    pub(super) fn list(self, key: &str, wanted: &str) -> Result<Vec<Value<'a>>, Fault> {
        match self.value.get_ref() {
            DeValue::Array(items) => Ok(items.iter().map(Value::of).collect()),
            _ => self.wrong(key, wanted),
        }
    }

    pub(super) fn is_list(self) -> bool {
        matches!(self.value.get_ref(), DeValue::Array(_))
    }

    pub(super) fn is_table(self) -> bool {
        matches!(self.value.get_ref(), DeValue::Table(_))
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self.value.get_ref(), DeValue::String(_))
    }

    /// A text that is read further.
    pub(super) fn text(self, key: &str, source: &Source<'_>) -> Result<Text<'a>, Fault> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(source.string(text, self.value.span())),
            _ => self.wrong(key, "a text in quotes"),
        }
    }

    /// A text for people.
    pub(super) fn prose(self, key: &str, most: usize) -> Result<&'a str, Fault> {
        match self.value.get_ref() {
            DeValue::String(text) if text.chars().count() > most => {
                Err(Fault::new(self.at, format!("`{}` is longer than {most} characters", shown(key))))
            }
            DeValue::String(text) => Ok(text),
            _ => self.wrong(key, "a text in quotes"),
        }
    }

    pub(super) fn number(self, key: &str) -> Result<f64, Fault> {
        let number = match self.value.get_ref() {
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse::<f64>().ok(),
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|n| n as f64),
            _ => return self.wrong(key, "a number"),
        };
        match number {
            Some(number) if number.is_finite() => Ok(number),
            _ => Err(Fault::new(self.at, format!("`{}` must be a finite number", shown(key)))),
        }
    }
}

/// A text of the file as an error shows it: short, and on one line.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).collect::<String>().escape_debug().to_string();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}
