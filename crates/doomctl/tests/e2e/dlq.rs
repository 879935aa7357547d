//! `doomctl dlq`: dead letters as an operator sees them.

use nats_server_process::NatsServer;
use serde_json::{Value, json};

use crate::support::{Nats, doomctl_at, on_a_terminal, server};

/// A server with the streams, and letters as a consumer of any language leaves them.
fn with_letters() -> NatsServer {
    let server = server();
    assert_eq!(doomctl_at(&server, &["streams", "apply"]).code, Some(0));
    let nats = Nats::connect(&server);
    for (agent, sequence) in [("A", 7), ("B", 8)] {
        let subject = format!("clau-doom.agent.{agent}.score");
        nats.store_with(
            &format!("clau-doom.deadletter.agent.{agent}.score"),
            &[
                ("trace-id", "t"),
                ("dead-letter-subject", &subject),
                ("dead-letter-stream", "AGENT_EVENTS"),
                ("dead-letter-sequence", &sequence.to_string()),
                ("dead-letter-consumer", "analytics"),
                ("dead-letter-deliveries", "5"),
                ("dead-letter-error", "no such column"),
                ("Nats-Msg-Id", &format!("dead-AGENT_EVENTS-{sequence}-analytics-1")),
            ],
            r#"{"kills":3}"#,
        );
    }
    server
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn letters_are_listed_and_shown_with_their_history() {
    let server = with_letters();
    let list = doomctl_at(&server, &["dlq", "list"]);
    assert_eq!(list.code, Some(0), "{list:?}");
    for part in ["analytics", "clau-doom.agent.A.score", "AGENT_EVENTS/7", "no such column"] {
        assert!(list.out.contains(part), "{part}: {list:?}");
    }
    let some = lines(&doomctl_at(&server, &["dlq", "list", "--subject", "clau-doom.agent.B.*", "--json"]).out);
    assert!(some.len() == 1 && some[0]["sequence"] == 2 && some[0]["deliveries"] == 5, "{some:?}");
    let one = lines(&doomctl_at(&server, &["dlq", "show", "1", "--json"]).out);
    assert_eq!((&one[0]["content"]["kills"], &one[0]["headers"]["trace-id"]), (&json!(3), &json!("t")));
    let text = doomctl_at(&server, &["dlq", "show", "1"]);
    assert!(text.out.contains(r#"{"kills":3}"#) && text.out.contains("trace-id: t"), "{text:?}");
    for absent in [&["dlq", "show", "99"][..], &["dlq", "redrive", "99"], &["dlq", "drop", "98-99", "--yes"]] {
        let answer = doomctl_at(&server, absent);
        assert!(answer.code == Some(1) && answer.err.contains("there is no such dead letter"), "{answer:?}");
    }
    assert_eq!(Nats::connect(&server).state("DEAD_LETTERS")["messages"], 2);
}

#[test]
fn redrive_gives_each_back_once() {
    let server = with_letters();
    let nats = Nats::connect(&server);
    assert_eq!(doomctl_at(&server, &["dlq", "redrive"]).code, Some(2), "everything is only meant where that is said");
    let one = doomctl_at(&server, &["dlq", "redrive", "1"]);
    assert_eq!(one.code, Some(0), "{one:?}");
    assert!(one.out.contains("1 → clau-doom.agent.A.score (AGENT_EVENTS/1)"), "{one:?}");
    let rest = lines(&doomctl_at(&server, &["dlq", "redrive", "--all", "--json"]).out);
    assert_eq!(rest[0]["outcome"], "given_back", "{rest:?}");
    assert_eq!(rest[1], json!({"given_back":1,"stayed":0}));
    let again = doomctl_at(&server, &["dlq", "redrive", "--all"]);
    assert!(again.code == Some(0) && again.out.contains("0 given back"), "{again:?}");
    assert_eq!(nats.state("AGENT_EVENTS")["messages"], 2);
    assert_eq!(nats.state("DEAD_LETTERS")["messages"], 0);
}

#[test]
fn what_no_stream_takes_stays_and_the_exit_code_says_so() {
    let server = with_letters();
    Nats::connect(&server).delete("AGENT_EVENTS");
    let answer = doomctl_at(&server, &["dlq", "redrive", "--consumer", "analytics"]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.err.contains("the letter stays") && answer.out.contains("0 given back, 2 not"), "{answer:?}");
    assert_eq!(Nats::connect(&server).state("DEAD_LETTERS")["messages"], 2);
}

#[test]
fn drop_needs_consent() {
    let server = with_letters();
    let asked = doomctl_at(&server, &["dlq", "drop", "--all"]);
    assert!(asked.code == Some(2) && asked.err.contains("Erase 2 dead letters"), "{asked:?}");
    let kept = on_a_terminal("n", &["dlq", "drop", "--all", "--nats", &server.url()]);
    assert!(kept.code == Some(1) && kept.out.contains("nothing is erased"), "{kept:?}");
    assert_eq!(Nats::connect(&server).state("DEAD_LETTERS")["messages"], 2);
    let dropped = doomctl_at(&server, &["dlq", "drop", "2-9", "--yes", "--json"]);
    assert_eq!(dropped.out, "{\"dropped\":1}\n", "{dropped:?}");
    assert_eq!(Nats::connect(&server).state("DEAD_LETTERS")["messages"], 1);
    let rest = on_a_terminal("yes", &["dlq", "drop", "--all", "--nats", &server.url()]);
    assert!(rest.code == Some(0) && rest.out.contains("1 dead letters are erased"), "{rest:?}");
}

#[test]
fn bad_choices_are_refused_before_anything_is_asked() {
    let server = server();
    for (arguments, code, says) in [
        (&["dlq", "list", "0"][..], 2, "no sequence"),
        (&["dlq", "list", "--subject", "a..b"], 2, "empty token"),
        (&["dlq", "redrive", "--all", "1"], 2, "contradict"),
        (&["dlq", "drop", "--yes"], 2, "say which"),
        (&["dlq", "list"], 65, "no stream DEAD_LETTERS"),
    ] {
        let answer = doomctl_at(&server, arguments);
        assert!(answer.code == Some(code) && answer.err.contains(says), "{arguments:?}: {answer:?}");
    }
}
