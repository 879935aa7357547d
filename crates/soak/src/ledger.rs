//! What became of every record: by what the streams hold, and by what the agents promised and said.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy};
use futures::StreamExt;
use serde_json::Value;

use crate::{
    agent::End,
    broker::{Broker, RECORDS, SYSTEM},
    faults::Made,
};

/// One agent's line.
#[derive(Debug, Default, Clone)]
struct Line {
    processes: u64,
    /// Episodes that have ended or were lost, as far as anybody can know: numbers are given without a gap.
    produced: u64,
    stored: u64,
    doubled: u64,
    lost: u64,
    /// Episodes that a killed process left open and the next one recorded.
    agent_lost: u64,
    deaths: u64,
    /// Telemetry, as processes that ended well have said.
    dropped: u64,
    unconfirmed: u64,
}

/// See the module.
pub(crate) struct Ledger {
    lines: BTreeMap<String, Line>,
    /// Whatever is wrong, in words.
    complaints: Vec<String>,
}

struct Stored {
    subject: String,
    id: String,
    instance: String,
    payload: Value,
}

impl Ledger {
    /// Reads the streams.
    pub(crate) fn take(broker: &Broker, ends: &[End]) -> Result<Self> {
        let (records, system) = (read(broker, RECORDS)?, read(broker, SYSTEM)?);
        let mut lines = BTreeMap::new();
        let mut complaints: Vec<String> = ends.iter().flat_map(|end| end.complaints.clone()).collect();
        for end in ends {
            let of_agent = |s: &&Stored| s.subject.split('.').nth(2) == Some(&end.id);
            let mut line = Line { processes: u64::from(end.starts), ..Line::default() };
            let mut ids = BTreeSet::new();
            // By process: the numbers of its episodes.
            let mut numbers: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
            for stored in records.iter().filter(of_agent) {
                ids.insert(stored.id.as_str());
                if stored.subject.ends_with(".death") {
                    line.deaths += 1;
                    continue;
                }
                line.agent_lost += u64::from(stored.payload["end_reason"] == "agent_lost");
                let number = stored.payload["episode_number"].as_u64().context("a score without a number")?;
                numbers.entry(&stored.instance).or_default().push(number);
            }
            for (instance, numbers) in &numbers {
                let distinct: BTreeSet<_> = numbers.iter().copied().collect();
                let highest = distinct.last().copied().unwrap_or_default();
                line.produced += highest;
                line.stored += distinct.len() as u64;
                line.doubled += (numbers.len() - distinct.len()) as u64;
                let missing: Vec<u64> = (1..=highest).filter(|n| !distinct.contains(n)).collect();
                line.lost += missing.len() as u64;
                if !missing.is_empty() || numbers.len() != distinct.len() || !numbers.is_sorted() {
                    complaints.push(format!(
                        "{} {instance}: episodes {missing:?} are missing of {highest}; {} stored, {} of them distinct",
                        end.id,
                        numbers.len(),
                        distinct.len()
                    ));
                }
            }
            let unstored: Vec<_> = end.promised.iter().filter(|id| !ids.contains(id.as_str())).collect();
            // Gaps in the numbers have been counted; what is behind the last number has not.
            let behind = unstored.iter().filter(|id| numbers.iter().all(|(instance, _)| !id.starts_with(*instance))).count() as u64;
            line.lost += behind;
            if !unstored.is_empty() {
                complaints.push(format!("{}: committed and not stored: {unstored:?}", end.id));
            }
            for said in system.iter().filter(|s| s.payload["agent_id"] == end.id.as_str() && s.payload["state"] == "stopped") {
                let number = |name: &str| said.payload["ledger"][name].as_u64().unwrap_or_default();
                line.dropped += number("dropped");
                line.unconfirmed += number("unconfirmed");
                if said.payload["records"]["lost"] != 0 {
                    complaints.push(format!("{} {}: {} records given up", end.id, said.instance, said.payload["records"]["lost"]));
                }
            }
            lines.insert(end.id.clone(), line);
        }
        let doubled_errors = system.len() - system.iter().map(|s| &s.id).collect::<BTreeSet<_>>().len();
        if doubled_errors > 0 {
            complaints.push(format!("{doubled_errors} error or lifecycle records are stored twice"));
        }
        Ok(Self { lines, complaints })
    }

    /// Nothing lost, nothing doubled, nothing else to complain of.
    pub(crate) fn is_good(&self) -> bool {
        self.complaints.is_empty() && self.lines.values().all(|line| line.lost == 0 && line.doubled == 0 && line.stored > 0)
    }

    pub(crate) fn print(&self, made: &Made) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        made.iter().for_each(|fault| *counts.entry(fault).or_default() += 1);
        println!("\n| fault | times |\n|---|---:|");
        counts.iter().for_each(|(fault, n)| println!("| {fault} | {n} |"));
        println!("\n| agent | processes | produced | stored | doubled | lost | agent_lost | deaths | dropped | unconfirmed |");
        println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
        let mut sum = Line::default();
        for (id, l) in &self.lines {
            print(id, l);
            sum.processes += l.processes;
            sum.produced += l.produced;
            sum.stored += l.stored;
            sum.doubled += l.doubled;
            sum.lost += l.lost;
            sum.agent_lost += l.agent_lost;
            sum.deaths += l.deaths;
            sum.dropped += l.dropped;
            sum.unconfirmed += l.unconfirmed;
        }
        print("together", &sum);
        println!("\nproduced, stored, doubled, lost: scores; dropped, unconfirmed: telemetry, as those who ended well have said");
        self.complaints.iter().for_each(|complaint| println!("soak: {complaint}"));
    }
}

fn print(id: &str, l: &Line) {
    println!(
        "| {id} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        l.processes, l.produced, l.stored, l.doubled, l.lost, l.agent_lost, l.deaths, l.dropped, l.unconfirmed
    );
}

/// Everything in a stream, in its order.
fn read(broker: &Broker, name: &'static str) -> Result<Vec<Stored>> {
    broker.with_jetstream(|context| async move {
        let mut stream = context.get_stream(name).await?;
        let expected = usize::try_from(stream.info().await?.state.messages)?;
        let config =
            consumer::pull::Config { deliver_policy: DeliverPolicy::All, ack_policy: AckPolicy::None, ..consumer::pull::Config::default() };
        let mut messages = stream.create_consumer(config).await?.messages().await?.take(expected);
        let mut all = Vec::with_capacity(expected);
        while let Some(message) = messages.next().await {
            let message = message?;
            let header = |name: &str| message.headers.as_ref().and_then(|h| h.get(name)).map_or(String::new(), |v| v.as_str().to_owned());
            let mut body: Value = serde_json::from_slice(&message.payload).with_context(|| format!("{} is no JSON", message.subject))?;
            let (id, instance) = (header("Nats-Msg-Id"), header("instance"));
            all.push(Stored { subject: message.subject.to_string(), id, instance, payload: body["payload"].take() });
        }
        Ok(all)
    })
}
