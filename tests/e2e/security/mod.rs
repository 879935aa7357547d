//! Who gets in, who may do what, and what hostile input does not do. docs/SECURITY.md says what is promised.

mod account;
mod authority;
mod certificates;
mod credentials;
mod login;
mod roles;
mod surroundings;

use nats_server_process::NatsServer;
use rustix::process::Signal;

use crate::support::{Agent, Backend, Spec, WITHIN, http};

/// What no output may contain.
const SECRET: &str = "hunter2";

fn server(config: &str) -> NatsServer {
    NatsServer::builder().config_text(config).start().unwrap()
}

/// An agent that logs whatever there is to log.
fn playing(arguments: &[&str]) -> Spec {
    playing_on(Backend::Mock, arguments)
}

fn playing_on(backend: Backend, arguments: &[&str]) -> Spec {
    Spec::new(backend, "A", "basic").with(&["--pace", "350", "--log", "trace", "--http", "127.0.0.1:0"]).with(arguments)
}

/// Neither logs nor output nor probes have any of it.
#[track_caller]
fn tells_none(agent: &Agent, secrets: &[&str]) {
    let mut all = [agent.log(), agent.out()].concat().join("\n");
    if !agent.has_ended() {
        let address = agent.http();
        for path in ["/livez", "/readyz", "/metrics"] {
            all += &http::get(&address, path).1;
        }
    }
    for secret in secrets {
        assert!(!secret.is_empty() && !all.contains(secret), "{secret} is told:\n{all}");
    }
}

/// The agent gets in, and leaves in order.
#[track_caller]
fn gets_in(arguments: &[&str], secrets: &[&str]) {
    let mut agent = playing(arguments).spawn_ready();
    tells_none(&agent, secrets);
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    tells_none(&agent, secrets);
}

/// The agent is refused for this reason, says so once, tries on; `check` says the same and fails.
#[track_caller]
fn is_refused(arguments: &[&str], reason: &str, secrets: &[&str]) {
    let mut agent = playing(arguments).spawn();
    let warning = agent.wait_log(reason);
    assert!(warning.contains("WARN") && warning.contains("trying on"), "{warning}");
    // Each further try leaves a line of detail.
    agent.wait_lines("NATS client error", 3);
    let (status, body) = http::get(&agent.http(), "/readyz");
    assert!(status == 503 && body.contains(reason), "{status} {body}");
    tells_none(&agent, secrets);
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let warnings = agent.log().into_iter().filter(|l| l.contains("trying on") || l.contains("ERROR")).collect::<Vec<_>>();
    assert_eq!(warnings, [warning]);
    for (command, code) in [("check", 69), ("health", 1)] {
        let mut asking = playing(arguments).with(&[command]).spawn();
        assert_eq!(asking.wait_exit(WITHIN), code, "{command}: {:?}", asking.log());
        assert!(asking.log().join("\n").contains(reason), "{command}: {:?}", asking.log());
        tells_none(&asking, secrets);
    }
}
