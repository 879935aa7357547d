//! Events as they come: durable, each acknowledged by itself; or, without a name, as they come and no more.

use std::collections::VecDeque;

use doom_protocol::Condition;

use super::{ConsumeError, Consumer, Delivered, Retention, pull::Pull};
use crate::Link;

/// At most so many are handed over at once.
const CHUNK: usize = 4096;

/// A feed of events as they come.
#[derive(Debug)]
pub struct Feed {
    pull: Pull,
    waiting: VecDeque<Delivered>,
    condition: Condition,
}

impl Feed {
    /// Begins to listen: with a durable name each event must be answered ([`Delivered::ack`] and its siblings) and what was not is delivered
    /// again, to this process or to the next under the same name; without one nothing is answered and nothing is repeated.
    ///
    /// # Errors
    /// [`ConsumeError`]; nothing was delivered then.
    pub async fn open(link: &Link, consumer: Consumer, condition: Condition) -> Result<Self, ConsumeError> {
        let retention = if consumer.durable.is_some() { Retention::Explicit } else { Retention::None };
        Ok(Self { pull: Pull::open(link, consumer, retention).await?, waiting: VecDeque::new(), condition })
    }

    /// The next event that fulfils the condition; others are acknowledged and left out. What is no event at all is handed over:
    /// [`Delivered::event`] says what is wrong with it. Safe to cancel.
    ///
    /// # Errors
    /// [`ConsumeError`], where it cannot go on.
    pub async fn next(&mut self) -> Result<Delivered, ConsumeError> {
        loop {
            while let Some(delivered) = self.waiting.pop_front() {
                if self.condition.admits(delivered.codec(), delivered.bytes()).unwrap_or(true) {
                    return Ok(delivered);
                }
                delivered.ack().await?;
            }
            self.waiting.extend(self.pull.chunk(CHUNK, None).await?);
        }
    }

    /// Everything that has come, whether it fulfils the condition or not: for those who look at many at once. Safe to cancel.
    ///
    /// # Errors
    /// [`ConsumeError`], where it cannot go on.
    pub async fn chunk(&mut self) -> Result<Vec<Delivered>, ConsumeError> {
        if self.waiting.is_empty() { self.pull.chunk(CHUNK, None).await } else { Ok(self.waiting.drain(..).collect()) }
    }

    /// What an event must fulfil.
    #[must_use]
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// The consumer's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.pull.name()
    }

    /// Ends it. A durable consumer stays with the server.
    pub async fn close(self) {
        self.pull.close().await;
    }
}
