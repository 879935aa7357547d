//! docs/RELIABILITY.md and docs/SECURITY.md name a test for each fault: every name is one of a test that exists, and no row is without a test
//! and what it measured.

use std::{collections::BTreeSet, fs, path::Path};

/// Where tests are.
const SOURCES: [&str; 4] = ["tests", "crates", "src", "fuzz"];

/// A test, as its source shows it.
#[derive(Debug)]
struct Test {
    /// The file without extension, by folders: `["tests", "e2e", "faults", "engine"]`.
    place: Vec<String>,
    name: String,
    on_both: bool,
}

fn tests_below(dir: &Path, place: &mut Vec<String>, all: &mut Vec<Test>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if path.is_dir() {
            place.push(name);
            tests_below(&path, place, all);
            place.pop();
        } else if let Some(stem) = name.strip_suffix(".rs") {
            place.push(stem.to_owned());
            tests_of(&fs::read_to_string(&path).unwrap(), place, all);
            place.pop();
        }
    }
}

/// The functions behind `#[test]` (with whatever else stands there), and those that `on_both!` makes tests of.
fn tests_of(text: &str, place: &[String], all: &mut Vec<Test>) {
    let mut add = |name: &str, on_both| all.push(Test { place: place.to_vec(), name: name.to_owned(), on_both });
    let (mut is_test, mut lists) = (false, false);
    for line in text.lines().map(str::trim) {
        if let Some(list) = line.strip_prefix("on_both!(") {
            lists = true;
            list.trim_end_matches(");").split(',').map(str::trim).filter(|n| !n.is_empty()).for_each(|n| add(n, true));
        } else if lists {
            line.trim_end_matches(");").split(',').map(str::trim).filter(|n| !n.is_empty()).for_each(|n| add(n, true));
        }
        lists &= !line.ends_with(");");
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(rest) = line.split_once("fn ").map(|(_, rest)| rest).filter(|_| is_test) {
            add(rest.split(['(', '<']).next().unwrap(), false);
            is_test = false;
        }
    }
}

/// Whether a text is this one, in which `…` stands for anything.
fn fits(text: &str, pattern: &str) -> bool {
    let parts: Vec<&str> = pattern.split('…').collect();
    let [first, middle @ .., last] = &parts[..] else { return text == pattern };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for part in middle {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

impl Test {
    /// Whether it is meant by `module::…::name`: the modules stand in its place in this order, and the last part is its name or its module's.
    fn is_meant(&self, reference: &[&str]) -> bool {
        let [modules @ .., name] = reference else { return false };
        let mut place = self.place.iter();
        let within = modules.iter().filter(|m| **m != "…").all(|m| place.by_ref().any(|p| p == m));
        let is_module = place.len() == 1 && self.place.last().is_some_and(|file| file == name);
        within && (is_module || (*name != "…" && fits(&self.name, name)) || (*name == "…" && place.len() == 0))
    }
}

/// The cells of the tables whose head ends with these columns.
fn rows<'a>(text: &'a str, head: &str) -> Vec<Vec<&'a str>> {
    let mut within = false;
    let mut all = Vec::new();
    for line in text.lines() {
        if !line.starts_with('|') {
            within = false;
        } else if line.ends_with(head) {
            within = true;
        } else if within && !line.starts_with("|---") {
            all.push(line.trim_matches('|').split(" |").map(str::trim).collect());
        }
    }
    all
}

#[test]
fn every_test_that_the_documents_name_exists_and_every_fault_has_one_and_a_figure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = Vec::new();
    for source in SOURCES {
        tests_below(&root.join(source), &mut vec![source.to_owned()], &mut tests);
    }
    assert!(tests.len() > 500, "{} tests were found", tests.len());
    let mut wrong = BTreeSet::new();
    for (document, head, columns) in [("RELIABILITY.md", "| test | measured |", 4), ("SECURITY.md", "| test |", 3)] {
        let text = fs::read_to_string(root.join("docs").join(document)).unwrap();
        let rows = rows(&text, head);
        assert!(rows.len() > 8, "{document} has {} rows", rows.len());
        for row in rows {
            let what = format!("{document}: {}", row.join(" | "));
            if row.len() != columns || row.get(columns - 1).is_none_or(|last| last.is_empty()) {
                wrong.insert(format!("{what}: not {columns} columns, or the last is empty"));
                continue;
            }
            let mut parts = row[2].split('`');
            let _before = parts.next();
            let mut named = 0;
            while let (Some(reference), Some(behind)) = (parts.next(), parts.next()) {
                named += 1;
                if reference.contains('/') {
                    if !root.join(reference).exists() {
                        wrong.insert(format!("{what}: there is no {reference}"));
                    }
                    continue;
                }
                let path: Vec<&str> = reference.split("::").collect();
                let meant: Vec<&Test> = tests.iter().filter(|t| t.is_meant(&path)).collect();
                let names: BTreeSet<_> = meant.iter().map(|t| (&t.place, &t.name)).collect();
                let places: BTreeSet<_> = meant.iter().map(|t| &t.place).collect();
                let is_module =
                    places.len() == 1 && path.last().is_some_and(|l| *l == "…" || places.iter().any(|p| p.last().is_some_and(|f| f == l)));
                if names.len() != 1 && !is_module {
                    wrong.insert(format!("{what}: {reference} means {names:?}"));
                }
                if behind.starts_with(" (both)") && !meant.iter().any(|t| t.on_both) {
                    wrong.insert(format!("{what}: {reference} is not on both"));
                }
            }
            if named == 0 {
                wrong.insert(format!("{what}: no test"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_name_that_no_test_has_means_none() {
    let mut tests = Vec::new();
    let text =
        "on_both!(one_thing, another_thing,);\non_both!(\n    a_third,\n);\n#[test]\n#[cfg(unix)]\nfn alone_it_is() {}\nfn helper() {}\n";
    tests_of(text, &["tests".to_owned(), "e2e".to_owned(), "faults".to_owned(), "disk".to_owned()], &mut tests);
    let names: Vec<_> = tests.iter().map(|t| (t.name.as_str(), t.on_both)).collect();
    assert_eq!(names, [("one_thing", true), ("another_thing", true), ("a_third", true), ("alone_it_is", false)]);
    let meant = |reference: &str| tests.iter().filter(|t| t.is_meant(&reference.split("::").collect::<Vec<_>>())).count();
    assert_eq!((meant("disk::alone_it_is"), meant("faults::disk::…::one_…"), meant("disk::…_thing"), meant("faults::disk")), (1, 1, 2, 4));
    assert_eq!(
        (meant("disk::…"), meant("disk::alone"), meant("engine::alone_it_is"), meant("disk::helper"), meant("disk::two_…")),
        (4, 0, 0, 0, 0)
    );
}
