//! Logging in to a server that asks who comes: each way works, a wrong one is said once, and no secret is ever written.

use std::{fs, path::Path, process::Command};

use nats_server_process::NatsServer;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{Agent, Backend, Spec, WITHIN};

/// What no output may contain.
const SECRET: &str = "hunter2";

fn server(config: &str) -> NatsServer {
    NatsServer::builder().config_text(config).start().unwrap()
}

fn playing(arguments: &[&str]) -> Spec {
    Spec::new(Backend::Mock, "A", "basic").with(&["--pace", "350", "--log", "trace"]).with(arguments)
}

#[track_caller]
fn tells_no_secret(agent: &Agent) {
    let all = [agent.log(), agent.out()].concat().join("\n");
    assert!(!all.contains(SECRET), "{all}");
}

/// The agent gets in, and leaves in order.
#[track_caller]
fn gets_in(arguments: &[&str]) {
    let mut agent = playing(arguments).spawn_ready();
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    tells_no_secret(&agent);
}

#[test]
fn a_user_a_token_and_an_nkey_get_in() {
    let by_user = server("authorization { user: me, password: hunter2 }");
    gets_in(&["--nats", &by_user.url(), "--nats-user", "me", "--nats-password", SECRET]);
    gets_in(&["--nats", &by_user.url().replace("//", "//me:hunter2@")]);
    let by_token = server("authorization { token: hunter2 }");
    gets_in(&["--nats", &by_token.url(), "--nats-token", SECRET]);
    gets_in(&["--nats", &by_token.url().replace("//", "//hunter2@")]);
    // As a URL has to write it where it is no letter.
    let odd = server("authorization { user: me, password: \"hunter2@/%\" }");
    gets_in(&["--nats", &odd.url().replace("//", "//me:hunter2%40%2F%25@")]);
    let key = nkeys::KeyPair::new_user();
    let dir = TempDir::new().unwrap();
    let seed = dir.path().join("agent.nk");
    fs::write(&seed, key.seed().unwrap() + "\n").unwrap();
    let by_nkey = server(&format!("authorization {{ users: [ {{ nkey: {} }} ] }}", key.public_key()));
    gets_in(&["--nats", &by_nkey.url(), "--nats-nkey", seed.to_str().unwrap()]);
}

fn openssl(dir: &Path, arguments: &str) {
    let common = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    let words = common.split(' ').chain(arguments.split(' '));
    let output = Command::new("openssl").args(words).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn certificates_are_checked_against_those_that_are_trusted_and_ours_is_shown() {
    let dir = TempDir::new().unwrap();
    openssl(dir.path(), "-keyout ca.key -out ca.pem -subj /CN=ca");
    openssl(dir.path(), "-keyout other.key -out other.pem -subj /CN=other");
    for name in ["server", "agent"] {
        let names = "-CA ca.pem -CAkey ca.key -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
        openssl(dir.path(), &format!("-keyout {name}.key -out {name}.pem -subj /CN={name} {names}"));
    }
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (ca, other, cert, key) = (file("ca.pem"), file("other.pem"), file("agent.pem"), file("agent.key"));
    let tls = |more: &str| {
        let (cert, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
        server(&format!("tls {{ cert_file: {cert:?}, key_file: {key:?}, ca_file: {ca:?}, {more} }}"))
    };
    let one_sided = tls("verify: false");
    let url = one_sided.url().replace("nats:", "tls:");
    gets_in(&["--nats", &url, "--nats-ca", &ca]);
    for trusted in [&[][..], &["--nats-ca", &other]] {
        let (code, _, err) = playing(&["check", "--nats", &url]).with(trusted).run();
        assert_eq!(code, 69, "{trusted:?}: {err}");
    }
    let mutual = tls("verify: true");
    gets_in(&["--nats", &mutual.url(), "--nats-ca", &ca, "--nats-cert", &cert, "--nats-key", &key]);
    let (code, _, err) = playing(&["check", "--nats", &mutual.url(), "--nats-ca", &ca]).run();
    assert_eq!(code, 69, "{err}");
}

#[test]
fn a_refused_login_is_warned_of_once_and_tried_again_and_no_secret_is_told() {
    let server = server("authorization { user: me, password: right }");
    let url = server.url();
    let in_url = url.replace("//", "//me:hunter2@");
    let ways = [&["--nats", &url, "--nats-user", "me", "--nats-password", SECRET][..], &["--nats", &in_url]];
    for way in ways {
        let mut agent = playing(way).spawn();
        let warning = agent.wait_log("refuses the login");
        assert!(warning.contains("WARN"), "{warning}");
        // Each further try leaves a line of detail.
        agent.wait_lines("NATS client error", 3);
        agent.signal(Signal::TERM);
        assert_eq!(agent.wait_exit(WITHIN), 0);
        let loud = agent.log().into_iter().filter(|line| line.contains("refuses the login") || line.contains("ERROR"));
        assert_eq!(loud.collect::<Vec<_>>(), [warning]);
        tells_no_secret(&agent);
        for (command, code) in [("check", 69), ("health", 1)] {
            let mut asking = playing(way).with(&[command]).spawn();
            assert_eq!(asking.wait_exit(WITHIN), code, "{command}");
            assert!(asking.log().join("\n").contains("the NATS server refuses the login; check user"), "{command}");
            tells_no_secret(&asking);
        }
    }
}
