//! `doomctl replay`: the past once more.

use crate::support::{doomctl_at, events::Population};

fn sequences(out: &str) -> Vec<u64> {
    let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["sequence"].as_u64().expect("a number");
    out.lines().map(line).collect()
}

#[test]
fn it_begins_where_it_is_told_and_ends_where_the_stream_does() {
    let population = Population::new();
    population.act(9);
    for (arguments, expected) in [
        (&["replay", "--json"][..], 1..=9),
        (&["replay", "--json", "--seq", "4"], 4..=9),
        (&["replay", "--json", "--since", "1h", "--speed", "1x"], 1..=9),
        (&["replay", "--json", "--seq", "4", "--count", "2"], 4..=5),
    ] {
        let answer = doomctl_at(&population.server, arguments);
        assert_eq!(answer.code, Some(0), "{answer:?}");
        assert_eq!(sequences(&answer.out), expected.collect::<Vec<_>>(), "{arguments:?}");
    }
    let nothing = doomctl_at(&population.server, &["replay", "--seq", "10"]);
    assert_eq!((nothing.code, &*nothing.out), (Some(0), ""), "{nothing:?}");
}

#[test]
fn results_come_from_where_they_are_kept() {
    let population = Population::new();
    population.act(5);
    population.score("e1", 1..=3, &["HEALTH"]);
    let answer = doomctl_at(&population.server, &["replay", "--json", "--event", "score", "--experiment", "e1"]);
    // In AGENT_RECORDS they are the first three, in AGENT_EVENTS they come after the actions.
    assert_eq!(sequences(&answer.out), [1, 2, 3], "{answer:?}");
    let answer = doomctl_at(&population.server, &["replay", "--json"]);
    assert_eq!(sequences(&answer.out), (1..=8).collect::<Vec<_>>(), "{answer:?}");
    let answer = doomctl_at(&population.server, &["replay", "--json", "--event", "score", "--experiment", "e2"]);
    assert_eq!((answer.code, &*answer.out), (Some(0), ""), "{answer:?}");
}

#[test]
fn times_sequences_and_speeds_that_are_none_end_with_2() {
    let population = Population::new();
    for arguments in [
        &["--since", "yesterday"][..],
        &["--since", "9998-01-01T00:00:00Z"],
        &["--seq", "0"],
        &["--seq", "-1"],
        &["--since", "1h", "--seq", "1"],
        &["--speed", "fast"],
        &["--event", "score,metric"],
    ] {
        let answer = doomctl_at(&population.server, &[&["replay"], arguments].concat());
        assert_eq!(answer.code, Some(2), "{arguments:?}: {answer:?}");
        assert!(answer.out.is_empty() && !answer.err.is_empty(), "{answer:?}");
    }
}
