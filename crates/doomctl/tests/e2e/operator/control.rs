//! What agents are told, and who confirms it.

use nats_server_process::NatsServer;

use super::{SOME, json, server_with_permissions};
use crate::support::{Agent, answer, doomctl, doomctl_at, on_a_terminal, server};

#[track_caller]
fn state(server: &NatsServer, id: &str) -> String {
    json(&doomctl_at(server, &["health", id, "--json"]))["state"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn named_agents_obey_and_confirm_and_who_is_not_there_is_named() {
    let server = server();
    let (_a, _b) = (Agent::start(&server, "A", &[]), Agent::start(&server, "B", &[]));
    let paused = doomctl_at(&server, &["pause", "--agent", "A", "--wait=60s", "--reason", "a look"]);
    assert_eq!(paused.code, Some(0), "{paused:?}");
    assert!(paused.out.starts_with("A: confirmed (paused, tic "), "{paused:?}");
    assert_eq!((state(&server, "A"), state(&server, "B")), ("paused".to_owned(), "running".to_owned()));
    // Those that are there obey though one is not.
    let some = doomctl_at(&server, &["pause", "--agent", "A,B,gone", "--wait=60s", "--json"]);
    let lines = json(&some);
    let of = |id: &str| lines.as_array().and_then(|l| l.iter().find(|o| o["agent"] == id)).cloned().unwrap_or_default();
    assert_eq!(
        (some.code, &of("A")["confirmed"], &of("B")["confirmed"], &of("gone")["confirmed"]),
        (Some(1), &true.into(), &true.into(), &false.into())
    );
    assert!(some.err.contains("1 of 3 did not confirm pause: gone"), "{some:?}");
    assert_eq!(state(&server, "B"), "paused");
    let resumed = doomctl_at(&server, &["resume", "--agent", "A", "--agent", "B", "--wait=60s"]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!((state(&server, "A"), state(&server, "B")), ("running".to_owned(), "running".to_owned()));
}

#[test]
fn filters_address_who_fits_and_nobody_else() {
    let server = server();
    let _a = Agent::start(&server, "A", &["--experiment", "e1", "--run", "1", "--generation", "g1"]);
    let _b = Agent::start(&server, "B", &["--generation", "g1"]);
    let both = doomctl_at(&server, &["pause", "--generation", "g1", "--experiment", "e1", "--wait=60s"]);
    assert_eq!((both.code, both.out.lines().count()), (Some(0), 1), "{both:?}");
    assert_eq!((state(&server, "A"), state(&server, "B")), ("paused".to_owned(), "running".to_owned()));
    let nobody = doomctl_at(&server, &["pause", "--experiment", "e2", "--wait"]);
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.err.contains("no agent answers that is of experiment e2; nothing was sent"), "{nobody:?}");
    let generation = doomctl_at(&server, &["resume", "--generation", "g1", "--wait=60s"]);
    assert_eq!((generation.code, generation.out.lines().count()), (Some(0), 2), "{generation:?}");
}

#[test]
fn all_are_told_only_after_a_yes() {
    let server = server();
    let (mut a, mut b) = (Agent::start(&server, "A", &[]), Agent::start(&server, "B", &[]));
    let refused = doomctl_at(&server, &["shutdown", "--all", "--wait"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("add --yes"), "{refused:?}");
    assert_eq!(state(&server, "A"), "running");
    let ended = doomctl_at(&server, &["shutdown", "--all", "--yes", "--wait=60s", "--deadline", "5s"]);
    assert_eq!((ended.code, ended.out.lines().filter(|l| l.contains(": confirmed (")).count()), (Some(0), 2), "{ended:?}");
    assert_eq!((a.wait(), b.wait()), (Some(0), Some(0)));
    let nobody = doomctl_at(&server, &["pause", "--all", "--yes", "--wait"]);
    assert_eq!((nobody.code, nobody.out.as_str()), (Some(1), ""), "{nobody:?}");
}

#[test]
fn on_a_terminal_all_are_told_after_a_yes_and_nobody_after_anything_else() {
    let server = server();
    let _agents = [Agent::start(&server, "A", &[]), Agent::start(&server, "B", &[])];
    for (said, code, shows, state_after) in
        [("", 1, "nothing was sent", "running"), ("what", 1, "nothing was sent", "running"), ("y", 0, "B: confirmed (paused", "paused")]
    {
        let answer = on_a_terminal(said, &["pause", "--all", "--wait=60s", "--nats", &server.url()]);
        assert!(answer.code == Some(code) && answer.out.contains(shows), "{said:?}: {answer:?}");
        assert!(answer.out.contains("2 agents"), "it says whom it would tell: {answer:?}");
        assert_eq!((state(&server, "A"), state(&server, "B")), (state_after.to_owned(), state_after.to_owned()), "{said:?}");
    }
}

#[test]
fn without_wait_it_ends_when_the_server_has_the_command() {
    let server = server();
    let mut agent = Agent::start(&server, "A", &[]);
    let sent = doomctl_at(&server, &["shutdown", "--agent", "A"]);
    assert_eq!((sent.code, sent.out.as_str(), sent.err.as_str()), (Some(0), "", ""));
    assert_eq!(agent.wait(), Some(0));
}

#[test]
fn contradictions_are_refused_before_anything_is_sent() {
    // No server is needed to see them.
    for arguments in [
        &["pause"][..],
        &["pause", "--all", "--agent", "A"],
        &["pause", "--agent", "A", "--experiment", "e"],
        &["pause", "--agent", "a b"],
        &["pause", "--all", "--yes", "--wait=soon"],
        &["pause", "--all", "--yes", "--deadline", "0s"],
    ] {
        let refused = answer(&mut doomctl(&[&["--nats", "nats://127.0.0.1:1"], arguments].concat()));
        assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{arguments:?}: {refused:?}");
    }
}

#[test]
fn who_may_not_command_is_told_so_with_and_without_waiting() {
    let server = server_with_permissions("\"$SRV.>\", \"clau-doom.agent.*.health\"", "\"_INBOX.>\"");
    for wait in [&[][..], &["--wait=60s"]] {
        let refused = doomctl_at(&server, &[&SOME[..], &["pause", "--agent", "A"], wait].concat());
        assert_eq!((refused.code, refused.out.as_str()), (Some(77), ""), "{refused:?}");
        assert!(refused.err.contains("does not permit clau-doom.agent.A.control.pause"), "{refused:?}");
    }
}
