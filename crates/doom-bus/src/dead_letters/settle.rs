//! The consumer's side: done, tried again later, or given up and kept.

use std::time::Duration;

use async_nats::{
    Client, HeaderMap, Message,
    jetstream::{
        self, AckKind,
        consumer::{AckPolicy, pull},
        message::PublishMessage,
    },
};
use doom_protocol::{SubjectRoot, header, stream::DEAD_LETTERS};

use super::{identity, of_the_message, value};

/// The server's own limit of deliveries, for consumers that settle their messages here: twice as many as ours, so that a process that
/// dies before the copy is stored is followed by another try.
pub const SERVER_DELIVERIES: i64 = 10;
/// An error's text in a header.
const MOST_ERROR: usize = 1024;

/// When a message is tried again, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure, the second, …; the last also where a copy cannot be stored.
    pub pauses: Vec<Duration>,
    /// Deliveries before a message is given up.
    pub deliveries: u64,
}

impl Default for Backoff {
    /// 1, 2, 4, 8 s between five deliveries; 16 s until a copy is tried again.
    fn default() -> Self {
        Self { pauses: [1, 2, 4, 8, 16].map(Duration::from_secs).to_vec(), deliveries: 5 }
    }
}

impl Backoff {
    fn after(&self, delivery: u64) -> Duration {
        let index = usize::try_from(delivery.saturating_sub(1)).unwrap_or(usize::MAX);
        self.pauses.get(index).or(self.pauses.last()).copied().unwrap_or_default()
    }

    fn last(&self) -> Duration {
        self.pauses.last().copied().unwrap_or_default()
    }
}

/// Why work on a message failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// It may go better later.
    ForNow(String),
    /// It never will: what cannot be read, for instance. The message is given up at once.
    ForGood(String),
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate<T> {
    /// Dealt with, and the server knows.
    Done(T),
    /// To be delivered again.
    Later {
        /// In this time.
        after: Duration,
        /// Why.
        why: String,
    },
    /// Given up: a dead letter of this sequence in the stream of dead letters.
    Buried {
        /// The letter's.
        sequence: u64,
        /// Why.
        why: String,
    },
}

/// Why a message could not be settled; the server delivers it again.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// It did not come from a consumer.
    #[error("a message on {subject} was not delivered by a JetStream consumer: {why}")]
    NoDelivery {
        /// Its subject.
        subject: String,
        /// What is missing.
        why: String,
    },
    /// No stream has acknowledged the copy.
    #[error("the dead letter {subject} is not stored: {why}; doomctl streams apply makes the stream {DEAD_LETTERS}")]
    NotStored {
        /// The letter's subject.
        subject: String,
        /// Why.
        why: String,
    },
    /// The server did not confirm what it was told about the message.
    #[error("the server does not confirm what became of a message: {0}")]
    NotSettled(String),
}

/// Settles a consumer's messages.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    context: jetstream::Context,
    root: SubjectRoot,
    backoff: Backoff,
}

/// What the server says of a delivery.
pub(super) struct Delivery {
    message: jetstream::Message,
    stream: String,
    consumer: String,
    sequence: u64,
    delivered: u64,
    stored_nanos: i128,
}

impl Delivery {
    /// See [`identity`].
    pub(super) fn identity(&self) -> String {
        identity(&self.stream, self.sequence, &self.consumer, self.stored_nanos)
    }
}

impl DeadLetters {
    /// Letters go below this root.
    #[must_use]
    pub fn new(client: Client, root: SubjectRoot) -> Self {
        Self { context: jetstream::new(client), root, backoff: Backoff::default() }
    }

    /// With other pauses.
    #[must_use]
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// A pull consumer's configuration, with what this side of it needs.
    #[must_use]
    pub fn consumer(config: pull::Config) -> pull::Config {
        pull::Config { ack_policy: AckPolicy::Explicit, max_deliver: SERVER_DELIVERIES, ..config }
    }

    /// Works on a message and settles it. The work is not begun where earlier deliveries have used up the tries without any outcome, as
    /// where the process dies of the message each time.
    ///
    /// # Errors
    /// [`DeadLetterError`]; the message is not lost, the server delivers it again.
    pub async fn handle<T>(&self, message: &Message, work: impl Future<Output = Result<T, Failed>>) -> Result<Fate<T>, DeadLetterError> {
        let delivery = self.delivery(message)?;
        if delivery.delivered > self.backoff.deliveries {
            let before = delivery.delivered - 1;
            return self.give_up(&delivery, format!("{before} deliveries have ended without an outcome, or its copy was not stored")).await;
        }
        match work.await {
            Ok(value) => {
                settle(&delivery.message, AckKind::Ack).await?;
                Ok(Fate::Done(value))
            }
            Err(Failed::ForNow(why)) if delivery.delivered < self.backoff.deliveries => {
                let after = self.backoff.after(delivery.delivered);
                settle(&delivery.message, AckKind::Nak(Some(after))).await?;
                Ok(Fate::Later { after, why })
            }
            Err(Failed::ForNow(why) | Failed::ForGood(why)) => self.give_up(&delivery, why).await,
        }
    }

    /// Gives a message up, whatever has been tried.
    ///
    /// # Errors
    /// As [`DeadLetters::handle`].
    pub async fn bury(&self, message: &Message, why: &str) -> Result<Fate<()>, DeadLetterError> {
        self.give_up(&self.delivery(message)?, why.to_owned()).await
    }

