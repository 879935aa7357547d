//! The machinery of all readers: pull requests that overlap, and what is done when deliveries, the consumer or the connection are lost.
//!
//! Where nothing is acknowledged, or whole batches are, a delivery that was lost on the way shows as a gap in the consumer's count; the consumer
//! is then made anew behind the last event that came. Where each event is acknowledged by itself the server delivers it again by itself.

use std::{pin::Pin, sync::Arc, time::Duration};

use async_nats::{Message, StatusCode, Subscriber};
use futures::{FutureExt, StreamExt};
use serde_json::json;
use tokio::{sync::watch, time::Instant};

use super::{
    ConsumeError, Consumer, Delivered, Retention, Start,
    consumer::{Found, matches},
    delivery::{Answers, Info},
};
use crate::{ApiError, Link, LinkState, Status};

/// How long a request stays with the server where nothing comes.
const EXPIRES: Duration = Duration::from_secs(30);
/// The server says this often that nothing comes.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// After so much silence the consumer is looked for.
const SILENCE: Duration = Duration::from_secs(12);
/// A consumer that cannot be made anew (the server has just come back) is tried again, so often and this far apart.
const TRIES: u32 = 40;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// How far a reader is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// The last sequence of the stream that came, or that lies before the first.
    pub(super) sequence: u64,
    /// Deliveries of the consumer so far.
    pub(super) consumer_sequence: u64,
    /// What is still to come.
    pub(super) pending: u64,
}

type Refusal = Pin<Box<dyn Future<Output = ApiError> + Send>>;

/// One consumer that is being read.
pub(super) struct Pull {
    link: Link,
    consumer: Consumer,
    retention: Retention,
    name: String,
    messages: Subscriber,
    inbox: String,
    request: bytes::Bytes,
    outstanding: usize,
    heard: Instant,
    status: watch::Receiver<Status>,
    connects: u64,
    refused: Refusal,
    position: Position,
    must_match: bool,
    answers: Arc<Answers>,
    /// Came, and was not looked at yet.
    raw: Vec<Delivered>,
    /// To be handed over. Both are kept here so that nothing is lost where a call is cancelled.
    ready: Vec<Delivered>,
}

impl std::fmt::Debug for Pull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pull").field("name", &self.name).field("position", &self.position).finish_non_exhaustive()
    }
}

impl Pull {
    /// Finds or makes the consumer; nothing is asked for yet.
    pub(super) async fn open(link: &Link, consumer: Consumer, retention: Retention) -> Result<Self, ConsumeError> {
        let mut found = consumer.open(link, retention).await?;
        if retention == Retention::All && found.unacknowledged() > 0 {
            // What an earlier run was given and did not acknowledge would come late and out of order.
            found = anew(link, &consumer, retention, &found.name, found.acknowledged() + 1).await?;
        }
        let status = link.watch();
        let connects = status.borrow().connects;
        let (inbox, messages) = subscribe(link).await?;
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let request = json!({ "batch": consumer.batch, "expires": nanos(EXPIRES), "idle_heartbeat": nanos(HEARTBEAT) });
        Ok(Self {
            refused: refusal(link, &consumer.stream, &found.name, &inbox),
            must_match: consumer.must_match(link),
            answers: Arc::new(Answers { client: link.client().clone() }),
            position: found.position(),
            name: found.name,
            request: request.to_string().into(),
            outstanding: 0,
            heard: Instant::now(),
            link: link.clone(),
            consumer,
            retention,
            messages,
            inbox,
            status,
            connects,
            raw: Vec::new(),
            ready: Vec::new(),
        })
    }

