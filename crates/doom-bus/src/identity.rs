//! One id, one agent: asks the agent's own health subject who else answers there.
//!
//! Of two that connect one after the other the first may be the younger: its question finds nobody. The question therefore says who
//! asks, and who is asked by an older agent asks again itself.

use std::time::Duration;

use async_nats::HeaderMap;
use doom_protocol::{HealthReply, Instance, Timestamp, header};
use futures::StreamExt;
use serde::{Deserialize, de::IntoDeserializer, de::value::Error as ValueError};

use crate::Link;

/// How long namesakes have to answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(700);

/// Who we are among agents of the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// When the process started; the older agent stays.
    pub started_at: Timestamp,
    /// Decides where both started at once.
    pub instance: Instance,
}

/// Header of the question: when the asking process started.
const STARTED_AT: &str = "started-at";

impl Identity {
    fn question(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::INSTANCE, self.instance.to_string());
        headers.insert(STARTED_AT, self.started_at.to_string());
        headers
    }

    /// Whether a health request comes from an older agent of the same id.
    pub(crate) fn is_asked_by_an_older(&self, headers: Option<&HeaderMap>) -> bool {
        let read = |headers: &HeaderMap| {
            let de = IntoDeserializer::<ValueError>::into_deserializer;
            let text = |name| headers.get(name).map(|v| v.as_str().to_owned());
            let started_at = Timestamp::deserialize(de(text(STARTED_AT)?)).ok()?;
            let instance = Instance::deserialize(de(text(header::INSTANCE)?)).ok()?;
            Some((started_at, instance))
        };
        headers.and_then(read).is_some_and(|theirs| theirs < (self.started_at, self.instance))
    }

    fn yields_to(&self, other: &HealthReply) -> bool {
        let theirs = (other.started_at.unwrap_or(self.started_at), other.instance);
        theirs < (self.started_at, self.instance)
    }
}

/// Asks; an older agent that answers under the same id is returned. Acknowledgements of streams and garbage are passed over.
pub async fn older_namesake(link: &Link, health_subject: &str, me: Identity) -> Option<HealthReply> {
    let client = link.client();
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.ok()?;
    client.publish_with_reply_and_headers(health_subject.to_owned(), inbox, me.question(), bytes::Bytes::new()).await.ok()?;
    let listen = async {
        while let Some(message) = answers.next().await {
            if let Ok(reply) = serde_json::from_slice::<HealthReply>(&message.payload)
                && reply.instance != me.instance
                && me.yields_to(&reply)
            {
                return Some(reply);
            }
        }
        None
    };
    tokio::time::timeout(ANSWER_WITHIN, listen).await.ok().flatten()
}
