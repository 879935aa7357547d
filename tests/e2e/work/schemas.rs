//! `docs/schemas` against what is really sent about work: requests, progress, episodes, results, and the stages of experiments and generations.

use std::collections::BTreeSet;

use doom_bus::{
    ConnectSettings, connect,
    work::{Announcer, announce_within},
};
use doom_protocol::{
    Instance, Payload, SubjectRoot, Timestamp,
    payload::{GenerationComplete, GenerationEvolve, GenerationStart},
};
use serde_json::{Value, json};

use super::{
    ask,
    experiment::{DESIGN, doomctl, folder, run},
    request, worker,
};
use crate::{
    schemas::Schemas,
    support::{Backend, JetStream, Tap, WITHIN, nats_with_streams, runtime},
};

/// What `doomctl` and workers say of work, by schema; `experiment.run` is the worker's, `experiment.run.state` that of `doomctl`.
const SENT: [&str; 13] = [
    "evaluation.episode",
    "evaluation.progress",
    "evaluation.result",
    "experiment.complete",
    "experiment.error",
    "experiment.run",
    "experiment.run.state",
    "experiment.start",
    "generation.agent.score",
    "generation.complete",
    "generation.evaluate",
    "generation.evolve",
    "generation.start",
];

/// The schema of an event; both that `experiment.run` has are told apart by the episode.
fn schema_of(body: &Value) -> String {
    let kind = body["type"].as_str().unwrap();
    let of_a_run = kind == "experiment.run" && body["payload"].get("episode_id").is_none();
    if of_a_run { "experiment.run.state".to_owned() } else { kind.to_owned() }
}

/// Whoever evolves: says the stages of a generation.
async fn evolve(url: &str) -> Result<(), String> {
    let settings = ConnectSettings { url: url.to_owned(), name: "evolution".to_owned(), ..Default::default() };
    let link = connect(&settings).await.map_err(|e| e.to_string())?;
    link.connected_within(WITHIN).await?;
    let announcer = Announcer::new(link.clone(), "evolution", Instance::new());
    let (id, next, e1) = ("g1".parse().unwrap(), "g2".parse().unwrap(), "e1".parse().unwrap());
    async fn say<P: Payload + Clone>(announcer: &Announcer, stage: &str, payload: P, at: Timestamp) -> Result<(), String> {
        let subject = SubjectRoot::default().generation_stage(&"g1".parse().unwrap(), stage);
        let until = tokio::time::Instant::now() + WITHIN;
        announce_within(announcer, &subject, payload, at, &format!("g1-{stage}"), until).await
    }
    let at = Timestamp::now();
    let start = GenerationStart { generation_id: id, timestamp: at, number: None, population: 1, episodes: 2 };
    let complete = GenerationComplete {
        generation_id: start.generation_id.clone(),
        timestamp: at,
        evaluations_completed: 1,
        evaluations_failed: 0,
        best_evaluation_id: Some(e1),
        best_fitness: Some(1.5),
    };
    let evolve = GenerationEvolve {
        generation_id: start.generation_id.clone(),
        timestamp: at,
        next_generation_id: next,
        selected: complete.best_evaluation_id.iter().cloned().collect(),
        method: "the best one".to_owned(),
    };
    say(&announcer, "start", start, at).await?;
    say(&announcer, "evolve", evolve, at).await?;
    say(&announcer, "complete", complete, at).await
}

#[test]
fn everything_that_is_said_of_work_is_as_its_schema_says() {
    let schemas = Schemas::read();
    let server = nats_with_streams();
    let (tap, js) = (Tap::open(&server.url()), JetStream::open(&server.url()));
    let folder = folder(&[("x.toml", DESIGN), ("core.toml", "scenario = \"basic\"\nepisodes = 2\n[[evaluation]]\nid = \"a\"\n")]);
    let doomctl = |arguments: &[&str]| run(doomctl(&server, folder.path(), arguments));
    // Nobody plays it in time: an error. Then somebody does.
    assert_eq!(doomctl(&["experiment", "run", "x.toml", "--timeout", "1s"]).0, Some(1));
    let _worker = worker(Backend::Mock, "W", &server, &[]);
    let (code, out, err) = doomctl(&["experiment", "run", "x.toml", "--timeout", "5m"]);
    assert_eq!(code, Some(0), "{out}\n{err}");
    let (code, out, err) = doomctl(&["evaluate", "core.toml", "--core", "--timeout", "2m"]);
    assert_eq!(code, Some(0), "{out}\n{err}");
    runtime().block_on(evolve(&server.url())).unwrap();

    // Bare: a request, and the replies that it gets.
    let body = request("e1", 2);
    schemas.check("generation.evaluate", &body);
    let mut wrong = body.clone();
    (wrong["evaluation_id"], wrong["scenario"]) = (json!("e0"), json!("no_such_game"));
    for (body, status) in [(&body, "complete"), (&wrong, "refused"), (&json!("no request"), "refused")] {
        let reply = ask(&tap, body);
        assert_eq!(reply["status"], status, "{reply}");
        schemas.check_payload("evaluation.result", &reply);
    }

    js.wait_count("GENERATION_EVENTS", "clau-doom.generation.g1.evaluation.e1.result", 1);
    tap.catch_up();
    let mut seen = BTreeSet::new();
    for event in tap.events().iter().filter(|e| e.headers.contains_key("Content-Type") || e.subject.ends_with(".evaluate")) {
        let body = if event.headers.contains_key("Content-Type") { event.body() } else { event.json() };
        // A request may come bare, as ours above.
        let Some(kind) = body.get("type").is_some().then(|| schema_of(&body)) else { continue };
        if kind == "generation.evaluate" {
            schemas.check(&kind, &body["payload"]);
        } else {
            schemas.check(&kind, &body);
        }
        if event.headers.contains_key("Content-Type") && !event.subject.contains(".evaluation.queued.") {
            assert_eq!(event.header("timestamp"), body["timestamp"], "{}", event.subject);
        }
        seen.insert(kind);
    }
    let missing: Vec<_> = SENT.iter().filter(|kind| !seen.contains(**kind)).collect();
    assert!(missing.is_empty(), "nobody has sent {missing:?}; seen are {seen:?}");
    // What does not apply is absent; null stands in health alone.
    let start = tap.wait("clau-doom.generation.g1.start", 1).payload();
    assert!(start.get("number").is_none(), "{start}");
    // Schemas that took everything would prove nothing.
    for (subject, schema, pointer, bad) in [
        ("clau-doom.experiment.x.start", "experiment.start", "/payload/runs_total", json!(-1)),
        ("clau-doom.experiment.x.complete", "experiment.complete", "/payload/experiment_id", json!("a.b")),
        ("clau-doom.generation.g1.evolve", "generation.evolve", "/payload/selected", json!("e1")),
        ("clau-doom.generation.g1.evaluation.e1.result", "evaluation.result", "/payload/status", json!("done")),
        ("clau-doom.generation.g1.evaluation.e1.progress", "evaluation.progress", "/payload/delivery", json!("1")),
    ] {
        let mut body = tap.wait(subject, 1).body();
        assert!(schemas.accepts(schema, &body), "{subject}");
        *body.pointer_mut(pointer).unwrap() = bad;
        assert!(!schemas.accepts(schema, &body), "{subject} {pointer}");
    }
}
