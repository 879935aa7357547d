//! `doomctl watch`: what comes, line by line; and every refusal.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Stdio},
};

use nats_server_process::NatsServer;

use crate::support::{Nats, answer, doomctl, doomctl_at, events::Population};

/// Starts a watcher and waits until the server has its consumers.
fn watching(population: &Population, arguments: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut command = doomctl(&[&["watch"], arguments].concat());
    command.env("NATS_URL", population.server.url()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("doomctl starts");
    let mut told = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    told.read_line(&mut line).expect("it writes UTF-8");
    assert!(line.contains("watching"), "{line}");
    // What else it says must not find its pipe full or closed.
    std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    (child, out)
}

#[test]
fn actions_are_shown_as_they_come_one_line_each() {
    let population = Population::new();
    population.act(2);
    let (mut child, out) = watching(&population, &["--count", "3"]);
    population.act(5);
    let lines: Vec<String> = out.lines().map(|line| line.expect("UTF-8")).collect();
    assert!(child.wait().expect("it ends").success());
    // What was stored before it began is not shown.
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (step, line) in (1..).zip(&lines) {
        assert!(line.contains("  A  ") && line.contains(&format!("action      step {step}  tic 4  ATTACK")), "{line}");
    }
}

#[test]
fn lines_of_json_have_subject_sequence_headers_and_event() {
    let population = Population::new();
    let (mut child, out) = watching(&population, &["--json", "--event", "score,action", "--count", "3"]);
    population.score("e1", 1..=3, &["HEALTH"]);
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(&line.expect("UTF-8")).expect("JSON")).collect();
    assert!(child.wait().expect("it ends").success());
    for (number, line) in (1..).zip(&lines) {
        assert_eq!(line["subject"], "clau-doom.agent.A.score");
        assert_eq!(line["sequence"], number);
        assert_eq!(line["headers"]["seq"], number.to_string());
        // The third came as MessagePack.
        assert_eq!(line["event"]["payload"]["episode_number"], number, "{line}");
    }
}

#[test]
fn agents_and_generations_are_chosen_as_they_come() {
    let population = Population::new();
    for (chosen, agents) in
        [(&["--agent", "B"][..], ["B", "B"]), (&["--generation", "g2"], ["B", "C"]), (&["--experiment", "e1"], ["A", "C"])]
    {
        let (mut child, out) = watching(&population, &[&["--count", "2", "--json"], chosen].concat());
        for (agent, experiment, generation) in
            [("A", Some("e1"), None), ("B", None, Some("g2")), ("C", Some("e1"), Some("g2")), ("B", Some("e2"), Some("g1"))]
        {
            population.act_as(agent, experiment, generation, 1);
        }
        let heard: Vec<_> = out
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(&line.expect("UTF-8")).expect("JSON")["event"]["payload"]["agent_id"].clone()
            })
            .collect();
        assert!(child.wait().expect("it ends").success());
        assert_eq!(heard, agents, "{chosen:?}");
    }
}

