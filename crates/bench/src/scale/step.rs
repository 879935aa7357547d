//! One step: a cluster, so many agents, a window in which they are measured, and what became of their events.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bench::{
    machine::{Others, cpu_seconds},
    stats::quantile,
};
use doom_protocol::LedgerSummary;
use serde::Serialize;

use super::{
    Backend,
    cluster::{Cluster, Usage as Servers},
    population::{Population, Processes},
    watch::Watch,
};

/// Doom's pace.
const TICS_PER_SECOND: f64 = 35.0;
/// After everybody's first action, and before anything is measured.
const WARM_UP: Duration = Duration::from_secs(3);
/// A tic that comes later than this is late, in ms.
const LATE_MS: f64 = 5.0;
/// The streams have taken everything within this time of the agents' ends.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What is the same for every step.
pub(crate) struct Settings<'a> {
    pub(crate) agent: &'a Path,
    pub(crate) folder: &'a Path,
    pub(crate) backend: Backend,
    pub(crate) frame_skip: u32,
    pub(crate) scenario: &'a str,
    pub(crate) resolution: &'a str,
    pub(crate) window: Duration,
}

/// What a step came to. Percentages are of one core.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Step {
    pub(crate) backend: Backend,
    pub(crate) agents: u32,
    /// From the start of the first to the first action of the last.
    pub(crate) start_seconds: f64,
    pub(crate) window_seconds: f64,
    /// Of each agent.
    pub(crate) tics_per_second: f64,
    pub(crate) late: Late,
    /// Of all agents, from their start to their end.
    pub(crate) ledger: LedgerSummary,
    /// Events that no agent dropped and that the stream does not have.
    pub(crate) missing: u64,
    pub(crate) agent: Process,
    /// `None` on the mock.
    pub(crate) engine: Option<Process>,
    /// Of each agent: messages that the streams took, apart from copies, and their bytes as the streams count them, once.
    pub(crate) messages_per_second: f64,
    pub(crate) bytes_per_second: f64,
    pub(crate) broker: Broker,
    /// Of this program, which hears every action.
    pub(crate) observer_cpu_percent: f64,
    /// Of the machine, by other programs: 0 to 100.
    pub(crate) others_percent: f64,
    /// Agents that a core bears, without the servers and with them.
    pub(crate) agents_per_core: f64,
    pub(crate) agents_per_core_with_broker: f64,
    /// Why it is too much; absent where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bends: Option<String>,
}

/// How much later than due tics came.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Late {
    pub(crate) tics: usize,
    pub(crate) median_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) most_ms: f64,
    /// The share of them that came more than 5 ms late, 0 to 1.
    pub(crate) share: f64,
}

/// One of many of a kind.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Process {
    pub(crate) cpu_percent: f64,
    /// The median, with everything that it shares.
    pub(crate) resident_mb: f64,
    /// The mean, with its part of what it shares.
    pub(crate) proportional_mb: f64,
    /// The most that one of them has open.
    pub(crate) descriptors: usize,
}

/// The three servers together.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Broker {
    pub(crate) cpu_percent: f64,
    pub(crate) resident_mb: f64,
    pub(crate) descriptors: usize,
    /// To a disk; 0 where their files are in memory.
    pub(crate) written_bytes_per_second: f64,
}

impl Step {
    /// Of agents and engines together.
    pub(crate) fn memory_mb(&self) -> f64 {
        let each = self.agent.proportional_mb + self.engine.as_ref().map_or(0.0, |engine| engine.proportional_mb);
        each * f64::from(self.agents)
    }
}

