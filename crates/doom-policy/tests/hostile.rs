//! No text and no observation makes a rules policy panic, and what it decides is always a valid action.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use common::{load, observation, schema};
use doom_game::{Button, Label};
use doom_policy::{PolicyError, PolicyProgram};
use proptest::prelude::*;

/// Plays some steps over whatever is seen; every number that it gives is one that an engine takes.
fn plays(program: &PolicyProgram, values: &[f64], labels: &[Label]) -> Result<(), TestCaseError> {
    let variables = program.needs().variables;
    let mut policy = program.bind(&schema(Button::ALL, &variables)).unwrap_or_else(|e| panic!("{e}"));
    let mut action = vec![f64::NAN; Button::ALL.len()];
    policy.begin_episode(1);
    for step in 0..6 {
        // Fewer values than there are variables, too.
        let values: Vec<f64> = values.iter().cycle().skip(step).take(variables.len().saturating_sub(step % 2)).copied().collect();
        policy.decide(&observation(step as u32, &values, &labels[..labels.len() * step / 5]), &mut action);
        for (value, button) in action.iter().zip(Button::ALL) {
            prop_assert!(if button.is_delta() { value.is_finite() } else { *value == 0.0 || *value == 1.0 }, "{button}={value}");
        }
    }
    prop_assert!((0.0..=1.0).contains(&policy.rule_match_rate().unwrap()));
    Ok(())
}

/// A text is refused with a place, or played.
fn refused_or_played(text: &[u8], values: &[f64], labels: &[Label]) -> Result<(), TestCaseError> {
    match load(text, &[]) {
        Ok(program) => plays(&program, values, labels),
        Err(PolicyError::Text { place, what }) => {
            let numbers: Vec<_> = place.rsplit(':').take(2).map(|n| n.parse::<usize>().unwrap_or_default()).collect();
            prop_assert!(numbers.iter().all(|n| *n > 0), "{place}");
            prop_assert!(!what.is_empty() && !what.contains('\n') && what.len() < 10_000, "{what}");
            Ok(())
        }
        Err(other) => Err(TestCaseError::fail(other.to_string())),
    }
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(any::<f64>(), 1..6)
}

fn labels() -> impl Strategy<Value = Vec<Label>> {
    let sizes = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
    let label = (prop::sample::select(&["Monster", "Health", "Gore", ""][..]), sizes, any::<[f64; 3]>());
    let label = label.prop_map(|(category, (x, y, width, height), position)| {
        let (name, category) = ("Imp".to_owned(), category.to_owned());
        Label { name, category, id: 1, x, y, width, height, position }
    });
    prop::collection::vec(label, 0..12)
}

/// Words of the language in any order, mostly wrong.
fn words() -> impl Strategy<Value = String> {
    let words = &[
        "HEALTH",
        "tic",
        "a",
        "and",
        "or",
        "not",
        "true",
        "(",
        ")",
        "+",
        "-",
        "*",
        "/",
        "%",
        "<",
        ">=",
        "==",
        "!=",
        "=",
        ",",
        ".",
        "x",
        "distance",
        "seen(monsters)",
        "count(",
        "nearest(health).x",
        "largest(",
        "central(monsters, \\\"Imp\\\").y",
        "change(HEALTH)",
        "min(",
        "max(1, ",
        "abs(",
        "0",
        "1",
        "2.5e3",
        "1e308",
        "monsters",
        "'Imp'",
        "ATTACK",
        "NOOP",
        "TURN_LEFT_RIGHT_DELTA=",
        "é",
        "\\u0000",
    ][..];
    prop::collection::vec(prop::sample::select(words), 0..16).prop_map(|words| words.join(" "))
}

/// Conditions and calculations that are right.
fn calculation() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(
        &[
            "HEALTH",
            "ANGLE",
            "tic",
            "a",
            "0",
            "3",
            "1e308",
            "count(monsters)",
            "nearest(monsters).x",
            "largest(health).distance",
            "change(ANGLE)",
        ][..],
    );
    leaf.prop_map(str::to_owned).prop_recursive(5, 40, 2, |inner| {
        let signs = prop::sample::select(&["+", "-", "*", "/", "%"][..]);
        prop_oneof![
            (inner.clone(), signs, inner.clone()).prop_map(|(a, sign, b)| format!("({a} {sign} {b})")),
            (inner.clone(), prop::bool::ANY, inner.clone())
                .prop_map(|(a, min, b)| format!("{}({a}, {b})", if min { "min" } else { "max" })),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.prop_map(|a| format!("abs({a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn any_bytes(text in prop::collection::vec(any::<u8>(), 0..400)) {
        refused_or_played(&text, &[1.0], &[])?;
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        refused_or_played(text.as_bytes(), &[1.0], &[])?;
    }

    #[test]
    fn any_words(when in words(), press in words(), hold in words(), values in values(), labels in labels()) {
        let text = format!("[parameters]\na = 1\n[[rule]]\nwhen = \"a == 1 and ({when})\"\npress = 'ATTACK'\n");
        refused_or_played(text.as_bytes(), &values, &labels)?;
        let text = format!("[[rule]]\nwhen = \"true\"\npress = \"{press}\"\n");
        refused_or_played(text.as_bytes(), &values, &labels)?;
        let text = format!("[[rule]]\nwhen = \"true\"\npress = \"USE\"\nhold = \"{hold}\"\n");
        refused_or_played(text.as_bytes(), &values, &labels)?;
    }

    #[test]
    fn any_calculation(n in prop::collection::vec(calculation(), 4), values in values(), labels in labels()) {
        let [when, value, hold, probability] = [0, 1, 2, 3].map(|i| &n[i]);
        // The variable keeps hold and probability from being known, and refused, at the start.
        let text = format!("[parameters]\na = 1\n[[rule]]\nwhen = '{when} < a or not ({value} > a)'
            press = ['USE+TURN_LEFT_RIGHT_DELTA=({value})', 'ATTACK']
            hold = '{hold} + 0 * HEALTH'\nprobability = '{probability} + 0 * HEALTH'\n");
        let program = load(text.as_bytes(), &[]).unwrap_or_else(|e| panic!("{e}\n{text}"));
        plays(&program, &values, &labels)?;
    }
}
