//! The parts of a step, one by one: `cargo bench --bench parts`. What they come to together, `cargo xtask bench` measures.

use std::{hint::black_box, path::Path, sync::Arc};

use anyhow::Result;
use criterion::{BatchSize, Criterion, Throughput};
use doom_bus::{Ledger, Overflow, lane};
use doom_game::{BackendFactory, EpisodeStart, Faults, GameBackend, MockFactory, Needs, Scenario, SearchPaths};
use doom_policy::PolicySpec;
use doom_protocol::{
    Codec, Envelope, Instance, Payload, Timestamp,
    payload::{Action, DecisionTimes, Metric, Observe, Pressed, Score, TelemetryCounts, Values},
};
use serde::de::DeserializeOwned;

/// Slots of a lane, and how many are offered before it is emptied.
const SLOTS: usize = 32_768;
const OFFERS: u64 = 16_384;
/// Tics of a step.
const SKIP: u32 = 4;
const VARIABLES: [&str; 7] = ["AMMO2", "HEALTH", "KILLCOUNT", "HITCOUNT", "DAMAGECOUNT", "POSITION_X", "POSITION_Y"];
const NUMBERS: [f64; 7] = [50.0, 100.0, 0.0, 0.0, 0.0, -96.375_122, 320.0];
const BUTTONS: [bool; 3] = [false, false, true];

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    offer(&mut criterion);
    events(&mut criterion)?;
    decisions(&mut criterion)?;
    scenario_file(&mut criterion)?;
    mock_step(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

/// What the game thread pays for an event: a slot like an observation's, with its numbers.
fn offer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lane");
    group.throughput(Throughput::Elements(OFFERS));
    let fresh = || lane::<[u64; 8]>(SLOTS, NUMBERS.len(), Overflow::DropNewest, Arc::new(Ledger::default()));
    group.bench_function("offer", |bench| {
        let offers = |(sender, _receiver): &mut (doom_bus::LaneSender<[u64; 8]>, _)| {
            for seq in 1..=OFFERS {
                black_box(sender.offer(seq, [seq; 8], &NUMBERS));
            }
        };
        bench.iter_batched_ref(fresh, offers, BatchSize::LargeInput);
    });
    group.finish();
}

/// Whole events, there and back.
fn events(criterion: &mut Criterion) -> Result<()> {
    let instance = Instance::new();
    let (at, agent_id, episode_id) = (Timestamp::now(), "A", instance.episode(1));
    let action = Action {
        agent_id: agent_id.into(),
        timestamp: at,
        episode_id,
        experiment_id: None,
        run_id: None,
        generation_id: None,
        step: 17,
        tic: 82,
        action: Pressed { action_id: 4, buttons: BUTTONS.as_slice().into(), action_type: "ATTACK".into(), values: None },
        frame_skip: SKIP,
        policy: "random".into(),
        decision_us: 1,
    };
    let observe = Observe {
        agent_id: agent_id.into(),
        timestamp: at,
        episode_id,
        experiment_id: None,
        run_id: None,
        generation_id: None,
        step: 17,
        tic: 86,
        reward: -4.0,
        total_reward: -73.0,
        variables: Values::Borrowed(&VARIABLES, &NUMBERS),
        terminated: false,
        truncated: false,
    };
    let score = Score {
        agent_id: agent_id.into(),
        timestamp: at,
        episode_id,
        experiment_id: None,
        run_id: None,
        generation_id: None,
        episode_number: 1,
        evaluation_id: None,
        evaluation_episode: None,
        seed: 42,
        scenario: "basic".into(),
        scenario_sha256: "0".repeat(64).into(),
        policy: "random".into(),
        policy_sha256: "0".repeat(64).into(),
        backend: "vizdoom".into(),
        engine_version: "1.3.2".into(),
        end_reason: "timeout".into(),
        total_reward: -300.0,
        steps: 75,
        tics: 300,
        frame_skip: SKIP,
        survival_seconds: 8.571_428,
        kills: 0,
        kill_rate: 0.0,
        damage_dealt: 0.0,
        damage_taken: 0.0,
        hits: 0,
        items: 0,
        ammo_used: 12.0,
        ammo_efficiency: 0.0,
        cells_visited: 4,
        rule_match_rate: None,
        final_variables: Values::Borrowed(&VARIABLES, &NUMBERS),
        decision_us: DecisionTimes { p50: 0, p99: 1, max: 9 },
        wall_seconds: 0.018,
        telemetry: TelemetryCounts { produced: 151, dropped: 0, unconfirmed: 0 },
        started_at: at,
        completed_at: at,
    };
    event::<_, Action<'static>>(criterion, "action", &Envelope::new(action, instance.trace(1), at))?;
    event::<_, Observe<'static>>(criterion, "observe", &Envelope::new(observe, instance.trace(1), at))?;
    event::<_, Score<'static>>(criterion, "score", &Envelope::new(score, instance.trace(1), at))?;
    // Hardly any payload, so that the envelope is what is measured.
    let metric = Metric { agent_id: agent_id.into(), timestamp: at, metric_name: "steps".into(), value: 1.0 };
    event::<_, Metric<'static>>(criterion, "envelope", &Envelope::new(metric, instance.trace(1), at))
}

