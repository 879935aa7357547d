//! Faults that are caused for real: signals, connections that break, disks that refuse. What is proven is listed in docs/RELIABILITY.md.

mod disk;
mod restart;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::support::Event;

const SCORE: &str = "clau-doom.agent.A.score";
const LIFECYCLE: &str = "clau-doom.system.doom_agent.lifecycle";

/// Where agent A keeps its records.
fn spool(state: &Path) -> PathBuf {
    state.join("clau-doom/A/records.sqlite")
}

/// Each record is stored once, and each instance's scores are numbered from 1 without a gap, in order. Returns the instances in the order in
/// which they appear, with how many scores each has.
#[track_caller]
fn assert_complete(scores: &[Event]) -> Vec<(String, usize)> {
    let ids: BTreeSet<_> = scores.iter().map(|e| e.header("Nats-Msg-Id")).collect();
    assert_eq!(ids.len(), scores.len(), "a record is stored twice");
    let mut order = Vec::new();
    let mut numbers: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for score in scores {
        let instance = score.header("instance");
        if !numbers.contains_key(instance) {
            order.push(instance);
        } else {
            assert_eq!(order.last(), Some(&instance), "the records of an instance stand together");
        }
        numbers.entry(instance).or_default().push(score.payload()["episode_number"].as_u64().unwrap());
    }
    for (instance, numbers) in &numbers {
        assert_eq!(numbers, &(1..=numbers.len() as u64).collect::<Vec<_>>(), "the episodes of {instance}");
    }
    order.into_iter().map(|i| (i.to_owned(), numbers[i].len())).collect()
}
