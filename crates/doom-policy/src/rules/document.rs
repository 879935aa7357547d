//! A rules file: read, checked and compiled, with the values of its parameters.

use std::ops::RangeInclusive;

use doom_game::Variable;
use toml::de::DeTable;

use super::{
    code::Code,
    parse::{self, MOST_GROUPS, Pressed, Reads, Scope},
    source::{Fault, Source},
    table::{Entry, Table, Value, shown},
    token::LONGEST_NAME,
};

const MOST_PARAMETERS: usize = 256;
const MOST_RULES: usize = 256;
const MOST_CHOICES: usize = 64;
const LONGEST_PROSE: usize = 1000;
/// Steps for which an action may be held.
pub(super) const HOLDS: RangeInclusive<f64> = 1.0..=10_000.0;

/// A declared parameter and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameter {
    pub(super) name: String,
    default: f64,
    least: Option<f64>,
    greatest: Option<f64>,
    pub(super) value: f64,
}

impl Parameter {
    pub(super) fn admits(&self, value: f64) -> bool {
        value.is_finite() && self.least.is_none_or(|least| least <= value) && self.greatest.is_none_or(|greatest| value <= greatest)
    }

    /// `0 to 1`, or what there is of it.
    pub(super) fn range(&self) -> String {
        match (self.least, self.greatest) {
            (Some(least), Some(greatest)) => format!("{least} to {greatest}"),
            (Some(least), None) => format!("{least} or more"),
            (None, Some(greatest)) => format!("{greatest} or less"),
            (None, None) => "any number".to_owned(),
        }
    }

    /// `name (default 0.5, 0 to 1)`
    pub(super) fn described(&self) -> String {
        format!("{} (default {}, {})", self.name, self.default, self.range())
    }
}

/// What is done: one of some presses, for some steps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Act {
    pub(super) choices: Vec<Vec<Pressed>>,
    pub(super) hold: Code,
}

/// When something is done.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) when: Code,
    pub(super) probability: Code,
    pub(super) act: Act,
}

/// A checked file.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) parameters: Vec<Parameter>,
    pub(super) rules: Vec<Rule>,
    pub(super) fallback: Act,
    pub(super) reads: Reads,
}

/// The declared parameters alone, with their defaults as values.
pub(super) fn parameters(root: &DeTable<'_>) -> Result<Vec<Parameter>, Fault> {
    let root = Table::open("the file", 0, root).closed(&["about", "parameters", "groups", "rule", "fallback"])?;
    let Some(value) = root.get("parameters") else { return Ok(Vec::new()) };
    let table = value.table("[parameters]", "parameters")?;
    if let Some(entry) = table.entries().get(MOST_PARAMETERS) {
        return Err(Fault::new(entry.at, format!("more than {MOST_PARAMETERS} parameters")));
    }
    table.entries().iter().map(parameter).collect()
}

fn parameter(entry: &Entry<'_>) -> Result<Parameter, Fault> {
    check_name("parameter", entry)?;
    let (name, value) = (entry.key.to_owned(), entry.value);
    if !value.is_table() {
        let default = value.number(entry.key)?;
        return Ok(Parameter { name, default, least: None, greatest: None, value: default });
    }
    let table = value.table("a parameter", entry.key)?.closed(&["default", "min", "max", "help"])?;
    let bound = |key: &str| table.get(key).map(|v| v.number(key)).transpose();
    let default = table.require("default", "0.5").map_err(|fault| Fault { at: entry.at, ..fault })?;
    let at = default.at;
    let default = default.number("default")?;
    let parameter = Parameter { name, default, least: bound("min")?, greatest: bound("max")?, value: default };
    if let Some(help) = table.get("help") {
        help.prose("help", LONGEST_PROSE)?;
    }
    if let (Some(least), Some(greatest)) = (parameter.least, parameter.greatest)
        && least > greatest
    {
        return Err(Fault::new(entry.at, format!("the min of `{}`, {least}, is more than its max, {greatest}", parameter.name)));
    }
    if !parameter.admits(default) {
        return Err(Fault::new(at, format!("the default of `{}` is {default}, outside its range, {}", parameter.name, parameter.range())));
    }
    Ok(parameter)
}

/// Names of parameters and groups cannot be mistaken for anything else that an expression has.
fn check_name(what: &str, entry: &Entry<'_>) -> Result<(), Fault> {
    let name = entry.key;
    let fail = |why: &str| Err(Fault::new(entry.at, format!("a {what} cannot be called `{}`: {why}", shown(name))));
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= LONGEST_NAME
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !plain {
        return fail(&format!("names are 1 to {LONGEST_NAME} of a-z, 0-9 and _, and begin with a letter"));
    }
    if parse::is_reserved(name) {
        return fail("that is a word of the rules' language");
    }
    if name.parse::<Variable>().is_ok() {
        return fail("that is a game variable");
    }
    Ok(())
}

