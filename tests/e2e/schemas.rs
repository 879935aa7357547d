//! `docs/schemas` against what was really sent: every message of every type, on the mock and on the engine.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::{Backend, Event, Spec, Tap, WITHIN, faults::hanging, nats_with_streams, on_both};

on_both!(every_event_reply_and_record_is_as_its_schema_says);

/// Every schema by its name: a `type`, or one that is its file's alone.
pub(crate) struct Schemas(BTreeMap<String, Validator>);

impl Schemas {
    pub(crate) fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = entry.unwrap().path();
            let schema: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let validator = jsonschema::validator_for(&schema).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), validator)
        };
        Self(std::fs::read_dir(&folder).unwrap().map(read).collect())
    }

    #[track_caller]
    pub(crate) fn check(&self, name: &str, value: &Value) {
        let validator = self.0.get(name).unwrap_or_else(|| panic!("no docs/schemas/{name}.json"));
        let problems: Vec<_> = validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(problems.is_empty(), "{name}: {problems:#?} in {value}");
    }

    /// A payload that travels bare, by the schema of its event.
    #[track_caller]
    pub(crate) fn check_payload(&self, name: &str, payload: &Value) {
        let (trace_id, timestamp) = ("0".repeat(32), &payload["timestamp"]);
        self.check(name, &json!({"type": name, "version": "1.0", "trace_id": trace_id, "timestamp": timestamp, "payload": payload}));
    }

    pub(crate) fn accepts(&self, name: &str, value: &Value) -> bool {
        self.0[name].is_valid(value)
    }
}

/// What an agent can send; the rest of the schemas is said by others.
const OF_AN_AGENT: [&str; 11] = [
    "agent.action",
    "agent.observe",
    "agent.score",
    "agent.death",
    "agent.frame",
    "generation.agent.score",
    "experiment.run",
    "metrics.agent",
    "system.error",
    "system.lifecycle",
    "system.health",
];

/// A frame with a text in the place of its binary data, which JSON cannot have.
fn without_picture(event: &Event) -> Event {
    let mut value = rmpv::decode::read_value(&mut event.bytes.as_slice()).unwrap();
    replace_binary(&mut value);
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &value).unwrap();
    Event { bytes, ..event.clone() }
}

fn replace_binary(value: &mut rmpv::Value) {
    match value {
        rmpv::Value::Binary(_) => *value = "binary".into(),
        rmpv::Value::Map(map) => map.iter_mut().for_each(|(_, v)| replace_binary(v)),
        _ => {}
    }
}

fn every_event_reply_and_record_is_as_its_schema_says(backend: Backend) {
    let schemas = Schemas::read();
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    // Deaths, frames as MessagePack with the picture in the envelope, everything that an experiment adds.
    let deadly = [
        "--experiment",
        "e",
        "--run",
        "1",
        "--generation",
        "g",
        "--metrics-interval",
        "300ms",
        "--policy",
        "cycle:TURN_LEFT",
        "--frame-skip",
        "4",
    ];
    let spec = Spec::new(backend, "A", "defend_the_center.cfg").nats(&server).with(&deadly);
    let mut agent = spec.with(&["--pace", "1400", "--frames", "raw", "--frame-every", "50", "--codec", "msgpack"]).spawn_ready();
    tap.wait("clau-doom.agent.A.death", 1);
    tap.wait("clau-doom.generation.g.agent.A.score", 1);
    tap.wait("clau-doom.experiment.e.run.1", 1);
    schemas.check("health.reply", &tap.request("clau-doom.agent.A.health", ""));
    for (command, body) in
        [("pause", json!({"reason": "a look", "agents": ["A"], "deadline_ms": 30_000})), ("resume", json!({})), ("dance", json!({}))]
    {
        schemas.check("control.request", &body);
        schemas.check("control.reply", &tap.request(&format!("clau-doom.agent.A.control.{command}"), &body.to_string()));
    }
    tap.nth(1, "a heartbeat", |e| e.subject == "clau-doom.system.doom_agent.health");
    schemas.check("control.reply", &tap.request("clau-doom.agent.A.control.shutdown", ""));
    assert_eq!(agent.wait_exit(WITHIN), 0);
    tap.lifecycle("A", "stopped");
    // An error and a recovery.
    let trouble = Tap::open(&server.url());
    let broken = hanging(backend, &server, &trouble, &["--step-timeout", "2s"]);
    trouble.wait("clau-doom.system.doom_agent.error", 1);
    trouble.lifecycle("A", "recovering");
    drop(broken);
    tap.catch_up();
    let mut seen = BTreeSet::new();
    for event in tap.events() {
        if !event.headers.contains_key("trace-id") {
            continue;
        }
        let body = if event.leaf() == "frame" { without_picture(&event).body() } else { event.body() };
        let kind = body["type"].as_str().unwrap().to_owned();
        schemas.check(&kind, &body);
        seen.insert(kind);
    }
    assert_eq!(seen, OF_AN_AGENT.iter().map(|s| (*s).to_owned()).collect());
    // A schema that took everything would prove nothing.
    let observe = tap.events().iter().find(|e| e.leaf() == "observe").unwrap().body();
    for (pointer, wrong) in
        [("/payload/step", json!(-1)), ("/payload/reward", json!("1")), ("/timestamp", json!("now")), ("/type", json!("agent.action"))]
    {
        let mut bad = observe.clone();
        *bad.pointer_mut(pointer).unwrap() = wrong;
        assert!(!schemas.accepts("agent.observe", &bad), "{pointer}");
    }
}
