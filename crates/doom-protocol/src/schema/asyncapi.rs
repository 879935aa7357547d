//! `docs/asyncapi.yaml` names every subject and every schema, and no other.

use std::fs;

use super::{all, documents};
use crate::{Id, SubjectRoot, Subjects, control::Verb, service};

/// Of the document's lines, the values of a key (the file is plain: one key a line).
fn values<'a>(document: &'a str, key: &str) -> Vec<&'a str> {
    document.lines().filter_map(|l| l.trim().strip_prefix(key)?.strip_prefix(": ")).map(|v| v.trim_matches('\'')).collect()
}

/// Whether two subjects are one: `{…}` stands for a token, and for all that follow where it is the last of a dead letter.
fn same(a: &str, b: &str) -> bool {
    let (a, b): (Vec<_>, Vec<_>) = (a.split('.').collect(), b.split('.').collect());
    let open = |t: &str| t.contains('{');
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a == b || open(a) || open(b))
}

/// Every subject, made as the programs make them.
fn subjects() -> Vec<String> {
    let (root, id): (_, Id) = (SubjectRoot::default(), "X".parse().unwrap());
    let s = Subjects::new(&root, &id);
    let mut all = vec![s.action.clone(), s.observe.clone(), s.score.clone(), s.death.clone(), s.frame.clone(), s.health.clone()];
    all.extend([
        s.error.clone(),
        s.lifecycle.clone(),
        s.heartbeat.clone(),
        s.generation_score(&id),
        s.experiment_run(&id, 1),
        s.metric("m"),
    ]);
    all.extend(Verb::ALL.iter().flat_map(|verb| [s.command(*verb), root.broadcast(*verb)]));
    all.extend([root.evaluate(&id), root.queued(&id, &id), root.evaluation_episode(&id, &id, Some(1))]);
    all.extend([root.evaluation_progress(&id, &id), root.evaluation_result(&id, &id)]);
    all.extend(["start", "evolve", "complete"].map(|stage| root.generation_stage(&id, stage)));
    all.extend(["start", "complete", "error"].map(|stage| root.experiment_stage(&id, stage)));
    all.push(service::PING.to_owned());
    all
}

#[test]
fn the_document_lists_every_subject_and_no_other() {
    let document = fs::read_to_string(documents().join("asyncapi.yaml")).unwrap();
    let addresses: Vec<_> = values(&document, "address").into_iter().filter(|a| *a != "null").collect();
    for subject in subjects() {
        assert_eq!(addresses.iter().filter(|a| same(a, &subject)).count(), 1, "{subject}");
    }
    // What subject.rs builds besides the list above: its templates, apart from filters and from what only joins the root and a rest.
    let source = include_str!("../subject.rs");
    let templates = source.split("format!(\"").skip(1).filter_map(|s| s.split('"').next());
    let templates = templates.filter(|t| t.starts_with('{') && t.split('.').count() > 2 && !t.contains(['*', '>']));
    let mut count = 0;
    for template in templates {
        count += 1;
        assert!(addresses.iter().any(|a| same(a, template)), "{template} of subject.rs is in no address");
    }
    assert!(count > 10, "{count} templates");
    let subjects = subjects();
    for address in addresses.iter().filter(|a| !a.contains(".deadletter.")) {
        assert!(subjects.iter().any(|s| same(address, s)), "{address} is nobody's");
    }
}

#[test]
fn the_document_refers_to_every_schema_and_to_files_that_are_there() {
    let document = fs::read_to_string(documents().join("asyncapi.yaml")).unwrap();
    let mut referred: Vec<_> = values(&document, "$ref")
        .into_iter()
        .filter_map(|r| r.strip_prefix("./schemas/")?.strip_suffix(".json"))
        .map(str::to_owned)
        .collect();
    referred.sort();
    assert_eq!(referred, all().into_keys().collect::<Vec<_>>());
}
