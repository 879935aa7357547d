//! Answers health requests from a snapshot, and sends the same as a heartbeat.

use std::{sync::Arc, time::Duration};

use doom_protocol::{Codec, Envelope, HealthReply, Subjects, Timestamp};
use futures::StreamExt;

use tokio::sync::Notify;

use crate::{Identity, Link, LinkState, Origin, Stamp};

/// Between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Subscribes to this agent's health subject (plainly, without a queue group: two agents under one id must both hear it) and returns
/// the task that answers and beats until the connection ends. It says on `asked_by_an_older` when an older namesake has asked.
///
/// # Errors
/// Where the client refuses the subscription.
pub async fn serve_health(
    link: &Link,
    subjects: &Subjects,
    codec: Codec,
    origin: Origin,
    snapshot: Arc<dyn Fn() -> HealthReply + Send + Sync>,
    identity: Identity,
    asked_by_an_older: Arc<Notify>,
) -> Result<impl Future<Output = ()> + Send + use<>, async_nats::SubscribeError> {
    let trace_id = identity.instance.trace(0);
    let mut requests = link.client().subscribe(subjects.health.clone()).await?;
    let heartbeat = subjects.heartbeat.clone();
    let (link, subjects) = (link.clone(), subjects.clone());
    Ok(async move {
        let mut beat = tokio::time::interval(HEARTBEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                request = requests.next() => {
                    let Some(request) = request else { return };
                    if identity.is_asked_by_an_older(request.headers.as_ref()) {
                        asked_by_an_older.notify_one();
                    }
                    let Some(to) = request.reply.filter(|to| subjects.may_answer(to)) else { continue };
                    if let Ok(bytes) = serde_json::to_vec(&snapshot())
                        && let Err(error) = link.client().publish(to, bytes.into()).await
                    {
                        tracing::debug!(%error, "a health reply could not be sent");
                    }
                }
                _ = beat.tick(), if link.status().state == LinkState::Connected => {
                    let stamp = Stamp::new(trace_id, Timestamp::now());
                    let mut bytes = Vec::with_capacity(1024);
                    if codec.encode(&Envelope::new(snapshot(), trace_id, stamp.timestamp), &mut bytes).is_ok() {
                        let headers = origin.headers(&stamp, codec);
                        if let Err(error) = link.client().publish_with_headers(heartbeat.clone(), headers, bytes.into()).await {
                            tracing::debug!(%error, "a heartbeat could not be sent");
                        }
                    }
                }
            }
        }
    })
}
