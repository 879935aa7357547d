//! A NATS client that knows the agent by its wire alone: two streams, read from their first message on, in their order.

use std::{pin::pin, time::Duration};

use anyhow::{Context, Result};
use async_nats::jetstream::{self, Message, consumer::push};
use futures::{Stream, StreamExt, stream};
use serde_json::Value;
use tokio::sync::mpsc;

/// Where the steps and results are stored, and where the agent speaks of itself.
pub(super) const STREAMS: [&str; 2] = ["AGENT_EVENTS", "SYSTEM_EVENTS"];
/// How long the agent may take from starting its server to making the streams.
const STREAMS_WITHIN: Duration = Duration::from_secs(10);
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// An event as it came.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// The envelope's `type`.
    pub(super) kind: String,
    /// The header `seq`; records of the system have none.
    pub(super) seq: Option<u64>,
    /// The header `backend`.
    pub(super) backend: String,
    /// The envelope's `payload`.
    pub(super) payload: Value,
}

impl Event {
    fn read(message: &Message) -> Result<Self> {
        let header = |name: &str| message.headers.as_ref().and_then(|h| h.get(name)).map(|v| v.as_str().to_owned());
        let mut envelope: Value = serde_json::from_slice(&message.payload)
            .with_context(|| format!("what came on {} is not JSON (the demo reads no other codec)", message.subject))?;
        Ok(Self {
            kind: envelope["type"].as_str().unwrap_or_default().to_owned(),
            seq: header("seq").and_then(|s| s.parse().ok()),
            backend: header("backend").unwrap_or_default(),
            payload: envelope["payload"].take(),
        })
    }
}

/// A connection that is to be made.
pub(super) struct Feed {
    url: String,
}

impl Feed {
    pub(super) fn connect(url: String) -> Self {
        Self { url }
    }

    /// Reads until nobody listens or the server is gone.
    pub(super) async fn run(self, events: mpsc::Sender<Event>) -> Result<()> {
        let client = async_nats::connect(&self.url).await.with_context(|| format!("cannot connect to {}", self.url))?;
        let context = jetstream::new(client.clone());
        let mut feeds = Vec::new();
        for name in STREAMS {
            feeds.push(read_all(&context, &client, name).await.with_context(|| format!("cannot read the stream {name}"))?.boxed());
        }
        let mut messages = pin!(stream::select_all(feeds));
        while let Some(message) = messages.next().await {
            let Ok(message) = message else { break };
            if events.send(Event::read(&message)?).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}

type Messages = Result<Message, push::OrderedError>;

async fn read_all(context: &jetstream::Context, client: &async_nats::Client, name: &str) -> Result<impl Stream<Item = Messages> + use<>> {
    let stream = tokio::time::timeout(STREAMS_WITHIN, async {
        loop {
            match context.get_stream(name).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
            }
        }
    });
    let stream = stream.await.with_context(|| format!("it is not there after {} s", STREAMS_WITHIN.as_secs()))?;
    // The default is to deliver all, from the first message on.
    let config = push::OrderedConfig { deliver_subject: client.new_inbox(), ..Default::default() };
    Ok(stream.create_consumer(config).await?.messages().await?)
}
