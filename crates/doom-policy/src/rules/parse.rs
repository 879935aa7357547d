//! Conditions, calculations and presses: read by descent, checked for kinds, compiled at once.

use std::collections::{BTreeMap, BTreeSet};

use doom_game::{Button, Variable};

use super::{
    code::{Code, Op, Two},
    sight::{By, CATEGORIES, Field, Group},
    source::{Fault, Text, meant},
    token::{Lexer, Token},
};

/// Brackets, signs and functions within each other.
const DEEPEST: usize = 32;
/// Distinct groups of a file, and names for groups.
pub(super) const MOST_GROUPS: usize = 64;
/// Categories and classes of a group.
const MOST_LABELS: usize = 64;

const WORDS: [&str; 6] = ["and", "or", "not", "true", "false", "tic"];
const FUNCTIONS: [&str; 9] = ["count", "seen", "nearest", "largest", "central", "change", "abs", "min", "max"];

/// Whether a name is taken, so that no parameter or group can have it.
pub(super) fn is_reserved(name: &str) -> bool {
    WORDS.contains(&name) || FUNCTIONS.contains(&name) || CATEGORIES.iter().any(|(n, _)| *n == name)
}

/// The names of a file, and what its expressions read.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) parameters: BTreeMap<String, f64>,
    /// The parameters that some expression reads.
    pub(super) used: BTreeSet<String>,
    pub(super) named_groups: BTreeMap<String, Group>,
    pub(super) reads: Reads,
}

/// What the expressions of a file read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Reads {
    pub(super) variables: Vec<Variable>,
    pub(super) groups: Vec<Group>,
    /// Indices of groups.
    pub(super) picks: Vec<(usize, By)>,
    /// The player's place is needed.
    pub(super) place: bool,
}

/// The index of an item, appended where it is new.
fn intern<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    items.iter().position(|i| *i == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Condition,
}

/// A button of a press. A binary button's value is 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pressed {
    pub(super) button: Button,
    pub(super) at: usize,
    pub(super) value: Code,
}

/// Reads a text that is true or false.
pub(super) fn condition(text: Text<'_>, scope: &mut Scope) -> Result<Code, Fault> {
    let mut parser = Parser::new(text, scope)?;
    let at = parser.lexer.at();
    let kind = parser.either()?;
    parser.ended()?;
    parser.want(kind, Kind::Condition, at)?;
    Ok(parser.code)
}

/// Reads a text that is a number.
pub(super) fn calculation(text: Text<'_>, scope: &mut Scope) -> Result<Code, Fault> {
    let mut parser = Parser::new(text, scope)?;
    let at = parser.lexer.at();
    let kind = parser.either()?;
    parser.ended()?;
    parser.want(kind, Kind::Number, at)?;
    Ok(parser.code)
}

/// Reads what a group is: categories, groups named before it, and classes in quotes.
pub(super) fn labels(text: Text<'_>, scope: &mut Scope) -> Result<Group, Fault> {
    let mut parser = Parser::new(text, scope)?;
    let group = parser.labels()?;
    parser.ended()?;
    Ok(group)
}

/// Reads `NOOP`, or buttons joined by `+`; a delta button has `=` and a number, a name, a pick, or a calculation in brackets.
pub(super) fn press(text: Text<'_>, scope: &mut Scope) -> Result<Vec<Pressed>, Fault> {
    let mut parser = Parser::new(text, scope)?;
    let mut pressed: Vec<Pressed> = Vec::new();
    if matches!(parser.lexer.peek(), Token::Name(n) if n.eq_ignore_ascii_case("NOOP")) {
        parser.lexer.advance()?;
        parser.ended()?;
        return Ok(pressed);
    }
    loop {
        let at = parser.lexer.at();
        let Token::Name(name) = parser.lexer.peek() else {
            return parser.lexer.fail(format!("expected a button or NOOP, found {}", parser.lexer.shown()));
        };
        let button: Button = name.parse().map_err(|e: doom_game::UnknownName| Fault::new(at, e.to_string()))?;
        if pressed.iter().any(|p| p.button == button) {
            return Err(Fault::new(at, format!("{button} is pressed already")));
        }
        parser.lexer.advance()?;
        let valued = parser.lexer.take("=")?;
        if valued != button.is_delta() {
            let what = if valued {
                format!("{button} is either pressed or not; write it without a value")
            } else {
                format!("{button} is a delta button and needs a value; write {button}=1.5")
            };
            return Err(Fault::new(at, what));
        }
        let value = if valued {
            let at = parser.lexer.at();
            let kind = parser.unary()?;
            parser.want(kind, Kind::Number, at)?;
            std::mem::take(&mut parser.code)
        } else {
            Code::number(1.0)
        };
        pressed.push(Pressed { button, at, value });
        if parser.lexer.take("+")? {
            continue;
        }
        if parser.lexer.peek() != Token::End {
            let hint = if valued { "; put a calculation in brackets" } else { "" };
            return parser.lexer.fail(format!("expected `+` and a button, or the end, found {}{hint}", parser.lexer.shown()));
        }
        return Ok(pressed);
    }
}

