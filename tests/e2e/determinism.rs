//! The same seed is the same game: what two processes write to `--events` is equal but for who they are and when it was.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Backend, Spec, on_both};

on_both!(
    two_processes_offer_the_same_sequence_of_events,
    another_seed_is_another_sequence,
    seeds_step_or_come_from_the_list_and_each_names_its_game,
    an_episode_is_the_same_wherever_it_stands_in_a_run,
    the_frame_skip_and_the_policy_are_part_of_what_decides,
);

/// What depends on the process and its clock, wherever it stands.
const OF_THE_PROCESS: [&str; 12] = [
    "instance",
    "episode_id",
    "timestamp",
    "started_at",
    "completed_at",
    "trace_id",
    "trace-id",
    "Nats-Msg-Id",
    "decision_us",
    "wall_seconds",
    "telemetry",
    "ledger",
];

/// Takes that away.
fn anonymous(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|name, _| !OF_THE_PROCESS.contains(&name.as_str()));
            fields.values_mut().for_each(|field| *field = anonymous(field.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = anonymous(item.take())),
        _ => {}
    }
    value
}

/// What one process wrote of its episodes, in the order of seqs; records have a lane of their own and may stand elsewhere in the file.
fn play(backend: Backend, scenario: &str, arguments: &[&str]) -> Vec<Value> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let agent = Spec::bare(["--id", "A", "--scenario", scenario, "--backend", backend.name(), "--nats", "off", "--events", path]);
    let (code, _, log) = agent.with(arguments).run();
    assert_eq!(code, 0, "{log}");
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stopped = lines.iter().find(|line| line["event"]["payload"]["state"] == "stopped").unwrap();
    let ledger = stopped["event"]["payload"]["ledger"].clone();
    assert_eq!(ledger["dropped"], 0, "{ledger}");
    let seq = |line: &Value| line["headers"]["seq"].as_str().map(|seq| seq.parse::<u64>().unwrap());
    let mut events: Vec<_> = lines.into_iter().filter_map(|line| seq(&line).map(|seq| (seq, line))).collect();
    events.sort_by_key(|(seq, _)| *seq);
    assert!(events.iter().map(|(seq, _)| *seq).eq(1..=ledger["produced"].as_u64().unwrap()), "every seq once");
    events.into_iter().map(|(_, event)| anonymous(event)).collect()
}

#[track_caller]
fn assert_same(a: &[Value], b: &[Value]) {
    if let Some((a, b)) = a.iter().zip(b).find(|(a, b)| a != b) {
        panic!("{a}\nis not\n{b}");
    }
    assert_eq!(a.len(), b.len());
}

fn is_score(event: &Value) -> bool {
    event["event"]["type"] == "agent.score"
}

fn seeds(events: &[Value]) -> Vec<u64> {
    events.iter().filter(|e| is_score(e)).map(|e| e["event"]["payload"]["seed"].as_u64().unwrap()).collect()
}

/// The events of each episode as they are for any number of it in any run: without seq, and without what names the number.
fn episodes(events: &[Value]) -> Vec<Vec<Value>> {
    let alone = |event: &Value| {
        let mut event = event.clone();
        event["headers"]["seq"].take();
        if is_score(&event) {
            event["event"]["payload"]["episode_number"].take();
        }
        event
    };
    events.split_inclusive(is_score).map(|episode| episode.iter().map(alone).collect()).collect()
}

fn two_processes_offer_the_same_sequence_of_events(backend: Backend) {
    for (scenario, skip, policy) in [
        ("basic", "1", "random"),
        ("basic", "4", "cycle:MOVE_LEFT,ATTACK,MOVE_RIGHT"),
        ("deadly_corridor", "4", "random"),
        ("deathmatch", "1", "cycle:MOVE_FORWARD,ATTACK,TURN_LEFT"),
        ("my_way_home", "4", "random"),
    ] {
        let timeout = if skip == "1" { "episode_timeout=120" } else { "episode_timeout=400" };
        let arguments = ["--episodes", "3", "--seed", "42", "--frame-skip", skip, "--policy", policy, "--set", timeout];
        let (a, b) = (play(backend, scenario, &arguments), play(backend, scenario, &arguments));
        assert!(a.len() > 60, "{} events", a.len());
        let kinds: BTreeSet<_> = a.iter().map(|e| e["event"]["type"].as_str().unwrap()).collect();
        assert!(kinds.is_superset(&BTreeSet::from(["agent.action", "agent.observe", "agent.score"])), "{kinds:?}");
        assert_same(&a, &b);
    }
}

fn another_seed_is_another_sequence(backend: Backend) {
    // The policy does not draw: what differs is the game.
    let arguments = |seed: &'static str| ["--episodes", "2", "--policy", "cycle:TURN_LEFT,ATTACK", "--frame-skip", "4", "--seed", seed];
    let runs = ["1", "100", "4294967290"].map(|seed| episodes(&play(backend, "defend_the_center", &arguments(seed))));
    let steps = |episode: &Vec<Value>| episode.iter().filter(|e| !is_score(e)).map(Value::to_string).collect::<String>();
    let different: BTreeSet<_> = runs.iter().flatten().map(steps).collect();
    assert_eq!(different.len(), 6, "six seeds are six games");
}

fn seeds_step_or_come_from_the_list_and_each_names_its_game(backend: Backend) {
    let cases: [(&[&str], &[u64]); 5] = [
        (&["--seed", "7", "--episodes", "3"], &[7, 8, 9]),
        (&["--seed", "7", "--seed-step", "100", "--episodes", "3"], &[7, 107, 207]),
        (&["--seed", "7", "--seed-step", "0", "--episodes", "2"], &[7, 7]),
        (&["--seed", "4294967295", "--episodes", "3"], &[4_294_967_295, 0, 1]),
        (&["--seeds", "42,7,42"], &[42, 7, 42]),
    ];
    let mut known: Vec<(u64, Vec<Value>)> = Vec::new();
    for (arguments, expected) in cases {
        let arguments = [arguments, &["--frame-skip", "4"]].concat();
        let events = play(backend, "basic", &arguments);
        assert_eq!(seeds(&events), expected, "{arguments:?}");
        for (seed, episode) in expected.iter().zip(episodes(&events)) {
            match known.iter().find(|(known, _)| known == seed) {
                Some((_, first)) => assert_same(&episode, first),
                None => known.push((*seed, episode)),
            }
        }
    }
}

fn an_episode_is_the_same_wherever_it_stands_in_a_run(backend: Backend) {
    for scenario in ["deadly_corridor", "health_gathering"] {
        let arguments = |seeds: &'static str| ["--seeds", seeds, "--frame-skip", "4", "--set", "episode_timeout=300"];
        let [first, second] = ["11,12,13", "13,11"].map(|seeds| episodes(&play(backend, scenario, &arguments(seeds))));
        assert_same(&first[0], &second[1]);
        assert_same(&first[2], &second[0]);
    }
}

fn the_frame_skip_and_the_policy_are_part_of_what_decides(backend: Backend) {
    let runs = [("1", "random"), ("4", "random"), ("4", "cycle:ATTACK")].map(|(skip, policy)| {
        play(
            backend,
            "basic",
            &["--episodes", "1", "--seed", "1", "--set", "episode_timeout=100", "--frame-skip", skip, "--policy", policy],
        )
    });
    assert!(runs[0] != runs[1] && runs[1] != runs[2]);
}
