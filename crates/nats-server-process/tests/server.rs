//! A real nats-server is started, steered and ended.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nats_server_process::{NatsServer, NatsServerError};

fn accepts(server: &NatsServer) -> bool {
    TcpStream::connect(("127.0.0.1", server.port())).is_ok()
}

/// An orphan that nobody reaps is as dead as one that is gone.
fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
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
fn a_restart_keeps_port_and_what_was_stored() {
    let mut server = NatsServer::builder().jetstream(true).start().unwrap();
    let (url, pid) = (server.url(), server.pid().unwrap());
    let mut client = Client::connect(&server).unwrap();
    let made = client.request("$JS.API.STREAM.CREATE.S", r#"{"name":"S","subjects":["s"],"storage":"file"}"#);
    assert!(made.contains(r#""name":"S""#), "{made}");
    assert!(client.request("s", "kept").contains(r#""seq":1"#));
    server.kill();
    assert!(!accepts(&server) && !alive(pid) && server.pid().is_none());
    server.restart().unwrap();
    assert_eq!(server.url(), url);
    assert_ne!(server.pid().unwrap(), pid);
    let info = Client::connect(&server).unwrap().request("$JS.API.STREAM.INFO.S", "");
    assert!(info.contains(r#""messages":1"#), "{info}");
}

#[test]
fn a_given_store_outlives_the_server() {
    let store = tempfile::tempdir().unwrap();
    let server = || NatsServer::builder().jetstream(true).store_dir(store.path()).start().unwrap();
    let mut first = server();
    let made = Client::connect(&first).unwrap().request("$JS.API.STREAM.CREATE.S", r#"{"name":"S","subjects":["s"]}"#);
    assert!(made.contains(r#""name":"S""#), "{made}");
    first.stop();
    assert!(first.log().contains("Server Exiting"), "{}", first.log());
    let info = Client::connect(&server()).unwrap().request("$JS.API.STREAM.INFO.S", "");
    assert!(info.contains(r#""name":"S""#), "{info}");
}

#[test]
fn a_paused_server_answers_nothing_until_it_goes_on() {
    let server = NatsServer::builder().start().unwrap();
    let mut client = Client::connect(&server).unwrap();
    assert_eq!(client.ping(Duration::from_secs(5)), Some(()));
    server.pause();
    assert_eq!(client.ping(Duration::from_millis(300)), None);
    server.unpause();
    assert_eq!(client.pong(Duration::from_secs(5)), Some(()));
}

#[test]
fn a_paused_server_can_be_ended() {
    for end in [NatsServer::stop, NatsServer::kill] {
        let mut server = NatsServer::builder().start().unwrap();
        let pid = server.pid().unwrap();
        server.pause();
        end(&mut server);
        assert!(!alive(pid));
    }
}

#[test]
fn the_monitoring_endpoint_answers_where_it_says() {
    let server = NatsServer::builder().start().unwrap();
    let url = server.monitor_url();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET /varz HTTP/1.0\r\n\r\n").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.contains(&format!("\"port\": {}", server.port())), "{reply}");
}

#[test]
fn a_fixed_port_is_taken_or_the_failure_told() {
    let first = NatsServer::builder().start().unwrap();
    let error = NatsServer::builder().port(first.port()).start().unwrap_err();
    assert!(matches!(&error, NatsServerError::NotReady { log, .. } if log.contains("address already in use")), "{error}");
}

/// The helper below is this test binary itself, told by an environment variable to start a server and be killed.
#[test]
fn a_server_does_not_outlive_a_killed_parent() {
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_that_holds_a_server", "--nocapture"])
        .env(HELPER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = BufReader::new(parent.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split_once("SERVER ").and_then(|(_, pid)| pid.parse::<u32>().ok()))
        .unwrap();
    assert!(alive(pid));
    parent.kill().unwrap();
    parent.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while alive(pid) {
        assert!(Instant::now() < until, "nats-server {pid} outlives its parent");
        std::thread::yield_now();
    }
}

const HELPER: &str = "NATS_SERVER_PROCESS_TEST_HELPER";

#[test]
fn helper_that_holds_a_server() {
    if std::env::var_os(HELPER).is_some() {
        let server = NatsServer::builder().start().unwrap();
        println!("\nSERVER {}", server.pid().unwrap());
        // Held until the test kills us; the end of its input says that the test is gone.
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }
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
fn a_missing_binary_is_told_with_its_place_and_what_to_do() {
    let error = NatsServer::builder().binary(PathBuf::from("/nonexistent/nats-server")).start().unwrap_err().to_string();
    assert!(error.contains("/nonexistent/nats-server") && error.contains("cargo xtask setup"), "{error}");
}

/// As much of a NATS client as the tests need, over the plain text protocol.
struct Client {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Client {
    fn connect(server: &NatsServer) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", server.port()))?;
        let mut lines = BufReader::new(stream.try_clone()?);
        lines.read_line(&mut String::new())?;
        let mut client = Self { stream, lines };
        client.write("CONNECT {\"verbose\":false}\r\n");
        Ok(client)
    }

    fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    fn ping(&mut self, within: Duration) -> Option<()> {
        self.write("PING\r\n");
        self.pong(within)
    }

    fn pong(&mut self, within: Duration) -> Option<()> {
        self.stream.set_read_timeout(Some(within)).unwrap();
        let mut line = String::new();
        self.lines.read_line(&mut line).ok().filter(|_| line == "PONG\r\n").map(|_| ())
    }

    fn request(&mut self, subject: &str, body: &str) -> String {
        self.stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        self.write(&format!("SUB inbox 1\r\nPUB {subject} inbox {}\r\n{body}\r\n", body.len()));
        let mut line = String::new();
        while !line.starts_with("MSG ") {
            line.clear();
            self.lines.read_line(&mut line).unwrap();
        }
        let length: usize = line.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
        let mut reply = vec![0; length + 2];
        self.lines.read_exact(&mut reply).unwrap();
        self.write("UNSUB 1\r\n");
        String::from_utf8(reply).unwrap()
    }
}
