//! The workers: real `doom-agent serve` processes, asked for their health, told to stop, and believed about what they produced.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use doom_bus::Link;
use doom_protocol::{HealthReply, Id, LedgerSummary, SubjectRoot, Subjects, control::Verb};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::{Full, SOON, until};

/// See the module.
pub(super) struct Workers {
    all: Vec<(Subjects, Child)>,
}

impl Workers {
    /// Starts them, and waits until each says that it is idle.
    pub(super) async fn start(full: &Full, url: &str, link: &Link) -> Result<Self> {
        let mut all = Vec::new();
        for n in 1..=full.workers {
            let id: Id = format!("W{n}").parse()?;
            let mut command = Command::new(&full.agent);
            command.args(["serve", "--id", id.as_str(), "--nats", url, "--backend", &full.backend, "--log", "warn"]);
            command.arg("--state-dir").arg(full.state_dir.join("agents"));
            // Ctrl-C ends them with us: they are killed when they are dropped, and what they have not stored is of no use to anybody.
            let child = command.stdin(Stdio::null()).process_group(0).kill_on_drop(true).spawn();
            let child = child.with_context(|| format!("cannot start {}", full.agent.display()))?;
            all.push((Subjects::new(&SubjectRoot::default(), &id), child));
        }
        for (subjects, _) in &all {
            until("an idle worker", || async {
                let asked = link.client().request(subjects.health.clone(), bytes::Bytes::new()).await;
                let health = asked.ok().and_then(|m| serde_json::from_slice::<HealthReply>(&m.payload).ok());
                Ok(health.filter(|h| h.state == "idle"))
            })
            .await?;
        }
        Ok(Self { all })
    }

    /// Stops them; the sum of their ledgers, each as its last record says it.
    pub(super) async fn stop(self, link: &Link) -> Result<LedgerSummary> {
        for (subjects, _) in &self.all {
            link.client().request(subjects.command(Verb::Shutdown), bytes::Bytes::new()).await?;
        }
        let expected = self.all.len();
        for (_, mut child) in self.all {
            let status = tokio::time::timeout(SOON, child.wait()).await.context("a worker does not end")??;
            ensure!(status.success(), "a worker ended with {status}");
        }
        let ledgers = until("the last records of all workers", || async {
            let events = doom_bus::work::stored_on(link, "clau-doom.system.doom_agent.lifecycle").await?;
            let stopped: Vec<Value> = events.into_iter().filter(|e| e["payload"]["state"] == "stopped").collect();
            Ok((stopped.len() >= expected).then_some(stopped))
        })
        .await?;
        let sum = |name: &str| ledgers.iter().filter_map(|e| e["payload"]["ledger"][name].as_u64()).sum();
        Ok(LedgerSummary { produced: sum("produced"), dropped: sum("dropped"), unconfirmed: sum("unconfirmed"), stored: sum("stored") })
    }
}
