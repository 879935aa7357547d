//! `doom-agent health`, for container health checks: asks the agent on this host at its `--http` address where it has one, so that the
//! answer is about its game and not about the broker; else an agent anywhere, over NATS.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use cli_common::output::say;
use doom_protocol::{HealthReply, Id, Subjects};
use futures::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    cli::Options,
    config::{connect_settings, required_id},
    exit::{self, Failure},
    nats_choice::NatsChoice,
    outputs::complain,
};

const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// In bytes; a health reply has about a thousand.
const LONGEST_ANSWER: u64 = 1 << 16;

/// Prints the reply; 0 where the agent is healthy, else 1.
///
/// # Errors
/// For a wrong command line, or where there is no way to ask.
pub async fn health(options: &Options) -> Result<i32, Failure> {
    let id = required_id(options)?;
    // Port 0 is a free one that only the agent knows.
    if let Some(address) = options.http.filter(|address| address.port() != 0) {
        return probe(&id, reachable(address)).await;
    }
    if !matches!(options.nats, NatsChoice::Url(_)) {
        return Err(Failure::new(exit::USAGE, "health is asked over NATS or at --http; give --nats URL or --http ADDR"));
    }
    let settings = connect_settings(options, &id)?;
    let link = doom_bus::connect(&settings).await.map_err(|e| Failure::new(exit::UNAVAILABLE, e))?;
    if let Err(why) = link.connected_within(ANSWER_WITHIN).await {
        complain(why);
        return Ok(exit::NO);
    }
    let subjects = Subjects::new(&options.subject_root, &id);
    let reply = tokio::time::timeout(ANSWER_WITHIN, ask(&link, &subjects)).await;
    link.close().await;
    match reply {
        Ok(Ok(reply)) => tell(&reply),
        Ok(Err(reason)) => Err(Failure::new(exit::INTERNAL, reason)),
        Err(_) => {
            complain(format_args!("agent {id} does not answer on {} within {} s", subjects.health, ANSWER_WITHIN.as_secs()));
            Ok(exit::NO)
        }
    }
}

fn tell(reply: &HealthReply) -> Result<i32, Failure> {
    say(&serde_json::to_string(reply).map_err(|e| Failure::new(exit::INTERNAL, e))?);
    Ok(if reply.healthy { exit::DONE } else { exit::NO })
}

/// Who listens everywhere is asked here.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Asks `/livez`, whose body is the health reply.
async fn probe(id: &Id, address: SocketAddr) -> Result<i32, Failure> {
    let reply = match tokio::time::timeout(ANSWER_WITHIN, get_livez(address)).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(why)) => {
            complain(format_args!("agent {id} does not answer at http://{address}/livez: {why}"));
            return Ok(exit::NO);
        }
        Err(_) => {
            complain(format_args!("agent {id} does not answer at http://{address}/livez within {} s", ANSWER_WITHIN.as_secs()));
            return Ok(exit::NO);
        }
    };
    if reply.agent_id != id.as_str() {
        complain(format_args!("at http://{address} is agent {}, not {id}", reply.agent_id));
        return Ok(exit::NO);
    }
    tell(&reply)
}

async fn get_livez(address: SocketAddr) -> Result<HealthReply, String> {
    let text = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("GET /livez HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
        let mut text = String::new();
        stream.take(LONGEST_ANSWER).read_to_string(&mut text).await?;
        std::io::Result::Ok(text)
    };
    let text = text.await.map_err(|e| e.to_string())?;
    let (_, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("what answers there speaks no HTTP: {text:.80}"))?;
    serde_json::from_str(body).map_err(|e| format!("what answers there is no doom-agent: {e}"))
}

/// The first answer that is a health reply; a stream's acknowledgement is none.
async fn ask(link: &doom_bus::Link, subjects: &Subjects) -> Result<HealthReply, String> {
    let inbox = link.client().new_inbox();
    let mut answers = link.client().subscribe(inbox.clone()).await.map_err(|e| e.to_string())?;
    link.client().publish_with_reply(subjects.health.clone(), inbox, "".into()).await.map_err(|e| e.to_string())?;
    while let Some(message) = answers.next().await {
        if let Ok(reply) = serde_json::from_slice(&message.payload) {
            return Ok(reply);
        }
    }
    Err("the connection was closed".to_owned())
}
