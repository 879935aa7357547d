//! Which server is asked, and what is said where there is none.

use nats_server_process::NatsServer;

use crate::support::{answer, doomctl, doomctl_at, server};

#[test]
fn a_server_says_what_it_is() {
    let server = server();
    let answer = doomctl_at(&server, &["ping", "--json"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let said: serde_json::Value = serde_json::from_str(&answer.out).expect("one line of JSON");
    assert_eq!(said["jetstream"], true);
    assert_eq!(said["max_payload"], 1 << 20);
}

#[test]
fn flags_stand_before_or_after_the_command_and_beat_the_environment() {
    let server = server();
    for arguments in [["--nats", &server.url(), "ping"], ["ping", "--nats", &server.url()]] {
        let answer = answer(doomctl(&arguments).env("DOOM_AGENT_NATS", "nats://127.0.0.1:1"));
        assert_eq!(answer.code, Some(0), "{answer:?}");
    }
}

#[test]
fn where_no_server_answers_it_says_so_and_ends_with_69() {
    let answer = answer(&mut doomctl(&["ping", "--nats", "nats://me:hunter2@127.0.0.1:1"]));
    assert_eq!(answer.code, Some(69), "{answer:?}");
    assert!(answer.err.contains("no NATS server answers within 5 s at nats://…@127.0.0.1:1"), "{answer:?}");
    assert!(!answer.err.contains("hunter2") && answer.out.is_empty(), "{answer:?}");
}

#[test]
fn a_login_that_is_refused_ends_with_69_and_shows_no_secret() {
    let server = NatsServer::builder().config_text("authorization { user: me, password: hunter3 }").start().expect("nats-server starts");
    let answer = doomctl_at(&server, &["ping", "--nats-user", "me", "--nats-password", "hunter2"]);
    assert_eq!(answer.code, Some(69), "{answer:?}");
    assert!(answer.err.contains("refuses the login") && !answer.err.contains("hunter"), "{answer:?}");
}

#[test]
fn a_url_that_is_none_ends_with_2_and_shows_no_secret() {
    let answer = answer(doomctl(&["ping"]).env("NATS_URL", "http://me:hunter2@h"));
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(answer.err.contains("write nats://HOST:PORT") && !answer.err.contains("hunter2"), "{answer:?}");
}
