//! Requests to the JetStream API, with errors that say what is wrong.

use std::time::Duration;

use async_nats::{Client, RequestErrorKind};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// How long an answer is waited for.
const WITHIN: Duration = Duration::from_secs(5);
const NOT_ENABLED: [u64; 2] = [10_039, 10_076];
const STREAM_NOT_FOUND: u64 = 10_059;

/// Why the server's streams cannot be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamsError {
    /// JetStream is not enabled, for the server or for the account.
    #[error("the server has no JetStream for this account; start nats-server with -js, or enable it for the account")]
    NoJetStream,
    /// The server does not have this stream.
    #[error("the server has no stream {0}; doomctl streams show lists those that it has, doomctl streams apply makes those of the design")]
    NoStream(String),
    /// Nobody answered in time.
    #[error(
        "no answer to {subject} within {within} s; the login may not be permitted to ask that, or the cluster's JetStream has no leader"
    )]
    NoAnswer {
        /// What was asked.
        subject: String,
        /// Seconds.
        within: u64,
    },
    /// The server said no.
    #[error("the server refuses {subject}: {description} ({code})")]
    Refused {
        /// What was asked.
        subject: String,
        /// The server's words.
        description: String,
        /// The server's code.
        code: u64,
    },
    /// The connection, or an answer that makes no sense.
    #[error("{subject}: {why}")]
    Broken {
        /// What was asked.
        subject: String,
        /// What went wrong.
        why: String,
    },
}

#[derive(Deserialize)]
struct Answer {
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: u64,
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// Asks `$JS.API.{what}`; `stream` is the one that it is about.
pub(crate) async fn ask<T: DeserializeOwned>(client: &Client, what: &str, stream: &str, body: &Value) -> Result<T, StreamsError> {
    let subject = format!("$JS.API.{what}");
    let broken = |why: String| StreamsError::Broken { subject: subject.clone(), why };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = async_nats::Request::new().payload(body.into()).timeout(Some(WITHIN));
    let reply = client.send_request(subject.clone(), request).await.map_err(|e| match e.kind() {
        RequestErrorKind::NoResponders => StreamsError::NoJetStream,
        RequestErrorKind::TimedOut => StreamsError::NoAnswer { subject: subject.clone(), within: WITHIN.as_secs() },
        _ => broken(e.to_string()),
    })?;
    let answer: Answer = serde_json::from_slice(&reply.payload).map_err(|e| broken(e.to_string()))?;
    match answer.error {
        None => serde_json::from_slice(&reply.payload).map_err(|e| broken(e.to_string())),
        Some(refusal) if NOT_ENABLED.contains(&refusal.err_code) || (refusal.err_code == 0 && refusal.code == 503) => {
            Err(StreamsError::NoJetStream)
        }
        Some(refusal) if refusal.err_code == STREAM_NOT_FOUND => Err(StreamsError::NoStream(stream.to_owned())),
        Some(refusal) => {
            let code = if refusal.err_code == 0 { refusal.code } else { refusal.err_code };
            Err(StreamsError::Refused { subject, description: refusal.description, code })
        }
    }
}