    /// How far it is.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// The consumer's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What has come: at least one event and at most `most`, as soon as there is any; none where `until` passes first.
    pub(super) async fn chunk(&mut self, most: usize, until: Option<Instant>) -> Result<Vec<Delivered>, ConsumeError> {
        loop {
            if !self.ready.is_empty() {
                return Ok(std::mem::take(&mut self.ready));
            }
            self.ask_for_more().await?;
            let silent = self.heard + SILENCE;
            let wake = until.map_or(silent, |until| until.min(silent));
            let message = tokio::select! {
                biased;
                message = self.messages.next() => message,
                refused = &mut self.refused => return Err(refused.into()),
                changed = self.status.changed() => {
                    if changed.is_err() {
                        return Err(ConsumeError::Broken("the connection was closed".to_owned()));
                    }
                    self.look_at_connection().await?;
                    continue;
                }
                () = tokio::time::sleep_until(wake) => {
                    if until.is_some_and(|until| until <= Instant::now()) {
                        return Ok(Vec::new());
                    }
                    self.look_for_consumer().await?;
                    continue;
                }
            };
            let Some(message) = message else {
                return Err(ConsumeError::Broken("the connection was closed".to_owned()));
            };
            self.heard = Instant::now();
            let mut lost = self.take(message)?;
            while lost.is_none() && self.raw.len() < most {
                // What is there already is taken without going to sleep for each.
                let Some(Some(message)) = tokio::task::unconstrained(self.messages.next()).now_or_never() else { break };
                lost = self.take(message)?;
            }
            if !self.note()? {
                self.begin_anew().await?;
            } else if let Some(why) = lost {
                self.find_again(&why).await?;
            }
        }
    }

    /// Whether the server has anything more for us, asked afresh.
    pub(super) async fn anything_pending(&mut self) -> Result<bool, ConsumeError> {
        let found = self.consumer.find(&self.link, &self.name).await?;
        Ok(found.is_some_and(|found| found.num_pending > 0 || found.delivered() > self.position.consumer_sequence))
    }

    /// Ends it; a consumer without a name of its own is deleted.
    pub(super) async fn close(mut self) {
        let _ = self.messages.unsubscribe().await;
        if self.consumer.durable.is_none() && self.link.status().state == LinkState::Connected {
            // It would be forgotten in a few minutes anyway.
            let _ = self.consumer.delete(&self.link, &self.name).await;
        }
    }

