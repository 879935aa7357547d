//! The live table, on a real terminal of a pseudo-terminal's making.

use super::json;
use crate::support::{Agent, answer, doomctl_at, python, server};

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
fn it_is_live_and_q_control_c_and_a_signal_quit_and_leave_the_terminal_as_it_was() {
    let server = server();
    let _agent = Agent::start(&server, "A", &[]);
    for way in ["q", "control-c", "terminate"] {
        let ran = answer(python("terminal.py").args([way, env!("CARGO_BIN_EXE_doomctl"), "top", "--nats", &server.url()]));
        assert_eq!(ran.code, Some(0), "{way}: {ran:?}");
    }
}
