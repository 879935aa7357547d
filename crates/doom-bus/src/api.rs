//! Requests to the JetStream API: the one place that asks, tells apart what may be wrong, and decodes.

use std::time::Duration;

use async_nats::RequestErrorKind;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{Link, LinkState};

/// How long an answer is waited for.
const WITHIN: Duration = Duration::from_secs(5);
/// How long a server is waited for that has not been reached yet.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);
/// Pages beyond this are not asked for: 256 streams, or as many consumers, stand on each.
const MOST_PAGES: usize = 400;

/// The server's codes.
const NOT_ENABLED: [u64; 2] = [10_039, 10_076];
const STREAM_NOT_FOUND: u64 = 10_059;
const CONSUMER_NOT_FOUND: u64 = 10_014;
/// Of a message that is asked for, or erased: in a stream and in a subject.
const SEQUENCE_NOT_FOUND: [u64; 3] = [10_037, 10_043, 10_057];

/// Why the JetStream API does not answer as asked, in words for the person who must act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No server answers, it refuses the login, or the connection is lost.
    #[error("{0}")]
    NoServer(String),
    /// JetStream is not enabled, for the server or for the account.
    #[error(
        "the server has no JetStream for this account; JetStream is not enabled there: start nats-server with --jetstream, or enable it \
         for the account"
    )]
    NoJetStream,
    /// The server does not have this stream.
    #[error("there is no stream {0}; `doomctl streams apply` makes the streams of the design, `doomctl streams show` lists those that are")]
    NoStream(String),
    /// The login may not ask that.
    #[error("no permission: the server does not permit {subject} ({said}); grant it to this login, or use another")]
    NoPermission {
        /// What was asked, or listened to.
        subject: String,
        /// The server's words.
        said: String,
    },
    /// Nobody answered in time.
    #[error("no answer to {subject} within {within} s; the server is busy, or the cluster's JetStream has no leader")]
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
    /// The client refuses, or an answer makes no sense.
    #[error("{subject}: {why}")]
    Broken {
        /// What was asked.
        subject: String,
        /// What went wrong.
        why: String,
    },
}

impl ApiError {
    /// Whether it may go better in a moment, as where a server has just come back and is looking for its streams.
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Self::NoServer(_) | Self::NoJetStream | Self::NoStream(_) | Self::NoAnswer { .. })
    }
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

impl Refusal {
    fn means(self, subject: String, stream: &str) -> ApiError {
        let Self { code, err_code, description } = self;
        match err_code {
            0 if code == 503 => ApiError::NoJetStream,
            0 => ApiError::Refused { subject, description, code },
            STREAM_NOT_FOUND => ApiError::NoStream(stream.to_owned()),
            code if NOT_ENABLED.contains(&code) => ApiError::NoJetStream,
            code => ApiError::Refused { subject, description, code },
        }
    }
}

/// Waits for the connection, within bounds.
pub(crate) async fn connected(link: &Link) -> Result<(), ApiError> {
    link.connected_within(CONNECTED_WITHIN).await.map_err(ApiError::NoServer)
}

/// Asks `$JS.API.{what}`; `stream` is the one that it is about.
pub(crate) async fn ask<T: DeserializeOwned>(link: &Link, what: &str, stream: &str, body: &Value) -> Result<T, ApiError> {
    let subject = format!("$JS.API.{what}");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = async_nats::Request::new().payload(body.into()).timeout(Some(WITHIN));
    // As the server quotes it, so that no longer subject is meant.
    let refused = link.refused(&format!("\"{subject}\""));
    let reply = tokio::select! {
        reply = link.client().send_request(subject.clone(), request) => reply,
        said = refused => return Err(ApiError::NoPermission { subject, said }),
    };
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) => {
            return Err(match error.kind() {
                RequestErrorKind::NoResponders => ApiError::NoJetStream,
                RequestErrorKind::TimedOut if link.status().state != LinkState::Connected => {
                    ApiError::NoServer(link.status().refusal.map_or_else(|| "the connection to NATS is lost".to_owned(), |r| r.to_string()))
                }
                RequestErrorKind::TimedOut => ApiError::NoAnswer { subject, within: WITHIN.as_secs() },
                _ => ApiError::Broken { subject, why: error.to_string() },
            });
        }
    };
    let broken =
        |error: serde_json::Error| ApiError::Broken { subject: subject.clone(), why: format!("the answer makes no sense: {error}") };
    match serde_json::from_slice::<Answer>(&reply.payload).map_err(broken)?.error {
        None => serde_json::from_slice(&reply.payload).map_err(broken),
        Some(refusal) => Err(refusal.means(subject, stream)),
    }
}

/// `None` where what was asked about is a consumer or a message that is not there.
pub(crate) fn if_there<T>(answer: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(ApiError::Refused { code, .. }) if code == CONSUMER_NOT_FOUND || SEQUENCE_NOT_FOUND.contains(&code) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A page of a list.
#[derive(Deserialize)]
pub(crate) struct Page<T> {
    #[serde(default)]
    total: u64,
    #[serde(default)]
    limit: u64,
    #[serde(alias = "streams", alias = "consumers")]
    items: Option<Vec<T>>,
    /// Those of a cluster that did not answer: nobody leads them at the moment.
    pub(crate) missing: Option<Vec<String>>,
}

/// A whole list.
pub(crate) struct Listed<T> {
    pub(crate) items: Vec<T>,
    /// Names of those that did not answer.
    pub(crate) missing: Vec<String>,
}

/// Every entry of a list: `STREAM.LIST`, or `CONSUMER.LIST.{stream}`.
pub(crate) async fn list<T: DeserializeOwned>(link: &Link, what: &str, stream: &str) -> Result<Listed<T>, ApiError> {
    let mut all = Listed { items: Vec::new(), missing: Vec::new() };
    let mut offset = 0;
    for _ in 0..MOST_PAGES {
        let page: Page<T> = ask(link, what, stream, &json!({ "offset": offset })).await?;
        all.items.extend(page.items.into_iter().flatten());
        all.missing.extend(page.missing.into_iter().flatten());
        offset += page.limit.max(1);
        if offset >= page.total {
            break;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_the_servers_code() {
        let means = |text: &str| {
            let answer: Answer = serde_json::from_str(text).unwrap();
            answer.error.unwrap().means("$JS.API.X".to_owned(), "S")
        };
        assert_eq!(means(r#"{"error":{"code":503,"err_code":10039,"description":"…"}}"#), ApiError::NoJetStream);
        assert_eq!(means(r#"{"error":{"code":503,"description":"JetStream not enabled"}}"#), ApiError::NoJetStream);
        assert_eq!(means(r#"{"error":{"code":404,"err_code":10059,"description":"…"}}"#), ApiError::NoStream("S".to_owned()));
        let refused = means(r#"{"error":{"code":400,"err_code":10093,"description":"no subset"}}"#);
        assert_eq!(refused.to_string(), "the server refuses $JS.API.X: no subset (10093)");
        let no_consumer = means(r#"{"error":{"code":404,"err_code":10014,"description":"consumer not found"}}"#);
        assert_eq!(if_there::<()>(Err(no_consumer)), Ok(None));
        assert_eq!(if_there::<()>(Err(refused.clone())), Err(refused));
    }
}
