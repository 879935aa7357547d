//! A GET, and nothing more.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::WITHIN;

/// Status and body of `http://{address}{path}`.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Asks again and again until the answer fits. A probe cannot be subscribed to.
pub(crate) fn wait_get(address: &str, path: &str, what: &str, fits: impl Fn(u16, &str) -> bool) -> String {
    let until = Instant::now() + WITHIN;
    loop {
        let (status, body) = get(address, path);
        if fits(status, &body) {
            return body;
        }
        assert!(Instant::now() < until, "{path} is not {what} after {WITHIN:?}: {status} {body}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The value of a metric in the Prometheus text.
pub(crate) fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|l| l.starts_with(&format!("doom_agent_{name}{{"))).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}
