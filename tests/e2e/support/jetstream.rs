//! JetStream by its JSON API: the streams of the design, and what they hold.

use std::time::Duration;

use async_nats::{Client, Message};
use serde_json::{Value, json};

use super::{Event, WITHIN, runtime};

const DAY: u64 = 86_400_000_000_000;
const AGENT_EVENTS: [&str; 4] =
    ["clau-doom.agent.*.action", "clau-doom.agent.*.observe", "clau-doom.agent.*.score", "clau-doom.agent.*.death"];
/// Not `generation.>`: that takes requests for evaluations too, and acknowledges them before a worker can answer.
const GENERATION_EVENTS: [&str; 6] = [
    "clau-doom.generation.*.agent.*.score",
    "clau-doom.generation.*.start",
    "clau-doom.generation.*.evolve",
    "clau-doom.generation.*.complete",
    "clau-doom.generation.*.evaluation.*.episode.*",
    "clau-doom.generation.*.evaluation.*.result",
];

/// A client that asks the server's JetStream API.
pub(crate) struct JetStream {
    client: Client,
}

impl JetStream {
    pub(crate) fn open(url: &str) -> Self {
        Self::of(runtime().block_on(async_nats::connect(url)).unwrap())
    }

    /// By a client that has logged in.
    pub(crate) fn of(client: Client) -> Self {
        Self { client }
    }

    /// Every stream, as the design lists them.
    pub(crate) fn create_all(&self) {
        self.create("AGENT_EVENTS", &AGENT_EVENTS, json!({"max_age": 7 * DAY, "max_bytes": 1 << 30, "max_msg_size": 1 << 20}));
        let source = |leaf: &str| json!({"src": format!("clau-doom.agent.*.{leaf}"), "dest": ""});
        self.create(
            "AGENT_RECORDS",
            &[],
            json!({"max_age": 30 * DAY, "sources": [{"name": "AGENT_EVENTS", "subject_transforms": [source("score"), source("death")]}]}),
        );
        self.create("EXPERIMENT_EVENTS", &["clau-doom.experiment.>"], json!({"max_age": 30 * DAY}));
        self.create("GENERATION_EVENTS", &GENERATION_EVENTS, json!({"max_age": 30 * DAY}));
        self.create("METRICS", &["clau-doom.metrics.>"], json!({"max_age": DAY, "max_bytes": 512 << 20}));
        let system = ["clau-doom.system.doom_agent.error", "clau-doom.system.doom_agent.lifecycle"];
        self.create("SYSTEM_EVENTS", &system, json!({"max_age": 30 * DAY}));
    }

    /// One stream; `more` adds to or replaces what all of them have.
    pub(crate) fn create(&self, name: &str, subjects: &[&str], more: Value) {
        let mut config = json!({
            "name": name, "subjects": subjects, "storage": "file", "discard": "old", "retention": "limits",
            "num_replicas": 1, "allow_direct": true, "duplicate_window": 120_000_000_000u64,
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.api(&format!("STREAM.CREATE.{name}"), &config);
        assert_eq!(answer["config"]["name"], name, "{answer}");
    }

    /// Gives a stream other subjects.
    pub(crate) fn update(&self, name: &str, subjects: &[&str]) {
        self.change(name, "subjects", json!(subjects));
    }

    /// Changes one setting of a stream.
    pub(crate) fn change(&self, name: &str, key: &str, value: Value) {
        let mut config = self.api(&format!("STREAM.INFO.{name}"), &json!({}))["config"].take();
        config[key] = value.clone();
        let answer = self.api(&format!("STREAM.UPDATE.{name}"), &config);
        assert_eq!(answer["config"][key], value, "{answer}");
    }

    /// Deletes a stream with all it holds.
    pub(crate) fn delete(&self, name: &str) {
        let answer = self.api(&format!("STREAM.DELETE.{name}"), &json!({}));
        assert_eq!(answer["success"], true, "{answer}");
    }

    /// Removes all that a stream holds, as those who fill it do.
    pub(crate) fn purge(&self, name: &str) {
        let answer = self.api(&format!("STREAM.PURGE.{name}"), &json!({}));
        assert_eq!(answer["success"], true, "{answer}");
    }

    /// A durable pull consumer; `more` as in the API.
    pub(crate) fn create_consumer(&self, stream: &str, name: &str, more: Value) {
        let mut config = json!({"durable_name": name, "ack_policy": "explicit"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.api(&format!("CONSUMER.DURABLE.CREATE.{stream}.{name}"), &json!({"stream_name": stream, "config": config}));
        assert_eq!(answer["name"], name, "{answer}");
    }

    /// Publishes; what the stream acknowledges.
    pub(crate) fn publish(&self, subject: &str, body: &Value) -> Value {
        let request = async_nats::Request::new().payload(body.to_string().into()).timeout(Some(WITHIN));
        let answer = runtime().block_on(self.client.send_request(subject.to_owned(), request)).unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    }

    fn api(&self, what: &str, body: &Value) -> Value {
        serde_json::from_slice(&self.raw(what, body).payload).unwrap()
    }

    fn raw(&self, what: &str, body: &Value) -> Message {
        let request = async_nats::Request::new().payload(body.to_string().into()).timeout(Some(WITHIN));
        runtime().block_on(self.client.send_request(format!("$JS.API.{what}"), request)).unwrap_or_else(|e| panic!("{what}: {e}"))
    }

    /// How many messages a stream holds on a subject (wildcards allowed).
    pub(crate) fn count(&self, stream: &str, subject: &str) -> u64 {
        let info = self.api(&format!("STREAM.INFO.{stream}"), &json!({"subjects_filter": subject}));
        let subjects = info["state"]["subjects"].as_object();
        subjects.into_iter().flatten().map(|(_, n)| n.as_u64().unwrap()).sum()
    }

    /// Waits until a stream holds at least `n` messages on a subject.
    pub(crate) fn wait_count(&self, stream: &str, subject: &str, n: u64) {
        let until = std::time::Instant::now() + WITHIN;
        loop {
            let now = self.count(stream, subject);
            if now >= n {
                return;
            }
            assert!(std::time::Instant::now() < until, "{stream} has {now} of {n} messages on {subject} after {WITHIN:?}");
            // The API tells a count when it is asked; there is nothing to subscribe to.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What a stream holds on a subject, in its order.
    pub(crate) fn stored(&self, stream: &str, subject: &str) -> Vec<Event> {
        let mut all = Vec::new();
        let mut next = 1u64;
        loop {
            let message = self.raw(&format!("DIRECT.GET.{stream}"), &json!({"seq": next, "next_by_subj": subject}));
            let mut event = Event::of(&message);
            if !event.headers.contains_key("Nats-Sequence") {
                return all;
            }
            next = event.header("Nats-Sequence").parse::<u64>().unwrap() + 1;
            event.subject = event.header("Nats-Subject").to_owned();
            all.push(event);
        }
    }
}