/// Plays with so many agents.
pub(crate) async fn play(settings: &Settings<'_>, count: u32) -> Result<Step> {
    let folder = tempfile::Builder::new().prefix("step-").tempdir_in(settings.folder).context("no folder for a step")?;
    let cluster = Cluster::start(folder.path()).await?;
    let watch = Watch::begin(&cluster, f64::from(settings.frame_skip) / TICS_PER_SECOND).await?;
    let began = Instant::now();
    let population = Population::start(settings, count, &cluster, &watch, folder.path()).await?;
    let start_seconds = began.elapsed().as_secs_f64();
    tokio::time::sleep(WARM_UP).await;

    let (others, observer) = (Others::look(), cpu_seconds(std::process::id())?);
    // Looking at many processes takes a while, but as long before as after: each kind is measured from look to look.
    let (looked, agents, servers) = (Instant::now(), population.usage()?, cluster.usage()?);
    let (began, stored) = (Instant::now(), cluster.stored().await?);
    watch.count();
    tokio::time::sleep(settings.window).await;
    let (late, played) = (watch.counted(), began.elapsed().as_secs_f64());
    let (ended, stored_after) = (began.elapsed().as_secs_f64(), cluster.stored().await?);
    let (seconds, agents_after, servers_after) = (looked.elapsed().as_secs_f64(), population.usage()?, cluster.usage()?);
    let (others, observer) = (others.share_since(), (cpu_seconds(std::process::id())? - observer) / looked.elapsed().as_secs_f64());

    let ledger = population.stop().await?;
    let missing = missing(&cluster, &ledger).await?;
    let messages = stored_after.messages - stored.messages;
    let each = f64::from(count);
    let agent = Process::of(&agents.agent, &agents_after.agent, seconds, each);
    let engine = (settings.backend == Backend::Engine).then(|| Process::of(&agents.engine, &agents_after.engine, seconds, each));
    let broker = Broker::of(&servers, &servers_after, seconds);
    let late = Late::of(&late);
    let percent = agent.cpu_percent + engine.as_ref().map_or(0.0, |engine| engine.cpu_percent);
    #[expect(clippy::cast_precision_loss, reason = "tics of some minutes")]
    let tics_per_second = late.tics as f64 * f64::from(settings.frame_skip) / played / each;
    Ok(Step {
        backend: settings.backend,
        agents: count,
        start_seconds,
        window_seconds: seconds,
        tics_per_second,
        bends: bends(&late, &ledger, missing),
        late,
        ledger,
        missing,
        agent,
        engine,
        messages_per_second: messages / ended / each,
        bytes_per_second: messages * stored_after.bytes_a_message / ended / each,
        agents_per_core: 100.0 / percent.max(0.001),
        agents_per_core_with_broker: 100.0 * each / (percent * each + broker.cpu_percent).max(0.001),
        broker,
        observer_cpu_percent: observer * 100.0,
        others_percent: others * 100.0,
    })
}

/// What the stream lacks in the end of what no agent has dropped. It is still taking for a moment after the agents have ended.
async fn missing(cluster: &Cluster, ledger: &LedgerSummary) -> Result<u64> {
    let due = ledger.produced.saturating_sub(ledger.dropped);
    let until = Instant::now() + SETTLE_WITHIN;
    loop {
        let missing = due.saturating_sub(cluster.stored().await?.agent_events);
        if missing == 0 || Instant::now() >= until {
            return Ok(missing);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Why a step is too much.
fn bends(late: &Late, ledger: &LedgerSummary, missing: u64) -> Option<String> {
    let reasons = [
        (late.p99_ms > LATE_MS, format!("late p99 {:.1} ms", late.p99_ms)),
        (ledger.dropped > 0, format!("{} dropped", ledger.dropped)),
        (missing > 0, format!("{missing} missing in the stream")),
    ];
    let reasons: Vec<String> = reasons.into_iter().filter(|(holds, _)| *holds).map(|(_, reason)| reason).collect();
    (!reasons.is_empty()).then(|| reasons.join(", "))
}

impl Late {
    #[expect(clippy::cast_precision_loss, reason = "tics of some minutes")]
    fn of(late: &[f64]) -> Self {
        let at = |q| quantile(late, q).unwrap_or(0.0);
        let more = late.iter().filter(|ms| **ms > LATE_MS).count();
        let share = if late.is_empty() { 0.0 } else { more as f64 / late.len() as f64 };
        Self { tics: late.len(), median_ms: at(0.5), p99_ms: at(0.99), most_ms: at(1.0), share }
    }
}

impl Process {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand processes")]
    fn of(before: &Processes, after: &Processes, seconds: f64, count: f64) -> Self {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        Self {
            cpu_percent: (after.cpu_seconds - before.cpu_seconds).max(0.0) / seconds / count * 100.0,
            resident_mb: quantile(&after.resident_mb, 0.5).unwrap_or(0.0),
            proportional_mb: mean(&after.proportional_mb),
            descriptors: after.descriptors,
        }
    }
}

impl Broker {
    fn of(before: &Servers, after: &Servers, seconds: f64) -> Self {
        Self {
            cpu_percent: (after.cpu_seconds - before.cpu_seconds) / seconds * 100.0,
            resident_mb: after.resident_mb,
            descriptors: after.descriptors,
            written_bytes_per_second: (after.written_bytes - before.written_bytes) / seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_bends_where_tics_are_late_or_events_go_astray() {
        let late = |p99: f64| Late::of(&[vec![0.0; 90], vec![p99; 10]].concat());
        let ledger = |dropped| LedgerSummary { produced: 10, dropped, ..LedgerSummary::default() };
        assert_eq!(bends(&late(4.9), &ledger(0), 0), None);
        assert_eq!(bends(&late(5.5), &ledger(0), 0).unwrap(), "late p99 5.5 ms");
        assert_eq!(bends(&late(0.0), &ledger(3), 2).unwrap(), "3 dropped, 2 missing in the stream");
        assert!((late(6.0).share - 0.1).abs() < 1e-9 && Late::of(&[]).tics == 0);
    }
}