#[test]
fn a_durable_watcher_shows_what_came_while_nobody_watched() {
    let population = Population::new();
    let (mut child, out) = watching(&population, &["--durable", "desk", "--count", "2"]);
    population.act(2);
    assert_eq!(out.lines().count(), 2);
    assert!(child.wait().expect("it ends").success());
    population.act(3);
    let (mut child, out) = watching(&population, &["--durable", "desk", "--count", "3", "--json"]);
    let sequences =
        out.lines().map(|line| serde_json::from_str::<serde_json::Value>(&line.expect("UTF-8")).expect("JSON")["sequence"].clone());
    assert_eq!(sequences.collect::<Vec<_>>(), [3, 4, 5]);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn what_is_no_event_becomes_a_dead_letter_of_a_durable_watcher_and_does_not_come_again() {
    let population = Population::new();
    let (server, nats) = (&population.server, Nats::connect(&population.server));
    let arguments = ["--durable", "desk", "--event", "score", "--json", "--count", "3"];
    let (mut child, out) = watching(&population, &arguments);
    population.score("e1", 1..=1, &["HEALTH"]);
    population.poison();
    population.score("e1", 2..=2, &["HEALTH"]);
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(&line.expect("UTF-8")).expect("JSON")).collect();
    assert!(child.wait().expect("it ends").success());
    assert!(lines[1]["event"].is_null() && lines[1]["raw"] == "{\"type\":\"agent.score\"", "{lines:?}");
    assert_eq!(lines[2]["event"]["payload"]["episode_number"], 2);
    let letters = doomctl_at(server, &["dlq", "list", "--json"]);
    let letter: serde_json::Value = serde_json::from_str(&letters.out).expect("one line of JSON");
    for (name, expected) in [
        ("stream", serde_json::json!("AGENT_EVENTS")),
        ("stream_sequence", 2.into()),
        ("consumer", "desk".into()),
        ("deliveries", 1.into()),
    ] {
        assert_eq!(letter[name], expected, "{letters:?}");
    }
    // Acknowledgements are not confirmed: the last of them may be under way still.
    let desk = || nats.api("CONSUMER.INFO.AGENT_EVENTS.desk", &serde_json::json!({}));
    assert!((0..1000).any(|_| desk()["num_ack_pending"] == 0), "{}", desk());
    assert_eq!(desk()["num_pending"], 0, "nothing waits for it");
    // One without a name is a screen: it shows and keeps nothing.
    let (mut child, out) = watching(&population, &["--event", "score", "--count", "1"]);
    population.poison();
    assert!(out.lines().map(|line| line.expect("UTF-8")).all(|line| line.contains("no event")));
    assert!(child.wait().expect("it ends").success());
    assert_eq!(nats.state("DEAD_LETTERS")["messages"], 1);
}

#[test]
fn a_reader_that_goes_away_ends_it_without_a_complaint() {
    let population = Population::new();
    let (mut child, out) = watching(&population, &[]);
    drop(out);
    population.act(50);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn what_cannot_be_watched_is_refused_with_its_code() {
    let population = Population::new();
    let server = &population.server;
    for (arguments, code, words) in [
        (&["watch", "--stream", "NOBODYS"][..], 65, "there is no stream NOBODYS; `doomctl streams apply`"),
        (&["watch", "--stream", "a.b"], 2, "is no name of a stream"),
        (&["watch", "--event", "scores"], 2, "unknown event `scores`; valid are action"),
        (&["watch", "--agent", "a.b"], 2, "only A-Z a-z 0-9 _ -"),
        (&["watch", "--event", "metric", "--experiment", "e1"], 2, "an event `metric` says no experiment"),
        (&["watch", "--durable", "a.b"], 2, "is no name of a durable consumer"),
        (&["watch", "--count", "0"], 2, "--count"),
    ] {
        let answer = doomctl_at(server, arguments);
        assert_eq!(answer.code, Some(code), "{arguments:?}: {answer:?}");
        assert!(answer.err.contains(words) && answer.out.is_empty(), "{arguments:?}: {answer:?}");
    }
    let bare = NatsServer::builder().start().expect("nats-server starts");
    let unkept = doomctl_at(&bare, &["watch"]);
    assert_eq!(unkept.code, Some(69), "{unkept:?}");
    assert!(unkept.err.contains("JetStream is not enabled"), "{unkept:?}");
    let nobody = answer(&mut doomctl(&["watch", "--nats", "nats://127.0.0.1:1"]));
    assert_eq!(nobody.code, Some(69), "{nobody:?}");
}

#[test]
fn a_login_that_may_not_is_told_what_and_ends_with_77() {
    let users = r#"authorization { users: [
        { user: all, password: p }
        { user: viewer, password: p, permissions: { publish: "clau-doom.>", subscribe: "_INBOX.>" } }
    ] }"#;
    let server = NatsServer::builder().jetstream(true).config_text(users).start().expect("nats-server starts");
    for command in [&["watch"][..], &["replay"], &["export", "--out", "never.csv"]] {
        let answer = doomctl_at(&server, &[command, &["--nats-user", "viewer", "--nats-password", "p"]].concat());
        assert_eq!(answer.code, Some(77), "{answer:?}");
        assert!(answer.err.contains("no permission") && answer.err.contains("$JS.API."), "{answer:?}");
    }
    assert!(!std::path::Path::new("never.csv").exists() && !std::path::Path::new("never.csv.part").exists());
}
