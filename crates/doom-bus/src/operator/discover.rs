//! Who is there: every agent is a NATS micro service with its id in the metadata.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use doom_protocol::{Id, SubjectRoot, service};
use serde::Deserialize;

use super::{
    OperatorError,
    questions::{Heard, Questions},
};
use crate::Link;

/// Nobody further is expected when nobody has answered for this long after the last one.
const QUIET: Duration = Duration::from_millis(500);

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
