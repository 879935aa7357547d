//! What streams a server has.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::shape::{Shape, version};
use crate::{
    Link,
    api::{self, ApiError},
};

/// One stream as the server has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServerStream {
    /// Its name.
    pub name: String,
    /// Its configuration, as the server says it.
    pub config: Map<String, Value>,
    /// Messages in it.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The oldest message's sequence.
    pub first_sequence: u64,
    /// The newest message's sequence.
    pub last_sequence: u64,
    /// Consumers on it.
    pub consumers: u64,
    /// In a cluster: who leads it; an empty text where nobody does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    #[serde(skip)]
    pub(super) shape: Shape,
}

impl ServerStream {
    /// What it takes.
    #[must_use]
    pub fn subjects(&self) -> &[String] {
        &self.shape.subjects
    }

    /// What it copies, for people: each source's name and subjects.
    #[must_use]
    pub fn sources(&self) -> Vec<String> {
        self.shape.sources.iter().map(ToString::to_string).collect()
    }

    /// Limits and the like, as a [`super::Plan`] names them.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        self.shape.settings()
    }
}

/// All of an account's streams.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServerStreams {
    /// Those that answered, by name.
    pub streams: Vec<ServerStream>,
    /// Those of a cluster that did not: nobody leads them at the moment.
    pub silent: Vec<String>,
    /// The server's version: major and minor.
    pub version: (u32, u32),
}

impl ServerStreams {
    /// One by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ServerStream> {
        self.streams.iter().find(|s| s.name == name)
    }
}

#[derive(Deserialize)]
struct Info {
    config: Map<String, Value>,
    #[serde(default)]
    state: State,
    cluster: Option<Cluster>,
}

#[derive(Deserialize, Default)]
struct State {
    #[serde(default)]
    messages: u64,
    #[serde(default)]
    bytes: u64,
    #[serde(default)]
    first_seq: u64,
    #[serde(default)]
    last_seq: u64,
    #[serde(default)]
    consumer_count: u64,
}

#[derive(Deserialize)]
struct Cluster {
    #[serde(default)]
    leader: String,
    /// Named in clusters alone.
    #[serde(default)]
    name: String,
}

impl Info {
    fn stream(self) -> Result<ServerStream, String> {
        let shape: Shape = serde_json::from_value(Value::Object(self.config.clone())).map_err(|e| e.to_string())?;
        let name = self.config.get("name").and_then(Value::as_str).ok_or("a stream without a name")?.to_owned();
        let State { messages, bytes, first_seq, last_seq, consumer_count } = self.state;
        Ok(ServerStream {
            name,
            config: self.config,
            messages,
            bytes,
            first_sequence: first_seq,
            last_sequence: last_seq,
            consumers: consumer_count,
            leader: self.cluster.filter(|c| !c.name.is_empty()).map(|c| c.leader),
            shape,
        })
    }
}

/// Asks for all streams.
///
/// # Errors
/// [`ApiError`].
pub async fn read(link: &Link) -> Result<ServerStreams, ApiError> {
    const WHAT: &str = "STREAM.LIST";
    let listed = api::list::<Info>(link, WHAT, "").await?;
    let broken = |why| ApiError::Broken { subject: format!("$JS.API.{WHAT}"), why };
    let mut streams = listed.items.into_iter().map(|info| info.stream().map_err(broken)).collect::<Result<Vec<_>, _>>()?;
    let mut silent = listed.missing;
    streams.sort_by(|a, b| a.name.cmp(&b.name));
    silent.sort();
    silent.dedup();
    Ok(ServerStreams { streams, silent, version: version(&link.client().server_info().version) })
}

#[cfg(test)]
mod tests {
    use doom_protocol::{SubjectRoot, stream::StreamSet};
    use serde_json::json;

    use super::*;
    use crate::streams::{Action, Wanted, plan};

    #[test]
    fn a_stream_without_a_leader_blocks_its_own_step_alone() {
        let page: api::Page<Info> =
            serde_json::from_value(json!({"total":1,"limit":256,"streams":null,"missing":["METRICS","X"]})).unwrap();
        let there = ServerStreams { streams: Vec::new(), silent: page.missing.unwrap(), version: (2, 15) };
        let plan = plan(&Wanted { set: StreamSet::standard(), root: &SubjectRoot::default(), replicas: Some(3) }, &there);
        let blocked: Vec<_> = plan.steps.iter().filter(|s| s.action == Action::Blocked).collect();
        assert_eq!(blocked.len(), 1);
        assert!(blocked[0].stream == "METRICS" && blocked[0].obstacle().unwrap().contains("nobody leads it"));
        assert_eq!(plan.silent, ["METRICS", "X"]);
        assert_eq!(plan.steps[0].config["num_replicas"], 3);
    }

    #[test]
    fn an_older_server_is_not_given_a_source_that_it_would_misunderstand() {
        let there = ServerStreams { streams: Vec::new(), silent: Vec::new(), version: (2, 9) };
        let plan = plan(&Wanted { set: StreamSet::standard(), root: &SubjectRoot::default(), replicas: None }, &there);
        let blocked: Vec<_> = plan.steps.iter().filter_map(|s| Some((s.stream.as_str(), s.obstacle()?))).collect();
        assert_eq!(blocked.len(), 1);
        assert!(blocked[0].0 == "AGENT_RECORDS" && blocked[0].1.contains("NATS 2.10"), "{blocked:?}");
    }
}
