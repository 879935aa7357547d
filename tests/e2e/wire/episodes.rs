//! `agent.score` and `agent.death`, and the copies for the generation and the experiment: every figure is recomputed from the steps.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use serde_json::Value;

use crate::support::{
    Backend, Event, JetStream,
    Shape::{Count, Float, Floats, Instant, Integer, Object, Sha256, Text},
    Spec, Tap, WITHIN, assert_shape, instant, nats_with_streams, on_both,
};

on_both!(
    a_score_follows_from_the_steps_that_were_sent,
    a_level_exit_terminates_and_a_timeout_truncates,
    a_death_is_told_between_the_last_observation_and_the_score,
    told_to_stop_an_episode_ends_as_aborted_without_an_observation,
    generation_and_experiment_have_copies_under_ids_of_their_own,
    seeds_step_from_episode_to_episode,
);

const SCORE: &str = "clau-doom.agent.A.score";

/// One agent's whole run: what was heard, in the order of seqs.
fn run(backend: Backend, scenario: &str, more: &[&str]) -> Vec<Arc<Event>> {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let mut agent = Spec::new(backend, "A", scenario).nats(&server).with(more).spawn();
    assert_eq!(agent.wait_exit(WITHIN), 0);
    tap.lifecycle("A", "stopped");
    tap.catch_up();
    let mut events: Vec<_> = tap.events().into_iter().filter(|e| e.seq().is_some()).collect();
    events.sort_by_key(|e| e.seq());
    events
}

/// Every episode's events, its score the last.
fn episodes(events: &[Arc<Event>]) -> Vec<&[Arc<Event>]> {
    events.split_inclusive(|e| e.leaf() == "score").collect()
}

fn float(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn assert_near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9, "{a} is not {b}");
}

fn a_score_follows_from_the_steps_that_were_sent(backend: Backend) {
    let events = run(backend, "basic.cfg", &["--episodes", "8", "--frame-skip", "3"]);
    let all = episodes(&events);
    assert_eq!(all.len(), 8);
    for (i, episode) in all.iter().enumerate() {
        let score = episode.last().unwrap().payload();
        assert_shape(
            &score,
            &[
                ("agent_id", Text),
                ("timestamp", Instant),
                ("episode_id", Text),
                ("episode_number", Count),
                ("seed", Count),
                ("scenario", Text),
                ("scenario_sha256", Sha256),
                ("policy", Text),
                ("policy_sha256", Sha256),
                ("backend", Text),
                ("engine_version", Text),
                ("end_reason", Text),
                ("total_reward", Float),
                ("steps", Count),
                ("tics", Count),
                ("frame_skip", Count),
                ("survival_seconds", Float),
                ("kills", Integer),
                ("kill_rate", Float),
                ("damage_dealt", Float),
                ("damage_taken", Float),
                ("hits", Integer),
                ("items", Integer),
                ("ammo_used", Float),
                ("ammo_efficiency", Float),
                ("cells_visited", Count),
                ("final_variables", Floats),
                ("decision_us", Object),
                ("wall_seconds", Float),
                ("telemetry", Object),
                ("started_at", Instant),
                ("completed_at", Instant),
            ],
        );
        assert_eq!(score["episode_number"], i + 1);
        assert_eq!((&score["scenario"], &score["policy"]), (&"basic".into(), &"random".into()));
        assert_eq!(score["backend"], backend.name());
        assert_eq!(score["engine_version"], if backend == Backend::Engine { "1.3.2" } else { "mock-1" });
        check_against_steps(&score, &episode[..episode.len() - 1]);
        assert_shape(&score["decision_us"], &[("p50", Count), ("p99", Count), ("max", Count)]);
        let decision = |name: &str| score["decision_us"][name].as_u64().unwrap();
        assert!(decision("p50") <= decision("p99") && decision("p99") <= decision("max"));
        assert_eq!(score["completed_at"], score["timestamp"]);
    }
    let kills: i64 = all.iter().map(|e| e.last().unwrap().payload()["kills"].as_i64().unwrap()).sum();
    assert!(kills > 0, "a random policy kills the one monster in some of eight episodes");
}

