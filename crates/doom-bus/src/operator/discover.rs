//! Who is there: every agent is a NATS micro service with its id in the metadata. One that is not (a login may not permit it) is known by the
//! actions and the metrics that streams have of it, where there are such.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use doom_protocol::{EventKind, Id, SubjectRoot, service};
use serde::Deserialize;
use serde_json::json;

use super::{
    OperatorError,
    questions::{Heard, Questions},
};
use crate::{
    Link,
    api::{ApiError, ask},
    find_stream,
};

/// Nobody further is expected when nobody has answered for this long after the last one.
const QUIET: Duration = Duration::from_millis(500);

/// So many of those that streams know are looked at.
const MOST_KNOWN: usize = 10_000;
/// A metric that every agent has, also one that has not acted yet: a worker without work, or one that was started paused.
const METRIC: &str = "healthy";

/// An agent that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: Id,
    /// The process, where it says so.
    pub instance: Option<String>,
    /// The agent's version.
    pub version: String,
}

#[derive(Deserialize)]
struct Ping {
    name: String,
    /// Of the registration, not of the agent.
    id: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

impl Ping {
    /// What it says of an agent below this root.
    fn found(self, root: &SubjectRoot) -> Option<Found> {
        let mut metadata = self.metadata.unwrap_or_default();
        let below = metadata.get(service::ROOT).is_none_or(|its| its == root.as_str());
        let id = metadata.get(service::ID)?.parse().ok()?;
        let found = Found { id, instance: metadata.remove(service::INSTANCE), version: self.version };
        (self.name == service::NAME && below).then_some(found)
    }
}

/// Finds every agent below a root that answers within the bound, sorted by id. Ends before where the server says that there is none, or
/// half a second after the last answer.
///
/// # Errors
/// [`OperatorError`]; nobody there is an empty list.
pub async fn discover(link: &Link, root: &SubjectRoot, within: Duration) -> Result<Vec<Found>, OperatorError> {
    let mut questions = Questions::within(link, within).await?;
    questions.ask(service::PING, Bytes::new()).await?;
    let mut found = BTreeMap::new();
    while let Some((_, heard)) = questions.next((!found.is_empty()).then_some(QUIET)).await? {
        match heard {
            Heard::Nobody => break,
            Heard::Captured(_) => {}
            Heard::Answer(bytes) => {
                if let Ok(ping) = serde_json::from_slice::<Ping>(&bytes) {
                    found.insert(ping.id.clone(), ping.found(root));
                }
            }
        }
    }
    let mut found: Vec<Found> = found.into_values().flatten().collect();
    found.sort_by(|a, b| (&a.id, &a.instance).cmp(&(&b.id, &b.instance)));
    Ok(found)
}

#[derive(Deserialize)]
struct StreamInfo {
    state: State,
}

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    subjects: Option<BTreeMap<String, u64>>,
}

/// The agents of whom a stream has actions or metrics, whether or not they are still there; each once. Where there is no such stream, or nobody may
/// ask for it, there are none.
pub(super) async fn known(link: &Link, root: &SubjectRoot) -> BTreeSet<Id> {
    let acted = ids(link, root, &root.pattern(EventKind::Action, None, None, None), 1).await;
    let measured = ids(link, root, &root.metric_of_all(METRIC), 2).await;
    acted.into_iter().chain(measured).flatten().collect()
}

/// The ids in the subjects that a stream has of a pattern; `place` is that of the id below the root.
async fn ids(link: &Link, root: &SubjectRoot, pattern: &str, place: usize) -> Result<Vec<Id>, ApiError> {
    let Some(stream) = find_stream(link, pattern).await? else { return Ok(Vec::new()) };
    let body = json!({ "subjects_filter": pattern });
    let info: StreamInfo = ask(link, &format!("STREAM.INFO.{stream}"), &stream, &body).await?;
    let id = |subject: &String| root.strip(subject)?.split('.').nth(place)?.parse().ok();
    Ok(info.state.subjects.unwrap_or_default().keys().filter_map(id).take(MOST_KNOWN).collect())
}
