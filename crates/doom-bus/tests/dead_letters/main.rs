//! Dead letters on a real server, over tries, crashes and second attempts.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod crash;
mod redriving;
mod settling;

use std::time::Duration;

use async_nats::{
    Client, HeaderMap, Message,
    jetstream::{
        self,
        consumer::{Consumer, pull},
        stream::Stream,
    },
};
use doom_bus::{
    ConnectSettings, Link, connect,
    dead_letters::{Backoff, DeadLetters, Filter, Letter, Letters},
};
use doom_protocol::SubjectRoot;
use futures::StreamExt;
use nats_server_process::NatsServer;

const WITHIN: Duration = Duration::from_secs(30);

/// A server with the streams of the design.
struct Broker {
    client: Client,
    link: Link,
    server: NatsServer,
}

impl Broker {
    async fn start() -> Self {
        let server = NatsServer::builder().jetstream(true).start().unwrap();
        let settings = ConnectSettings { url: server.url(), name: "test".to_owned(), ..Default::default() };
        let link = connect(&settings).await.unwrap();
        link.connected_within(WITHIN).await.unwrap();
        doom_bus::create_streams(&link, "clau-doom").await.unwrap();
        Self { client: link.client().clone(), link, server }
    }

    async fn stream(&self, name: &str) -> Stream {
        jetstream::new(self.client.clone()).get_stream(name).await.unwrap()
    }

    async fn store(&self, subject: &str, id: &str, text: &'static str) -> u64 {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
        headers.insert("trace-id", "t");
        let context = jetstream::new(self.client.clone());
        context.publish_with_headers(subject.to_owned(), headers, text.into()).await.unwrap().await.unwrap().sequence
    }

    async fn letters(&self, filter: Filter) -> Vec<Letter> {
        let mut letters = Letters::open(&self.link, &SubjectRoot::default(), filter).await.unwrap();
        let mut all = Vec::new();
        while let Some(letter) = letters.next().await.unwrap() {
            all.push(letter);
        }
        all
    }

    /// Waits until there are so many letters.
    async fn letters_once(&self, count: usize) -> Vec<Letter> {
        tokio::time::timeout(WITHIN, async {
            loop {
                let all = self.letters(Filter::default()).await;
                if all.len() >= count {
                    return all;
                }
            }
        })
        .await
        .unwrap()
    }
}

/// A consumer of scores, settled through dead letters with short pauses.
async fn consumer(client: &Client, ack_wait: Duration) -> (Consumer<pull::Config>, DeadLetters) {
    let config = DeadLetters::consumer(pull::Config {
        durable_name: Some("scorer".to_owned()),
        filter_subject: "clau-doom.agent.*.score".to_owned(),
        ack_wait,
        ..Default::default()
    });
    let stream = jetstream::new(client.clone()).get_stream("AGENT_EVENTS").await.unwrap();
    (stream.get_or_create_consumer("scorer", config).await.unwrap(), quick(client))
}

fn quick(client: &Client) -> DeadLetters {
    let backoff = Backoff { pauses: [1, 2, 4, 8, 16].map(Duration::from_millis).to_vec(), deliveries: 5 };
    DeadLetters::new(client.clone(), SubjectRoot::default()).with_backoff(backoff)
}

async fn next(consumer: &Consumer<pull::Config>) -> Message {
    let waited = async { consumer.stream().max_messages_per_batch(1).messages().await.unwrap().next().await.unwrap().unwrap() };
    tokio::time::timeout(WITHIN, waited).await.unwrap().message
}
