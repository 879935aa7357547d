//! The server's monitoring endpoint: `/varz`, `/connz`, `/jsz` over HTTP, read once.

use std::{fmt, str::FromStr, time::Duration};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    header::{ACCEPT, HOST},
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::net::TcpStream;

use crate::operator::{
    figures::{bytes, count},
    table::{
        Side::{Left, Right},
        Table,
    },
};

/// How long each of the answers may take.
const WITHIN: Duration = Duration::from_secs(5);
/// The largest answer that is read.
const MOST_BYTES: usize = 16 << 20;
/// So many connections are asked for, those with most pending bytes first.
const CONNECTIONS: usize = 256;
/// So many of them are shown.
const SHOWN: usize = 10;

/// `http://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address(String);

impl FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        const LIKE: &str = "write it like http://127.0.0.1:8222";
        let rest = match text.trim().split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => return Err(format!("https is not spoken here; {LIKE}, or make a tunnel")),
            Some((scheme, _)) => return Err(format!("the scheme {scheme} is not spoken here; {LIKE}")),
            None => text.trim(),
        };
        let authority = rest.trim_end_matches('/');
        let port = authority.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none_or(|port| port == 0) || authority.contains(|c: char| c == '/' || c == '@' || c.is_whitespace()) {
            return Err(format!("no host with a port; {LIKE}"));
        }
        Ok(Self(authority.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

/// What the server says of itself.
#[derive(Debug, Serialize)]
pub(super) struct Server {
    name: String,
    version: String,
    uptime: String,
    cpu_percent: f64,
    memory_bytes: u64,
    connections: u64,
    slow_consumers: u64,
    in_messages: u64,
    out_messages: u64,
    in_bytes: u64,
    out_bytes: u64,
    jetstream: Option<Jetstream>,
    /// Those with most pending bytes first.
    clients: Vec<Connection>,
}

#[derive(Deserialize)]
struct Varz {
    #[serde(default)]
    server_name: String,
    version: String,
    #[serde(default)]
    uptime: String,
    #[serde(default)]
    cpu: f64,
    #[serde(default)]
    mem: u64,
    #[serde(default)]
    connections: u64,
    #[serde(default)]
    slow_consumers: u64,
    #[serde(default)]
    in_msgs: u64,
    #[serde(default)]
    out_msgs: u64,
    #[serde(default)]
    in_bytes: u64,
    #[serde(default)]
    out_bytes: u64,
}

#[derive(Deserialize)]
struct Connz {
    #[serde(default)]
    connections: Vec<Connection>,
}

/// A client of the server.
#[derive(Debug, Serialize, Deserialize)]
struct Connection {
    cid: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    ip: String,
    #[serde(default)]
    rtt: String,
    /// Written to it and not taken yet.
    #[serde(default)]
    pending_bytes: u64,
    #[serde(default)]
    subscriptions: u64,
    #[serde(default)]
    in_msgs: u64,
    #[serde(default)]
    out_msgs: u64,
}

/// JetStream over all accounts.
#[derive(Debug, Serialize, Deserialize)]
struct Jetstream {
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    memory: u64,
    #[serde(default)]
    storage: u64,
    #[serde(default)]
    streams: u64,
    #[serde(default)]
    consumers: u64,
    #[serde(default)]
    messages: u64,
    #[serde(default)]
    api: Api,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Api {
    #[serde(default)]
    total: u64,
    #[serde(default)]
    errors: u64,
}

/// Asks for all three.
///
/// # Errors
/// What was asked, and what came of it.
pub(super) async fn read(address: &Address) -> Result<Server, String> {
    let varz: Varz = get(address, "/varz").await?;
    let connz: Connz = get(address, &format!("/connz?sort=pending&limit={CONNECTIONS}")).await?;
    let jetstream: Jetstream = get(address, "/jsz").await?;
    Ok(Server {
        name: varz.server_name,
        version: varz.version,
        uptime: varz.uptime,
        cpu_percent: varz.cpu,
        memory_bytes: varz.mem,
        connections: varz.connections,
        slow_consumers: varz.slow_consumers,
        in_messages: varz.in_msgs,
        out_messages: varz.out_msgs,
        in_bytes: varz.in_bytes,
        out_bytes: varz.out_bytes,
        jetstream: Some(jetstream).filter(|j| !j.disabled),
        clients: connz.connections,
    })
}

async fn get<T: DeserializeOwned>(address: &Address, path: &str) -> Result<T, String> {
    let refuse = |why: String| format!("{address}{path}: {why}; is it the monitoring endpoint of a nats-server (nats-server -m PORT)?");
    let body = tokio::time::timeout(WITHIN, fetch(address, path)).await;
    let body = body.map_err(|_| refuse(format!("no answer within {} s", WITHIN.as_secs())))?.map_err(refuse)?;
    serde_json::from_slice(&body).map_err(|e| refuse(format!("the answer is not what nats-server says there: {e}")))
}

async fn fetch(address: &Address, path: &str) -> Result<Bytes, String> {
    let stream = TcpStream::connect(&address.0).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    // Ends with the sender; what goes wrong on it the request says.
    tokio::spawn(connection);
    let request = Request::get(path).header(HOST, &address.0).header(ACCEPT, "application/json").body(Empty::<Bytes>::new());
    let response = sender.send_request(request.map_err(|e| e.to_string())?).await.map_err(|e| e.to_string())?;
    if response.status() != StatusCode::OK {
        return Err(format!("the answer is {}", response.status()));
    }
    let body = Limited::new(response.into_body(), MOST_BYTES).collect().await.map_err(|e| e.to_string())?;
    Ok(body.to_bytes())
}

impl Server {
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "server {} {}, up {}, CPU {:.0}%, memory {}, {} connections, {} slow consumers, in {} messages ({}), out {} ({})",
            self.name,
            self.version,
            self.uptime,
            self.cpu_percent,
            bytes(self.memory_bytes as f64),
            count(self.connections),
            count(self.slow_consumers),
            count(self.in_messages),
            bytes(self.in_bytes as f64),
            count(self.out_messages),
            bytes(self.out_bytes as f64)
        );
        match &self.jetstream {
            None => text.push_str("\nno JetStream"),
            Some(j) => text.push_str(&format!(
                "\nJetStream: {} streams, {} consumers, {} messages, {} on disk, {} in memory, {} API requests, {} of them errors",
                count(j.streams),
                count(j.consumers),
                count(j.messages),
                bytes(j.storage as f64),
                bytes(j.memory as f64),
                count(j.api.total),
                count(j.api.errors)
            )),
        }
        let mut table = Table::new([
            ("CLIENT", Right),
            ("NAME", Left),
            ("ADDRESS", Left),
            ("RTT", Right),
            ("PENDING", Right),
            ("SUBS", Right),
            ("IN", Right),
            ("OUT", Right),
        ]);
        for c in self.clients.iter().take(SHOWN) {
            let figures = [c.subscriptions, c.in_msgs, c.out_msgs].map(count);
            let [subscriptions, came, went] = figures;
            table.push([
                c.cid.to_string(),
                c.name.clone(),
                c.ip.clone(),
                c.rtt.clone(),
                bytes(c.pending_bytes as f64),
                subscriptions,
                came,
                went,
            ]);
        }
        text.push_str(&format!("\n{table}"));
        if self.clients.len() > SHOWN {
            text.push_str(&format!("\n(and {} further clients with no more pending)", self.clients.len() - SHOWN));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_with_host_and_port() {
        for good in ["http://127.0.0.1:8222", "127.0.0.1:8222", "http://[::1]:8222/", "http://nats.example:1"] {
            assert!(good.parse::<Address>().is_ok(), "{good}");
        }
        for (bad, why) in [
            ("https://h:1", "https is not spoken"),
            ("nats://h:1", "scheme nats"),
            ("http://h", "no host with a port"),
            ("http://:1", "no host with a port"),
            ("http://h:0", "no host with a port"),
            ("http://h:1/varz", "no host with a port"),
            ("http://me:pw@h:1", "no host with a port"),
            ("", "no host with a port"),
        ] {
            assert!(bad.parse::<Address>().unwrap_err().contains(why), "{bad}");
        }
    }
}
