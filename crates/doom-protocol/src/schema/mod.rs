//! The JSON Schemas in `docs/schemas`, made of the types; and `docs/asyncapi.yaml`, held to the subjects.
//!
//! `cargo xtask schemas` writes them. Here is the test that fails where they differ from the types.

mod asyncapi;

use std::{borrow::Cow, collections::BTreeMap, fs, path::PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Value, json};

use crate::{
    EpisodeId, HealthReply, Id, Instance, Payload, Timestamp, TraceId,
    control::{ControlReply, ControlRequest},
    payload::{
        Action, Death, ErrorEvent, EvaluationEpisode, EvaluationProgress, EvaluationRequest, EvaluationResult, ExperimentComplete,
        ExperimentError, ExperimentRun, ExperimentRunState, ExperimentStart, Frame, GenerationComplete, GenerationEvolve, GenerationScore,
        GenerationStart, Lifecycle, Metric, Observe, Score, Values,
    },
};

/// A text with a pattern, for a type that writes itself.
macro_rules! text {
    ($($(#[$attribute:meta])* $type:ty, $name:literal, $what:literal, $pattern:literal;)*) => {
        $(impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $what, "pattern": $pattern })
            }
        })*
    };
}

text! {
    Id, "Id", "A token of a subject.", "^[A-Za-z0-9_-]{1,64}$";
    Instance, "Instance", "The process: a UUID version 7.", "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$";
    EpisodeId, "EpisodeId", "The process and the episode's number.", "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9]{6,}$";
    TraceId, "TraceId", "32 hex digits, one per episode.", "^[0-9a-f]{32}$";
    Timestamp, "Timestamp", "RFC 3339, UTC, microseconds.", "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z$";
}

impl JsonSchema for Values<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Values".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "description": "Named numbers.", "additionalProperties": { "type": "number" } })
    }
}

/// What JSON Schema has no word for.
pub(crate) fn binary(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "description": "The picture's bytes, as MessagePack's bin. Under JSON the message's body is the picture alone." })
}

/// The schema of what travels bare.
fn bare<T: JsonSchema>(settings: SchemaSettings) -> Value {
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// The schema of a payload in its envelope.
fn event<P: JsonSchema + Payload>(settings: SchemaSettings) -> (String, Value) {
    let mut generator = settings.into_generator();
    let payload = generator.subschema_for::<P>();
    let (trace_id, timestamp) = (generator.subschema_for::<TraceId>(), generator.subschema_for::<Timestamp>());
    let definitions = generator.take_definitions(true);
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": P::TYPE,
        "type": "object",
        "properties": {
            "type": { "const": P::TYPE },
            "version": { "type": "string", "description": "1.x only adds fields.", "pattern": "^1\\.[0-9]+$" },
            "payload": payload,
            "trace_id": trace_id,
            "timestamp": timestamp,
        },
        "required": ["type", "version", "payload", "trace_id", "timestamp"],
        "$defs": definitions,
    });
    (P::TYPE.to_owned(), schema)
}

/// Every schema by its file's stem.
fn all() -> BTreeMap<String, Value> {
    // As written: what is always there is required. Requests are as read: what may be left out is not.
    let written = || SchemaSettings::draft2020_12().for_serialize();
    let read = || SchemaSettings::draft2020_12().for_deserialize();
    BTreeMap::from([
        event::<Action<'_>>(written()),
        event::<Observe<'_>>(written()),
        event::<Score<'_>>(written()),
        event::<Death<'_>>(written()),
        event::<Frame<'_>>(written()),
        event::<GenerationScore<'_>>(written()),
        event::<ExperimentRun<'_>>(written()),
        event::<Metric<'_>>(written()),
        event::<ErrorEvent<'_>>(written()),
        event::<Lifecycle<'_>>(written()),
        event::<HealthReply>(written()),
        event::<EvaluationProgress>(written()),
        event::<EvaluationEpisode<'_>>(written()),
        event::<EvaluationResult>(written()),
        event::<GenerationStart>(written()),
        event::<GenerationEvolve>(written()),
        event::<GenerationComplete>(written()),
        event::<ExperimentStart>(written()),
        event_as::<ExperimentRunState>("experiment.run.state", written()),
        event::<ExperimentComplete>(written()),
        event::<ExperimentError>(written()),
        ("generation.evaluate".to_owned(), bare::<EvaluationRequest>(read())),
        ("health.reply".to_owned(), bare::<HealthReply>(written())),
        ("control.request".to_owned(), bare::<ControlRequest>(read())),
        ("control.reply".to_owned(), bare::<ControlReply>(written())),
    ])
}

/// An event whose type has two shapes, under a name of its own.
fn event_as<P: JsonSchema + Payload>(name: &str, settings: SchemaSettings) -> (String, Value) {
    (name.to_owned(), event::<P>(settings).1)
}

fn documents() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"))
}

/// Set by `cargo xtask schemas`: write instead of comparing.
const WRITE: &str = "DOOM_WRITE_SCHEMAS";

#[test]
fn the_schemas_in_docs_are_those_of_the_types() {
    let folder = documents().join("schemas");
    let mut strangers: Vec<String> =
        fs::read_dir(&folder).map(|entries| entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()).unwrap_or_default();
    for (name, schema) in all() {
        let path = folder.join(format!("{name}.json"));
        let text = format!("{schema:#}\n");
        if std::env::var_os(WRITE).is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert!(written == text, "{} is not the schema of the type: run `cargo xtask schemas`", path.display());
        strangers.retain(|file| *file != format!("{name}.json"));
    }
    assert!(strangers.is_empty(), "of no type: {strangers:?}");
}