    async fn ask_for_more(&mut self) -> Result<(), ConsumeError> {
        while self.outstanding <= self.consumer.batch {
            let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.consumer.stream, self.name);
            let asked = self.link.client().publish_with_reply(subject, self.inbox.clone(), self.request.clone()).await;
            asked.map_err(|e| ConsumeError::Broken(format!("nothing can be asked for: {e}")))?;
            self.outstanding += self.consumer.batch;
        }
        Ok(())
    }

    /// Keeps an event, or reads what the server says of our requests: why the consumer is lost, where it is.
    fn take(&mut self, message: Message) -> Result<Option<String>, ConsumeError> {
        let Some(status) = message.status else {
            self.outstanding = self.outstanding.saturating_sub(1);
            self.raw.push(Delivered::new(message, &self.answers));
            return Ok(None);
        };
        if status == StatusCode::IDLE_HEARTBEAT {
            return Ok(None);
        }
        let headers = message.headers.as_ref();
        let unanswered = headers.and_then(|h| h.get("Nats-Pending-Messages")).and_then(|v| v.as_str().parse::<usize>().ok());
        self.outstanding = unanswered.map_or(0, |unanswered| self.outstanding.saturating_sub(unanswered));
        let words = message.description.unwrap_or_default();
        let lower = words.to_ascii_lowercase();
        if status == StatusCode::NO_RESPONDERS || lower.contains("deleted") {
            return Ok(Some(words));
        }
        if lower.contains("exceeded") || lower.contains("push based") || status.as_u16() == 400 {
            let subject = format!("a pull of {} from {}", self.consumer.batch, self.name);
            return Err(ApiError::Refused { subject, description: words, code: u64::from(status.as_u16()) }.into());
        }
        Ok(None)
    }

    /// Notes how far we are. False where something was lost on the way; what came behind it is left out then.
    fn note(&mut self) -> Result<bool, ConsumeError> {
        let mut came = std::mem::take(&mut self.raw);
        let (Some(first), Some(last)) = (came.first(), came.last()) else { return Ok(true) };
        let (first, last) = (first.info()?, last.info()?);
        let count = u64::try_from(came.len()).unwrap_or(u64::MAX);
        let expected = self.position.consumer_sequence + 1;
        let whole = self.retention == Retention::Explicit
            || (first.consumer_sequence == expected && last.consumer_sequence.wrapping_sub(expected).wrapping_add(1) == count);
        if whole {
            self.reach(last);
        } else {
            let mut kept = 0;
            for delivered in &came {
                let info = delivered.info()?;
                if info.consumer_sequence != self.position.consumer_sequence + 1 {
                    break;
                }
                self.reach(info);
                kept += 1;
            }
            tracing::debug!(
                consumer = self.name,
                lost_after = self.position.sequence,
                "deliveries were lost on the way; asking for them again"
            );
            came.truncate(kept);
        }
        if self.must_match {
            let subjects = &self.consumer.subjects;
            came.retain(|delivered| subjects.iter().any(|pattern| matches(pattern, delivered.subject())));
        }
        self.ready = came;
        Ok(whole)
    }

    fn reach(&mut self, Info { sequence, consumer_sequence, pending, .. }: Info) {
        self.position = Position { sequence, consumer_sequence, pending };
    }

    async fn look_at_connection(&mut self) -> Result<(), ConsumeError> {
        let now = *self.status.borrow_and_update();
        match now.state {
            LinkState::Closed => Err(ConsumeError::Broken("the connection was closed".to_owned())),
            LinkState::Connected if now.connects != self.connects => {
                self.connects = now.connects;
                // Requests end with the connection, and what was under way with it.
                self.find_again("the connection was lost").await
            }
            _ => Ok(()),
        }
    }

    async fn look_for_consumer(&mut self) -> Result<(), ConsumeError> {
        self.heard = Instant::now();
        if self.link.status().state == LinkState::Connected { self.find_again("it is silent").await } else { Ok(()) }
    }

    /// Makes sure that there is a consumer, and that nothing is expected of requests made before.
    async fn find_again(&mut self, why: &str) -> Result<(), ConsumeError> {
        self.outstanding = 0;
        self.heard = Instant::now();
        if self.retention != Retention::Explicit {
            return self.begin_anew().await;
        }
        let mut patience = Patience::default();
        let found: Option<Found> = loop {
            match self.consumer.find(&self.link, &self.name).await {
                Ok(found) => break found,
                Err(error) => patience.wait(error).await?,
            }
        };
        match found {
            Some(_) => Ok(()),
            None => {
                let (stream, consumer) = (self.consumer.stream.clone(), self.name.clone());
                Err(ConsumeError::Gone { stream, consumer, reason: why.to_owned() })
            }
        }
    }

    /// Goes on behind the last event that came, with a new consumer and a new inbox.
    async fn begin_anew(&mut self) -> Result<(), ConsumeError> {
        let from = self.position.sequence + 1;
        let mut patience = Patience::default();
        let found = loop {
            match anew(&self.link, &self.consumer, self.retention, &self.name, from).await {
                Ok(found) => break found,
                Err(error) => patience.wait(error).await?,
            }
        };
        let (inbox, messages) = subscribe(&self.link).await?;
        self.refused = refusal(&self.link, &self.consumer.stream, &found.name, &inbox);
        let sequence = self.position.sequence;
        self.position = Position { sequence, ..found.position() };
        (self.inbox, self.messages, self.outstanding, self.heard) = (inbox, messages, 0, Instant::now());
        Ok(())
    }
}

/// Deletes a consumer of ours and makes it again at a sequence.
async fn anew(link: &Link, consumer: &Consumer, retention: Retention, name: &str, from: u64) -> Result<Found, ApiError> {
    consumer.delete(link, name).await?;
    consumer.clone().start(Start::Sequence(from)).create(link, retention, name).await
}

/// A server that has just come back needs a moment until its streams are there.
#[derive(Default)]
struct Patience {
    tries: u32,
}

impl Patience {
    /// Waits before the next try; gives the error back where it will not pass, or after too many of them.
    async fn wait(&mut self, error: ApiError) -> Result<(), ApiError> {
        if !error.passes() || self.tries >= TRIES {
            return Err(error);
        }
        self.tries += 1;
        tokio::time::sleep(TRY_AGAIN_AFTER).await;
        Ok(())
    }
}

async fn subscribe(link: &Link) -> Result<(String, Subscriber), ConsumeError> {
    let inbox = link.client().new_inbox();
    let messages = link.client().subscribe(inbox.clone()).await;
    Ok((inbox, messages.map_err(|e| ConsumeError::Broken(format!("cannot subscribe to an inbox: {e}")))?))
}

fn refusal(link: &Link, stream: &str, name: &str, inbox: &str) -> Refusal {
    let about = [format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"), format!("$JS.ACK.{stream}.{name}."), inbox.to_owned()]
        .map(|subject| link.refused(&subject).map(|said| ApiError::NoPermission { subject, said }));
    Box::pin(futures::future::select_all(about.map(Box::pin)).map(|(refused, ..)| refused))
}
