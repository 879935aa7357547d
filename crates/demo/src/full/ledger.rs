//! The ledger: what was produced, stored, delivered, acknowledged and given up, counted by different hands.

use std::{fmt, path::Path};

use anyhow::{Context, Result};
use async_nats::jetstream;
use doom_bus::Link;
use doom_protocol::LedgerSummary;

use super::{
    EPISODES, EXPERIMENT, POISONED,
    listeners::{Analytics, Watcher},
    until,
};

/// One line: what is compared, and what each hand counted.
struct Line {
    what: &'static str,
    counted: Vec<(&'static str, u64)>,
}

/// See the module.
pub(super) struct Ledger {
    lines: Vec<Line>,
}

impl Ledger {
    /// Counts, when the last events have reached everyone.
    pub(super) async fn close(
        link: &Link,
        produced: LedgerSummary,
        watcher: &Watcher,
        analytics: &Analytics,
        episodes: &Path,
    ) -> Result<Self> {
        let sent = produced.produced - produced.dropped;
        until("the last events at the watcher and at analytics", || async {
            let (steps, records) = watcher.seen();
            let (acknowledged, poisoned, _) = analytics.seen();
            Ok((steps + records >= sent && acknowledged >= produced.stored && poisoned >= 1).then_some(()))
        })
        .await
        // What is missing then shows in the ledger.
        .ok();
        let (steps, records) = watcher.seen();
        let (acknowledged, poisoned, buried) = analytics.seen();
        let agents = stored(link, "AGENT_EVENTS", "clau-doom.agent.*.*").await?;
        let of_records = stored(link, "AGENT_RECORDS", "clau-doom.agent.*.*").await?;
        let poison = stored(link, "AGENT_EVENTS", POISONED).await?;
        let copies = stored(link, "GENERATION_EVENTS", &format!("clau-doom.generation.{EXPERIMENT}.evaluation.*.episode.*")).await?;
        let scores = stored(link, "AGENT_EVENTS", "clau-doom.agent.*.score").await? - poison;
        let waiting = stored(link, "EVALUATIONS", ">").await?;
        let letters = stored(link, "DEAD_LETTERS", ">").await?;
        let rows = std::fs::read_to_string(episodes).with_context(|| format!("{}", episodes.display()))?.lines().count() as u64 - 1;
        let line = |what, counted: &[(&'static str, u64)]| Line { what, counted: counted.to_vec() };
        Ok(Self {
            lines: vec![
                line(
                    "events of agents",
                    &[("produced, not dropped", sent), ("stored", agents - poison), ("delivered live", steps + records)],
                ),
                line(
                    "scores and deaths",
                    &[
                        ("acknowledged to agents", produced.stored),
                        ("stored", of_records - poison),
                        ("delivered live", records),
                        ("acknowledged by analytics", acknowledged),
                    ],
                ),
                line("episodes", &[("designed", EPISODES), ("scores", scores), ("of evaluations", copies), ("rows of the table", rows)]),
                line(
                    "poisoned messages",
                    &[("published and given back", 2), ("stored", poison), ("dead-lettered and taken at last", buried + poisoned)],
                ),
                line(
                    "left over",
                    &[
                        ("none", 0),
                        ("in the work queue", waiting),
                        ("among the dead letters", letters),
                        ("unconfirmed", produced.unconfirmed),
                    ],
                ),
            ],
        })
    }

    /// Whether every hand counted the same.
    pub(super) fn agrees(&self) -> bool {
        self.lines.iter().all(Line::agrees)
    }
}

impl Line {
    fn agrees(&self) -> bool {
        self.counted.windows(2).all(|w| w[0].1 == w[1].1)
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            let counted: Vec<String> = line.counted.iter().map(|(who, n)| format!("{who} {n}")).collect();
            writeln!(f, "{} {:<18} {}", if line.agrees() { "agree   " } else { "DISAGREE" }, line.what, counted.join(" | "))?;
        }
        f.write_str(if self.agrees() { "The ledger agrees." } else { "The ledger does not agree." })
    }
}

/// Messages that a stream holds on a subject.
async fn stored(link: &Link, stream: &str, subject: &str) -> Result<u64> {
    let context = jetstream::new(link.client().clone());
    let body = serde_json::json!({ "subjects_filter": subject });
    let info: serde_json::Value = context.request(format!("STREAM.INFO.{stream}"), &body).await?;
    let subjects = info["state"]["subjects"].as_object();
    Ok(subjects.into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_count_that_differs_is_named_and_the_ledger_does_not_agree() {
        let line = |what, counts: [u64; 3]| Line { what, counted: ["produced", "stored", "delivered"].into_iter().zip(counts).collect() };
        let whole = Ledger { lines: vec![line("events", [5, 5, 5]), line("records", [2, 2, 2])] };
        assert!(whole.agrees() && whole.to_string().ends_with("The ledger agrees."), "{whole}");
        for counts in [[4, 5, 5], [5, 4, 5], [5, 5, 4]] {
            let broken = Ledger { lines: vec![line("records", [2, 2, 2]), line("events", counts)] };
            assert!(!broken.agrees(), "{broken}");
            let shown = broken.to_string();
            assert!(shown.contains("DISAGREE events") && shown.contains("agree    records"), "{shown}");
            assert!(shown.ends_with("The ledger does not agree."), "{shown}");
        }
    }
}
