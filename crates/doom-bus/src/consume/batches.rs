//! What a stream holds, in batches with a deadline; acknowledged a batch at a time, so that the next run goes on where this one stopped.

use std::time::Duration;

use tokio::time::Instant;

use super::{ConsumeError, Consumer, Delivered, Retention, pull::Pull};
use crate::{Link, api};

/// Reads a stream from the consumer's start to what was its end when reading began.
#[derive(Debug)]
pub struct Batches {
    pull: Pull,
    batch: usize,
    deadline: Duration,
    end: u64,
    finished: bool,
}

/// Events in the order in which they are stored. Empty where the deadline passed and nothing came.
#[derive(Debug)]
pub struct Batch {
    /// The events.
    pub events: Vec<Delivered>,
    /// The stream's sequence of the last event that was looked at.
    pub sequence: u64,
    /// About how many are still to come.
    pub pending: u64,
}

impl Batch {
    /// Everything up to the end of this batch is dealt with, and the server has noted it. Does nothing without a durable name.
    ///
    /// # Errors
    /// Where the server does not say so; the next run is given the batch again.
    pub async fn ack(&self) -> Result<(), ConsumeError> {
        match self.events.last() {
            Some(last) => last.ack_confirmed().await,
            None => Ok(()),
        }
    }
}

impl Batches {
    /// Begins to read. With a durable name the server remembers what was acknowledged.
    ///
    /// # Errors
    /// [`ConsumeError`]; nothing was delivered then.
    pub async fn open(link: &Link, consumer: Consumer, deadline: Duration) -> Result<Self, ConsumeError> {
        api::connected(link).await?;
        let retention = if consumer.durable.is_some() { Retention::All } else { Retention::None };
        let end = consumer.stream_end(link).await?;
        // A delivery stays ours for as long as we live.
        let consumer = Consumer { ack_wait: Duration::from_secs(86_400), max_deliver: -1, ..consumer };
        let batch = consumer.batch;
        let pull = Pull::open(link, consumer, retention).await?;
        let finished = pull.position().pending == 0;
        Ok(Self { pull, batch, deadline, end, finished })
    }

    /// The next batch: full, or what came within the deadline, or the last. `None` after it. A batch that was not acknowledged does not keep the
    /// next one from being delivered.
    ///
    /// # Errors
    /// [`ConsumeError`], where it cannot go on.
    pub async fn next(&mut self) -> Result<Option<Batch>, ConsumeError> {
        if self.finished {
            return Ok(None);
        }
        let until = Instant::now() + self.deadline;
        let mut events: Vec<Delivered> = Vec::new();
        while events.len() < self.batch && !self.finished {
            let some = self.pull.chunk(self.batch - events.len(), Some(until)).await?;
            if some.is_empty() {
                // Events that were counted may have been removed meanwhile.
                self.finished = events.is_empty() && !self.pull.anything_pending().await?;
                break;
            }
            if events.is_empty() {
                events = some
            } else {
                events.extend(some)
            }
            let position = self.pull.position();
            self.finished = position.pending == 0 || position.sequence >= self.end;
        }
        let position = self.pull.position();
        Ok(Some(Batch { events, sequence: position.sequence, pending: position.pending }))
    }

    /// The consumer's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.pull.name()
    }

    /// How many events there are to come, as the server counts.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.pull.position().pending
    }

    /// Ends it. A durable consumer stays with the server.
    pub async fn close(self) {
        self.pull.close().await;
    }
}
