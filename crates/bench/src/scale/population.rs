//! The agents of one step: started in waves, looked at, stopped.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use async_nats::Subscriber;
use bench::{
    machine::{cpu_seconds, descriptors, parents, proportional_mb, resident_mb},
    player::{Agent, ledgers},
};
use doom_protocol::LedgerSummary;

use super::{Backend, cluster::Cluster, step::Settings, watch::Watch};

/// How many start at once, as an orchestrator would that does not want to choke its host.
const WAVE_OF_MOCKS: u32 = 32;
const WAVE_OF_ENGINES: u32 = 8;
/// A wave plays within this time, or there are too many.
const WAVE_WITHIN: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Agents that play.
pub(crate) struct Population {
    agents: Vec<Agent>,
    last_words: Subscriber,
}

/// What agents and engines have used so far; each list has a value for each process.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(crate) agent: Processes,
    pub(crate) engine: Processes,
}

/// Processes of one kind.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_mb: Vec<f64>,
    pub(crate) proportional_mb: Vec<f64>,
    pub(crate) descriptors: usize,
}

impl Population {
    /// Starts `count` agents and waits until each of them plays.
    pub(crate) async fn start(settings: &Settings<'_>, count: u32, cluster: &Cluster, watch: &Watch, folder: &Path) -> Result<Self> {
        let last_words = cluster.client.subscribe("clau-doom.system.doom_agent.lifecycle").await?;
        cluster.client.flush().await?;
        let wave = if settings.backend == Backend::Mock { WAVE_OF_MOCKS } else { WAVE_OF_ENGINES };
        let mut population = Self { agents: Vec::new(), last_words };
        let waves = count.div_ceil(wave);
        // Should we be killed, they end by themselves.
        let limit = WAVE_WITHIN * waves + settings.window + Duration::from_secs(120);
        for number in 0..count {
            let arguments = arguments(settings, &cluster.url, number);
            population.agents.push(Agent::start(settings.agent, format!("S{number}"), &arguments, folder, limit)?);
            if (number + 1) % wave == 0 || number + 1 == count {
                population.wait_until_all_play(watch).await?;
            }
        }
        Ok(population)
    }

    async fn wait_until_all_play(&self, watch: &Watch) -> Result<()> {
        let until = Instant::now() + WAVE_WITHIN;
        while watch.players() < self.agents.len() {
            for agent in &self.agents {
                agent.pid()?;
            }
            if Instant::now() >= until {
                bail!("only {} of {} play after {WAVE_WITHIN:?}", watch.players(), self.agents.len());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// What they have used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let parents = parents();
        let mut usage = Usage::default();
        for agent in &self.agents {
            let pid = agent.pid()?;
            usage.agent.add(pid).with_context(|| format!("agent {}{}", agent.id, agent.said()))?;
            for (child, _) in parents.iter().filter(|(_, parent)| **parent == pid) {
                // One that has ended a moment ago is replaced; it is missing for once.
                let _ = usage.engine.add(*child);
            }
        }
        Ok(usage)
    }

    /// Stops all of them; their ledgers, added up.
    pub(crate) async fn stop(mut self) -> Result<LedgerSummary> {
        self.agents.iter().for_each(Agent::stop);
        let ledger = ledgers(&mut self.last_words, self.agents.len()).await?;
        for ended in futures::future::join_all(self.agents.into_iter().map(Agent::ended)).await {
            ended?;
        }
        Ok(ledger)
    }
}

impl Processes {
    fn add(&mut self, pid: u32) -> Result<()> {
        let (cpu, resident, proportional) = (cpu_seconds(pid)?, resident_mb(pid)?, proportional_mb(pid)?);
        self.cpu_seconds += cpu;
        self.resident_mb.push(resident);
        self.proportional_mb.push(proportional);
        self.descriptors = self.descriptors.max(descriptors(pid)?);
        Ok(())
    }
}

/// As an orchestrator would start it, apart from the seed, which makes one run like another.
fn arguments(settings: &Settings<'_>, url: &str, number: u32) -> Vec<String> {
    let backend = if settings.backend == Backend::Mock { "mock" } else { "vizdoom" };
    let (skip, seed, resolution) =
        (settings.frame_skip.to_string(), number.to_string(), format!("screen_resolution={}", settings.resolution));
    let arguments = [
        ("--nats", url),
        ("--backend", backend),
        ("--scenario", settings.scenario),
        ("--set", &resolution),
        ("--set", "screen_format=GRAY8"),
        ("--frame-skip", &skip),
        ("--seed", &seed),
        ("--pace", "realtime"),
    ];
    arguments.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]).collect()
}
