//! TLS: certificates are checked both ways, and what is wrong with one is said as such.

use nats_server_process::NatsServer;
use rustix::process::Signal;

use super::{authority::Authority, gets_in, is_refused, playing_on, server, tells_none};
use crate::support::{Backend, WITHIN, on_both};

on_both!(a_certificate_that_is_renewed_lets_the_agent_in_without_a_restart);

fn tls(authority: &Authority, certificate: &str, more: &str) -> NatsServer {
    let file = |name: &str| format!("{:?}", authority.file(name));
    let (cert, key, ca) = (file(&format!("{certificate}.pem")), file(&format!("{certificate}.key")), file("ca.pem"));
    server(&format!("tls {{ cert_file: {cert}, key_file: {key}, ca_file: {ca}, {more} }}"))
}

#[test]
fn certificates_are_checked_against_those_that_are_trusted_and_ours_is_shown() {
    let authority = Authority::new();
    authority.sign("server", &["127.0.0.1", "localhost"]);
    authority.sign("agent", &["agent"]);
    let file = |name: &str| authority.file(name);
    let (ca, cert, key) = (file("ca.pem"), file("agent.pem"), file("agent.key"));
    let secrets = [authority.secret("agent.key"), authority.secret("server.key")];
    let secrets = secrets.each_ref().map(String::as_str);
    let one_sided = tls(&authority, "server", "verify: false");
    gets_in(&["--nats", &one_sided.url().replace("nats:", "tls:"), "--nats-ca", &ca], &secrets);
    gets_in(&["--nats", &one_sided.url(), "--nats-ca", &ca], &secrets);
    let mutual = tls(&authority, "server", "verify: true");
    gets_in(&["--nats", &mutual.url(), "--nats-ca", &ca, "--nats-cert", &cert, "--nats-key", &key], &secrets);
}

#[test]
fn a_certificate_of_an_authority_that_nobody_trusts_is_refused_as_such() {
    let (authority, other) = (Authority::new(), Authority::new());
    authority.sign("server", &["127.0.0.1"]);
    let server = tls(&authority, "server", "verify: false");
    is_refused(&["--nats", &server.url(), "--nats-ca", &other.file("ca.pem")], "signed by nobody who is trusted here", &["PRIVATE KEY"]);
}

#[test]
fn a_certificate_of_another_host_is_refused_as_such() {
    let authority = Authority::new();
    authority.sign("server", &["elsewhere.example"]);
    let server = tls(&authority, "server", "verify: false");
    is_refused(&["--nats", &server.url(), "--nats-ca", &authority.file("ca.pem")], "is for another host", &["PRIVATE KEY"]);
}

#[test]
fn a_certificate_whose_time_is_over_is_refused_as_such() {
    let authority = Authority::new();
    authority.sign_until("server", &["127.0.0.1"], 2020);
    let server = tls(&authority, "server", "verify: false");
    is_refused(&["--nats", &server.url(), "--nats-ca", &authority.file("ca.pem")], "has expired or is not valid yet", &["PRIVATE KEY"]);
}

#[test]
fn a_server_that_wants_a_client_certificate_and_gets_none_or_a_strange_one_is_said_to() {
    let (authority, other) = (Authority::new(), Authority::new());
    authority.sign("server", &["127.0.0.1"]);
    other.sign("agent", &["agent"]);
    let server = tls(&authority, "server", "verify: true");
    let (url, ca) = (server.url(), authority.file("ca.pem"));
    is_refused(&["--nats", &url, "--nats-ca", &ca], "wants a client certificate", &["PRIVATE KEY"]);
    let (cert, key) = (other.file("agent.pem"), other.file("agent.key"));
    let secret = other.secret("agent.key");
    is_refused(
        &["--nats", &url, "--nats-ca", &ca, "--nats-cert", &cert, "--nats-key", &key],
        "refuses our client certificate",
        &["PRIVATE KEY", &secret],
    );
}

#[test]
fn a_server_without_tls_is_said_to_be_one() {
    let server = server("");
    is_refused(&["--nats", &server.url().replace("nats:", "tls:")], "does not speak TLS", &["PRIVATE KEY"]);
}

fn a_certificate_that_is_renewed_lets_the_agent_in_without_a_restart(backend: Backend) {
    let (authority, other) = (Authority::new(), Authority::new());
    authority.sign("server", &["127.0.0.1"]);
    authority.sign("agent", &["agent"]);
    other.sign("agent", &["agent"]);
    let server = tls(&authority, "server", "verify: true");
    let (cert, key) = (other.file("agent.pem"), other.file("agent.key"));
    let ca = authority.file("ca.pem");
    let mut agent = playing_on(backend, &["--nats", &server.url(), "--nats-ca", &ca, "--nats-cert", &cert, "--nats-key", &key]).spawn();
    agent.wait_log("refuses our client certificate");
    for (name, path) in [("agent.key", &key), ("agent.pem", &cert)] {
        std::fs::copy(authority.file(name), path).unwrap();
    }
    agent.wait_log("the NATS server has our subscriptions");
    tells_none(&agent, &["PRIVATE KEY", &authority.secret("agent.key")]);
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
}
