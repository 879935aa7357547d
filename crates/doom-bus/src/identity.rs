//! One id, one agent: asks the agent's own health subject who else answers there.

use std::time::Duration;

use doom_protocol::{HealthReply, Instance, Timestamp};
use futures::StreamExt;

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

impl Identity {
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
    client.publish_with_reply(health_subject.to_owned(), inbox, bytes::Bytes::new()).await.ok()?;
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
