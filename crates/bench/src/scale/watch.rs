//! What the wire tells: which agents play, and how late their tics come.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use doom_protocol::{Codec, Envelope, EpisodeId, payload::Action};
use futures::StreamExt;
use tokio::task::JoinHandle;

use super::cluster::Cluster;

/// Hears every action for as long as it lives.
pub(crate) struct Watch {
    heard: Arc<Mutex<Heard>>,
    reader: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Heard {
    /// Of each agent its episode, and step and time in µs of its last action.
    last: HashMap<String, (EpisodeId, u64, i64)>,
    /// How much later than due each action came, in ms; while it counts.
    late: Option<Vec<f64>>,
}

impl Watch {
    /// Begins to hear; a step takes `period` seconds.
    pub(crate) async fn begin(cluster: &Cluster, period: f64) -> Result<Self> {
        let mut actions = cluster.client.subscribe("clau-doom.agent.*.action").await.context("cannot subscribe to actions")?;
        cluster.client.flush().await.context("the server does not take the subscription")?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let told = Arc::clone(&heard);
        let reader = tokio::spawn(async move {
            while let Some(message) = actions.next().await {
                if let Ok(event) = Codec::Json.decode::<Envelope<'_, Action<'_>>>(&message.payload) {
                    lock(&told).take(&event.payload, period);
                }
            }
        });
        Ok(Self { heard, reader })
    }

    /// How many agents have played.
    pub(crate) fn players(&self) -> usize {
        lock(&self.heard).last.len()
    }

    /// From now on it counts.
    pub(crate) fn count(&self) {
        lock(&self.heard).late = Some(Vec::new());
    }

    /// What was counted, in ms of lateness for each tic: 0 where it came in time.
    pub(crate) fn counted(&self) -> Vec<f64> {
        lock(&self.heard).late.take().unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Heard {
    fn take(&mut self, action: &Action<'_>, period: f64) {
        let at = action.timestamp.as_micros();
        let last = self.last.insert(action.agent_id.to_string(), (action.episode_id, action.step, at));
        // Between two episodes there is no tic to be late.
        if let (Some(late), Some((before_episode, before_step, before))) = (&mut self.late, last)
            && before_episode == action.episode_id
            && before_step + 1 == action.step
        {
            #[expect(clippy::cast_precision_loss, reason = "microseconds between two steps")]
            late.push(((at - before) as f64 / 1e3 - period * 1e3).max(0.0));
        }
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    // Nothing panics while it is held.
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
