//! How they are: health, asked of one or of all.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use doom_protocol::{HealthReply, Id, SubjectRoot, Subjects};

use super::{
    OperatorError, discover,
    questions::{Heard, Questions},
};
use crate::Link;

/// What became of one health request.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The agent's own answer.
    Health(Box<HealthReply>),
    /// The server says that nobody listens on its subject.
    Nobody,
    /// No answer within the bound. Where a stream captures the request it may never have one.
    Silent {
        /// That stream.
        captured_by: Option<String>,
    },
}

/// Asks these agents, each once; in their order. Ends as soon as all have answered.
///
/// # Errors
/// [`OperatorError`]; an agent that does not answer is none.
pub async fn health(link: &Link, root: &SubjectRoot, agents: &[Id], within: Duration) -> Result<Vec<Reply>, OperatorError> {
    let mut replies = vec![Reply::Silent { captured_by: None }; agents.len()];
    let mut open = agents.len();
    let mut ask = Asking::begin(link, root, agents, within).await?;
    while open > 0 {
        let Some((number, reply)) = ask.next().await? else { break };
        let Some(place) = replies.get_mut(number) else { continue };
        let was_open = matches!(place, Reply::Silent { .. });
        match &reply {
            // A namesake's, or the same once more.
            Reply::Health(_) | Reply::Nobody if !was_open => continue,
            Reply::Health(_) | Reply::Nobody => open -= 1,
            Reply::Silent { .. } if !was_open => continue,
            Reply::Silent { .. } => {}
        }
        *place = reply;
    }
    Ok(replies)
}

/// An agent that was found, or that answered beside those found.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its id.
    pub id: Id,
    /// The process, where it says so.
    pub instance: Option<String>,
    /// How it is; `None` where it was found but does not answer.
    pub health: Option<Box<HealthReply>>,
    /// The stream that captures its health requests, where one was met.
    pub captured_by: Option<String>,
}

/// Finds all agents below a root and asks each how it is; the bound holds for each of the two. Two processes under one id are two members.
/// Agents that were not found but of whom a stream has actions or metrics are asked as well, and are members where they answer.
///
/// # Errors
/// [`OperatorError`]
pub async fn survey(link: &Link, root: &SubjectRoot, within: Duration) -> Result<Vec<Member>, OperatorError> {
    let found = discover::discover(link, root, within).await?;
    let mut agents: Vec<Id> = found.iter().map(|f| f.id.clone()).collect();
    agents.dedup();
    let first_stranger = agents.len();
    let strangers = discover::known(link, root).await;
    agents.extend(strangers.into_iter().filter(|id| found.iter().all(|f| f.id != *id)));
    let mut strangers: BTreeSet<usize> = (first_stranger..agents.len()).collect();
    let member = |f: &super::Found| Member { id: f.id.clone(), instance: f.instance.clone(), health: None, captured_by: None };
    let mut members: Vec<Member> = found.iter().map(member).collect();
    let mut open = members.len();
    let mut ask = Asking::begin(link, root, &agents, within).await?;
    while open > 0 || !strangers.is_empty() {
        let Some((number, reply)) = ask.next().await? else { break };
        let Some(id) = agents.get(number) else { continue };
        strangers.remove(&number);
        match reply {
            Reply::Health(health) => {
                let instance = health.instance.to_string();
                let place = members.iter_mut().find(|m| m.id == *id && m.instance.as_ref().is_none_or(|i| *i == instance));
                match place {
                    Some(member) => {
                        open -= usize::from(member.health.is_none());
                        member.health = Some(health);
                    }
                    None => members.push(Member { id: id.clone(), instance: Some(instance), health: Some(health), captured_by: None }),
                }
            }
            // It was there once, and is gone.
            Reply::Nobody | Reply::Silent { .. } if number >= first_stranger => {}
            Reply::Nobody => open = open.saturating_sub(members.iter().filter(|m| m.id == *id && m.health.is_none()).count()),
            Reply::Silent { captured_by } => {
                members.iter_mut().filter(|m| m.id == *id).for_each(|m| m.captured_by.clone_from(&captured_by));
            }
        }
    }
    members.sort_by(|a, b| (&a.id, &a.instance).cmp(&(&b.id, &b.instance)));
    Ok(members)
}

struct Asking<'a> {
    questions: Questions<'a>,
}

impl<'a> Asking<'a> {
    async fn begin(link: &'a Link, root: &SubjectRoot, agents: &[Id], within: Duration) -> Result<Self, OperatorError> {
        let mut questions = Questions::within(link, within).await?;
        for id in agents {
            questions.ask(Subjects::new(root, id).health, Bytes::new()).await?;
        }
        Ok(Self { questions })
    }

    /// The next thing that is heard; [`Reply::Silent`] says that a stream captured the request. What is no health is passed over.
    async fn next(&mut self) -> Result<Option<(usize, Reply)>, OperatorError> {
        while let Some((number, heard)) = self.questions.next(None).await? {
            let reply = match heard {
                Heard::Nobody => Reply::Nobody,
                Heard::Captured(stream) => Reply::Silent { captured_by: Some(stream) },
                Heard::Answer(bytes) => match serde_json::from_slice::<HealthReply>(&bytes) {
                    Ok(health) => Reply::Health(Box::new(health)),
                    Err(error) => {
                        tracing::debug!(%error, "what came to a health request is no health");
                        continue;
                    }
                },
            };
            return Ok(Some((number, reply)));
        }
        Ok(None)
    }
}
