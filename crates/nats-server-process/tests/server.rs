//! A real nats-server is started, steered and ended.

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
};

use nats_server_process::{NatsServer, NatsServerError};

fn accepts(server: &NatsServer) -> bool {
    TcpStream::connect(("127.0.0.1", server.port())).is_ok()
}

fn alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

#[test]
fn it_is_ready_when_start_returns_and_gone_when_dropped() {
    let server = NatsServer::builder().jetstream(true).start().unwrap();
    let pid = server.pid().unwrap();
    assert!(accepts(&server) && alive(pid));
    assert!(server.log().contains("Server is ready"), "{}", server.log());
    drop(server);
    assert!(!alive(pid));
}

#[test]
fn a_restart_keeps_port_and_store() {
    let mut server = NatsServer::builder().jetstream(true).start().unwrap();
    let (url, pid) = (server.url(), server.pid().unwrap());
    server.kill();
    assert!(!accepts(&server) && !alive(pid));
    server.restart().unwrap();
    assert_eq!(server.url(), url);
    assert!(accepts(&server) && server.pid() != Some(pid));
}

#[test]
fn two_servers_do_not_share_a_port() {
    let (a, b) = (NatsServer::builder().start().unwrap(), NatsServer::builder().start().unwrap());
    assert_ne!(a.port(), b.port());
}

#[test]
fn a_bad_configuration_is_told_with_the_servers_own_words() {
    let error = NatsServer::builder().config_text("no_such_option: 1\n").start().unwrap_err();
    assert!(matches!(&error, NatsServerError::NotReady { log, .. } if log.contains("no_such_option")), "{error}");
}

#[test]
fn a_missing_binary_is_told() {
    let error = NatsServer::builder().binary(PathBuf::from("/nonexistent/nats-server")).start().unwrap_err();
    assert!(error.to_string().contains("cannot be started") || error.to_string().contains("ended"), "{error}");
}
