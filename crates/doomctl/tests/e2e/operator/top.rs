//! The live table, on a real terminal of a pseudo-terminal's making.

use std::{path::Path, process::Command};

use super::json;
use crate::support::{Agent, doomctl_at, server};

#[test]
fn once_is_a_table_for_scripts_and_no_terminal_is_refused_with_that_hint() {
    let server = server();
    let _agent = Agent::start(&server, "A", &[]);
    let once = doomctl_at(&server, &["top", "--once"]);
    assert!(once.code == Some(0) && once.out.starts_with("AGENT") && once.out.contains("\nA "), "{once:?}");
    assert!(!once.out.contains("-0") && !once.out.contains('\u{1b}'), "{once:?}");
    assert_eq!(json(&doomctl_at(&server, &["top", "--json"]))[0]["id"], "A");
    let refused = doomctl_at(&server, &["top"]);
    assert!(refused.code == Some(2) && refused.err.contains("doomctl top --once"), "{refused:?}");
}

#[test]
fn q_control_c_and_a_signal_quit_and_leave_the_terminal_as_it_was() {
    let server = server();
    let _agent = Agent::start(&server, "A", &[]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join("vendor/python/bin/python");
    assert!(python.is_file(), "no {}: run `cargo xtask setup`", python.display());
    for way in ["q", "control-c", "terminate"] {
        let ran = Command::new(&python)
            .arg(root.join("tests/python/terminal.py"))
            .args([way, env!("CARGO_BIN_EXE_doomctl"), "top", "--nats", &server.url()])
            .output();
        let ran = ran.expect("python starts");
        assert!(ran.status.success(), "{way}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}