/// Encodes and decodes one event in both codecs; `D` is what a reader makes of it.
fn event<P: Payload, D: DeserializeOwned>(criterion: &mut Criterion, name: &str, event: &Envelope<'static, P>) -> Result<()> {
    let mut group = criterion.benchmark_group(name);
    for codec in [Codec::Json, Codec::Msgpack] {
        let mut bytes = Vec::new();
        codec.encode(event, &mut bytes)?;
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("encode {codec}"), |bench| {
            let mut out = Vec::with_capacity(4096);
            bench.iter(|| {
                out.clear();
                // It was encoded once; what is measured cannot fail.
                black_box(codec.encode(black_box(event), &mut out).is_ok())
            });
        });
        group.bench_function(format!("decode {codec}"), |bench| {
            bench.iter(|| black_box(codec.decode::<Envelope<'static, D>>(black_box(&bytes)).is_ok()));
        });
    }
    group.finish();
    Ok(())
}

/// A mock game over one of our scenarios, with an episode open.
fn mock(scenario: &str, needs: Needs) -> Result<Box<dyn GameBackend>> {
    let scenario = Scenario::load(scenario, &SearchPaths::default(), &[])?;
    let mut game = MockFactory::new(scenario, needs, Faults::default()).start()?;
    game.new_episode(&EpisodeStart { seed: 1, record: None })?;
    Ok(game)
}

/// One decision of each policy.
fn decisions(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("decide");
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/rules/basic.toml");
    let policies =
        [("random", PolicySpec::Random), ("cycle", PolicySpec::Cycle("ATTACK,NOOP*3".into())), ("rules", PolicySpec::Rules(rules))];
    for (name, spec) in policies {
        let program = spec.load(&[])?;
        let game = mock("basic", program.needs())?;
        let mut policy = program.bind(game.schema())?;
        policy.begin_episode(1);
        let mut action = vec![0.0; game.schema().buttons.len()];
        group.bench_function(name, |bench| {
            bench.iter(|| policy.decide(black_box(&game.observe()), black_box(&mut action)));
        });
    }
    group.finish();
    Ok(())
}

/// A scenario file, from its bytes to the checked scenario.
fn scenario_file(criterion: &mut Criterion) -> Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/scenarios");
    let bytes = std::fs::read(directory.join("deathmatch.cfg"))?;
    criterion.bench_function("read a scenario file", |bench| {
        bench.iter(|| black_box(Scenario::parse("deathmatch.cfg", black_box(&bytes), &directory, &[]).is_ok()));
    });
    Ok(())
}

/// A step of the mock, with new episodes as they come.
fn mock_step(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("mock step");
    for scenario in ["basic", "deadly_corridor"] {
        let mut game = mock(scenario, Needs::default())?;
        let mut policy = PolicySpec::Random.load(&[])?.bind(game.schema())?;
        let mut action = vec![0.0; game.schema().buttons.len()];
        group.bench_function(scenario, |bench| {
            bench.iter(|| {
                policy.decide(&game.observe(), &mut action);
                if !matches!(game.step(&action, SKIP), Ok(step) if step.end.is_none()) {
                    let _ = game.new_episode(&EpisodeStart { seed: 1, record: None });
                }
            });
        });
    }
    group.finish();
    Ok(())
}
