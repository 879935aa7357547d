//! `doomctl export`: files that others read, whole or not at all, each event once.

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
};

use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row},
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::{Answer, Nats, answer, doomctl, doomctl_at, events::Population, python};

fn export(population: &Population, folder: &TempDir, name: &str, more: &[&str]) -> Answer {
    let out = folder.path().join(name);
    doomctl_at(&population.server, &[&["export", "--out", out.to_str().expect("UTF-8")], more].concat())
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).expect("a folder");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort_unstable();
    names
}

fn csv_rows(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_path(path).expect("it opens");
    let own = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    let head = own(reader.headers().expect("names"));
    // Rows that differ in length are an error to this reader.
    (head, reader.records().map(|record| own(&record.expect("a row"))).collect())
}

fn parquet_rows(path: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(File::open(path).expect("it opens")).expect("Parquet");
    reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row")).collect()
}

fn value<'a>(row: &'a Row, name: &str) -> &'a Field {
    row.get_column_iter().find(|(column, _)| *column == name).expect("the column is there").1
}

#[test]
fn scores_become_a_table_with_every_column_in_csv_and_parquet() {
    let population = Population::new();
    let folder = TempDir::new().expect("a folder");
    population.score("e1", 1..=4, &["HEALTH", "AMMO2"]);
    population.score("e2", 5..=6, &["HEALTH", "AMMO2"]);
    for name in ["s.csv", "s.parquet", "s.jsonl"] {
        let answer = export(&population, &folder, name, &["--experiment", "e1", "--batch", "3"]);
        assert_eq!(answer.code, Some(0), "{answer:?}");
        assert!(answer.out.contains("4 events"), "{answer:?}");
    }
    assert_eq!(names(&folder), ["s.csv", "s.jsonl", "s.parquet"]);

    let (head, rows) = csv_rows(&folder.path().join("s.csv"));
    assert_eq!(head[..8], ["stream_sequence", "seq", "instance", "backend", "trace_id", "type", "agent_id", "timestamp"]);
    assert_eq!(head[head.len() - 2..], ["variable_AMMO2", "variable_HEALTH"]);
    let column = |name: &str| head.iter().position(|column| column == name).expect("the column is there");
    assert_eq!(rows.len(), 4);
    for (number, row) in (1..).zip(&rows) {
        for (name, expected) in [
            ("episode_number", number.to_string()),
            ("run_id", "7".to_owned()),
            ("generation_id", String::new()),
            ("seed", "4294967295".to_owned()),
            ("scenario", "basic, \"the first\"".to_owned()),
            ("backend", "mock".to_owned()),
            ("kills", "-1".to_owned()),
            ("total_reward", "-1.25".to_owned()),
            ("rule_match_rate", String::new()),
            ("decision_us_p99", "2".to_owned()),
            ("telemetry_dropped", "1".to_owned()),
            ("started_at", "2026-01-02T03:04:05.123456Z".to_owned()),
            ("variable_HEALTH", "0.5".to_owned()),
        ] {
            assert_eq!(row[column(name)], expected, "{name}");
        }
    }

    let rows = parquet_rows(&folder.path().join("s.parquet"));
    assert_eq!(rows.len(), 4);
    let in_parquet: Vec<_> = rows[0].get_column_iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(in_parquet, head, "both tables have the same columns");
    for (number, row) in (1..).zip(&rows) {
        assert_eq!(value(row, "episode_number"), &Field::Long(number));
        assert_eq!(value(row, "total_reward"), &Field::Double(-1.25));
        assert_eq!(value(row, "generation_id"), &Field::Null);
        assert_eq!(value(row, "started_at"), &Field::TimestampMicros(1_767_323_045_123_456));
        assert_eq!(value(row, "scenario"), &Field::Str("basic, \"the first\"".to_owned()));
    }

    let text = fs::read_to_string(folder.path().join("s.jsonl")).expect("UTF-8");
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| line["event"]["payload"]["experiment_id"] == "e1"));
}

#[test]
fn duckdb_and_pandas_read_all_three_formats_as_they_are() {
    let population = Population::new();
    let folder = TempDir::new().expect("a folder");
    population.score("e1", 1..=1, &["HEALTH"]);
    population.score("e1", 2..=4, &["HEALTH", "ARMOR"]);
    population.score("e2", 5..=5, &["HEALTH"]);
    for name in ["s.csv", "s.parquet", "s.jsonl"] {
        let answer = export(&population, &folder, name, &["--experiment", "e1", "--batch", "100", "--max-wait", "5s"]);
        assert_eq!(answer.code, Some(0), "{answer:?}");
    }
    let read = answer(python("tables.py").arg(folder.path()));
    assert!(read.code == Some(0) && read.out == "tables\n", "{read:?}");
}