/// The whole file; `parameters` have their final values.
pub(super) fn document(source: &Source<'_>, root: &DeTable<'_>, parameters: Vec<Parameter>) -> Result<Document, Fault> {
    let root = Table::open("the file", 0, root);
    if let Some(about) = root.get("about") {
        about.prose("about", LONGEST_PROSE)?;
    }
    let mut scope = Scope { parameters: parameters.iter().map(|p| (p.name.clone(), p.value)).collect(), ..Scope::default() };
    if let Some(groups) = root.get("groups") {
        for entry in groups.table("[groups]", "groups")?.entries() {
            check_name("group", entry)?;
            if scope.parameters.contains_key(entry.key) {
                return Err(Fault::new(entry.at, format!("`{}` is a parameter already", entry.key)));
            }
            if scope.named_groups.len() == MOST_GROUPS {
                return Err(Fault::new(entry.at, format!("more than {MOST_GROUPS} named groups")));
            }
            let group = parse::labels(entry.value.text(entry.key, source)?, &mut scope)?;
            scope.named_groups.insert(entry.key.to_owned(), group);
        }
    }
    let rules = root.get("rule").map(|value| value.list("rule", "a list of tables, each under [[rule]]")).transpose()?;
    let rules = rules.filter(|rules| !rules.is_empty()).ok_or_else(|| Fault::new(0, "there are no rules; write at least one [[rule]]"))?;
    if let Some(rule) = rules.get(MOST_RULES) {
        return Err(Fault::new(rule.at, format!("more than {MOST_RULES} rules")));
    }
    let mut names: Vec<&str> = Vec::new();
    let rules = rules.iter().map(|value| rule(*value, source, &mut scope, &mut names)).collect::<Result<_, _>>()?;
    let fallback = match root.get("fallback") {
        None => Act { choices: vec![Vec::new()], hold: Code::number(1.0) },
        Some(value) => act(&value.table("[fallback]", "fallback")?.closed(&["press", "hold"])?, source, &mut scope)?,
    };
    let declared = root.get("parameters").map(|value| value.table("[parameters]", "parameters")).transpose()?;
    if let Some(unused) = declared.iter().flat_map(Table::entries).find(|e| !scope.used.contains(e.key)) {
        return Err(Fault::new(unused.at, format!("the parameter `{}` is read by no rule; use it or remove it", unused.key)));
    }
    Ok(Document { parameters, rules, fallback, reads: scope.reads })
}

fn rule<'a>(value: Value<'a>, source: &Source<'_>, scope: &mut Scope, names: &mut Vec<&'a str>) -> Result<Rule, Fault> {
    let table = value.table("a [[rule]]", "rule")?.closed(&["name", "when", "press", "hold", "probability"])?;
    if let Some(name) = table.get("name") {
        let text = name.prose("name", LONGEST_NAME)?;
        if names.contains(&text) {
            return Err(Fault::new(name.at, format!("another rule is called `{}` too", shown(text))));
        }
        names.push(text);
    }
    let when = parse::condition(table.require("when", "\"HEALTH < 30\"")?.text("when", source)?, scope)?;
    let probability = bounded(&table, "probability", 0.0..=1.0, source, scope)?;
    Ok(Rule { when, probability, act: act(&table, source, scope)? })
}

fn act(table: &Table<'_>, source: &Source<'_>, scope: &mut Scope) -> Result<Act, Fault> {
    let value = table.require("press", "\"ATTACK\"")?;
    let choices = if value.is_list() {
        let choices = value.list("press", "a list")?;
        if choices.is_empty() || choices.len() > MOST_CHOICES {
            return Err(Fault::new(value.at, format!("`press` has {} choices; it must have 1 to {MOST_CHOICES}", choices.len())));
        }
        choices
    } else {
        vec![value]
    };
    let choices = choices.iter().map(|v| parse::press(v.text("press", source)?, scope)).collect::<Result<_, _>>()?;
    Ok(Act { choices, hold: bounded(table, "hold", HOLDS, source, scope)? })
}

/// A number or a calculation, 1 where it is missing; what is known now must be within `range`.
fn bounded(table: &Table<'_>, key: &str, range: RangeInclusive<f64>, source: &Source<'_>, scope: &mut Scope) -> Result<Code, Fault> {
    let Some(value) = table.get(key) else { return Ok(Code::number(1.0)) };
    let code = if value.is_text() { parse::calculation(value.text(key, source)?, scope)? } else { Code::number(value.number(key)?) };
    match code.constant() {
        Some(number) if !range.contains(&number) => {
            Err(Fault::new(value.at, format!("`{key}` is {number}; it must be {} to {}", range.start(), range.end())))
        }
        _ => Ok(code),
    }
}
