//! `doomctl streams`: what is shown, what is changed, what is refused.

use std::io::Write;

use nats_server_process::NatsServer;
use serde_json::{Value, json};

use crate::support::{Answer, Nats, doomctl_at, server};

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.out).expect("one line of JSON")
}

#[test]
fn apply_makes_the_streams_and_a_second_time_changes_nothing() {
    let server = server();
    let diff = doomctl_at(&server, &["streams", "diff"]);
    assert_eq!(diff.code, Some(1), "{diff:?}");
    assert!(diff.out.contains("AGENT_EVENTS") && diff.out.contains("is made"), "{diff:?}");
    let apply = doomctl_at(&server, &["streams", "apply"]);
    assert_eq!(apply.code, Some(0), "{apply:?}");
    assert!(apply.out.contains("clau-doom.agent.*.action") && apply.out.contains("done: 8 of 8 streams"), "{apply:?}");
    let again = doomctl_at(&server, &["streams", "apply", "--json"]);
    assert_eq!((again.code, &json_of(&again)["changed"]), (Some(0), &json!(0)), "{again:?}");
    assert_eq!(doomctl_at(&server, &["streams", "diff"]).code, Some(0));
    let show = doomctl_at(&server, &["streams", "show"]);
    assert!(show.code == Some(0) && show.out.contains("METRICS") && show.out.contains("512.0 MiB"), "{show:?}");
    let one = json_of(&doomctl_at(&server, &["streams", "show", "AGENT_RECORDS", "--json"]));
    assert_eq!(one["streams"][0]["config"]["sources"][0]["name"], "AGENT_EVENTS");
}

#[test]
fn a_trap_is_said_and_mended_without_force() {
    let server = server();
    let nats = Nats::connect(&server);
    nats.make(&json!({"name":"EVERYTHING","subjects":["clau-doom.agent.>"]}));
    let apply = doomctl_at(&server, &["streams", "apply"]);
    assert_eq!(apply.code, Some(0), "{apply:?}");
    assert!(apply.out.starts_with("EVERYTHING ") && apply.out.contains("is in the way and is narrowed"), "{apply:?}");
    assert!(apply.out.contains("took health requests"), "{apply:?}");
    assert_eq!(nats.config("EVERYTHING")["subjects"], json!(["clau-doom.retired.EVERYTHING"]));
    assert_eq!(doomctl_at(&server, &["streams", "diff"]).code, Some(0));
}

