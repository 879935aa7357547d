//! The way out for pictures: large, and nobody's loss, so they have a connection of their own, where they delay no other event.
//!
//! They leave in lots of at most [`LOT_BYTES`], one lot under way at a time until a round trip shows that the server has taken it:
//! so much, and no more, waits in this process for a slow server. Meanwhile the sender's own bounds drop what is newest.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use async_nats::{Subscriber, client::PublishErrorKind};
use bytes::Bytes;
use doom_protocol::Codec;
use futures::StreamExt;
use tokio::sync::{mpsc, watch};

use crate::{Link, LinkState, Origin, Outgoing, Status};

/// A lot is closed once it holds this much.
const LOT_BYTES: usize = 1 << 20;
/// A lot is closed once it holds this many.
const LOT_FRAMES: u64 = 32;

/// What became of the frames that were to be kept; anyone may read it.
#[derive(Debug, Default)]
pub struct FrameCounts {
    published: AtomicU64,
    dropped: AtomicU64,
}

impl FrameCounts {
    /// Taken by the server.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.published.load(Relaxed)
    }

    /// Not published: no room, no connection, too large for the server, or (it may have arrived) the connection broke on the way.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Notes frames that were dropped.
    pub fn add_dropped(&self, frames: u64) {
        self.dropped.fetch_add(frames, Relaxed);
    }
}

/// Publishes until nobody can send any more and the last lot is through. What is sent while there is no connection is dropped.
pub async fn publish_frames(link: Link, codec: Codec, origin: Origin, mut frames: mpsc::Receiver<Outgoing>, counts: Arc<FrameCounts>) {
    let mut status = link.watch();
    let inbox = link.client().new_inbox();
    let Ok(mut answers) = link.client().subscribe(inbox.clone()).await else { return };
    let mut said = false;
    let mut lot = 0u64;
    while let Some(first) = frames.recv().await {
        let before = *status.borrow_and_update();
        if before.state != LinkState::Connected {
            counts.add_dropped(1);
            continue;
        }
        let (mut sent, mut bytes) = (0, 0);
        let mut next = Some(first);
        while let Some(event) = next.take() {
            bytes += event.payload.len();
            let headers = origin.headers(&event.stamp, codec);
            match link.client().publish_with_headers(event.subject, headers, event.payload).await {
                Ok(()) => sent += 1,
                Err(error) => {
                    counts.add_dropped(1);
                    if !std::mem::replace(&mut said, true) {
                        refused(error.kind(), &error, &link);
                    }
                }
            }
            if bytes < LOT_BYTES && sent < LOT_FRAMES {
                next = frames.try_recv().ok();
            }
        }
        lot += 1;
        let barrier = Bytes::copy_from_slice(&lot.to_be_bytes());
        let taken = sent > 0
            && link.client().publish(inbox.clone(), barrier).await.is_ok()
            && tokio::select! {
                taken = answered(&mut answers, lot) => taken,
                () = lost(&mut status, before) => false,
            };
        if taken {
            counts.published.fetch_add(sent, Relaxed);
        } else {
            counts.add_dropped(sent);
        }
    }
}

/// Waits for the barrier of a lot; `false` where the connection was closed.
async fn answered(answers: &mut Subscriber, lot: u64) -> bool {
    while let Some(message) = answers.next().await {
        if message.payload.as_ref() == lot.to_be_bytes() {
            return true;
        }
    }
    false
}

/// Waits for the end of the connection that there was.
async fn lost(status: &mut watch::Receiver<Status>, before: Status) {
    // An error means that the client is gone, and the connection with it.
    let _ = status.wait_for(|s| s.losses != before.losses || s.state == LinkState::Closed).await;
}

fn refused(kind: PublishErrorKind, error: &dyn std::fmt::Display, link: &Link) {
    if kind == PublishErrorKind::MaxPayloadExceeded {
        tracing::warn!(
            %error,
            max_payload = link.client().max_payload(),
            "a frame is larger than the server takes; all that are will be dropped (metric frames_dropped): publish them as jpeg, \
             choose a smaller screen_resolution, or raise max_payload in the server's configuration"
        );
    } else {
        tracing::warn!(%error, "the NATS client refuses frames; they are dropped (metric frames_dropped)");
    }
}
