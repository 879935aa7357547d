//! Events of programs that are no agents (and of workers, about their work): enveloped, published with an acknowledgement.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::{self, context::PublishErrorKind},
};
use doom_protocol::{Codec, Envelope, Instance, Payload, Timestamp, header};
use tokio::time::Instant;

use crate::Link;

const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(5);
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Who announces.
#[derive(Debug, Clone)]
pub struct Announcer {
    link: Link,
    source: String,
    instance: Instance,
}

impl Announcer {
    /// `source` stands where an agent's id stands in the events of agents.
    #[must_use]
    pub fn new(link: Link, source: &str, instance: Instance) -> Self {
        Self { link, source: source.to_owned(), instance }
    }

    fn message<P: Payload>(&self, payload: P, at: Timestamp, message_id: Option<&str>) -> Result<(HeaderMap, bytes::Bytes), String> {
        let trace = self.instance.trace(0);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, Codec::Json.content_type());
        headers.insert(header::TRACE_ID, trace.to_string());
        headers.insert(header::TIMESTAMP, at.to_string());
        headers.insert(header::SOURCE_AGENT, self.source.as_str());
        headers.insert(header::INSTANCE, self.instance.to_string());
        if let Some(id) = message_id {
            headers.insert(header::MSG_ID, id);
        }
        let mut bytes = Vec::with_capacity(1024);
        Codec::Json.encode(&Envelope::new(payload, trace, at), &mut bytes).map_err(|e| e.to_string())?;
        Ok((headers, bytes.into()))
    }

    /// For live listeners alone.
    ///
    /// # Errors
    /// A text, where it cannot be encoded or the client refuses it.
    pub async fn tell<P: Payload>(&self, subject: String, payload: P, at: Timestamp) -> Result<(), String> {
        let (headers, bytes) = self.message(payload, at, None)?;
        self.link.client().publish_with_headers(subject, headers, bytes).await.map_err(|e| e.to_string())
    }

    /// Stored by a stream: one try. `false` where no stream takes the subject (live listeners have heard it then).
    ///
    /// # Errors
    /// A text, where it is not known to be stored.
    pub async fn store<P: Payload>(&self, subject: &str, payload: P, at: Timestamp, message_id: &str) -> Result<bool, String> {
        let (headers, bytes) = self.message(payload, at, Some(message_id))?;
        let context = jetstream::new(self.link.client().clone());
        let sent = async {
            let acknowledged = context.publish_with_headers(subject.to_owned(), headers, bytes).await?;
            acknowledged.await
        };
        match tokio::time::timeout(ACKNOWLEDGED_WITHIN, sent).await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(error)) if error.kind() == PublishErrorKind::StreamNotFound => Ok(false),
            Ok(Err(error)) => Err(format!("{subject} is not acknowledged: {error}")),
            Err(_) => Err(format!("{subject} is not acknowledged within {} s", ACKNOWLEDGED_WITHIN.as_secs())),
        }
    }
}

/// Stores an event, trying again under the same message id until it is acknowledged or `until` has passed.
///
/// # Errors
/// What was wrong with the last try; or that no stream takes the subject.
pub async fn announce_within<P: Payload + Clone>(
    announcer: &Announcer,
    subject: &str,
    payload: P,
    at: Timestamp,
    message_id: &str,
    until: Instant,
) -> Result<(), String> {
    loop {
        let error = match announcer.store(subject, payload.clone(), at, message_id).await {
            Ok(true) => return Ok(()),
            Ok(false) => return Err(format!("no stream takes {subject}; make the streams of clau-doom with doomctl streams apply")),
            Err(error) => error,
        };
        if Instant::now() + TRY_AGAIN >= until {
            return Err(error);
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}
