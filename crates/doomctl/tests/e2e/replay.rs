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
fn agents_experiments_generations_and_kinds_are_chosen() {
    let population = Population::new();
    population.act_as("A", Some("e1"), Some("g1"), 2);
    population.act_as("B", Some("e1"), Some("g2"), 2);
    population.act_as("C", None, None, 1);
    population.score_live("e2", 1..=1, &["HEALTH"]);
    for (chosen, expected) in [
        (&["--agent", "A"][..], &[1, 2, 6][..]),
        (&["--agent", "C,B"], &[3, 4, 5]),
        (&["--experiment", "e1"], &[1, 2, 3, 4]),
        (&["--generation", "g2"], &[3, 4]),
        (&["--experiment", "e1", "--agent", "A"], &[1, 2]),
        (&["--event", "score,death", "--stream", "AGENT_EVENTS"], &[6]),
        (&["--event", "action", "--agent", "A"], &[1, 2]),
        (&["--agent", "nobody"], &[]),
    ] {
        let answer = doomctl_at(&population.server, &[&["replay", "--json"], chosen].concat());
        assert_eq!((answer.code, sequences(&answer.out)), (Some(0), expected.to_vec()), "{chosen:?}: {answer:?}");
    }
}

#[test]
fn how_far_generations_are_is_shown_and_exported() {
    let population = Population::new();
    population.evolve("g1", "g2");
    population.evolve("g2", "g3");
    let shown = doomctl_at(&population.server, &["replay", "--event", "stage", "--generation", "g1"]);
    let lines: Vec<_> = shown.out.lines().collect();
    assert_eq!((shown.code, lines.len()), (Some(0), 3), "{shown:?}");
    for (line, says) in
        lines.iter().zip(["population 4  start  g1", "evolve  g1  → g2  truncation, the best two", "complete 3  failed 1  complete  g1"])
    {
        assert!(line.contains(says), "{line} says {says}");
    }
    let folder = tempfile::TempDir::new().expect("a folder");
    let out = folder.path().join("g.csv");
    let exported = doomctl_at(&population.server, &["export", "--event", "stage", "--out", out.to_str().expect("UTF-8")]);
    assert!(exported.code == Some(0) && exported.out.contains("6 events"), "{exported:?}");
    let mut reader = csv::Reader::from_path(&out).expect("it opens");
    let head = reader.headers().expect("names").clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    let cell = |row: usize, name: &str| rows[row].get(head.iter().position(|column| column == name).expect("the column is there"));
    assert_eq!((cell(0, "population"), cell(0, "selected")), (Some("4"), Some("")));
    assert_eq!((cell(4, "generation_id"), cell(4, "next_generation_id"), cell(4, "selected")), (Some("g2"), Some("g3"), Some("e2 e1")));
    assert_eq!((cell(5, "best_evaluation_id"), cell(5, "best_fitness")), (Some("e2"), Some("1.5")));
    let refused = doomctl_at(&population.server, &["replay", "--event", "stage", "--agent", "A"]);
    assert!(refused.code == Some(2) && refused.err.contains("an event `stage` says no agent"), "{refused:?}");
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
