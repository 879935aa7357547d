//! Credentials files: they let in, end, are taken back; the agent says which, and is back when the file is mended.

use std::{fs, path::Path};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    account::{Operator, now},
    gets_in, is_refused, playing, playing_on, tells_none,
};
use crate::support::{Agent, Backend, WITHIN, on_both};

on_both!(
    credentials_that_expire_in_mid_run_are_said_to_and_new_ones_in_the_file_are_taken,
    credentials_that_are_revoked_are_said_to_and_new_ones_in_the_file_are_taken,
);

const READY: &str = "the NATS server has our subscriptions";

fn secrets(file: &str) -> Vec<&str> {
    file.lines().filter(|line| line.starts_with("SU") || line.starts_with("ey")).collect()
}

fn write(dir: &TempDir, text: &str) -> String {
    let path = dir.path().join("agent.creds");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// New credentials in the file's place, at once, as whoever renews them should do it.
fn renew(path: &str, text: &str) {
    let new = format!("{path}.new");
    fs::write(&new, text).unwrap();
    fs::rename(new, Path::new(path)).unwrap();
}

fn ends(mut agent: Agent, files: &[&str]) {
    for file in files {
        tells_none(&agent, &secrets(file));
    }
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
}

#[test]
fn a_credentials_file_gets_in_and_that_of_a_stranger_does_not() {
    let (ours, strangers, dir) = (Operator::new(), Operator::new(), TempDir::new().unwrap());
    let (file, _) = ours.credentials(None);
    assert_eq!(secrets(&file).len(), 2);
    gets_in(&["--nats", &ours.server.url(), "--nats-creds", &write(&dir, &file)], &secrets(&file));
    let (file, _) = strangers.credentials(None);
    let path = write(&dir, &file);
    is_refused(&["--nats", &ours.server.url(), "--nats-creds", &path], "refuses the login; check user", &secrets(&file));
}

#[test]
fn credentials_that_have_expired_before_the_start_are_said_to() {
    let (operator, dir) = (Operator::new(), TempDir::new().unwrap());
    let (file, _) = operator.credentials(Some(now() - 60));
    let path = write(&dir, &file);
    is_refused(&["--nats", &operator.server.url(), "--nats-creds", &path], "the credentials have expired", &secrets(&file));
}

fn credentials_that_expire_in_mid_run_are_said_to_and_new_ones_in_the_file_are_taken(backend: Backend) {
    let (operator, dir) = (Operator::new(), TempDir::new().unwrap());
    let (old, _) = operator.credentials(Some(now() + 4));
    let path = write(&dir, &old);
    let agent = playing_on(backend, &["--nats", &operator.server.url(), "--nats-creds", &path]).spawn();
    agent.wait_log("connected to NATS");
    agent.wait_log("the credentials have expired");
    agent.wait_lines("NATS client error", 2);
    let (new, _) = operator.credentials(None);
    renew(&path, &new);
    agent.wait_lines("connected to NATS", 2);
    agent.wait_log(READY);
    ends(agent, &[&old, &new]);
}

fn credentials_that_are_revoked_are_said_to_and_new_ones_in_the_file_are_taken(backend: Backend) {
    let (mut operator, dir) = (Operator::new(), TempDir::new().unwrap());
    let (old, user) = operator.credentials(None);
    let path = write(&dir, &old);
    let agent = playing_on(backend, &["--nats", &operator.server.url(), "--nats-creds", &path]).spawn_ready();
    operator.revoke(&user);
    agent.wait_log("the credentials were revoked");
    agent.wait_lines("NATS client error", 2);
    let (new, _) = operator.credentials(None);
    renew(&path, &new);
    agent.wait_lines(READY, 2);
    ends(agent, &[&old, &new]);
}

#[test]
fn an_account_whose_time_is_over_is_said_to_and_its_renewal_is_noticed() {
    let (operator, dir) = (Operator::new(), TempDir::new().unwrap());
    let (file, _) = operator.credentials(None);
    let agent = playing(&["--nats", &operator.server.url(), "--nats-creds", &write(&dir, &file)]).spawn_ready();
    operator.expire_account(Some(now() + 2));
    agent.wait_log("the account has expired");
    agent.wait_lines("NATS client error", 2);
    operator.expire_account(None);
    agent.wait_lines(READY, 2);
    ends(agent, &[&file]);
}

#[test]
fn a_credentials_file_that_vanishes_is_said_to_and_comes_back() {
    let (mut operator, dir) = (Operator::new(), TempDir::new().unwrap());
    let (file, _) = operator.credentials(None);
    let path = write(&dir, &file);
    let agent = playing(&["--nats", &operator.server.url(), "--nats-creds", &path]).spawn_ready();
    fs::remove_file(&path).unwrap();
    operator.server.restart().unwrap();
    let warning = agent.wait_log("a file for the NATS login cannot be used any more");
    assert!(warning.contains("agent.creds"), "{warning}");
    renew(&path, &file);
    agent.wait_lines(READY, 2);
    ends(agent, &[&file]);
}

#[test]
fn the_template_of_a_scoped_key_lets_an_agent_be_itself_and_nobody_else() {
    let (operator, dir) = (Operator::new(), TempDir::new().unwrap());
    let file = operator.agent("A");
    let url = operator.server.url();
    let path = write(&dir, &file);
    let arguments = ["--nats", &url, "--nats-creds", &path];
    let agent = playing(&arguments).spawn_ready();
    assert!(!agent.log().join("\n").to_lowercase().contains("permissions violation"));
    ends(agent, &[&file]);
    // The same credentials under another name.
    let other = playing(&arguments).with(&["--id", "B"]).spawn();
    let refused = other.wait_log("the NATS server refused something");
    assert!(refused.to_lowercase().contains("permissions violation"), "{refused}");
    assert!(!other.log().join("\n").contains(READY));
}
