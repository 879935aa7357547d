//! The words of conditions, calculations and presses.

use super::source::{Fault, Text};

/// Names are short; a longer one is not repeated in an error.
pub(super) const LONGEST_NAME: usize = 64;

/// A word.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'t> {
    Number(f64),
    Name(&'t str),
    /// A class in quotes.
    Class(&'t str),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// Longer ones first.
const SIGNS: [&str; 16] = ["<=", ">=", "==", "!=", "<", ">", "=", "+", "-", "*", "/", "%", "(", ")", ",", "."];
/// What other languages write, and what is written here.
const FOREIGN: [(&str, &str); 6] = [("&&", "and"), ("||", "or"), ("!", "not"), ("&", "and"), ("|", "or"), ("^", "*")];

/// Reads words one by one, with one of them in view.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'t> {
    pub(super) text: Text<'t>,
    next: Token<'t>,
    /// Where `next` begins.
    at: usize,
    /// Where reading goes on.
    rest: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: Text<'t>) -> Result<Self, Fault> {
        let mut lexer = Self { text, next: Token::End, at: 0, rest: 0 };
        lexer.advance()?;
        Ok(lexer)
    }

    pub(super) fn peek(&self) -> Token<'t> {
        self.next
    }

    /// The file's byte where the word in view begins.
    pub(super) fn at(&self) -> usize {
        self.text.at(self.at)
    }

    pub(super) fn fail<T>(&self, what: impl Into<String>) -> Result<T, Fault> {
        Err(Fault::new(self.at(), what))
    }

    /// The word in view, as an error calls it.
    pub(super) fn shown(&self) -> String {
        match self.next {
            Token::End => "the end".to_owned(),
            _ => format!("`{}`", &self.text.text[self.at..self.rest]),
        }
    }

    /// Takes the word in view if it is this sign.
    pub(super) fn take(&mut self, sign: &str) -> Result<bool, Fault> {
        let is = matches!(self.next, Token::Sign(s) if s == sign);
        if is {
            self.advance()?;
        }
        Ok(is)
    }

    /// Takes the word in view if it is this name.
    pub(super) fn take_word(&mut self, word: &str) -> Result<bool, Fault> {
        let is = self.next == Token::Name(word);
        if is {
            self.advance()?;
        }
        Ok(is)
    }

    pub(super) fn expect(&mut self, sign: &str, why: &str) -> Result<(), Fault> {
        if self.take(sign)? { Ok(()) } else { self.fail(format!("expected `{sign}` {why}, found {}", self.shown())) }
    }

    pub(super) fn advance(&mut self) -> Result<(), Fault> {
        let text = self.text.text;
        let left = &text[self.rest..];
        self.at = text.len() - left.trim_start().len();
        let left = &text[self.at..];
        let span = |is: fn(char) -> bool| left.find(|c| !is(c)).unwrap_or(left.len());
        let Some(first) = left.chars().next() else {
            (self.next, self.rest) = (Token::End, self.at);
            return Ok(());
        };
        let length = match first {
            'A'..='Z' | 'a'..='z' | '_' => {
                let length = span(|c| c.is_ascii_alphanumeric() || c == '_');
                if length > LONGEST_NAME {
                    return self.fail(format!("a name is longer than {LONGEST_NAME} characters"));
                }
                self.next = Token::Name(&left[..length]);
                length
            }
            '0'..='9' => {
                let length = number(left);
                let Some(number) = left[..length].parse::<f64>().ok().filter(|n| n.is_finite()) else {
                    return self.fail("this number is too large");
                };
                self.next = Token::Number(number);
                length
            }
            '.' if left[1..].starts_with(|c: char| c.is_ascii_digit()) => return self.fail("write a 0 before the decimal point"),
            '\'' | '"' => {
                let Some(length) = left[1..].find(first) else { return self.fail("this quote is never closed") };
                let class = &left[1..=length];
                if class.is_empty() || class.len() > LONGEST_NAME || class.contains(|c: char| c.is_control()) {
                    return self.fail(format!("a class is 1 to {LONGEST_NAME} characters, such as 'Cacodemon'"));
                }
                self.next = Token::Class(class);
                length + 2
            }
            _ => {
                if let Some(sign) = SIGNS.iter().find(|s| left.starts_with(**s)) {
                    self.next = Token::Sign(sign);
                    sign.len()
                } else if let Some((theirs, ours)) = FOREIGN.iter().find(|(theirs, _)| left.starts_with(theirs)) {
                    return self.fail(format!("`{theirs}` means nothing here; write `{ours}`"));
                } else {
                    return self.fail(format!("{first:?} means nothing here"));
                }
            }
        };
        self.rest = self.at + length;
        Ok(())
    }
}

/// The length of the number at the start: digits, a fraction, an exponent.
fn number(text: &str) -> usize {
    let digits = |from: usize| text[from..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |n| from + n);
    let mut end = digits(0);
    if text[end..].starts_with('.') && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if text[end..].starts_with(['e', 'E']) {
        let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    end
}
