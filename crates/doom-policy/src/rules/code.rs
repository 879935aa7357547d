//! What a condition or calculation becomes: a short list of operations over a stack, bound in depth and time.

use std::cmp::Ordering;

use super::sight::{Field, Sight};

/// One operation; true is 1 and false 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Op {
    Number(f64),
    /// An index into the program's variables.
    Variable(usize),
    /// Its difference from when the rules were asked last.
    Change(usize),
    Tic,
    /// An index into the program's groups.
    Count(usize),
    /// An index into the program's picks.
    Field(usize, Field),
    Negate,
    Not,
    Abs,
    Two(Two),
}

/// An operation on two values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Two {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    And,
    Or,
    Min,
    Max,
}

impl Two {
    /// A comparison with what is not a number is false, `!=` too; a calculation with it gives no number.
    fn of(self, a: f64, b: f64) -> f64 {
        let truth = |b: bool| f64::from(u8::from(b));
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            // Of the divisor's sign, so that angles wrap: -10 % 360 is 350.
            Self::Remainder => a - b * (a / b).floor(),
            Self::Less => truth(a < b),
            Self::LessOrEqual => truth(a <= b),
            Self::Greater => truth(a > b),
            Self::GreaterOrEqual => truth(a >= b),
            Self::Equal => truth(a == b),
            Self::NotEqual => truth(a.partial_cmp(&b).is_some_and(Ordering::is_ne)),
            Self::And => truth(a != 0.0 && b != 0.0),
            Self::Or => truth(a != 0.0 || b != 0.0),
            Self::Min | Self::Max if a.is_nan() || b.is_nan() => f64::NAN,
            Self::Min => a.min(b),
            Self::Max => a.max(b),
        }
    }
}

/// What a decision looks at.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) tic: f64,
    /// In the order of the program's variables.
    pub(super) values: Vec<f64>,
    pub(super) changes: Vec<f64>,
    pub(super) sight: Sight,
}

/// A compiled expression.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Code {
    ops: Vec<Op>,
    height: usize,
    /// The highest that the stack gets.
    pub(super) depth: usize,
}

impl Code {
    pub(super) fn number(value: f64) -> Self {
        let mut code = Self::default();
        code.push(Op::Number(value));
        code
    }

    pub(super) fn push(&mut self, op: Op) {
        match op {
            Op::Negate | Op::Not | Op::Abs => {}
            Op::Two(_) => self.height = self.height.saturating_sub(1),
            _ => self.height += 1,
        }
        self.depth = self.depth.max(self.height);
        self.ops.push(op);
    }

    /// The value; `stack` has room for `depth` and is not made larger.
    pub(super) fn value(&self, facts: &Facts, stack: &mut Vec<f64>) -> f64 {
        stack.clear();
        for op in &self.ops {
            let value = match *op {
                Op::Number(value) => value,
                Op::Variable(i) => at(&facts.values, i),
                Op::Change(i) => at(&facts.changes, i),
                Op::Tic => facts.tic,
                Op::Count(group) => facts.sight.count(group),
                Op::Field(pick, field) => facts.sight.field(pick, field),
                Op::Negate => -pop(stack),
                Op::Not => f64::from(u8::from(pop(stack) == 0.0)),
                Op::Abs => pop(stack).abs(),
                Op::Two(two) => {
                    let b = pop(stack);
                    two.of(pop(stack), b)
                }
            };
            stack.push(value);
        }
        pop(stack)
    }

    /// The value, where it is the same in every game.
    pub(super) fn constant(&self) -> Option<f64> {
        let fixed = |op: &Op| matches!(op, Op::Number(_) | Op::Negate | Op::Not | Op::Abs | Op::Two(_));
        self.ops.iter().all(fixed).then(|| self.value(&Facts::default(), &mut Vec::with_capacity(self.depth)))
    }

    pub(super) fn holds(&self, facts: &Facts, stack: &mut Vec<f64>) -> bool {
        self.value(facts, stack) == 1.0
    }
}

fn at(values: &[f64], i: usize) -> f64 {
    values.get(i).copied().unwrap_or(f64::NAN)
}

fn pop(stack: &mut Vec<f64>) -> f64 {
    stack.pop().unwrap_or(f64::NAN)
}