struct Parser<'t, 's> {
    lexer: Lexer<'t>,
    scope: &'s mut Scope,
    code: Code,
    depth: usize,
}

impl<'t, 's> Parser<'t, 's> {
    fn new(text: Text<'t>, scope: &'s mut Scope) -> Result<Self, Fault> {
        Ok(Self { lexer: Lexer::new(text)?, scope, code: Code::default(), depth: 0 })
    }

    fn ended(&self) -> Result<(), Fault> {
        match self.lexer.peek() {
            Token::End => Ok(()),
            Token::Sign("=") => self.lexer.fail("`=` does not compare; write `==`"),
            Token::Name(name @ ("AND" | "OR" | "NOT")) => self.lexer.fail(format!("write `{}`", name.to_ascii_lowercase())),
            _ => self.lexer.fail(format!("expected an operator or the end, found {}", self.lexer.shown())),
        }
    }

    fn want(&self, kind: Kind, wanted: Kind, at: usize) -> Result<(), Fault> {
        match (kind, wanted) {
            (Kind::Number, Kind::Condition) => {
                Err(Fault::new(at, "this is a number where a condition is wanted; compare it, as in HEALTH < 30"))
            }
            (Kind::Condition, Kind::Number) => Err(Fault::new(at, "this is a condition where a number is wanted")),
            _ => Ok(()),
        }
    }

