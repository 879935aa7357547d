//! Runs the real binary, with an environment of its own.

mod agent;
pub(crate) mod events;
mod nats;

use std::{
    path::Path,
    process::{Command, Output},
};

use nats_server_process::NatsServer;

pub(crate) use agent::Agent;
pub(crate) use nats::Nats;

/// `doomctl` with these arguments, without any setting of whoever runs the tests.
pub(crate) fn doomctl(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doomctl"));
    command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// The same, told of a server, run to its end.
pub(crate) fn doomctl_at(server: &NatsServer, arguments: &[&str]) -> Answer {
    answer(doomctl(arguments).env("NATS_URL", server.url()))
}

/// Runs a command to its end.
pub(crate) fn answer(command: &mut Command) -> Answer {
    let Output { status, stdout, stderr } = command.output().expect("doomctl starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("doomctl writes UTF-8");
    Answer { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// A script of `tests/python`.
pub(crate) fn python(script: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join("vendor/python/bin/python");
    assert!(python.is_file(), "no {}: run `cargo xtask setup`", python.display());
    let mut command = Command::new(&python);
    command.arg(root.join("tests/python").join(script)).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// `doomctl` on a terminal, where its question is answered; what it showed there is its output.
pub(crate) fn on_a_terminal(says: &str, arguments: &[&str]) -> Answer {
    answer(python("answer.py").args([says, env!("CARGO_BIN_EXE_doomctl")]).args(arguments))
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A server with JetStream.
pub(crate) fn server() -> NatsServer {
    NatsServer::builder().jetstream(true).start().expect("nats-server starts; `cargo xtask setup` fetches it")
}
