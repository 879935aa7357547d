//! Which stream takes a subject, and the trap of a stream that answers health requests in the agent's place.

use std::time::Duration;

use async_nats::{Client, RequestErrorKind};
use serde::Deserialize;

/// How long an answer of the JetStream API is waited for.
const API_TIMEOUT: Duration = Duration::from_secs(3);

/// What is known of the stream of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamFinding {
    /// This one takes it.
    Stream(String),
    /// JetStream answers, and no stream takes it.
    None,
    /// JetStream is not enabled (for this account).
    NoJetStream,
    /// No answer, or no permission to ask.
    Unknown(String),
}

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    streams: Option<Vec<String>>,
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    code: u64,
    #[serde(default)]
    description: String,
}

/// Asks for the stream that takes a subject.
pub async fn find_stream(client: &Client, subject: &str) -> StreamFinding {
    let body = serde_json::json!({ "subject": subject }).to_string();
    let request = async_nats::Request::new().payload(body.into()).timeout(Some(API_TIMEOUT));
    match client.send_request("$JS.API.STREAM.NAMES", request).await {
        Ok(reply) => match serde_json::from_slice::<Names>(&reply.payload) {
            Ok(Names { error: Some(e), .. }) if e.code == 503 => StreamFinding::NoJetStream,
            Ok(Names { error: Some(e), .. }) => StreamFinding::Unknown(e.description),
            Ok(Names { streams, .. }) => streams.into_iter().flatten().next().map_or(StreamFinding::None, StreamFinding::Stream),
            Err(e) => StreamFinding::Unknown(e.to_string()),
        },
        Err(e) if e.kind() == RequestErrorKind::NoResponders => StreamFinding::NoJetStream,
        Err(e) => StreamFinding::Unknown(e.to_string()),
    }
}

/// The stream that captures health requests, if there is one: it acknowledges them in the requester's inbox before the agent answers.
pub async fn health_trap(client: &Client, health_subject: &str) -> Option<String> {
    match find_stream(client, health_subject).await {
        StreamFinding::Stream(name) => Some(name),
        _ => None,
    }
}
