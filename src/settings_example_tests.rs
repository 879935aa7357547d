//! `configs/agent.toml` has every setting, in the order and under the headings of the help, with the default that the program has.

use std::{collections::BTreeMap, ffi::OsString, fs};

use super::*;

const EXAMPLE: &str = include_str!("../configs/agent.toml");

/// The key of a setting's line, also where it is commented out; other comments have a space behind the `#`.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.trim_start_matches('#').split_once(" = ")?;
    (!key.starts_with(' ') && !line.is_empty()).then_some(key)
}

fn options_of(text: &str) -> Options {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.toml");
    fs::write(&path, text).unwrap();
    let arguments: [OsString; 3] = ["doom-agent".into(), "--config".into(), path.into()];
    let mut options = read(arguments, &|_| None).unwrap().options;
    options.config = None;
    options
}

#[test]
fn the_example_has_every_setting_in_the_order_and_under_the_headings_of_the_help() {
    let (mut shown, mut heading) = (Vec::new(), "");
    for line in EXAMPLE.lines() {
        if let Some(text) = line.strip_prefix("# == ") {
            heading = text.trim_end_matches(" ==");
        } else if let Some(key) = key(line) {
            shown.push((heading.to_owned(), key.to_owned()));
        }
    }
    let command = cli::command();
    let settings = command.get_arguments().filter_map(|a| Some((a.get_help_heading().unwrap_or_default(), a.get_long()?)));
    let settings = settings.filter(|(_, name)| !matches!(*name, "config" | "help" | "version"));
    assert_eq!(shown, settings.map(|(heading, name)| (heading.to_owned(), name.to_owned())).collect::<Vec<_>>());
}

#[test]
fn the_example_sets_every_default_and_changes_nothing() {
    assert_eq!(format!("{:?}", options_of(EXAMPLE)), format!("{:?}", options_of("")));
    let set: BTreeMap<&str, &str> = EXAMPLE.lines().filter(|l| !l.starts_with('#')).filter_map(|l| Some((key(l)?, l))).collect();
    for argument in cli::command().get_arguments() {
        // The backend's default is another one where the engine is not built in.
        if let Some(name) = argument.get_long().filter(|n| !matches!(*n, "backend" | "help" | "version")) {
            assert_eq!(set.contains_key(name), !argument.get_default_values().is_empty(), "{name}: {:?}", argument.get_default_values());
        }
    }
}

#[test]
fn what_the_example_has_commented_out_is_understood() {
    let defaults = format!("{:?}", options_of(""));
    for line in EXAMPLE.lines().filter(|line| line.starts_with('#') && key(line).is_some()) {
        let options = format!("{:?}", options_of(line.trim_start_matches('#')));
        let is_default = cfg!(feature = "vizdoom") && line.starts_with("#backend");
        assert_eq!(options == defaults, is_default, "{line}");
    }
}
