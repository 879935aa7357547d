//! At `--pace max`: what is lost, how soon health is answered, how memory grows.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bench::{
    machine::resident_mb,
    player::{Agent, ledgers},
    stats::quantile,
};
use doom_protocol::{Codec, HealthReply};
use tokio::time::{Instant, MissedTickBehavior};

use super::{WARM_UP, first_action, subscribe};
use crate::{
    arena::Arena,
    report::Report,
    setting::{Contender, Setting},
};

/// The most steps a second, so the most events.
const FASTEST: Setting = Setting::new("basic", "160X120", "GRAY8", 1);
const DROPS_OVER: Duration = Duration::from_secs(60);
const HEALTH_REQUESTS: usize = 2_000;
const HEALTH_EVERY: Duration = Duration::from_millis(10);
const MEMORY_AT: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(600)];

/// A minute, and what became of its events.
#[expect(clippy::cast_precision_loss, reason = "counts of a minute")]
pub(crate) async fn drops(arena: &Arena, report: &mut Report) -> Result<()> {
    let server = arena.server().await?;
    let mut last_words = subscribe(&server.client, "clau-doom.system.doom_agent.lifecycle").await?;
    let mut actions = subscribe(&server.client, "clau-doom.agent.*.action").await?;
    let agents = arena.agents(&server, Contender::Agent, &FASTEST, 1, &[])?;
    first_action(&mut actions).await?;
    drop(actions);
    tokio::time::sleep(arena.span(DROPS_OVER)).await;
    agents.iter().for_each(Agent::stop);
    let ledger = ledgers(&mut last_words, 1).await?;
    for agent in agents {
        agent.ended().await?;
    }
    let streams = async_nats::jetstream::new(server.client.clone());
    let stored = streams.get_stream("AGENT_EVENTS").await.context("no AGENT_EVENTS")?.cached_info().state.last_sequence;
    report.figure("60 s at --pace max: events produced", "events", vec![ledger.produced as f64]);
    report.figure("60 s at --pace max: events dropped by the agent", "events", vec![ledger.dropped as f64]);
    report.figure("60 s at --pace max: events unconfirmed", "events", vec![ledger.unconfirmed as f64]);
    let missing = ledger.produced.saturating_sub(ledger.dropped).saturating_sub(stored);
    report.figure("60 s at --pace max: events that the stream did not take", "events", vec![missing as f64]);
    Ok(())
}

/// Requests one after the other, beside full-pace play.
pub(crate) async fn health(arena: &Arena, report: &mut Report) -> Result<()> {
    let server = arena.server().await?;
    let mut actions = subscribe(&server.client, "clau-doom.agent.*.action").await?;
    let agents = arena.agents(&server, Contender::Agent, &FASTEST, 1, &[])?;
    first_action(&mut actions).await?;
    drop(actions);
    tokio::time::sleep(WARM_UP).await;
    let mut ticks = tokio::time::interval(HEALTH_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut milliseconds = Vec::with_capacity(HEALTH_REQUESTS);
    for _ in 0..HEALTH_REQUESTS {
        ticks.tick().await;
        let asked = Instant::now();
        let reply = server.client.request("clau-doom.agent.B0.health", "".into()).await.context("no answer to a health request")?;
        milliseconds.push(asked.elapsed().as_secs_f64() * 1e3);
        let reply: HealthReply = Codec::Json.decode(&reply.payload)?;
        ensure!(reply.healthy && reply.state == "running", "the agent is not well: {reply:?}");
    }
    for agent in agents {
        agent.stop();
        agent.ended().await?;
    }
    for (name, q) in [("median", 0.5), ("99th percentile", 0.99), ("longest", 1.0)] {
        report.figure(
            format!("health reply at --pace max: {name} of {HEALTH_REQUESTS}"),
            "ms",
            quantile(&milliseconds, q).into_iter().collect(),
        );
    }
    Ok(())
}

/// Ten minutes, and the agent's own memory (its engine is another process).
pub(crate) async fn memory(arena: &Arena, report: &mut Report) -> Result<()> {
    let server = arena.server().await?;
    let mut actions = subscribe(&server.client, "clau-doom.agent.*.action").await?;
    let agents = arena.agents(&server, Contender::Agent, &FASTEST, 1, &[])?;
    first_action(&mut actions).await?;
    drop(actions);
    let began = Instant::now();
    let mut seen = Vec::new();
    for at in MEMORY_AT {
        tokio::time::sleep_until(began + arena.span(at)).await;
        for agent in &agents {
            let megabytes = resident_mb(agent.pid()?)?;
            report.figure(format!("resident memory of the agent after {} s at --pace max", at.as_secs()), "MB", vec![megabytes]);
            seen.push(megabytes);
        }
    }
    if let [first, last] = *seen {
        report.figure("resident memory, the last over the first", "", vec![last / first]);
    }
    for agent in agents {
        agent.stop();
        agent.ended().await?;
    }
    Ok(())
}