    /// The first half of [`DeadLetters::bury`]: stores the copy, and leaves the message as it is. Returns the letter's sequence; a second copy of
    /// the same message has that of the first.
    ///
    /// # Errors
    /// [`DeadLetterError::NotStored`], and where the message was not delivered by a consumer.
    pub async fn copy(&self, message: &Message, why: &str) -> Result<u64, DeadLetterError> {
        self.store(&self.delivery(message)?, why).await
    }

    async fn give_up<T>(&self, delivery: &Delivery, why: String) -> Result<Fate<T>, DeadLetterError> {
        match self.store(delivery, &why).await {
            Ok(sequence) => {
                settle(&delivery.message, AckKind::Term).await?;
                Ok(Fate::Buried { sequence, why })
            }
            Err(error) => {
                let after = self.backoff.last();
                tracing::warn!(%error, again_in = ?after, "a message that is given up cannot be copied");
                settle(&delivery.message, AckKind::Nak(Some(after))).await?;
                Ok(Fate::Later { after, why: error.to_string() })
            }
        }
    }

    pub(super) async fn store(&self, delivery: &Delivery, why: &str) -> Result<u64, DeadLetterError> {
        self.store_as(delivery, why, &format!("dead-{}", delivery.identity())).await.map(|stored| stored.sequence)
    }

    /// Under this id, which tells one copy from another.
    pub(super) async fn store_as(&self, delivery: &Delivery, why: &str, id: &str) -> Result<Stored, DeadLetterError> {
        let Delivery { message, stream, consumer, sequence, delivered, .. } = delivery;
        let original = message.headers.clone().unwrap_or_default();
        let mut headers = of_the_message(&original);
        let history = [
            (header::DEAD_LETTER_SUBJECT, message.subject.to_string()),
            (header::DEAD_LETTER_STREAM, stream.clone()),
            (header::DEAD_LETTER_SEQUENCE, sequence.to_string()),
            (header::DEAD_LETTER_CONSUMER, consumer.clone()),
            (header::DEAD_LETTER_DELIVERIES, delivered.to_string()),
            (header::DEAD_LETTER_ERROR, on_one_line(why)),
        ];
        history.into_iter().for_each(|(name, value)| headers.insert(name, value));
        if let Some(id) = value(&original, header::MSG_ID) {
            headers.insert(header::DEAD_LETTER_MSG_ID, id);
        }
        let subject = self.root.dead_letter(&message.subject);
        let stored = publish(&self.context, &subject, headers, message.payload.clone(), id, Some(DEAD_LETTERS)).await;
        stored.map_err(|why| DeadLetterError::NotStored { subject, why })
    }

    /// As if it had been delivered to a consumer of this name.
    pub(super) fn delivery_to(&self, message: &Message, consumer: &str) -> Result<Delivery, DeadLetterError> {
        Ok(Delivery { consumer: consumer.to_owned(), ..self.delivery(message)? })
    }

    fn delivery(&self, message: &Message) -> Result<Delivery, DeadLetterError> {
        let message = jetstream::Message { message: message.clone(), context: self.context.clone() };
        let info = message.info().map_err(|e| DeadLetterError::NoDelivery { subject: message.subject.to_string(), why: e.to_string() })?;
        let (stream, consumer) = (info.stream.to_owned(), info.consumer.to_owned());
        let (sequence, delivered) = (info.stream_sequence, u64::try_from(info.delivered).unwrap_or_default());
        let stored_nanos = info.published.unix_timestamp_nanos();
        Ok(Delivery { message, stream, consumer, sequence, delivered, stored_nanos })
    }
}

/// A stream's acknowledgement.
pub(super) struct Stored {
    pub(super) stream: String,
    /// Of the message, or of the one that had its id before.
    pub(super) sequence: u64,
    /// The stream has had a message of this id within its duplicate window, whether or not it is still there.
    pub(super) duplicate: bool,
}

/// Publishes under an id and waits for the stream's acknowledgement.
pub(super) async fn publish(
    context: &jetstream::Context,
    subject: &str,
    headers: HeaderMap,
    payload: bytes::Bytes,
    id: &str,
    stream: Option<&str>,
) -> Result<Stored, String> {
    let mut message = PublishMessage::build().payload(payload).headers(headers).message_id(id);
    if let Some(stream) = stream {
        message = message.expected_stream(stream);
    }
    let ack = context.send_publish(subject.to_owned(), message).await.map_err(|e| e.to_string())?;
    let ack = ack.await.map_err(|e| e.to_string())?;
    Ok(Stored { stream: ack.stream, sequence: ack.sequence, duplicate: ack.duplicate })
}

async fn settle(message: &jetstream::Message, kind: AckKind) -> Result<(), DeadLetterError> {
    message.double_ack_with(kind).await.map_err(|e| DeadLetterError::NotSettled(e.to_string()))
}

/// Headers have one line.
fn on_one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut end = line.len().min(MOST_ERROR);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.get(..end).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_the_last_one_stays() {
        let backoff = Backoff::default();
        let seconds: Vec<u64> = (1..=7).map(|n| backoff.after(n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 16, 16]);
    }

    #[test]
    fn an_error_fits_into_a_header() {
        assert_eq!(on_one_line("a\r\nb: c\n"), "a  b: c");
        assert!(on_one_line(&"ü".repeat(2000)).len() <= MOST_ERROR);
    }
}
