//! Questions to many, and their answers as they come, within a bound.

use std::time::Duration;

use async_nats::{StatusCode, Subject, Subscriber};
use bytes::Bytes;
use futures::StreamExt;
use serde::Deserialize;
use tokio::{sync::watch, time::Instant};

use super::OperatorError;
use crate::{Link, LinkState, Refusals};

/// Several questions with one inbox; which of them an answer is to stands in its subject.
pub(super) struct Questions<'a> {
    link: &'a Link,
    inbox: String,
    answers: Subscriber,
    asked: Vec<String>,
    refusals: watch::Receiver<Refusals>,
    losses: u64,
    until: Instant,
}

/// What came back.
#[derive(Debug)]
pub(super) enum Heard {
    /// Somebody's bytes.
    Answer(Bytes),
    /// A stream's acknowledgement: it captures the question.
    Captured(String),
    /// The server says that nobody listens there.
    Nobody,
}

/// A stream's acknowledgement. An agent's reply has none of these.
#[derive(Deserialize)]
struct Acknowledgement {
    stream: String,
    #[serde(rename = "seq")]
    _seq: u64,
}

impl<'a> Questions<'a> {
    /// Nothing asked yet; whatever is asked has this long in all.
    pub(super) async fn within(link: &'a Link, bound: Duration) -> Result<Self, OperatorError> {
        let client = link.client();
        let inbox = client.new_inbox();
        let answers = client.subscribe(format!("{inbox}.*")).await.map_err(|e| OperatorError::Client(e.to_string()))?;
        let (refusals, losses) = (link.refusals(), link.status().losses);
        Ok(Self { link, inbox, answers, asked: Vec::new(), refusals, losses, until: Instant::now() + bound })
    }

    /// Asks; the number of the question.
    pub(super) async fn ask(&mut self, subject: impl Into<String>, body: Bytes) -> Result<usize, OperatorError> {
        let (subject, number) = (subject.into(), self.asked.len());
        let reply = Subject::from(format!("{}.{number}", self.inbox));
        self.asked.push(subject.clone());
        let sent = self.link.client().publish_with_reply(subject, reply, body).await;
        sent.map(|()| number).map_err(|e| OperatorError::Client(e.to_string()))
    }

    /// The next answer and the number of its question; `None` when the time is up, or when nothing has come for `quiet`.
    pub(super) async fn next(&mut self, quiet: Option<Duration>) -> Result<Option<(usize, Heard)>, OperatorError> {
        let until = quiet.map_or(self.until, |quiet| self.until.min(Instant::now() + quiet));
        loop {
            tokio::select! {
                message = self.answers.next() => {
                    let Some(message) = message else { return Err(OperatorError::Lost) };
                    let number = message.subject.rsplit('.').next().and_then(|n| n.parse().ok());
                    let Some(number) = number.filter(|n| *n < self.asked.len()) else { continue };
                    let heard = if message.status == Some(StatusCode::NO_RESPONDERS) {
                        Heard::Nobody
                    } else if let Ok(Acknowledgement { stream, .. }) = serde_json::from_slice(&message.payload) {
                        Heard::Captured(stream)
                    } else {
                        Heard::Answer(message.payload)
                    };
                    return Ok(Some((number, heard)));
                }
                changed = self.refusals.changed() => {
                    if changed.is_err() {
                        return Err(OperatorError::Lost);
                    }
                    self.look_for_refusals()?;
                }
                () = tokio::time::sleep_until(until) => {
                    let status = self.link.status();
                    let whole = status.state == LinkState::Connected && status.losses == self.losses;
                    return if whole { Ok(None) } else { Err(OperatorError::Lost) };
                }
            }
        }
    }

    /// Waits until the server has taken everything that was asked, or has refused it.
    pub(super) async fn taken(&mut self) -> Result<(), OperatorError> {
        // The server does one thing after the other: once it has brought us a message of our own, or has refused that one, it is done with
        // what came before. What it refused the client tells us by a task of its own, which has its turn during the second.
        for trip in ["taken-1", "taken-2"] {
            let subject = format!("{}.{trip}", self.inbox);
            let sent = self.link.client().publish(subject.clone(), Bytes::new()).await;
            sent.map_err(|e| OperatorError::Client(e.to_string()))?;
            loop {
                tokio::select! {
                    message = self.answers.next() => match message {
                        Some(message) if message.subject.as_str() == subject => break,
                        Some(_) => {}
                        None => return Err(OperatorError::Lost),
                    },
                    changed = self.refusals.changed() => {
                        changed.map_err(|_| OperatorError::Lost)?;
                        self.look_for_refusals()?;
                        if self.refusals.borrow().of(&subject).is_some() {
                            break;
                        }
                    }
                    () = tokio::time::sleep_until(self.until) => return Err(OperatorError::Lost),
                }
            }
        }
        self.look_for_refusals()
    }

    fn look_for_refusals(&mut self) -> Result<(), OperatorError> {
        let refusals = self.refusals.borrow_and_update();
        let inbox = format!("{}.*", self.inbox);
        for subject in self.asked.iter().chain([&inbox]) {
            if let Some(said) = refusals.of(subject) {
                return Err(OperatorError::NotPermitted { subject: subject.clone(), said: said.to_owned() });
            }
        }
        Ok(())
    }
}
