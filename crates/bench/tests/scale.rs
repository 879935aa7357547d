//! `cargo xtask scale` on a few mock agents for a moment: every figure is there, every event is stored, and nothing is left.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The agent is built beside this one.
fn agent() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_scale")).with_file_name("doom-agent");
    assert!(path.exists(), "{} is not there; cargo build --workspace --bins, or test the whole workspace", path.display());
    path
}

#[test]
fn a_few_mock_agents_are_measured_on_three_servers_and_nothing_is_left() {
    let folder = tempfile::TempDir::new().unwrap();
    let (json, page, files) = (folder.path().join("scale.json"), folder.path().join("page.md"), folder.path().join("files"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_scale"));
    command.arg("--agent").arg(agent()).arg("--root").arg(folder.path()).arg("--dir").arg(&files);
    command.arg("--json").arg(&json).arg("--markdown").arg(&page);
    let output = command.args(["--only", "mock", "--from", "3", "--max", "3", "--seconds", "2"]).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");

    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let step = &report["steps"][0];
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    assert_eq!((&step["agents"], &step["backend"], &step["engine"]), (&3.into(), &"mock".into(), &serde_json::Value::Null), "{step}");
    // A busy machine may be late, and says so; but it plays, and an action and an observation of each tic are stored.
    assert!(number(&step["late"]["tics"]) > 10.0 && number(&step["tics_per_second"]) < 40.0, "{step}");
    assert!(number(&step["messages_per_second"]) > number(&step["tics_per_second"]), "{step}");
    assert_eq!((&step["ledger"]["dropped"], &step["missing"]), (&0.into(), &0.into()), "{step}");
    for figure in ["cpu_percent", "resident_mb", "proportional_mb", "descriptors"] {
        assert!(number(&step["agent"][figure]) > 0.0, "{figure} {step}");
    }
    for figure in ["cpu_percent", "resident_mb", "descriptors"] {
        assert!(number(&step["broker"][figure]) > 0.0, "{figure} {step}");
    }
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("| agents | tics/s |") && page.contains("\n| 3 | "), "{page}");
    assert!(out.contains("3 agents") && err.contains("scale.json"), "{out}\n{err}");

    let left: Vec<_> = std::fs::read_dir(&files).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        assert!(!line.contains(files.to_str().unwrap()), "{line}");
    }
}
