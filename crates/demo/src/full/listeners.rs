//! Who listens: the live watcher, analytics with its dead letters, and services that wait for one event.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use async_nats::jetstream::{
    self,
    consumer::{PullConsumer, pull},
};
use doom_bus::{
    Link,
    dead_letters::{DeadLetters, Failed, Fate},
};
use doom_protocol::{
    Codec, Envelope, SubjectRoot, header,
    payload::{Death, Score},
};
use futures::StreamExt;
use tokio::task::JoinHandle;

use super::{EXPERIMENT, POISONED, SOON, until};

/// Counts every event of every agent as it comes.
pub(super) struct Watcher {
    steps: Arc<AtomicU64>,
    records: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Watcher {
    pub(super) async fn start(link: &Link) -> Result<Self> {
        let mut events = link.client().subscribe("clau-doom.agent.*.*").await?;
        let (steps, records) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (of_steps, of_records) = (Arc::clone(&steps), Arc::clone(&records));
        let task = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                match event.subject.rsplit('.').next() {
                    _ if event.subject.as_str() == POISONED => {}
                    Some("action" | "observe") => drop(of_steps.fetch_add(1, SeqCst)),
                    Some("score" | "death") => drop(of_records.fetch_add(1, SeqCst)),
                    _ => {}
                }
            }
        });
        Ok(Self { steps, records, task })
    }

    /// Actions and observations; scores and deaths.
    pub(super) fn seen(&self) -> (u64, u64) {
        (self.steps.load(SeqCst), self.records.load(SeqCst))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Default)]
struct Counts {
    acknowledged: AtomicU64,
    poisoned: AtomicU64,
    buried: AtomicU64,
    mended: AtomicBool,
    ending: AtomicBool,
}

/// Reads scores and deaths in batches. What it cannot read it gives up, until it is mended.
pub(super) struct Analytics {
    counts: Arc<Counts>,
    task: JoinHandle<Result<()>>,
}

impl Analytics {
    pub(super) async fn start(link: &Link, root: &SubjectRoot) -> Result<Self> {
        let context = jetstream::new(link.client().clone());
        let stream = context.get_stream("AGENT_RECORDS").await?;
        let config = pull::Config { durable_name: Some("analytics".to_owned()), ..Default::default() };
        let consumer: PullConsumer = stream.create_consumer(DeadLetters::consumer(config)).await?;
        let letters = DeadLetters::new(link.client().clone(), root.clone());
        let counts = Arc::new(Counts::default());
        let task = tokio::spawn(read(consumer, letters, Arc::clone(&counts)));
        Ok(Self { counts, task })
    }

    /// From now on it takes what it could not read.
    pub(super) fn mend(&self) {
        self.counts.mended.store(true, SeqCst);
    }

    pub(super) async fn wait_buried(&self) -> Result<()> {
        until("the dead letter", || async { Ok((self.counts.buried.load(SeqCst) > 0).then_some(())) }).await
    }

    /// Scores and deaths acknowledged; poisoned messages acknowledged; messages given up.
    pub(super) fn seen(&self) -> (u64, u64, u64) {
        let counts = &self.counts;
        (counts.acknowledged.load(SeqCst), counts.poisoned.load(SeqCst), counts.buried.load(SeqCst))
    }

    pub(super) async fn end(self) -> Result<()> {
        self.counts.ending.store(true, SeqCst);
        tokio::time::timeout(SOON, self.task).await.context("analytics does not end")??
    }
}

async fn read(consumer: PullConsumer, letters: DeadLetters, counts: Arc<Counts>) -> Result<()> {
    while !counts.ending.load(SeqCst) {
        let mut batch = consumer.batch().max_messages(100).expires(Duration::from_secs(1)).messages().await?;
        while let Some(message) = batch.next().await {
            let message = message.map_err(anyhow::Error::from_boxed)?;
            let fate = letters.handle(&message, async {
                match understand(&message) {
                    Ok(()) => Ok(false),
                    Err(_) if counts.mended.load(SeqCst) => Ok(true),
                    Err(why) => Err(Failed::ForGood(why)),
                }
            });
            match fate.await? {
                Fate::Done(false) => drop(counts.acknowledged.fetch_add(1, SeqCst)),
                Fate::Done(true) => drop(counts.poisoned.fetch_add(1, SeqCst)),
                Fate::Buried { .. } => drop(counts.buried.fetch_add(1, SeqCst)),
                Fate::Later { .. } => {}
            }
        }
    }
    Ok(())
}

fn understand(message: &jetstream::Message) -> Result<(), String> {
    let kind = message.headers.as_ref().and_then(|h| h.get(header::CONTENT_TYPE)).map(|v| v.as_str().to_owned());
    let codec = Codec::of_content_type(kind.as_deref());
    if message.subject.ends_with(".death") {
        codec.decode::<Envelope<'_, Death<'_>>>(&message.payload).map(drop).map_err(|e| e.to_string())
    } else {
        codec.decode::<Envelope<'_, Score<'_>>>(&message.payload).map(drop).map_err(|e| e.to_string())
    }
}

/// Waits for the completion of the experiment, with a durable consumer of its own.
pub(super) struct Service {
    name: &'static str,
    consumer: PullConsumer,
}

impl Service {
    pub(super) async fn start(link: &Link, name: &'static str) -> Result<Self> {
        let stream = jetstream::new(link.client().clone()).get_stream("EXPERIMENT_EVENTS").await?;
        let config = pull::Config {
            durable_name: Some(name.to_owned()),
            filter_subject: format!("clau-doom.experiment.{EXPERIMENT}.complete"),
            ..Default::default()
        };
        Ok(Self { name, consumer: stream.create_consumer(config).await? })
    }

    pub(super) async fn wait(self) -> Result<()> {
        let mut batch = self.consumer.fetch().max_messages(1).messages().await?;
        if let Some(message) = batch.next().await {
            return message.map_err(anyhow::Error::from_boxed)?.double_ack().await.map_err(anyhow::Error::from_boxed);
        }
        let mut batch = self.consumer.batch().max_messages(1).expires(SOON).messages().await?;
        let message = batch.next().await.with_context(|| format!("service {} has not seen the completion", self.name))?;
        message.map_err(anyhow::Error::from_boxed)?.double_ack().await.map_err(anyhow::Error::from_boxed)
    }
}