/// The figures that can be told from basic's variables.
fn check_against_steps(score: &Value, steps: &[Arc<Event>]) {
    let observations: Vec<Value> = steps.iter().filter(|e| e.leaf() == "observe").map(|e| e.payload()).collect();
    let (first, last) = (&observations[0], observations.last().unwrap());
    let gain = |name: &str| float(&last["variables"][name]) - float(&first["variables"][name]);
    assert_eq!(score["steps"], observations.len() - 1);
    let tics = last["tic"].as_u64().unwrap() - first["tic"].as_u64().unwrap();
    assert_eq!(score["tics"], tics);
    let survival = tics as f64 / 35.0;
    assert_near(float(&score["survival_seconds"]), survival);
    let kills = gain("KILLCOUNT");
    assert_eq!(score["kills"], kills as i64);
    assert_near(float(&score["kill_rate"]), kills * 60.0 / survival);
    assert_near(float(&score["damage_dealt"]), gain("DAMAGECOUNT"));
    let hits = gain("HITCOUNT");
    assert_eq!(score["hits"], hits as i64);
    let ammo: Vec<f64> = observations.iter().map(|o| float(&o["variables"]["AMMO2"])).collect();
    let used: f64 = ammo.windows(2).map(|w| (w[0] - w[1]).max(0.0)).sum();
    assert_near(float(&score["ammo_used"]), used);
    assert_near(float(&score["ammo_efficiency"]), if used > 0.0 { hits / used } else { 0.0 });
    let cell = |o: &Value, axis: &str| (float(&o["variables"][axis]) / 64.0).floor() as i64;
    let cells: HashSet<_> = observations.iter().map(|o| (cell(o, "POSITION_X"), cell(o, "POSITION_Y"))).collect();
    assert_eq!(score["cells_visited"], cells.len());
    assert_near(float(&score["total_reward"]), float(&last["total_reward"]));
    for (name, value) in last["variables"].as_object().unwrap() {
        assert_eq!(&score["final_variables"][name], value, "{name} at the end");
    }
    assert_eq!(score["telemetry"]["produced"], steps.iter().filter(|e| e.leaf() != "death").count());
    assert_shape(&score["telemetry"], &[("produced", Count), ("dropped", Count), ("unconfirmed", Count)]);
    assert_eq!(score["started_at"], first["timestamp"]);
    let wall = (instant(&score["completed_at"]) - instant(&score["started_at"])) as f64 / 1e6;
    assert!((float(&score["wall_seconds"]) - wall).abs() < 0.05, "{wall} is not {}", score["wall_seconds"]);
    let ended = match score["end_reason"].as_str().unwrap() {
        "death" | "level_exit" => (true, false),
        "timeout" => (false, true),
        other => panic!("{other}"),
    };
    assert_eq!((last["terminated"] == true, last["truncated"] == true), ended);
}

fn a_level_exit_terminates_and_a_timeout_truncates(backend: Backend) {
    // Who never shoots never kills the monster that ends the level.
    let peaceful = run(backend, "basic.cfg", &["--policy", "cycle:MOVE_LEFT,MOVE_RIGHT", "--frame-skip", "4", "--episodes", "1"]);
    let end = |events: &[Arc<Event>]| {
        let observation = events.iter().rev().find(|e| e.leaf() == "observe").unwrap().payload();
        let score = events.last().unwrap().payload();
        (score["end_reason"].as_str().unwrap().to_owned(), observation["terminated"] == true, observation["truncated"] == true)
    };
    assert_eq!(end(&peaceful), ("timeout".to_owned(), false, true));
    // The reset is at tic 14, and 300 tics are all there is.
    assert!((299..=301).contains(&peaceful.last().unwrap().payload()["tics"].as_u64().unwrap()));
    let shooting = run(backend, "basic.cfg", &["--episodes", "10", "--frame-skip", "4"]);
    let ends: BTreeSet<_> = episodes(&shooting).into_iter().map(end).collect();
    assert!(ends.contains(&("level_exit".to_owned(), true, false)), "{ends:?}");
}

fn a_death_is_told_between_the_last_observation_and_the_score(backend: Backend) {
    // Who only turns is dead before long.
    let events = run(backend, "defend_the_center.cfg", &["--policy", "cycle:TURN_LEFT", "--frame-skip", "4", "--episodes", "2"]);
    let all = episodes(&events);
    assert_eq!(all.len(), 2);
    for episode in all {
        let [.., last, death, score] = episode else { panic!("{} events", episode.len()) };
        assert_eq!([last.leaf(), death.leaf(), score.leaf()], ["observe", "death", "score"]);
        let (last, death, score) = (last.payload(), death.payload(), score.payload());
        assert_shape(
            &death,
            &[
                ("agent_id", Text),
                ("timestamp", Instant),
                ("episode_id", Text),
                ("tic", Count),
                ("step", Count),
                ("position", Object),
                ("health", Float),
                ("kills", Integer),
                ("damage_taken", Float),
                ("survival_seconds", Float),
            ],
        );
        assert_shape(&death["position"], &[("x", Float), ("y", Float), ("z", Float)]);
        assert_eq!((&death["tic"], &death["step"]), (&last["tic"], &last["step"]));
        assert_eq!(last["terminated"], true);
        assert!(float(&death["health"]) <= 0.0, "{death}");
        assert_eq!(death["health"], last["variables"]["HEALTH"], "of the last tic, and not of the one before");
        assert!(float(&death["damage_taken"]) >= 100.0, "{death}");
        assert_eq!(score["end_reason"], "death");
        for same in ["kills", "damage_taken", "survival_seconds"] {
            assert_eq!(death[same], score[same], "{same}");
        }
    }
    let others = run(backend, "basic.cfg", &["--episodes", "1", "--set", "episode_timeout=50"]);
    assert!(others.iter().all(|e| e.leaf() != "death"), "nobody died");
}

