//! Faults that are caused for real: signals, connections that break, disks that refuse. What is proven is listed in docs/RELIABILITY.md.

mod clock;
mod connection;
mod disk;
mod engine;
mod floods;
mod growth;
#[cfg(feature = "vizdoom")]
mod inputs;
mod lost_episode;
mod namesakes;
mod restart;
mod streams;
mod too_large;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use rustix::process::Signal;

use crate::support::{Agent, Backend, Event, JetStream, Spec, WITHIN, http, instant};

const SCORE: &str = "clau-doom.agent.A.score";
const LIFECYCLE: &str = "clau-doom.system.doom_agent.lifecycle";

/// Where agent A keeps its records.
fn spool(state: &Path) -> PathBuf {
    state.join("clau-doom/A/records.sqlite")
}

/// Twenty episodes a second, each of 35 tics.
fn short_episodes(backend: Backend, url: &str, state: &Path) -> Spec {
    let spec = Spec::new(backend, "A", "basic.cfg").with(&["--nats", url, "--set", "episode_timeout=35", "--pace", "700"]);
    spec.with(&["--frame-skip", "4", "--http", "127.0.0.1:0"]).state_dir(state)
}

/// Waits until so many more episodes have ended.
fn play(address: &str, more: f64) {
    let episodes = |text: &str| http::metric(text, "episodes_completed");
    let before = episodes(&http::get(address, "/metrics").1);
    http::wait_get(address, "/metrics", "further episodes", |_, text| episodes(text) >= before + more);
}

/// Waits until every record is stored, and ends the agent; nothing may have been lost. Returns the scores that are stored.
fn finish(mut agent: Agent, address: &str, streams: &JetStream) -> Vec<Event> {
    let text =
        http::wait_get(address, "/metrics", "a moment without a record that waits", |_, text| http::metric(text, "records_spooled") == 0.0);
    assert_eq!(http::metric(&text, "records_lost"), 0.0);
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    streams.stored("AGENT_EVENTS", SCORE)
}

/// Each record is stored once, and each instance's scores are numbered from 1 without a gap, in order, also of their seq. Returns the instances in
/// the order in which they appear, with how many scores each has.
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
    for instance in &order {
        let seqs: Vec<u64> = scores.iter().filter(|s| s.header("instance") == *instance).filter_map(Event::seq).collect();
        assert!(seqs.is_sorted_by(|a, b| a < b), "not in the order of seq: {seqs:?}");
    }
    for (instance, numbers) in &numbers {
        assert_eq!(numbers, &(1..=numbers.len() as u64).collect::<Vec<_>>(), "the episodes of {instance}");
    }
    order.into_iter().map(|i| (i.to_owned(), numbers[i].len())).collect()
}

/// Whatever happened, the game kept its rhythm: twenty episodes a second, as [`short_episodes`] asks for, and nothing it stood still for. By the
/// scores' own times; a machine that is busy with other tests takes its share.
#[track_caller]
pub(crate) fn assert_rhythm(scores: &[Event]) {
    let at: Vec<i64> = scores.iter().map(|s| instant(&s.payload()["completed_at"])).collect();
    let longest = at.windows(2).map(|w| w[1] - w[0]).max().unwrap();
    let rate = (at.len() - 1) as f64 / ((at[at.len() - 1] - at[0]) as f64 / 1e6);
    println!("{} episodes, {rate:.1} a second, {} ms between two at most", at.len(), longest / 1_000);
    assert!(rate > 14.0, "{rate} episodes a second");
    assert!(longest < 2_000_000, "{longest} µs between two episodes");
}
