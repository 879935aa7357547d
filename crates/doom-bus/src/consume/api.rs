//! Requests to the JetStream API, with answers that say what is wrong.

use std::time::Duration;

use async_nats::RequestErrorKind;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::ConsumeError;
use crate::Link;

/// How long an answer is waited for.
const WITHIN: Duration = Duration::from_secs(5);
/// How long a server is waited for that has not been reached yet.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);

/// The server's codes for what is not there.
const STREAM_NOT_FOUND: u64 = 10_059;
const CONSUMER_NOT_FOUND: u64 = 10_014;
const JETSTREAM_NOT_ENABLED: [u64; 2] = [10_039, 10_076];

#[derive(Deserialize)]
struct Answer {
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    code: u64,
    #[serde(default)]
    description: String,
}

/// Waits for the connection, within bounds.
pub(super) async fn connected(link: &Link) -> Result<(), ConsumeError> {
    link.connected_within(CONNECTED_WITHIN).await.map_err(ConsumeError::NoServer)
}

/// Asks `$JS.API.{what}` about a stream. `None` where the consumer is not there.
pub(super) async fn ask<T: DeserializeOwned>(link: &Link, stream: &str, what: &str, body: &Value) -> Result<Option<T>, ConsumeError> {
    let subject = format!("$JS.API.{what}");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = async_nats::Request::new().payload(body.into()).timeout(Some(WITHIN));
    let refused = link.refused(&subject);
    let reply = tokio::select! {
        reply = link.client().send_request(subject.clone(), request) => reply,
        words = refused => return Err(ConsumeError::NoPermission(words)),
    };
    let reply = reply.map_err(|error| match error.kind() {
        RequestErrorKind::NoResponders => ConsumeError::NoJetStream,
        RequestErrorKind::TimedOut => ConsumeError::NoAnswer(subject.clone(), WITHIN.as_secs()),
        _ => ConsumeError::Broken(format!("{subject}: {error}")),
    })?;
    let broken = |error: serde_json::Error| ConsumeError::Broken(format!("{subject}: the answer makes no sense: {error}"));
    let answer: Answer = serde_json::from_slice(&reply.payload).map_err(broken)?;
    match answer.error {
        None => serde_json::from_slice(&reply.payload).map(Some).map_err(broken),
        Some(refusal) => match refusal.err_code {
            STREAM_NOT_FOUND => Err(ConsumeError::NoStream(stream.to_owned())),
            CONSUMER_NOT_FOUND => Ok(None),
            code if JETSTREAM_NOT_ENABLED.contains(&code) => Err(ConsumeError::NoJetStream),
            0 if refusal.code == 503 => Err(ConsumeError::NoJetStream),
            code => Err(ConsumeError::Refused { what: subject, description: refusal.description, code }),
        },
    }
}
