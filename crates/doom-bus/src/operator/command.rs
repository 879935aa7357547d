//! What they are told: one command to some agents, and who confirmed it.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use doom_protocol::{
    Id, SubjectRoot, Subjects,
    control::{ControlReply, ControlRequest, Verb},
};

use super::{
    OperatorError,
    questions::{Heard, Questions},
};
use crate::Link;

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Each of these on its own subject.
    Agents(Vec<Id>),
    /// Everyone whom the body addresses, by one broadcast. These are expected to confirm.
    Broadcast {
        /// As found beforehand.
        expected: Vec<Id>,
    },
}

/// A command and its addressees.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// What to do.
    pub verb: Verb,
    /// Who.
    pub target: Target,
    /// The body.
    pub request: ControlRequest,
}

/// What became of the command at one agent.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Its reply: the state is reached where `ok` is true.
    Replied(ControlReply),
    /// Nobody listens on its subject.
    Nobody(Id),
    /// It has not answered in time; it may obey yet.
    Silent(Id),
}

impl Outcome {
    /// Whether the state was reached.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        matches!(self, Self::Replied(reply) if reply.ok)
    }

    /// The agent.
    #[must_use]
    pub fn agent(&self) -> &str {
        match self {
            Self::Replied(reply) => &reply.agent_id,
            Self::Nobody(id) | Self::Silent(id) => id.as_str(),
        }
    }
}

impl Order {
    /// Subjects to send it to, and the agents that are expected to answer.
    fn addresses(&self, root: &SubjectRoot) -> (Vec<String>, Vec<Id>) {
        match &self.target {
            Target::Agents(agents) => (agents.iter().map(|id| Subjects::new(root, id).command(self.verb)).collect(), agents.clone()),
            Target::Broadcast { expected } => (vec![root.broadcast(self.verb)], expected.clone()),
        }
    }
}

/// Sends a command, and where `within` is given waits that long at most for the agents expected to answer it; each outcome is told as it is
/// known. Answers of others are told as well. Without `within` it returns when the server has taken the command.
///
/// # Errors
/// [`OperatorError`]; agents that refuse or are silent are no error.
pub async fn command(
    link: &Link,
    root: &SubjectRoot,
    order: &Order,
    within: Option<Duration>,
    mut tell: impl FnMut(&Outcome),
) -> Result<Vec<Outcome>, OperatorError> {
    let body = serde_json::to_vec(&order.request).map_err(|e| OperatorError::Client(e.to_string()))?;
    let body = if body == b"{}" { Bytes::new() } else { Bytes::from(body) };
    let (subjects, expected) = order.addresses(root);
    let mut questions = Questions::within(link, within.unwrap_or(Duration::from_secs(5))).await?;
    for subject in subjects {
        questions.ask(subject, body.clone()).await?;
    }
    if within.is_none() {
        questions.taken().await?;
        return Ok(Vec::new());
    }
    let mut open: BTreeSet<Id> = expected.iter().cloned().collect();
    let mut outcomes = Vec::new();
    while !open.is_empty() {
        let Some((number, heard)) = questions.next(None).await? else { break };
        let outcome = match heard {
            Heard::Captured(_) => continue,
            Heard::Nobody => match &order.target {
                // Of one agent it is known at once; of a broadcast it is known of all.
                Target::Agents(agents) => match agents.get(number) {
                    Some(id) if open.remove(id) => Outcome::Nobody(id.clone()),
                    _ => continue,
                },
                Target::Broadcast { .. } => {
                    let nobody = std::mem::take(&mut open).into_iter().map(Outcome::Nobody);
                    outcomes.extend(nobody.inspect(&mut tell));
                    break;
                }
            },
            Heard::Answer(bytes) => match serde_json::from_slice::<ControlReply>(&bytes) {
                Ok(reply) => {
                    if let Ok(id) = reply.agent_id.parse::<Id>() {
                        open.remove(&id);
                    }
                    Outcome::Replied(reply)
                }
                Err(error) => {
                    tracing::debug!(%error, "what came to a command is no reply");
                    continue;
                }
            },
        };
        tell(&outcome);
        outcomes.push(outcome);
    }
    outcomes.extend(open.into_iter().map(Outcome::Silent).inspect(tell));
    Ok(outcomes)
}
