//! Every command where there is no server, no JetStream, or no permission: a clear word, an exit code of its own, and nothing half done.

use std::{fs, path::Path};

use nats_server_process::NatsServer;
use tempfile::TempDir;

use crate::support::{Answer, answer, doomctl};

/// A command, and whether it needs JetStream.
static COMMANDS: [(&[&str], bool); 22] = [
    (&["streams", "show"], true),
    (&["streams", "diff"], true),
    (&["streams", "apply"], true),
    (&["streams", "purge", "AGENT_EVENTS", "--yes"], true),
    (&["dlq", "list"], true),
    (&["dlq", "show", "1"], true),
    (&["dlq", "redrive", "1"], true),
    (&["dlq", "drop", "1", "--yes"], true),
    (&["agents"], false),
    (&["health", "A"], false),
    (&["pause", "--agent", "A"], false),
    (&["resume", "--agent", "A", "--wait"], false),
    (&["shutdown", "--all", "--yes"], false),
    (&["top", "--once"], false),
    (&["lag"], true),
    (&["evaluate", "g.toml", "--save", "t.csv", "--timeout", "20s"], true),
    (&["evaluate", "g.toml", "--core", "--save", "t.csv", "--timeout", "20s"], false),
    (&["experiment", "run", "x.toml", "--timeout", "20s"], true),
    (&["watch"], true),
    (&["export", "--out", "e.csv"], true),
    (&["export", "--durable", "desk", "--out", "e.parquet"], true),
    (&["replay", "--since", "1h"], true),
];

const FILES: [(&str, &str); 2] = [
    ("g.toml", "scenario = \"basic\"\n[[evaluation]]\nid = \"a\"\n"),
    (
        "x.toml",
        "experiment = \"x\"\nscenario = \"basic\"\nepisodes = 1\nresponse = [\"tics\"]\n[[factor]]\nname = \"skip\"\nsets = \"frame_skip\"\nlevels = [1, 4]\n",
    ),
];

/// All commands at once, each in a folder of its own, in which nothing but its files may be afterwards.
fn every_command(url: &str, wanted: impl Fn(bool) -> bool) -> Vec<(&'static [&'static str], Answer)> {
    std::thread::scope(|scope| {
        let run = |arguments: &'static [&'static str]| {
            let folder = TempDir::new().expect("a folder");
            for (name, text) in FILES {
                fs::write(folder.path().join(name), text).expect("it is written");
            }
            let answer = answer(doomctl(arguments).env("NATS_URL", url).current_dir(folder.path()));
            assert_eq!(names(folder.path()), ["g.toml", "x.toml"], "{arguments:?} left something: {answer:?}");
            assert!(answer.out.is_empty(), "{arguments:?}: {answer:?}");
            (arguments, answer)
        };
        let chosen = COMMANDS.iter().filter(|(_, jetstream)| wanted(*jetstream));
        let running: Vec<_> = chosen.map(|(arguments, _)| scope.spawn(move || run(arguments))).collect();
        running.into_iter().map(|one| one.join().expect("it does what is said above")).collect()
    })
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort_unstable();
    names
}

#[test]
fn no_command_does_anything_without_a_server() {
    for (arguments, answer) in every_command("nats://127.0.0.1:1", |_| true) {
        assert_eq!(answer.code, Some(69), "{arguments:?}: {answer:?}");
        assert!(
            answer.err.contains("no NATS server answers within 5 s at nats://127.0.0.1:1; give --nats URL"),
            "{arguments:?}: {answer:?}"
        );
    }
}

#[test]
fn what_needs_jetstream_says_so_where_there_is_none() {
    let server = NatsServer::builder().start().expect("nats-server starts");
    for (arguments, answer) in every_command(&server.url(), |jetstream| jetstream) {
        assert_eq!(answer.code, Some(69), "{arguments:?}: {answer:?}");
        assert!(
            answer.err.contains("no JetStream") && answer.err.contains("start nats-server with --jetstream"),
            "{arguments:?}: {answer:?}"
        );
    }
}

/// Two logins: one that may do everything, and one that may do nothing but hear answers.
const USERS: &str = r#"authorization { users: [
    { user: "all", password: p }
    { user: "nobody", password: p, permissions: { publish: "_INBOX.>", subscribe: "_INBOX.>" } }
] }
"#;

#[test]
fn who_may_nothing_is_told_which_subject_is_not_permitted() {
    let server = NatsServer::builder().jetstream(true).config_text(USERS).start().expect("nats-server starts");
    let by = |user: &str| server.url().replace("nats://", &format!("nats://{user}:p@"));
    for (arguments, answer) in every_command(&by("nobody"), |_| true) {
        assert_eq!(answer.code, Some(77), "{arguments:?}: {answer:?}");
        assert!(answer.err.contains("Permissions Violation for Publish to \""), "{arguments:?}: {answer:?}");
    }
    let there = answer(doomctl(&["streams", "show", "--json"]).env("NATS_URL", by("all")));
    assert!(there.code == Some(0) && there.out.starts_with("{\"streams\":[],"), "{there:?}");
}
