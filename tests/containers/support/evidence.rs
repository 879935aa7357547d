//! What the streams hold of an agent, and whether it adds up: records once, telemetry accounted for, the rhythm kept.

use std::collections::{BTreeMap, BTreeSet};

use async_nats::jetstream::consumer::{DeliverPolicy, pull::OrderedConfig};
use futures::StreamExt;
use serde_json::Value;

use super::{Cluster, runtime, wait_for};

/// Of any agent.
pub(crate) const SCORE: &str = "clau-doom.agent.*.score";

/// A stored message.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) payload: Value,
}

/// Everything that a stream holds on a subject.
pub(crate) struct Evidence(pub(crate) Vec<Stored>);

impl Evidence {
    /// Reads until the end that the stream has now.
    pub(crate) fn read(cluster: &Cluster, stream: &str, subject: &str) -> Self {
        let all = wait_for(&format!("what {stream} holds on {subject}"), || runtime().block_on(read(cluster, stream, subject)).ok());
        Self(all)
    }

    /// Every instance that stands in it, in the order of their starts.
    pub(crate) fn instances(&self) -> Vec<String> {
        self.0.iter().map(|m| m.headers["instance"].clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Of one instance alone.
    pub(crate) fn of(&self, instance: &str) -> Vec<&Stored> {
        self.0.iter().filter(|m| m.headers["instance"] == instance).collect()
    }

    /// These are scores: of every instance each episode stands once and in order, none is missing, and none took longer than its tics in
    /// real time. How many.
    #[track_caller]
    pub(crate) fn assert_scores(&self) -> usize {
        let ids: BTreeSet<&str> = self.0.iter().map(|m| m.headers["Nats-Msg-Id"].as_str()).collect();
        assert_eq!(ids.len(), self.0.len(), "a record is stored twice");
        for instance in self.instances() {
            let scores = self.of(&instance);
            let numbers: Vec<u64> = scores.iter().map(|m| m.payload["episode_number"].as_u64().unwrap()).collect();
            assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "{instance}");
        }
        self.0.len()
    }

    /// These are scores of games in real time: none lagged behind its tics for longer than a busy machine explains, and all of them together
    /// hardly at all, so nothing outside ever made a game wait.
    #[track_caller]
    pub(crate) fn assert_rhythm(&self) {
        let played = self.0.iter().filter(|score| score.payload["end_reason"] != "agent_lost");
        let (mut due, mut took) = (0.0, 0.0);
        for score in played {
            let number = |key: &str| score.payload[key].as_f64().unwrap();
            let (tics, wall) = (number("tics"), number("wall_seconds"));
            let what = format!("{} ({})", score.payload["episode_id"], score.payload["end_reason"]);
            assert!(wall < tics / 35.0 + LATE, "{what} took {wall:.2} s for {tics} tics");
            due += tics / 35.0;
            took += wall;
        }
        println!("{} episodes of {due:.1} s took {took:.1} s", self.0.len());
        assert!(took < due * 1.05 + LATE, "{} episodes took {took:.1} s for {due:.1} s of play", self.0.len());
    }

    /// These are all events of one instance, whose last lifecycle record is `stopped`: each seq is here, or reported. The seqs of which the broker
    /// confirmed that it had them, and that it then lost.
    #[track_caller]
    pub(crate) fn unaccounted(&self, instance: &str, stopped: &Value) -> Vec<u64> {
        let produced = stopped["ledger"]["produced"].as_u64().unwrap();
        let mut known: BTreeSet<u64> = self.of(instance).iter().map(|m| m.headers["seq"].parse().unwrap()).collect();
        assert!(known.last().is_none_or(|last| *last <= produced), "{stopped}");
        assert!(stopped.get("ranges_truncated").is_none_or(|t| t == false), "{stopped}");
        for what in ["dropped", "unconfirmed"] {
            for range in stopped[what].as_array().into_iter().flatten() {
                known.extend(range[0].as_u64().unwrap()..=range[1].as_u64().unwrap());
            }
        }
        (1..=produced).filter(|seq| !known.contains(seq)).collect()
    }

    /// The payload of an instance's last lifecycle record.
    #[track_caller]
    pub(crate) fn stopped(cluster: &Cluster, instance: &str) -> Value {
        let all = Self::read(cluster, "SYSTEM_EVENTS", "clau-doom.system.doom_agent.lifecycle");
        let stopped: Vec<&Stored> = all.of(instance).into_iter().filter(|m| m.payload["state"] == "stopped").collect();
        assert_eq!(stopped.len(), 1, "{instance}");
        stopped[0].payload.clone()
    }
}

/// In seconds: what the machine may keep an episode waiting for when it is busy with other things. Every fault lasts for many times that.
const LATE: f64 = 2.0;

async fn read(cluster: &Cluster, stream: &str, subject: &str) -> Result<Vec<Stored>, async_nats::Error> {
    let stream = cluster.jetstream().get_stream(stream).await?;
    let config = OrderedConfig { filter_subject: subject.to_owned(), deliver_policy: DeliverPolicy::All, ..OrderedConfig::default() };
    let mut consumer = stream.create_consumer(config).await?;
    let mut left = consumer.info().await?.num_pending;
    let mut messages = consumer.messages().await?;
    let mut all = Vec::new();
    while left > 0 {
        let message = messages.next().await.ok_or("the consumer ended")??;
        left = message.info()?.pending;
        let headers = message.headers.iter().flat_map(|h| h.iter());
        let headers = headers.map(|(name, values)| (name.to_string(), values.first().map(ToString::to_string).unwrap_or_default()));
        let mut body: Value = serde_json::from_slice(&message.payload)?;
        all.push(Stored { headers: headers.collect(), payload: body["payload"].take() });
    }
    Ok(all)
}