#[test]
fn a_variable_that_comes_late_has_a_column_and_earlier_rows_have_none_of_it() {
    let population = Population::new();
    let folder = TempDir::new().expect("a folder");
    population.score("e1", 1..=5000, &["HEALTH"]);
    population.score("e1", 5001..=5002, &["HEALTH", "ARMOR"]);
    for name in ["s.csv", "s.parquet"] {
        let answer = export(&population, &folder, name, &[]);
        assert_eq!(answer.code, Some(0), "{answer:?}");
    }
    let (head, rows) = csv_rows(&folder.path().join("s.csv"));
    assert_eq!((head.last().map(String::as_str), rows.len()), (Some("variable_ARMOR"), 5002));
    assert_eq!(rows[4999].last().map(String::as_str), Some(""));
    assert_eq!(rows[5000].last().map(String::as_str), Some("0.5"));
    let rows = parquet_rows(&folder.path().join("s.parquet"));
    assert_eq!(value(&rows[4999], "variable_ARMOR"), &Field::Null);
    assert_eq!(value(&rows[5001], "variable_ARMOR"), &Field::Double(0.5));
}

#[test]
fn an_export_that_is_killed_goes_on_and_has_every_event_once() {
    let population = Population::new();
    population.score("e1", 1..=100_000, &["HEALTH"]);
    for name in ["s.csv", "s.parquet", "s.jsonl"] {
        let folder = TempDir::new().expect("a folder");
        let out = folder.path().join(name);
        let arguments =
            ["export", "--durable", &name.replace('.', "_"), "--batch", "500", "--out", out.to_str().expect("UTF-8")].map(str::to_owned);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = doomctl(&arguments);
        command.env("NATS_URL", population.server.url()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("doomctl starts");
        let note = folder.path().join(format!("{name}.part.json"));
        while !note.exists() && child.try_wait().expect("a child").is_none() {
            std::thread::yield_now();
        }
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
        assert!(note.exists() && !out.exists(), "{name} was finished before it could be killed: {:?}", names(&folder));
        let answer = doomctl_at(&population.server, &arguments);
        assert_eq!(answer.code, Some(0), "{answer:?}");
        assert!(answer.err.contains("going on with") && answer.out.contains("100000 events"), "{answer:?}");
        assert_eq!(names(&folder), [name]);
        let episodes: Vec<i64> = match name {
            "s.csv" => {
                let (head, rows) = csv_rows(&out);
                let column = head.iter().position(|column| column == "episode_number").expect("it is there");
                rows.iter().map(|row| row[column].parse().expect("a number")).collect()
            }
            "s.parquet" => {
                let rows = parquet_rows(&out);
                rows.iter().map(|row| if let Field::Long(n) = value(row, "episode_number") { *n } else { 0 }).collect()
            }
            _ => {
                let text = fs::read_to_string(&out).expect("UTF-8");
                let number = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["headers"]["seq"].clone();
                text.lines().map(|line| number(line).as_str().and_then(|seq| seq.parse().ok()).unwrap_or(0)).collect()
            }
        };
        assert!(episodes.iter().copied().eq(1..=100_000), "{name}: {} rows", episodes.len());
        // The next file of this name begins behind it.
        let next = doomctl_at(&population.server, &[&arguments[..], &["--force"]].concat());
        assert!(next.out.contains("0 events"), "{next:?}");
    }
}

#[test]
fn an_interrupted_export_without_a_name_leaves_nothing() {
    let population = Population::new();
    population.score("e1", 1..=30_000, &["HEALTH"]);
    let folder = TempDir::new().expect("a folder");
    let out = folder.path().join("s.csv");
    let mut command = doomctl(&["export", "--batch", "10", "--out", out.to_str().expect("UTF-8")]);
    command.env("NATS_URL", population.server.url()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("doomctl starts");
    while !folder.path().join("s.csv.part").exists() && child.try_wait().expect("a child").is_none() {
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(names(&folder).is_empty(), "{:?}", names(&folder));
}

/// Four scores, and in their midst, as the third message, one that is no event.
fn poisoned() -> Population {
    let population = Population::new();
    population.score("e1", 1..=2, &["HEALTH"]);
    population.poison();
    population.score("e1", 3..=4, &["HEALTH"]);
    population
}

#[test]
fn messages_that_are_no_events_become_dead_letters_once_and_cost_no_other() {
    let (population, folder) = (poisoned(), TempDir::new().expect("a folder"));
    let nats = Nats::connect(&population.server);
    for name in ["s.csv", "s.parquet", "s.jsonl"] {
        let answer = export(&population, &folder, name, &[]);
        assert_eq!(answer.code, Some(65), "{answer:?}");
        assert!(answer.err.contains("is complete, but 1 messages"), "{answer:?}");
        assert!(answer.err.contains("AGENT_RECORDS sequence 3 (dead letter 1)"), "{answer:?}");
    }
    assert_eq!(csv_rows(&folder.path().join("s.csv")).1.len(), 4);
    assert_eq!(parquet_rows(&folder.path().join("s.parquet")).len(), 4);
    assert_eq!(fs::read_to_string(folder.path().join("s.jsonl")).expect("UTF-8").lines().count(), 4);
    assert_eq!(nats.state("DEAD_LETTERS")["messages"], 1, "the same message is kept once, however often it is exported");
    let letter = doomctl_at(&population.server, &["dlq", "show", "1", "--json"]);
    let letter: serde_json::Value = serde_json::from_str(&letter.out).expect("JSON");
    for (name, expected) in [
        ("subject", "clau-doom.agent.A.score".into()),
        ("stream", "AGENT_RECORDS".into()),
        ("stream_sequence", 3.into()),
        ("consumer", "export".into()),
        ("content", serde_json::Value::from("{\"type\":\"agent.score\"")),
    ] {
        assert_eq!(letter[name], expected, "{letter}");
    }
}

#[test]
fn a_letter_that_is_dropped_is_kept_again_by_an_export_without_a_name_and_not_by_one_with_a_name() {
    let (population, folder) = (poisoned(), TempDir::new().expect("a folder"));
    let letters = |sequence: u64, more: &[&str]| {
        let answer = export(&population, &folder, "s.csv", &[&["--force"], more].concat());
        let says = format!("(dead letter {sequence})");
        assert!(answer.code == Some(65) && answer.err.contains(&says), "{answer:?}");
        assert_eq!(doomctl_at(&population.server, &["dlq", "drop", "--all", "--yes"]).out, "1 dead letters are erased\n");
    };
    // Nothing is remembered of one without a name: each reads the message anew, and says again that it is none.
    letters(1, &[]);
    letters(2, &[]);
    letters(3, &["--durable", "desk"]);
    let next = export(&population, &folder, "s.csv", &["--force", "--durable", "desk"]);
    assert_eq!(next.code, Some(0), "{next:?}");
    assert_eq!(Nats::connect(&population.server).state("DEAD_LETTERS")["messages"], 0);
}

#[test]
fn a_durable_export_keeps_what_is_no_event_before_it_goes_on_behind_it() {
    let (population, folder) = (poisoned(), TempDir::new().expect("a folder"));
    let nats = Nats::connect(&population.server);
    nats.delete("DEAD_LETTERS");
    let durable = |more: &[&str]| export(&population, &folder, "s.csv", &[&["--durable", "desk", "--json"], more].concat());
    let refused = durable(&[]);
    assert_eq!(refused.code, Some(69), "{refused:?}");
    assert!(refused.err.contains("no stream DEAD_LETTERS") && refused.err.contains("ends before that message"), "{refused:?}");
    assert!(!folder.path().join("s.csv").exists());
    assert_eq!(doomctl_at(&population.server, &["streams", "apply"]).code, Some(0));
    let answer = durable(&[]);
    assert_eq!(answer.code, Some(65), "{answer:?}");
    let said: serde_json::Value = serde_json::from_str(&answer.out).expect("JSON");
    assert_eq!((&said["events"], &said["broken"]), (&4.into(), &1.into()));
    assert_eq!(said["left_out"][0], serde_json::json!({"stream": "AGENT_RECORDS", "sequence": 3, "dead_letter": 1}));
    assert_eq!(csv_rows(&folder.path().join("s.csv")).1.len(), 4);
    let next = durable(&["--force"]);
    assert_eq!(next.code, Some(0), "{next:?}");
    assert_eq!(nats.state("DEAD_LETTERS")["messages"], 1);
}

#[test]
fn what_cannot_be_exported_is_refused_before_there_is_a_file() {
    let population = Population::new();
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("old.csv"), "mine").expect("it is written");
    for (name, more, code, words) in [
        ("old.csv", &[][..], 65, "exists already; give --force"),
        ("no/s.csv", &[], 65, "there is no folder"),
        ("s.txt", &[], 2, "does not say the format"),
        ("s.csv", &["--event", "score,death"], 2, "a table has one kind of event"),
        ("s.csv", &["--stream", "NOBODYS"], 65, "there is no stream NOBODYS"),
        ("s.csv", &["--batch", "0"], 2, "--batch"),
        ("s.csv", &["--max-wait", "soon"], 2, "--max-wait"),
        ("s.csv", &["--nats", "nats://127.0.0.1:1"], 69, "no NATS server answers"),
    ] {
        let answer = export(&population, &folder, name, more);
        assert_eq!(answer.code, Some(code), "{name} {more:?}: {answer:?}");
        assert!(answer.err.contains(words), "{name} {more:?}: {answer:?}");
    }
    assert_eq!(names(&folder), ["old.csv"]);
    assert_eq!(fs::read_to_string(folder.path().join("old.csv")).expect("UTF-8"), "mine");
    let empty = export(&population, &folder, "old.csv", &["--force"]);
    assert_eq!(empty.code, Some(0), "{empty:?}");
    let (head, rows) = csv_rows(&folder.path().join("old.csv"));
    assert!(head.contains(&"total_reward".to_owned()) && rows.is_empty());
    let empty = export(&population, &folder, "e.parquet", &[]);
    assert_eq!(empty.code, Some(0), "{empty:?}");
    assert!(parquet_rows(&folder.path().join("e.parquet")).is_empty());
}
