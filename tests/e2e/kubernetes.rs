//! The manifests of `deploy/kubernetes` are what Kubernetes' API takes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Exit code, standard output and standard error.
fn validate(files: &[PathBuf]) -> (Option<i32>, String, String) {
    let python = root().join("vendor/python/bin/python");
    let output = Command::new(&python).arg(root().join("tests/python/kubernetes.py")).args(files).output();
    let output = output.unwrap_or_else(|e| panic!("{} (`cargo xtask setup` makes it): {e}", python.display()));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn manifests() -> Vec<PathBuf> {
    let folders = ["deploy/kubernetes", "deploy/kubernetes/examples"].map(|folder| root().join(folder));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|e| e == "yaml")).collect()
}

#[test]
fn every_manifest_is_held_to_the_schemas_of_the_api() {
    let (code, out, err) = validate(&manifests());
    assert_eq!(code, Some(0), "{err}");
    for kind in
        ["StatefulSet doom-agent", "Job doom-streams", "Job doom-workers", "PodDisruptionBudget doom-agent", "NetworkPolicy doom-agent"]
    {
        assert!(out.contains(kind), "no {kind} in {out}");
    }
    let unchecked: Vec<&str> = out.lines().filter(|line| line.starts_with("unchecked")).collect();
    assert!(unchecked.len() == 2, "only KEDA's and kustomize's have no schema: {unchecked:?}");
}

#[test]
fn a_manifest_with_a_key_that_the_api_does_not_know_is_refused() {
    let scratch = TempDir::new().unwrap();
    let file = scratch.path().join("population.yaml");
    let text = fs::read_to_string(root().join("deploy/kubernetes/population.yaml")).unwrap();
    let broken = text.replacen("terminationGracePeriodSeconds", "terminationGraceSeconds", 1);
    assert_ne!(text, broken);
    fs::write(&file, broken).unwrap();
    let (code, _, err) = validate(&[file]);
    assert!(code == Some(1) && err.contains("terminationGraceSeconds"), "{err}");
}
