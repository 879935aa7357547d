//! The agent's metrics: one list of names and values, for NATS and for Prometheus.

use std::{fmt::Write as _, sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use doom_bus::{Link, LinkState, Origin};
use doom_protocol::Codec;

use crate::snapshot::Snapshot;

/// A counter only grows; a gauge goes up and down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

struct Metric {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    value: f64,
}

fn all(snapshot: &Snapshot) -> Vec<Metric> {
    use Kind::{Counter, Gauge};
    let health = snapshot.take();
    let last = snapshot.progress.last_episode();
    let metric = |name, kind, help, value| Metric { name, kind, help, value };
    vec![
        metric("healthy", Gauge, "1 where the game loop makes progress", f64::from(u8::from(health.healthy))),
        metric("steps_per_second", Gauge, "Environment steps a second", health.steps_per_second),
        metric("steps_total", Counter, "Environment steps", snapshot.progress.steps.load(Relaxed) as f64),
        metric("episodes_completed", Counter, "Episodes that ended by themselves", snapshot.progress.episodes_done.load(Relaxed) as f64),
        metric("kill_rate", Gauge, "Kills per minute of survival in the last episode", last.kill_rate),
        metric("total_reward", Gauge, "Total reward of the last episode", last.total_reward),
        metric("decision_us_p99", Gauge, "99th percentile of a decision's microseconds in the last episode", last.decision_p99_us as f64),
        metric("engine_restarts", Counter, "How often the engine was replaced", f64::from(health.engine.restarts)),
        metric("nats_connected", Gauge, "1 while connected", f64::from(u8::from(health.nats.state == "connected"))),
        metric("nats_reconnects", Counter, "How often the connection was made again", health.nats.reconnects as f64),
        metric("events_produced", Counter, "Seqs given", health.ledger.produced as f64),
        metric("telemetry_dropped", Counter, "Telemetry that did not fit into its lane", health.ledger.dropped as f64),
        metric("telemetry_unconfirmed", Counter, "Telemetry written but never confirmed", health.ledger.unconfirmed as f64),
        metric("frames_published", Counter, "Pictures that the server took", snapshot.frames.published() as f64),
        metric("frames_dropped", Counter, "Pictures for which there was no room or no connection", snapshot.frames.dropped() as f64),
        metric("records_stored", Counter, "Scores and deaths that a stream acknowledged", health.ledger.stored as f64),
        metric("records_spooled", Gauge, "Records waiting for a stream", health.records.spooled as f64),
        metric(
            "records_aside",
            Gauge,
            "Records larger than server or stream take, put aside until they take more",
            health.records.aside as f64,
        ),
        metric("records_lost", Counter, "Records given up for want of room", health.records.lost as f64),
    ]
}

/// The Prometheus text format, version 0.0.4.
pub(crate) fn prometheus(snapshot: &Snapshot) -> String {
    let mut text = String::with_capacity(4096);
    let facts = &snapshot.facts;
    for Metric { name, kind, help, value } in all(snapshot) {
        let kind = if kind == Kind::Counter { "counter" } else { "gauge" };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "# HELP doom_agent_{name} {help}.\n# TYPE doom_agent_{name} {kind}\ndoom_agent_{name}{{agent=\"{}\",backend=\"{}\"}} {value}\n",
            facts.agent, facts.backend
        );
    }
    text
}

/// Publishes every metric at every interval, while connected.
pub(crate) async fn publish(snapshot: Arc<Snapshot>, link: Link, codec: Codec, origin: Origin, every: Duration) {
    if every.is_zero() {
        return;
    }
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if link.status().state != LinkState::Connected {
            continue;
        }
        let at = snapshot.clock.now();
        for metric in all(&snapshot) {
            if let Some(event) = snapshot.facts.metric(codec, metric.name, at, metric.value)
                && let Err(error) = doom_bus::publish_once(&link, codec, &origin, &event).await
            {
                tracing::debug!(%error, "a metric could not be sent");
            }
        }
    }
}
