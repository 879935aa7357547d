//! Logging in to a server that asks who comes: each way works, a wrong one is said once, and no secret is ever written.

use std::fs;

use rustix::process::Signal;
use tempfile::TempDir;

use super::{SECRET, gets_in, is_refused, playing_on, server, tells_none};
use crate::support::{Backend, Spec, WITHIN, on_both};

on_both!(a_user_whom_the_server_drops_is_back_when_the_server_knows_him_again);

const REFUSED: &str = "the NATS server refuses the login; check user";

#[test]
fn a_user_a_token_and_an_nkey_get_in() {
    let by_user = server("authorization { user: me, password: hunter2 }");
    gets_in(&["--nats", &by_user.url(), "--nats-user", "me", "--nats-password", SECRET], &[SECRET]);
    gets_in(&["--nats", &by_user.url().replace("//", "//me:hunter2@")], &[SECRET]);
    let by_token = server("authorization { token: hunter2 }");
    gets_in(&["--nats", &by_token.url(), "--nats-token", SECRET], &[SECRET]);
    gets_in(&["--nats", &by_token.url().replace("//", "//hunter2@")], &[SECRET]);
    // As a URL has to write it where it is no letter.
    let odd = server("authorization { user: me, password: \"hunter2@/%\" }");
    gets_in(&["--nats", &odd.url().replace("//", "//me:hunter2%40%2F%25@")], &[SECRET]);
    let key = nkeys::KeyPair::new_user();
    let (dir, seed) = (TempDir::new().unwrap(), key.seed().unwrap());
    let file = dir.path().join("agent.nk");
    fs::write(&file, format!("{seed}\n")).unwrap();
    let by_nkey = server(&format!("authorization {{ users: [ {{ nkey: {} }} ] }}", key.public_key()));
    gets_in(&["--nats", &by_nkey.url(), "--nats-nkey", file.to_str().unwrap()], &[&seed]);
}

#[test]
fn a_wrong_login_is_warned_of_once_and_tried_again_and_no_secret_is_told() {
    let by_user = server("authorization { user: me, password: right }");
    let url = by_user.url();
    is_refused(&["--nats", &url, "--nats-user", "me", "--nats-password", SECRET], REFUSED, &[SECRET]);
    is_refused(&["--nats", &url.replace("//", "//me:hunter2@")], REFUSED, &[SECRET]);
    let by_token = server("authorization { token: right }");
    is_refused(&["--nats", &by_token.url(), "--nats-token", SECRET], REFUSED, &[SECRET]);
    is_refused(&["--nats", &by_token.url()], REFUSED, &[SECRET]);
    let (dir, stranger) = (TempDir::new().unwrap(), nkeys::KeyPair::new_user().seed().unwrap());
    let file = dir.path().join("agent.nk");
    fs::write(&file, &stranger).unwrap();
    let by_nkey = server(&format!("authorization {{ users: [ {{ nkey: {} }} ] }}", nkeys::KeyPair::new_user().public_key()));
    is_refused(&["--nats", &by_nkey.url(), "--nats-nkey", file.to_str().unwrap()], REFUSED, &[&stranger]);
}

fn a_user_whom_the_server_drops_is_back_when_the_server_knows_him_again(backend: Backend) {
    let known = "authorization { users: [ { user: me, password: hunter2 }, { user: other, password: other } ] }";
    let mut server = server(known);
    let mut agent = playing_on(backend, &["--nats", &server.url(), "--nats-user", "me", "--nats-password", SECRET]).spawn_ready();
    server.reload("authorization { users: [ { user: other, password: other } ] }").unwrap();
    agent.wait_log(REFUSED);
    agent.wait_lines("NATS client error", 3);
    server.reload(known).unwrap();
    agent.wait_lines("the NATS server has our subscriptions", 2);
    tells_none(&agent, &[SECRET]);
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    assert_eq!(agent.log().iter().filter(|line| line.contains(REFUSED) && line.contains("WARN")).count(), 1);
}

#[test]
fn help_check_and_mistakes_show_no_secret_that_the_environment_holds() {
    let secrets: [&[(&str, &str)]; 3] = [
        &[("DOOM_AGENT_NATS_PASSWORD", SECRET), ("DOOM_AGENT_NATS_USER", "me")],
        &[("DOOM_AGENT_NATS_TOKEN", SECRET)],
        &[("NATS_URL", "nats://me:hunter2@127.0.0.1:1")],
    ];
    let agent = ["--id", "A", "--scenario", "basic", "--backend", "mock"];
    for variables in secrets {
        for (arguments, code) in [
            (&["--help"][..], 0),
            (&["check", "--help"], 0),
            (&["health", "--help"], 0),
            (&["--version"], 0),
            (&[&["check"][..], &agent].concat(), 69),
            (&[&["check"][..], &agent, &["--nats", "nats://127.0.0.1:1"]].concat(), 69),
            (&[&["check"][..], &agent, &["--nats", "nats://me:hunter2@127.0.0.1:port"]].concat(), 2),
            (&[&agent[..], &["--require-nats"]].concat(), 69),
            (&["--id", "A", "--scenario", "basic", "--nats-password"], 2),
            (&["--id", "A", "--scenario", "basic", "--nats-token"], 2),
            (&["--id", "A", "--no-such-flag"], 2),
        ] {
            let spec = variables.iter().fold(Spec::bare(arguments.iter().copied()), |spec, (name, value)| spec.env(name, *value));
            // Nobody listens there.
            let named = arguments.contains(&"--nats") || variables[0].0 == "NATS_URL" || arguments.contains(&"--help");
            let spec = if named { spec } else { spec.env("DOOM_AGENT_NATS", "nats://127.0.0.1:1") };
            let (got, out, err) = spec.run();
            assert!(!format!("{out}{err}").contains(SECRET), "{variables:?} {arguments:?}: {out}{err}");
            assert_eq!(got, code, "{variables:?} {arguments:?}: {err}");
        }
    }
}
