//! Of every seq it can be said what became of it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;

use super::Event;

/// The seqs of what was heard. A record whose acknowledgement was lost is sent again: stored once, but heard twice, under one id.
pub(crate) fn seqs_of(heard: &[Arc<Event>]) -> Vec<u64> {
    let mut records = HashSet::new();
    let first_time = heard.iter().filter(|e| e.headers.get("Nats-Msg-Id").is_none_or(|id| records.insert(id.clone())));
    first_time.filter_map(|e| e.seq()).collect()
}

/// By an agent's last word: received, reported dropped or reported unconfirmed; every seq is one of these, and a dropped one was not received.
/// Returns the dropped ones.
#[track_caller]
pub(crate) fn account(last: &Value, received: Vec<u64>) -> HashSet<u64> {
    let produced = last["ledger"]["produced"].as_u64().unwrap();
    let mut fate: HashMap<u64, [bool; 3]> = HashMap::new();
    for seq in received {
        assert!(!std::mem::replace(&mut fate.entry(seq).or_default()[0], true), "seq {seq} came twice");
    }
    for (i, name) in [(1, "dropped"), (2, "unconfirmed")] {
        let mut total = 0;
        for range in last.get(name).and_then(Value::as_array).into_iter().flatten() {
            for seq in range[0].as_u64().unwrap()..=range[1].as_u64().unwrap() {
                assert!(!std::mem::replace(&mut fate.entry(seq).or_default()[i], true), "seq {seq} is reported {name} twice");
                total += 1;
            }
        }
        assert_eq!(last["ledger"][name], total, "the count and the ranges of {name}");
        println!("{name}: {total} of {produced}");
    }
    let mut all_dropped = HashSet::new();
    for seq in 1..=produced {
        let [received, dropped, unconfirmed] = fate.remove(&seq).unwrap_or_default();
        assert!(received || dropped || unconfirmed, "nobody knows what became of seq {seq}");
        assert!(!dropped || !(received || unconfirmed), "seq {seq} is reported dropped, and more is known of it");
        if dropped {
            all_dropped.insert(seq);
        }
    }
    assert!(fate.is_empty(), "seqs that were never given: {:?}", fate.keys().take(5).collect::<Vec<_>>());
    all_dropped
}
