//! Evaluations: a request to play episodes, what is said meanwhile, and what it came to.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Score;
use crate::{Id, Instance, Payload, Timestamp};

/// The largest request that is read, in bytes.
pub const MAX_REQUEST: usize = 512 * 1024;
/// Episodes of one evaluation that a worker plays unless it was started with another limit. So many scores fit into one message.
pub const DEFAULT_MOST_EPISODES: u64 = 500;

/// Asks a worker to play episodes. Sent whole, in an envelope or bare; a worker that cannot play it says why and nobody tries again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EvaluationRequest {
    /// Unique within the generation: episodes that are recorded under it are not played again.
    pub evaluation_id: Id,
    /// The generation (or batch) that it belongs to; a part of every subject.
    pub generation_id: Id,
    /// The experiment, together with `run_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment_id: Option<Id>,
    /// The experiment's run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<u64>,
    /// The name of a scenario that the worker has, such as `basic`; no path.
    pub scenario: String,
    /// Settings of the scenario: texts, numbers, true or false.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, Value>,
    /// `random`, `cycle:…`, or `rules:NAME` together with `policy_text`.
    #[serde(default = "random")]
    pub policy: String,
    /// The rules themselves: a worker reads no file that a request names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_text: Option<String>,
    /// Parameters of the policy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policy_params: BTreeMap<String, f64>,
    /// One for each episode, from the start again when used up.
    pub seeds: Vec<u32>,
    /// How many episodes; one for each seed where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episodes: Option<u64>,
    /// Tics that an action is held for, 1 to 1000.
    #[serde(default = "one")]
    pub frame_skip: u32,
    /// Not begun, and given up, after this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// What the experiment varies, as its design calls it; goes into the run's events.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub factors: BTreeMap<String, Value>,
}

fn random() -> String {
    "random".to_owned()
}

fn one() -> u32 {
    1
}

impl Payload for EvaluationRequest {
    const TYPE: &'static str = "generation.evaluate";
}

impl EvaluationRequest {
    /// Reads a message's body: JSON, the request in its envelope or bare.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        if body.len() > MAX_REQUEST {
            return Err(format!("the request has {} bytes; at most {MAX_REQUEST} are read", body.len()));
        }
        let mut value: Value = serde_json::from_slice(body).map_err(|e| format!("the request is no JSON: {e}"))?;
        if let Some(payload) = value.get_mut("payload") {
            value = payload.take();
        }
        let request: Self = serde_json::from_value(value).map_err(|e| format!("the request is no evaluation: {e}"))?;
        request.check()?;
        Ok(request)
    }

    /// How many episodes are to be played.
    #[must_use]
    pub fn episodes(&self) -> u64 {
        self.episodes.unwrap_or(self.seeds.len() as u64)
    }

    /// The seed of an episode, which counts from 1.
    #[must_use]
    pub fn seed_of(&self, episode: u64) -> u32 {
        let n = self.seeds.len().max(1) as u64;
        // The remainder is an index of the list.
        self.seeds.get(usize::try_from(episode.saturating_sub(1) % n).unwrap_or(0)).copied().unwrap_or(0)
    }

    /// What is wrong with it, whoever is to play it.
    ///
    /// # Errors
    /// A text for the person who wrote it.
    pub fn check(&self) -> Result<(), String> {
        if self.seeds.is_empty() {
            return Err("seeds is empty; give one for each episode".to_owned());
        }
        if self.episodes() == 0 {
            return Err("episodes is 0; an evaluation has at least one".to_owned());
        }
        if !(1..=1000).contains(&self.frame_skip) {
            return Err(format!("frame_skip is {}; it goes from 1 to 1000", self.frame_skip));
        }
        if self.scenario.is_empty() || self.scenario.contains(['/', '\\']) {
            return Err(format!("scenario {:?} is no name of a scenario; a worker opens no path that a request names", self.scenario));
        }
        if self.experiment_id.is_some() != self.run_id.is_some() {
            return Err("experiment_id and run_id belong together: give both or none".to_owned());
        }
        match (self.policy.strip_prefix("rules:"), &self.policy_text) {
            (Some(_), None) => {
                Err("a rules policy comes with its text, in policy_text; a worker opens no file that a request names".to_owned())
            }
            (None, Some(_)) => Err(format!("policy_text belongs to a rules policy, not to {:?}", self.policy)),
            (Some(name), Some(_)) if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) => {
                Err(format!("policy {:?}: the rules need a plain name, such as rules:mine.toml", self.policy))
            }
            _ => match self.set.iter().find(|(_, v)| !matches!(v, Value::String(_) | Value::Number(_) | Value::Bool(_))) {
                Some((key, _)) => Err(format!("set.{key} must be a text, a number, true or false")),
                None => Ok(()),
            },
        }
    }
}

