//! Figures besides speed.

mod full_pace;
mod realtime;
mod start;

use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::{Client, Subscriber};
use doom_protocol::{Codec, Envelope, EpisodeId, payload::Action};
use futures::StreamExt;
use tokio::time::Instant;

use super::{Part, arena::Arena, report::Report};

/// After the first action, and before anything is measured.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long a first action may take.
const FIRST_ACTION: Duration = Duration::from_secs(60);

pub(super) async fn measure(part: Part, arena: &Arena, rounds: u32, report: &mut Report) -> Result<()> {
    println!();
    match part {
        Part::Drops => full_pace::drops(arena, report).await,
        Part::Health => full_pace::health(arena, report).await,
        Part::Memory => full_pace::memory(arena, report).await,
        Part::Realtime => realtime::tics(arena, report).await,
        Part::Control => realtime::control(arena, report).await,
        Part::Mock => realtime::mock(arena, report).await,
        Part::Start => start::start(arena, rounds, report).await,
        // These are speeds.
        Part::Steps | Part::Population | Part::Consume => Ok(()),
    }
}

/// Subscribed, and known to the server.
async fn subscribe(client: &Client, subject: &'static str) -> Result<Subscriber> {
    let subscription = client.subscribe(subject).await.with_context(|| format!("cannot subscribe to {subject}"))?;
    client.flush().await.context("the server does not take the subscription")?;
    Ok(subscription)
}

async fn first_action(actions: &mut Subscriber) -> Result<()> {
    let first = tokio::time::timeout(FIRST_ACTION, actions.next()).await;
    first.ok().flatten().map(drop).context("no action comes")
}

/// How far the times between one action and the next of the same episode are from `period` (seconds; positive where it took longer),
/// over `window`, of all agents together.
async fn deviations(actions: &mut Subscriber, period: f64, window: Duration) -> Result<Vec<f64>> {
    let until = Instant::now() + window;
    let mut last: std::collections::HashMap<EpisodeId, (u64, i64)> = std::collections::HashMap::new();
    let mut list = Vec::new();
    while let Ok(Some(message)) = tokio::time::timeout_at(until, actions.next()).await {
        let Action { episode_id, step, timestamp, .. } = Codec::Json.decode::<Envelope<'_, Action<'_>>>(&message.payload)?.payload;
        let at = timestamp.as_micros();
        #[expect(clippy::cast_precision_loss, reason = "microseconds between two steps")]
        if let Some((_, before)) = last.insert(episode_id, (step, at)).filter(|(before, _)| before + 1 == step) {
            list.push((at - before) as f64 / 1e6 - period);
        }
    }
    Ok(list)
}