#[test]
fn a_loss_is_refused_as_a_whole_without_force() {
    let server = server();
    let nats = Nats::connect(&server);
    nats.make(&json!({"name":"METRICS","subjects":["clau-doom.metrics.>"],"storage":"memory"}));
    let refused = doomctl_at(&server, &["streams", "apply"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("METRICS: it is deleted and made anew") && refused.err.contains("--force"), "{refused:?}");
    assert!(nats.names() == ["METRICS"], "nothing is half done");
    let forced = doomctl_at(&server, &["streams", "apply", "--force"]);
    assert_eq!(forced.code, Some(0), "{forced:?}");
    assert_eq!(nats.config("METRICS")["storage"], "file");
}

#[test]
fn a_file_declares_other_streams_and_what_is_wrong_in_it_has_a_line() {
    let server = server();
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(b"[[stream]]\nname = \"MINE\"\nsubjects = [\"mine.>\"]\nmax_age = \"1h\"\nstorage = \"memory\"\n").expect("written");
    let path = file.path().to_str().expect("UTF-8").to_owned();
    let path = path.as_str();
    let apply = doomctl_at(&server, &["streams", "apply", "--file", path, "--subject-root", "r"]);
    assert_eq!(apply.code, Some(0), "{apply:?}");
    assert_eq!(Nats::connect(&server).config("MINE")["subjects"], json!(["r.mine.>"]));
    file.write_all(b"max_bites = \"1MiB\"\n").expect("written");
    for server in [server.url(), "nats://127.0.0.1:1".to_owned()] {
        // Before a server is asked.
        let bad = crate::support::answer(crate::support::doomctl(&["streams", "apply", "--file", path]).env("NATS_URL", server));
        assert_eq!(bad.code, Some(65), "{bad:?}");
        assert!(bad.err.contains(path) && bad.err.contains("line 6") && bad.err.contains("max_bites"), "{bad:?}");
    }
    assert_eq!(doomctl_at(&server, &["streams", "diff", "--file", "/nowhere.toml"]).code, Some(65));
}

#[test]
fn purge_needs_consent_and_counts_what_went() {
    let server = server();
    let nats = Nats::connect(&server);
    doomctl_at(&server, &["streams", "apply"]);
    for agent in ["A", "A", "B"] {
        nats.store(&format!("clau-doom.agent.{agent}.action"), "x");
    }
    let asked = doomctl_at(&server, &["streams", "purge", "AGENT_EVENTS"]);
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert!(asked.err.contains("It has 3 in all") && asked.err.contains("--yes"), "{asked:?}");
    let some = doomctl_at(&server, &["streams", "purge", "AGENT_EVENTS", "--subject", "clau-doom.agent.A.>", "--yes", "--json"]);
    assert_eq!(json_of(&some), json!({"stream":"AGENT_EVENTS","purged":2}), "{some:?}");
    let rest = doomctl_at(&server, &["streams", "purge", "AGENT_EVENTS", "--yes"]);
    assert_eq!(rest.out, "AGENT_EVENTS: 1 messages are erased\n", "{rest:?}");
}

#[test]
fn what_cannot_be_is_said_with_its_exit_code() {
    let server = server();
    for (arguments, code, says) in [
        (&["streams", "show", "NONE"][..], 65, "no stream NONE"),
        (&["streams", "purge", "NONE", "--yes"], 65, "no stream NONE"),
        (&["streams", "apply", "NONE"], 2, "there are AGENT_EVENTS"),
        (&["streams", "purge", "AGENT_EVENTS", "--subject", "a..b"], 2, "empty token"),
        (&["streams", "apply", "--replicas", "9"], 2, "9"),
        (&["streams", "apply", "--replicas", "3"], 69, "AGENT_EVENTS"),
    ] {
        let answer = doomctl_at(&server, arguments);
        assert!(answer.code == Some(code) && answer.err.contains(says), "{arguments:?}: {answer:?}");
    }
    assert_eq!(Nats::connect(&server).names(), [] as [String; 0], "nothing is half done");
    let plain = NatsServer::builder().start().expect("nats-server starts");
    for arguments in [&["streams", "apply"][..], &["streams", "show"], &["dlq", "list"]] {
        let answer = doomctl_at(&plain, arguments);
        assert!(answer.code == Some(69) && answer.err.contains("no JetStream"), "{arguments:?}: {answer:?}");
    }
}

#[test]
fn without_permission_it_ends_with_77_and_the_servers_words() {
    let server = NatsServer::builder()
        .jetstream(true)
        .config_text("authorization { users: [{ user: u, password: p, permissions: { publish: [\"$JS.API.STREAM.LIST\", \"_INBOX.>\"], subscribe: \"_INBOX.>\" } }, { user: nobody, password: p, permissions: { publish: \"_INBOX.>\", subscribe: \"_INBOX.>\" } }] }\n")
        .start()
        .expect("nats-server starts");
    for (user, subject) in [("nobody", "$JS.API.STREAM.LIST"), ("u", "$JS.API.STREAM.CREATE.AGENT_EVENTS")] {
        let answer = doomctl_at(&server, &["--nats-user", user, "--nats-password", "p", "streams", "apply"]);
        assert_eq!(answer.code, Some(77), "{answer:?}");
        assert!(answer.err.contains(subject), "{answer:?}");
        // What is to change has been said before the first change is tried.
        assert_eq!(answer.out.contains("is made"), user == "u", "{answer:?}");
        assert!(!answer.out.contains("done"), "{answer:?}");
    }
}
