//! The file of `doomctl evaluate`: what all evaluations share, then each of them.

use std::path::Path;

use cli_common::exit::{self, Failure};
use doom_protocol::payload::EvaluationRequest;
use serde_json::{Map, Value};

/// A larger file is none of ours.
const MOST_BYTES: u64 = 4 << 20;
/// What stands at the top of the file, for all, or in an `[[evaluation]]`, for this one.
const KEYS: [&str; 15] = [
    "id",
    "generation",
    "experiment",
    "run",
    "scenario",
    "set",
    "policy",
    "policy_params",
    "seeds",
    "seed",
    "seed_step",
    "episodes",
    "frame_skip",
    "deadline",
    "factors",
];

/// Reads a file of evaluations.
///
/// # Errors
/// Exit code 65, with the file and what is wrong in it.
pub(crate) fn read(path: &Path) -> Result<Vec<EvaluationRequest>, Failure> {
    let fail = |what: String| Failure::new(exit::DATA, format!("{}: {what}", path.display()));
    let text = text_of(path)?;
    let mut table: Map<String, Value> = toml::from_str(&text).map_err(|e| fail(format!("not valid TOML: {}", e.to_string().trim())))?;
    let evaluations = match table.remove("evaluation") {
        Some(Value::Array(list)) if !list.is_empty() => list,
        _ => return Err(fail("there is no [[evaluation]]; each begins with such a line, and has an id".to_owned())),
    };
    let stem = path.file_stem().map_or_else(|| "evaluations".to_owned(), |s| s.to_string_lossy().into_owned());
    let mut requests: Vec<EvaluationRequest> = Vec::new();
    for (n, evaluation) in evaluations.into_iter().enumerate() {
        let Value::Object(own) = evaluation else { return Err(fail(format!("evaluation {} is no table", n + 1))) };
        let name = own.get("id").and_then(Value::as_str).map_or_else(|| format!("evaluation {}", n + 1), |id| format!("evaluation {id}"));
        let mut all = table.clone();
        all.extend(own);
        all.entry("generation").or_insert_with(|| stem.clone().into());
        let request = request(all, path).map_err(|what| fail(format!("{name}: {what}")))?;
        let same = |r: &EvaluationRequest| r.evaluation_id == request.evaluation_id && r.generation_id == request.generation_id;
        if requests.iter().any(same) {
            return Err(fail(format!("{name} is there twice; an id is unique within its generation")));
        }
        requests.push(request);
    }
    Ok(requests)
}

fn request(mut all: Map<String, Value>, path: &Path) -> Result<EvaluationRequest, String> {
    if let Some(unknown) = all.keys().find(|k| !KEYS.contains(&k.as_str())) {
        return Err(format!("unknown key `{unknown}`; valid are {}", KEYS.join(", ")));
    }
    let seeds = seeds(&mut all, 1)?;
    all.insert("seeds".to_owned(), seeds.into());
    if let Some(policy) = all.get("policy").and_then(Value::as_str).map(str::to_owned) {
        let (name, text) = policy_text(&policy, path)?;
        all.insert("policy".to_owned(), name.into());
        all.extend(text.map(|text| ("policy_text".to_owned(), text.into())));
    }
    for (written, wire) in [("id", "evaluation_id"), ("generation", "generation_id"), ("experiment", "experiment_id"), ("run", "run_id")] {
        if let Some(value) = all.remove(written) {
            all.insert(wire.to_owned(), value);
        }
    }
    let request: EvaluationRequest = serde_json::from_value(Value::Object(all)).map_err(|e| e.to_string())?;
    request.check().map(|()| request)
}

/// Takes `seeds`, or `seed` and `seed_step`, out of a table: as many as there are `episodes`, `times` over.
pub(crate) fn seeds(all: &mut Map<String, Value>, times: u64) -> Result<Vec<u32>, String> {
    let number = |value: Option<Value>, key: &str| match value {
        None => Ok(None),
        Some(v) => match v.as_u64().and_then(|n| u32::try_from(n).ok()) {
            Some(n) => Ok(Some(n)),
            None => Err(format!("{key} is {v}; it goes from 0 to {}", u32::MAX)),
        },
    };
    let (first, step) = (number(all.remove("seed"), "seed")?, number(all.remove("seed_step"), "seed_step")?);
    match (all.remove("seeds"), first) {
        (Some(_), Some(_)) => Err("seeds and seed exclude each other".to_owned()),
        (Some(Value::Array(list)), None) => list.into_iter().map(|v| number(Some(v), "seeds").map(|n| n.unwrap_or(0))).collect(),
        (Some(_), None) => Err("seeds must be a list of numbers".to_owned()),
        (None, first) => {
            let episodes = all.get("episodes").and_then(Value::as_u64).unwrap_or(1);
            if !(1..=1_000_000).contains(&(episodes * times)) {
                return Err(format!("episodes is {episodes}; it goes from 1 to 1000000"));
            }
            let (first, step) = (first.unwrap_or(1), step.unwrap_or(1));
            // Truncation is the modulus, as for the agent's own --seed and --seed-step.
            Ok((0..episodes * times).map(|i| first.wrapping_add((i as u32).wrapping_mul(step))).collect())
        }
    }
}

/// A policy as workers want it: the rules' text comes with it, their path does not. A path is relative to the file that names it.
pub(crate) fn policy_text(policy: &str, named_in: &Path) -> Result<(String, Option<String>), String> {
    let Some(file) = policy.strip_prefix("rules:") else { return Ok((policy.to_owned(), None)) };
    let path = named_in.parent().unwrap_or(Path::new(".")).join(file);
    let text = std::fs::read_to_string(&path).map_err(|e| format!("the rules {} cannot be read: {e}", path.display()))?;
    let name = path.file_name().map_or_else(|| file.to_owned(), |n| n.to_string_lossy().into_owned());
    Ok((format!("rules:{name}"), Some(text)))
}

/// The text of a file, if it has a reasonable size.
pub(crate) fn text_of(path: &Path) -> Result<String, Failure> {
    let unreadable = |e| Failure::new(exit::DATA, format!("{} cannot be read: {e}", path.display()));
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MOST_BYTES {
        return Err(Failure::new(exit::DATA, format!("{} has {size} bytes; at most {MOST_BYTES} are read", path.display())));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}
