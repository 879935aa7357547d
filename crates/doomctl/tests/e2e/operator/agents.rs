//! Who is there, and how they are.

use super::{SOME, json, server_with_permissions};
use crate::support::{Agent, doomctl_at, server};

#[test]
fn a_population_is_listed_one_line_an_agent() {
    let server = server();
    let _a = Agent::start(&server, "A", &["--experiment", "e1", "--run", "3", "--generation", "g1"]);
    let _b = Agent::start(&server, "B", &["--start-paused", "--generation", "g1"]);
    let _elsewhere = Agent::start(&server, "C", &["--subject-root", "other"]);
    let list = json(&doomctl_at(&server, &["agents", "--json"]));
    let list = list.as_array().expect("an array");
    let ids: Vec<_> = list.iter().map(|a| a["id"].as_str().unwrap_or_default()).collect();
    assert_eq!(ids, ["A", "B"], "and not the other root's");
    let health = &list[0]["health"];
    assert_eq!((&health["agent_id"], &health["healthy"]), (&"A".into(), &true.into()));
    assert_eq!((&health["experiment_id"], &health["run_id"], &health["generation_id"]), (&"e1".into(), &3.into(), &"g1".into()));
    assert_eq!(list[0]["instance"], health["instance"]);
    assert!(health["kill_rate"].is_null() || health["kill_rate"].is_f64(), "{health}");
    let ids_of = |more: &[&str]| {
        let list = json(&doomctl_at(&server, &[&["agents", "--json"], more].concat()));
        list.as_array().map(|l| l.iter().map(|a| a["id"].as_str().unwrap_or_default().to_owned()).collect::<String>())
    };
    assert_eq!(ids_of(&["--experiment", "e1"]).as_deref(), Some("A"));
    assert_eq!(ids_of(&["--generation", "g1"]).as_deref(), Some("AB"));
    assert_eq!(ids_of(&["--generation", "g1", "--experiment", "other"]).as_deref(), Some(""));
    assert_eq!(ids_of(&["--subject-root", "other"]).as_deref(), Some("C"));
    let text = doomctl_at(&server, &["agents"]);
    let lines: Vec<_> = text.out.lines().collect();
    assert_eq!((text.code, lines.len()), (Some(0), 4), "{text:?}");
    let columns: Vec<_> = lines[0].split_whitespace().collect();
    assert_eq!(
        columns,
        ["AGENT", "STATE", "HEALTHY", "EPISODE", "STEPS/S", "KILLS/MIN", "DROPS", "SPOOLED", "RESTARTS", "BACKEND", "SCENARIO"]
    );
    assert!(lines[1].starts_with("A "), "{text:?}");
    assert!(lines[2].starts_with("B      paused"), "{text:?}");
    assert!(lines[3].starts_with("2 agents: ") && lines[3].contains("1 paused"), "{text:?}");
}

#[test]
fn nobody_there_is_an_empty_list_and_a_word_beside_it() {
    let server = server();
    let text = doomctl_at(&server, &["agents"]);
    assert_eq!((text.code, text.out.as_str(), text.err.trim()), (Some(0), "", "doomctl: no agent answers"));
    assert_eq!(doomctl_at(&server, &["agents", "--json"]).out.trim(), "[]");
}

#[test]
fn answers_come_to_the_inbox_of_the_user_who_logs_in() {
    let server = server_with_permissions("\"clau-doom.agent.*.health\"", "\"_INBOX.some.>\"");
    let _agent = Agent::start(&server, "A", &["--nats-user", "all", "--nats-password", "x"]);
    let by_url = format!("nats://some:x@127.0.0.1:{}", server.port());
    for login in [&SOME[..], &["--nats", by_url.as_str()]] {
        let said = doomctl_at(&server, &[&["health", "A", "--json"], login].concat());
        assert_eq!((said.code, &json(&said)["agent_id"]), (Some(0), &"A".into()), "{said:?}");
    }
}

#[test]
fn health_is_the_agents_own_word_and_its_exit_code() {
    let server = server();
    let _agent = Agent::start(&server, "A", &[]);
    let said = doomctl_at(&server, &["health", "A", "--json"]);
    let health = json(&said);
    assert_eq!((said.code, &health["agent_id"], &health["backend"]), (Some(0), &"A".into(), &"mock".into()));
    let text = doomctl_at(&server, &["health", "A"]);
    assert!(text.code == Some(0) && text.out.contains("basic on mock") && text.out.contains("0 dropped"), "{text:?}");
    let absent = doomctl_at(&server, &["health", "B"]);
    assert_eq!((absent.code, absent.out.as_str()), (Some(1), ""));
    assert!(absent.err.contains("no agent B: nobody listens on clau-doom.agent.B.health"), "{absent:?}");
    let wrong = doomctl_at(&server, &["health", "a.b"]);
    assert!(wrong.code == Some(2) && wrong.err.contains("position 2"), "{wrong:?}");
}

#[test]
fn who_may_not_ask_is_told_the_subject_and_ends_with_77() {
    let server = server_with_permissions("nothing", "\"_INBOX.>\"");
    for (arguments, subject) in [(vec!["agents"], "$SRV.PING.doom-agent"), (vec!["health", "A"], "clau-doom.agent.A.health")] {
        let refused = doomctl_at(&server, &[&SOME[..], &arguments].concat());
        assert_eq!((refused.code, refused.out.as_str()), (Some(77), ""), "{refused:?}");
        assert!(refused.err.contains(&format!("does not permit {subject}")), "{refused:?}");
    }
}