    /// One level deeper, for as long as `read` takes.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth == DEEPEST {
            return self.lexer.fail(format!("nested more than {DEEPEST} deep"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn either(&mut self) -> Result<Kind, Fault> {
        self.joined("or", Two::Or, |p| p.joined("and", Two::And, Self::negated))
    }

    fn joined(&mut self, word: &str, two: Two, part: impl Fn(&mut Self) -> Result<Kind, Fault>) -> Result<Kind, Fault> {
        let mut at = self.lexer.at();
        let mut kind = part(self)?;
        while matches!(self.lexer.peek(), Token::Name(n) if n == word) {
            self.want(kind, Kind::Condition, at)?;
            self.lexer.advance()?;
            at = self.lexer.at();
            kind = part(self)?;
            self.want(kind, Kind::Condition, at)?;
            self.code.push(Op::Two(two));
        }
        Ok(kind)
    }

    fn negated(&mut self) -> Result<Kind, Fault> {
        if !self.lexer.take_word("not")? {
            return self.compared();
        }
        let at = self.lexer.at();
        let kind = self.deeper(Self::negated)?;
        self.want(kind, Kind::Condition, at)?;
        self.code.push(Op::Not);
        Ok(Kind::Condition)
    }

    fn compared(&mut self) -> Result<Kind, Fault> {
        let left_at = self.lexer.at();
        let left = self.sum()?;
        let Some(two) = self.comparison() else { return Ok(left) };
        self.want(left, Kind::Number, left_at)?;
        self.lexer.advance()?;
        let at = self.lexer.at();
        let right = self.sum()?;
        self.want(right, Kind::Number, at)?;
        self.code.push(Op::Two(two));
        if self.comparison().is_some() {
            return self.lexer.fail("comparisons do not chain; write a < b and b < c");
        }
        Ok(Kind::Condition)
    }

    fn comparison(&self) -> Option<Two> {
        let Token::Sign(sign) = self.lexer.peek() else { return None };
        Some(match sign {
            "<" => Two::Less,
            "<=" => Two::LessOrEqual,
            ">" => Two::Greater,
            ">=" => Two::GreaterOrEqual,
            "==" => Two::Equal,
            "!=" => Two::NotEqual,
            _ => return None,
        })
    }

    fn sum(&mut self) -> Result<Kind, Fault> {
        self.calculated(&[("+", Two::Add), ("-", Two::Subtract)], |p| {
            p.calculated(&[("*", Two::Multiply), ("/", Two::Divide), ("%", Two::Remainder)], Self::unary)
        })
    }

    fn calculated(&mut self, signs: &[(&str, Two)], part: impl Fn(&mut Self) -> Result<Kind, Fault>) -> Result<Kind, Fault> {
        let mut at = self.lexer.at();
        let mut kind = part(self)?;
        while let Token::Sign(sign) = self.lexer.peek() {
            let Some((_, two)) = signs.iter().find(|(s, _)| *s == sign) else { break };
            self.want(kind, Kind::Number, at)?;
            self.lexer.advance()?;
            at = self.lexer.at();
            kind = part(self)?;
            self.want(kind, Kind::Number, at)?;
            self.code.push(Op::Two(*two));
        }
        Ok(kind)
    }

    fn unary(&mut self) -> Result<Kind, Fault> {
        if !self.lexer.take("-")? {
            return self.atom();
        }
        let at = self.lexer.at();
        let kind = self.deeper(Self::unary)?;
        self.want(kind, Kind::Number, at)?;
        self.code.push(Op::Negate);
        Ok(Kind::Number)
    }

    fn atom(&mut self) -> Result<Kind, Fault> {
        match self.lexer.peek() {
            Token::Number(number) => self.one(Op::Number(number), Kind::Number),
            Token::Name(name) => {
                let at = self.lexer.at();
                self.lexer.advance()?;
                if self.lexer.take("(")? { self.deeper(|p| p.call(name, at)) } else { self.name(name, at) }
            }
            Token::Sign("(") => {
                self.lexer.advance()?;
                let kind = self.deeper(Self::either)?;
                self.lexer.expect(")", "to close the bracket")?;
                Ok(kind)
            }
            Token::Class(class) => self.lexer.fail(format!("a class alone says nothing; write count('{class}') or seen('{class}')")),
            _ => self.lexer.fail(format!("expected a number, a name or a bracket, found {}", self.lexer.shown())),
        }
    }

    fn one(&mut self, op: Op, kind: Kind) -> Result<Kind, Fault> {
        self.lexer.advance()?;
        self.code.push(op);
        Ok(kind)
    }

    /// A name without brackets; it has been read.
    fn name(&mut self, name: &str, at: usize) -> Result<Kind, Fault> {
        let (op, kind) = match name {
            "true" => (Op::Number(1.0), Kind::Condition),
            "false" => (Op::Number(0.0), Kind::Condition),
            "tic" => (Op::Tic, Kind::Number),
            _ => match self.scope.parameters.get(name) {
                Some(value) => {
                    self.scope.used.insert(name.to_owned());
                    (Op::Number(*value), Kind::Number)
                }
                None => (Op::Variable(self.variable(name, at)?), Kind::Number),
            },
        };
        self.code.push(op);
        Ok(kind)
    }

    fn variable(&mut self, name: &str, at: usize) -> Result<usize, Fault> {
        if let Ok(variable) = name.parse::<Variable>() {
            return Ok(intern(&mut self.scope.reads.variables, variable));
        }
        if FUNCTIONS.contains(&name) {
            return Err(Fault::new(at, format!("`{name}` is a function; write {name}(…)")));
        }
        if self.scope.named_groups.contains_key(name) || CATEGORIES.iter().any(|(n, _)| *n == name) {
            return Err(Fault::new(at, format!("`{name}` is a group of labels; write count({name}), seen({name}) or nearest({name}).x")));
        }
        let parameters = self.scope.parameters.keys().map(String::as_str);
        let variables = || Variable::ALL.iter().map(|v| v.name());
        let near = meant(name, parameters.clone().chain(variables()).chain(FUNCTIONS).chain(WORDS));
        let parameters = parameters.collect::<Vec<_>>().join(", ");
        let parameters = if parameters.is_empty() { "none".to_owned() } else { parameters };
        let variables = variables().collect::<Vec<_>>().join(", ");
        Err(Fault::new(
            at,
            format!("unknown name `{name}`{near}; this file's parameters are: {parameters}; game variables are: {variables}"),
        ))
    }

    /// A function; its name and opening bracket have been read.
    fn call(&mut self, name: &str, at: usize) -> Result<Kind, Fault> {
        match name {
            "count" | "seen" => {
                let group = self.group()?;
                self.code.push(Op::Count(group));
                if name == "count" {
                    return Ok(Kind::Number);
                }
                self.code.push(Op::Number(0.0));
                self.code.push(Op::Two(Two::Greater));
                Ok(Kind::Condition)
            }
            "change" => {
                let at = self.lexer.at();
                let Token::Name(variable) = self.lexer.peek() else {
                    return self.lexer.fail(format!("change takes a game variable, as in change(HEALTH), found {}", self.lexer.shown()));
                };
                if self.scope.parameters.contains_key(variable) {
                    return Err(Fault::new(at, format!("`{variable}` is a parameter, which never changes; change takes a game variable")));
                }
                let index = self.variable(variable, at)?;
                self.lexer.advance()?;
                self.lexer.expect(")", "after the variable")?;
                self.code.push(Op::Change(index));
                Ok(Kind::Number)
            }
            "abs" => {
                self.argument()?;
                self.lexer.expect(")", "after abs's one number")?;
                self.code.push(Op::Abs);
                Ok(Kind::Number)
            }
            "min" | "max" => {
                self.argument()?;
                self.lexer.expect(",", &format!("and a second number for {name}"))?;
                self.argument()?;
                self.lexer.expect(")", &format!("after {name}'s two numbers"))?;
                self.code.push(Op::Two(if name == "min" { Two::Min } else { Two::Max }));
                Ok(Kind::Number)
            }
            _ => match By::ALL.iter().find(|(n, _)| *n == name) {
                Some((_, by)) => self.pick(*by),
                None => {
                    let near = meant(name, FUNCTIONS);
                    Err(Fault::new(at, format!("unknown function `{name}`{near}; valid are {}", FUNCTIONS.join(", "))))
                }
            },
        }
    }

    fn argument(&mut self) -> Result<(), Fault> {
        let at = self.lexer.at();
        let kind = self.either()?;
        self.want(kind, Kind::Number, at)
    }

    /// `monsters, 'Cacodemon')`: the index of the group.
    fn group(&mut self) -> Result<usize, Fault> {
        let begin = self.lexer.at();
        let group = self.labels()?;
        self.lexer.expect(")", "after the labels")?;
        let index = intern(&mut self.scope.reads.groups, group);
        if index == MOST_GROUPS {
            return Err(Fault::new(begin, format!("more than {MOST_GROUPS} different groups of labels")));
        }
        Ok(index)
    }

    /// `monsters, 'Cacodemon'`
    fn labels(&mut self) -> Result<Group, Fault> {
        let mut group = Group::default();
        loop {
            match self.lexer.peek() {
                Token::Class(class) => group.add_class(class),
                Token::Name(name) => {
                    if let Some((_, category)) = CATEGORIES.iter().find(|(n, _)| *n == name) {
                        group.add_category(category);
                    } else if let Some(named) = self.scope.named_groups.get(name) {
                        group.add(named);
                    } else {
                        let own = self.scope.named_groups.keys().map(String::as_str);
                        let all: Vec<&str> = CATEGORIES.iter().map(|(n, _)| *n).chain(own).collect();
                        let near = meant(name, all.iter().copied());
                        let all = all.join(", ");
                        return self.lexer.fail(format!("unknown group `{name}`{near}; valid are {all}, or a class in quotes: '{name}'"));
                    }
                }
                _ => {
                    let shown = self.lexer.shown();
                    return self.lexer.fail(format!("expected a group such as monsters, or a class in quotes, found {shown}"));
                }
            }
            if group.len() > MOST_LABELS {
                return self.lexer.fail(format!("more than {MOST_LABELS} labels in a group"));
            }
            self.lexer.advance()?;
            if !self.lexer.take(",")? {
                return Ok(group);
            }
        }
    }

    /// `monsters).x`
    fn pick(&mut self, by: By) -> Result<Kind, Fault> {
        let group = self.group()?;
        let fields = || Field::ALL.iter().map(|(n, _)| *n);
        let list = || fields().collect::<Vec<_>>().join(", ");
        if !self.lexer.take(".")? {
            return self.lexer.fail(format!("expected `.` and one of {}, found {}", list(), self.lexer.shown()));
        }
        let Token::Name(name) = self.lexer.peek() else {
            return self.lexer.fail(format!("expected one of {}, found {}", list(), self.lexer.shown()));
        };
        let Some((_, field)) = Field::ALL.iter().find(|(n, _)| *n == name) else {
            return self.lexer.fail(format!("a label has no `{name}`{}; valid are {}", meant(name, fields()), list()));
        };
        let pick = intern(&mut self.scope.reads.picks, (group, by));
        self.scope.reads.place |= by == By::Nearest || *field == Field::Distance;
        self.one(Op::Field(pick, *field), Kind::Number)
    }
}