fn told_to_stop_an_episode_ends_as_aborted_without_an_observation(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "my_way_home.cfg").nats(&server);
    let mut agent = spec.with(&["--pace", "700", "--frame-skip", "4"]).spawn();
    tap.wait("clau-doom.agent.A.observe", 5);
    assert_eq!(tap.request("clau-doom.agent.A.control.shutdown", "")["ok"], true);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let score = tap.wait(SCORE, 1);
    tap.catch_up();
    let mut events: Vec<_> = tap.events().into_iter().filter(|e| e.seq().is_some()).collect();
    events.sort_by_key(|e| e.seq());
    let [.., last, end] = events.as_slice() else { panic!("{} events", events.len()) };
    assert_eq!((last.leaf(), end.seq()), ("observe", score.seq()));
    let (last, score) = (last.payload(), score.payload());
    assert_eq!((&last["terminated"], &last["truncated"]), (&false.into(), &false.into()), "the game has not ended");
    assert_eq!(score["end_reason"], "aborted");
    assert_eq!(score["steps"], last["step"]);
    for (name, value) in last["variables"].as_object().unwrap() {
        assert_eq!(&score["final_variables"][name], value);
    }
    assert_eq!(JetStream::open(&server.url()).stored("AGENT_EVENTS", SCORE).len(), 1);
}

fn generation_and_experiment_have_copies_under_ids_of_their_own(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let of = ["--experiment", "doe", "--run", "7", "--generation", "g1", "--set", "episode_timeout=40"];
    let more = ["--episodes", "3", "--frame-skip", "4"];
    let mut agent = Spec::new(backend, "A", "basic.cfg").nats(&server).with(&of).with(&more).spawn();
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let (generation, experiment) = ("clau-doom.generation.g1.agent.A.score", "clau-doom.experiment.doe.run.7");
    tap.wait(experiment, 3);
    tap.wait(generation, 3);
    let mut ids = HashSet::new();
    let by_episode = |subject: &str| -> BTreeMap<String, Arc<Event>> {
        tap.on(subject).into_iter().map(|e| (e.payload()["episode_id"].as_str().unwrap().to_owned(), e)).collect()
    };
    let (scores, copies, runs) = (by_episode(SCORE), by_episode(generation), by_episode(experiment));
    assert_eq!((scores.len(), copies.len(), runs.len()), (3, 3, 3));
    for (i, (episode, score)) in scores.iter().enumerate() {
        let (copy, run) = (&copies[episode], &runs[episode]);
        assert_eq!(copy.body()["type"], "generation.agent.score");
        assert_eq!(copy.payload(), score.payload());
        assert_eq!(run.body()["type"], "experiment.run");
        let payload = run.payload();
        assert_shape(
            &payload,
            &[
                ("agent_id", Text),
                ("timestamp", Instant),
                ("episode_id", Text),
                ("experiment_id", Text),
                ("phase", Text),
                ("status", Text),
                ("metadata", Object),
            ],
        );
        assert_eq!((&payload["experiment_id"], &payload["phase"]), (&"doe".into(), &"execution".into()));
        assert_eq!(payload["status"], if i == 2 { "complete" } else { "in_progress" });
        let metadata = &payload["metadata"];
        assert_shape(metadata, &[("run_id", Count), ("factors", Object), ("episodes_completed", Count), ("episodes_total", Count)]);
        assert_eq!(metadata["run_id"], 7);
        assert_eq!(metadata["factors"]["episode_timeout"], "40");
        assert_eq!((&metadata["episodes_completed"], &metadata["episodes_total"]), (&(i + 1).into(), &3.into()));
        for event in [score, copy, run] {
            assert!(ids.insert(event.header("Nats-Msg-Id").to_owned()), "each has an id of its own");
            assert_eq!(event.header("trace-id"), score.header("trace-id"));
        }
        assert_eq!((copy.seq(), run.seq()), (None, None), "seq is for action, observe, score and death");
    }
    let stored = JetStream::open(&server.url());
    assert_eq!(stored.stored("GENERATION_EVENTS", generation).len(), 3);
    assert_eq!(stored.stored("EXPERIMENT_EVENTS", experiment).len(), 3);
}

fn seeds_step_from_episode_to_episode(backend: Backend) {
    let short = ["--set", "episode_timeout=20", "--frame-skip", "4"];
    let seeds = |more: &[&str]| -> Vec<u64> {
        let events = run(backend, "basic.cfg", &[&short[..], more].concat());
        episodes(&events).iter().map(|e| e.last().unwrap().payload()["seed"].as_u64().unwrap()).collect()
    };
    assert_eq!(seeds(&["--episodes", "3", "--seed", "4294967295", "--seed-step", "2"]), [4_294_967_295, 1, 3]);
}