/// How far a worker is with an evaluation; every second, and after each episode. Live only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EvaluationProgress {
    /// The worker.
    pub agent_id: String,
    /// The envelope's instant.
    pub timestamp: Timestamp,
    /// The evaluation.
    pub evaluation_id: Id,
    /// Its generation.
    pub generation_id: Id,
    /// Of all workers, those found recorded included.
    pub episodes_completed: u64,
    /// To be played in all.
    pub episodes_total: u64,
    /// The last step's, of this worker.
    pub steps_per_second: f64,
    /// How often the request has been delivered, this time included.
    pub delivery: u64,
}

impl Payload for EvaluationProgress {
    const TYPE: &'static str = "evaluation.progress";
}

/// How an evaluation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EvaluationStatus {
    /// Every episode is recorded.
    Complete,
    /// It can never be played: the request is wrong.
    Refused,
    /// The engine failed each time that it was tried.
    Failed,
    /// Its deadline passed.
    Deadline,
    /// The worker plays another one (queue group alone); ask again.
    Busy,
}

/// One finished episode of an evaluation: the score record, and its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct EvaluationEpisode<'a>(pub Score<'a>);

impl Payload for EvaluationEpisode<'_> {
    const TYPE: &'static str = "evaluation.episode";
}

/// What an evaluation came to: a record, and the bare reply to a request of the queue group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EvaluationResult {
    /// The worker that finished it.
    pub agent_id: String,
    /// The worker's process.
    pub instance: Instance,
    /// The envelope's instant.
    pub timestamp: Timestamp,
    /// The evaluation; absent where the request could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation_id: Option<Id>,
    /// Its generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_id: Option<Id>,
    /// The experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment_id: Option<Id>,
    /// The experiment's run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<u64>,
    /// Whether every episode is recorded.
    pub ok: bool,
    /// In one word.
    pub status: EvaluationStatus,
    /// Why not, where `ok` is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Recorded, of all workers.
    pub episodes_completed: u64,
    /// Asked for.
    pub episodes_total: u64,
    /// Of these, found recorded and not played again by this worker.
    pub episodes_skipped: u64,
    /// How often the request has been delivered.
    pub delivery: u64,
    /// What this worker spent on it, real time.
    pub wall_seconds: f64,
    /// The episodes by `evaluation_episode`; fewer than `episodes_completed` where they do not fit into one message, then they are read
    /// from their own subjects.
    pub scores: Vec<EvaluationEpisode<'static>>,
}

impl Payload for EvaluationResult {
    const TYPE: &'static str = "evaluation.result";
}

impl EvaluationEpisode<'_> {
    /// Its place in the evaluation, from 1; 0 where it says none.
    #[must_use]
    pub fn place(&self) -> u64 {
        self.0.evaluation_episode.unwrap_or(0)
    }

    /// Its evaluation.
    #[must_use]
    pub fn evaluation(&self) -> Cow<'_, str> {
        self.0.evaluation_id.as_deref().map_or(Cow::Borrowed(""), Cow::Borrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(more: &str) -> String {
        format!(r#"{{"evaluation_id":"e","generation_id":"g","scenario":"basic","seeds":[1,2]{more}}}"#)
    }

    #[test]
    fn a_request_needs_few_words_and_comes_bare_or_in_an_envelope() {
        let bare = EvaluationRequest::parse(body("").as_bytes()).unwrap();
        assert_eq!((bare.episodes(), bare.frame_skip, bare.policy.as_str()), (2, 1, "random"));
        let wrapped = format!(r#"{{"type":"generation.evaluate","version":"1.0","payload":{},"unknown":1}}"#, body(""));
        assert_eq!(EvaluationRequest::parse(wrapped.as_bytes()).unwrap(), bare);
        let more = EvaluationRequest::parse(body(r#","episodes":3"#).as_bytes()).unwrap();
        assert_eq!([1, 2, 3].map(|n| more.seed_of(n)), [1, 2, 1]);
    }

    #[test]
    fn a_bad_request_is_refused_with_its_reason() {
        for (more, reason) in [
            (r#","episodes":0"#, "episodes is 0"),
            (r#","frame_skip":0"#, "frame_skip is 0"),
            (r#","run_id":1"#, "belong together"),
            (r#","policy":"rules:a.toml""#, "policy_text"),
            (r#","policy":"rules:../a","policy_text":"x""#, "plain name"),
            (r#","policy_text":"x""#, "belongs to a rules policy"),
            (r#","set":{"a":[1]}"#, "set.a must be"),
            (r#","generation_id":"a.b""#, "position 2"),
        ] {
            let error = EvaluationRequest::parse(body(more).as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{more}: {error}");
        }
        for bad in ["", "[]", "{", r#"{"payload":1}"#, r#"{"evaluation_id":"e","generation_id":"g","scenario":"/etc/passwd","seeds":[1]}"#]
        {
            assert!(EvaluationRequest::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(EvaluationRequest::parse(&vec![b' '; MAX_REQUEST + 1]).unwrap_err().contains("at most"));
    }
}
