//! The server asked without any code of ours between.

use async_nats::{Client, HeaderMap};
use nats_server_process::NatsServer;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

/// A client that waits for each answer.
pub(crate) struct Nats {
    runtime: Runtime,
    client: Client,
}

impl Nats {
    pub(crate) fn connect(server: &NatsServer) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let client = runtime.block_on(async_nats::connect(server.url())).expect("the server answers");
        Self { runtime, client }
    }

    /// Publishes and waits for a stream's acknowledgement.
    pub(crate) fn store(&self, subject: &str, text: &str) {
        self.store_with(subject, &[], text);
    }

    pub(crate) fn store_with(&self, subject: &str, headers: &[(&str, &str)], text: &str) {
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(name, value)| map.insert(*name, *value));
        let request = self.client.request_with_headers(subject.to_owned(), map, text.to_owned().into());
        let reply = self.runtime.block_on(request).expect("a stream takes it");
        let ack: Value = serde_json::from_slice(&reply.payload).expect("JSON");
        assert!(ack["seq"].is_u64(), "{subject}: {ack}");
    }

    /// Asks `$JS.API.{what}`.
    pub(crate) fn api(&self, what: &str, body: &Value) -> Value {
        let request = self.client.request(format!("$JS.API.{what}"), body.to_string().into());
        let reply = self.runtime.block_on(request).expect("JetStream answers");
        let answer: Value = serde_json::from_slice(&reply.payload).expect("JSON");
        assert!(answer["error"].is_null(), "{what}: {answer}");
        answer
    }

    pub(crate) fn make(&self, config: &Value) {
        self.api(&format!("STREAM.CREATE.{}", config["name"].as_str().expect("a name")), config);
    }

    pub(crate) fn delete(&self, stream: &str) {
        self.api(&format!("STREAM.DELETE.{stream}"), &json!({}));
    }

    pub(crate) fn config(&self, stream: &str) -> Value {
        self.api(&format!("STREAM.INFO.{stream}"), &json!({}))["config"].take()
    }

    pub(crate) fn state(&self, stream: &str) -> Value {
        self.api(&format!("STREAM.INFO.{stream}"), &json!({}))["state"].take()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        serde_json::from_value(self.api("STREAM.NAMES", &json!({}))["streams"].take()).unwrap_or_default()
    }
}
