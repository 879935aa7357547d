//! How far behind readers are: what each consumer of each stream has still to be given, and what it was given and has not acknowledged.

use serde::{Deserialize, Serialize};

use super::OperatorError;
use crate::{Link, api};

/// A stream and its consumers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamLag {
    /// Its name.
    pub stream: String,
    /// Messages in it.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The sequence of the newest.
    pub last_sequence: u64,
    /// Sorted by name.
    pub consumers: Vec<ConsumerLag>,
}

/// One consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsumerLag {
    /// Its name.
    pub consumer: String,
    /// It outlives its readers.
    pub durable: bool,
    /// Its readers fetch; otherwise the server pushes.
    pub pull: bool,
    /// Messages that match and were not delivered yet.
    pub pending: u64,
    /// Delivered, not acknowledged yet.
    pub unacknowledged: u64,
    /// Of these, delivered more than once.
    pub redelivered: u64,
    /// Deliveries so far, repetitions included.
    pub delivered: u64,
    /// Readers that wait: fetches that are open, or 1 where a subscriber is bound to a push consumer.
    pub readers: u64,
}

impl ConsumerLag {
    /// Pending and unacknowledged.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.pending + self.unacknowledged
    }
}

#[derive(Deserialize)]
struct Stream {
    config: StreamConfig,
    #[serde(default)]
    state: StreamState,
}

#[derive(Deserialize)]
struct StreamConfig {
    name: String,
}

#[derive(Deserialize, Default)]
struct StreamState {
    #[serde(default)]
    messages: u64,
    #[serde(default)]
    bytes: u64,
    #[serde(default)]
    last_seq: u64,
    #[serde(default)]
    consumer_count: u64,
}

#[derive(Deserialize)]
struct Consumer {
    name: String,
    #[serde(default)]
    config: ConsumerConfig,
    #[serde(default)]
    delivered: Delivered,
    #[serde(default)]
    num_ack_pending: u64,
    #[serde(default)]
    num_redelivered: u64,
    #[serde(default)]
    num_waiting: u64,
    #[serde(default)]
    num_pending: u64,
    #[serde(default)]
    push_bound: bool,
}

#[derive(Deserialize, Default)]
struct ConsumerConfig {
    durable_name: Option<String>,
    deliver_subject: Option<String>,
}

#[derive(Deserialize, Default)]
struct Delivered {
    #[serde(default)]
    consumer_seq: u64,
}

/// Looks at every stream of the account, or at the one named.
///
/// # Errors
/// [`OperatorError`]; of a stream that is not there, that it is not, with those that are.
pub async fn lag(link: &Link, only: Option<&str>) -> Result<Vec<StreamLag>, OperatorError> {
    let mut streams: Vec<Stream> = api::list(link, "STREAM.LIST", "").await?.items;
    streams.sort_by(|a, b| a.config.name.cmp(&b.config.name));
    if let Some(name) = only {
        if !streams.iter().any(|s| s.config.name == name) {
            let names: Vec<_> = streams.iter().map(|s| s.config.name.as_str()).collect();
            let there = if names.is_empty() { "there is none".to_owned() } else { format!("there are {}", names.join(", ")) };
            return Err(OperatorError::NoStream(name.to_owned(), there));
        }
        streams.retain(|s| s.config.name == name);
    }
    let mut all = Vec::with_capacity(streams.len());
    for Stream { config, state } in streams {
        let mut consumers: Vec<Consumer> = match state.consumer_count {
            0 => Vec::new(),
            _ => api::list(link, &format!("CONSUMER.LIST.{}", config.name), &config.name).await?.items,
        };
        consumers.sort_by(|a, b| a.name.cmp(&b.name));
        all.push(StreamLag {
            stream: config.name,
            messages: state.messages,
            bytes: state.bytes,
            last_sequence: state.last_seq,
            consumers: consumers.into_iter().map(of_consumer).collect(),
        });
    }
    Ok(all)
}

fn of_consumer(consumer: Consumer) -> ConsumerLag {
    let pull = consumer.config.deliver_subject.is_none();
    ConsumerLag {
        durable: consumer.config.durable_name.is_some(),
        pull,
        pending: consumer.num_pending,
        unacknowledged: consumer.num_ack_pending,
        redelivered: consumer.num_redelivered,
        delivered: consumer.delivered.consumer_seq,
        readers: if pull { consumer.num_waiting } else { u64::from(consumer.push_bound) },
        consumer: consumer.name,
    }
}
