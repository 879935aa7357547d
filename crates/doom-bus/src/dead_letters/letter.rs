//! What is in the stream of dead letters: copies by consumers of ours, and the server's advisories about others.

use std::{fmt, str::FromStr};

use async_nats::{
    HeaderMap,
    jetstream::{
        self,
        message::StreamMessage,
        stream::{LastRawMessageErrorKind, Stream},
    },
};
use bytes::Bytes;
use doom_protocol::{SubjectRoot, Timestamp, header, pattern, stream::DEAD_LETTERS};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AGAIN, identity, value};
use crate::{
    Link,
    api::{ApiError, ask},
};

const ADVISORY: &str = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.";

/// How a letter came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A consumer has copied the message.
    Copy,
    /// The server says that it will not deliver it again; the message is still in its stream, or gone.
    Advisory,
}

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Letter {
    /// In the stream of dead letters.
    pub sequence: u64,
    /// How it came to be.
    pub kind: Kind,
    /// When.
    pub time: Timestamp,
    /// The subject that the message had; not known of an advisory whose message is gone.
    pub subject: Option<String>,
    /// The stream that it was read from.
    pub stream: Option<String>,
    /// Its sequence there.
    pub stream_sequence: Option<u64>,
    /// The consumer that gave up.
    pub consumer: Option<String>,
    /// How often it was delivered to that consumer.
    pub deliveries: Option<u64>,
    /// The last error; the server knows none.
    pub error: Option<String>,
    /// How often it has been given back before.
    pub redrives: u64,
    /// Whether the message itself is no more: its stream has dropped it.
    pub gone: bool,
    /// The message's headers.
    #[serde(skip)]
    pub headers: HeaderMap,
    /// The message's bytes.
    #[serde(skip)]
    pub payload: Bytes,
    /// Under which it is given back.
    #[serde(skip)]
    pub(super) redrive_id: String,
}

impl Letter {
    /// The message that it is about, and who gave it up.
    pub(super) fn identity(&self) -> &str {
        let id = self.redrive_id.strip_prefix("redrive-").unwrap_or(&self.redrive_id);
        match id.rsplit_once(AGAIN) {
            Some((identity, dropped)) if dropped.parse::<u64>().is_ok() => identity,
            _ => id,
        }
    }
}

/// `7` or `7-12`, a choice of sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequences {
    /// The first.
    pub first: u64,
    /// The last, itself included.
    pub last: u64,
}

impl FromStr for Sequences {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let bad = || format!("{s:?} is no sequence; write 7 or 7-12");
        let (first, last) = s.split_once('-').unwrap_or((s, s));
        let number = |text: &str| text.trim().parse::<u64>().ok().filter(|n| *n > 0).ok_or_else(bad);
        let (first, last) = (number(first)?, number(last)?);
        if first > last { Err(bad()) } else { Ok(Self { first, last }) }
    }
}

impl fmt::Display for Sequences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// Which letters; all that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The subject that the message had; wildcards are understood.
    pub subject: Option<String>,
    /// The stream that it was read from.
    pub stream: Option<String>,
    /// The consumer that gave up.
    pub consumer: Option<String>,
    /// Sequences in the stream of dead letters; none is all.
    pub sequences: Vec<Sequences>,
}

impl Filter {
    fn takes_sequence(&self, sequence: u64) -> bool {
        self.sequences.is_empty() || self.sequences.iter().any(|s| (s.first..=s.last).contains(&sequence))
    }

    fn takes(&self, letter: &Letter) -> bool {
        let same = |wanted: &Option<String>, is: &Option<String>| wanted.is_none() || wanted == is;
        let subject = match (&self.subject, &letter.subject) {
            (None, _) => true,
            (Some(wanted), Some(is)) => pattern::covers(wanted, is),
            (Some(_), None) => false,
        };
        subject && same(&self.stream, &letter.stream) && same(&self.consumer, &letter.consumer)
    }
}

#[derive(Deserialize)]
struct Advisory {
    stream: String,
    consumer: String,
    stream_seq: u64,
    #[serde(default)]
    deliveries: u64,
}

/// Reads letters one after the other, up to the newest that there was at the beginning.
#[derive(Debug)]
pub struct Letters {
    context: jetstream::Context,
    stream: Stream<()>,
    root: SubjectRoot,
    filter: Filter,
    next: u64,
    last: u64,
}

impl Letters {
    /// Those of a root that a filter takes, and the server's advisories.
    ///
    /// # Errors
    /// [`ApiError`]: no JetStream, no stream of dead letters.
    pub async fn open(link: &Link, root: &SubjectRoot, filter: Filter) -> Result<Self, ApiError> {
        let info: Value = ask(link, &format!("STREAM.INFO.{DEAD_LETTERS}"), DEAD_LETTERS, &Value::Null).await?;
        let number = |name: &str| info["state"][name].as_u64().unwrap_or_default();
        let context = jetstream::new(link.client().clone());
        let stream = context.get_stream_no_info(DEAD_LETTERS).await.map_err(|e| broken(&e))?;
        let wanted = |pick: fn(&Sequences) -> u64| filter.sequences.iter().map(pick);
        let next = number("first_seq").max(wanted(|s| s.first).min().unwrap_or(1));
        let last = number("last_seq").min(wanted(|s| s.last).max().unwrap_or(u64::MAX));
        Ok(Self { context, stream, root: root.clone(), filter, next, last })
    }

    /// The next one.
    ///
    /// # Errors
    /// [`ApiError::Broken`] where it cannot be read.
    pub async fn next(&mut self) -> Result<Option<Letter>, ApiError> {
        while self.next <= self.last {
            let found = self.stream.raw_message_builder().sequence(self.next).next_by_subject(">").send().await;
            let message = match found {
                Ok(message) => message,
                Err(e) if e.kind() == LastRawMessageErrorKind::NoMessageFound => break,
                Err(e) => return Err(broken(&e)),
            };
            self.next = message.sequence + 1;
            if message.sequence > self.last {
                break;
            }
            if self.filter.takes_sequence(message.sequence)
                && let Some(letter) = self.read(message).await?
                && self.filter.takes(&letter)
            {
                return Ok(Some(letter));
            }
        }
        Ok(None)
    }

    /// `None` for what belongs to another root, or is no letter.
    async fn read(&self, message: StreamMessage) -> Result<Option<Letter>, ApiError> {
        if message.subject.starts_with(ADVISORY) {
            return match serde_json::from_slice(&message.payload) {
                Ok(advisory) => self.resolve(&message, advisory).await.map(Some),
                Err(_) => Ok(None),
            };
        }
        Ok(self.root.of_dead_letter(&message.subject).map(|subject| copy(message, subject)))
    }

    /// The message that an advisory is about.
    async fn resolve(&self, message: &StreamMessage, advisory: Advisory) -> Result<Letter, ApiError> {
        let Advisory { stream, consumer, stream_seq, deliveries } = advisory;
        let original = match self.context.get_stream_no_info(&stream).await {
            Ok(of) => of.get_raw_message(stream_seq).await.map(Some).or_else(|e| match e.kind() {
                // The stream has dropped the message, or is no more.
                LastRawMessageErrorKind::NoMessageFound | LastRawMessageErrorKind::JetStream(_) => Ok(None),
                _ => Err(broken(&e)),
            })?,
            Err(e) => return Err(broken(&e)),
        };
        let nanos = original.as_ref().map_or(0, |m| m.time.unix_timestamp_nanos());
        let redrive_id = format!("redrive-{}", identity(&stream, stream_seq, &consumer, nanos));
        let gone = original.is_none();
        let (subject, headers, payload) = original.map_or_else(Default::default, |m| (Some(m.subject.to_string()), m.headers, m.payload));
        let redrives = redrives(&headers);
        Ok(Letter {
            sequence: message.sequence,
            kind: Kind::Advisory,
            time: time(message),
            subject,
            stream: Some(stream),
            stream_sequence: Some(stream_seq),
            consumer: Some(consumer),
            deliveries: Some(deliveries),
            error: None,
            redrives,
            gone,
            headers,
            payload,
            redrive_id,
        })
    }
}

fn copy(message: StreamMessage, by_its_subject: String) -> Letter {
    let text = |name| value(&message.headers, name).map(str::to_owned);
    let number = |name| value(&message.headers, name).and_then(|v| v.parse().ok());
    let redrive_id = match value(&message.headers, header::MSG_ID).and_then(|id| id.strip_prefix("dead-")) {
        Some(id) => format!("redrive-{id}"),
        None => format!("redrive-{}", identity(DEAD_LETTERS, message.sequence, "", message.time.unix_timestamp_nanos())),
    };
    Letter {
        sequence: message.sequence,
        kind: Kind::Copy,
        time: time(&message),
        subject: Some(text(header::DEAD_LETTER_SUBJECT).unwrap_or(by_its_subject)),
        stream: text(header::DEAD_LETTER_STREAM),
        stream_sequence: number(header::DEAD_LETTER_SEQUENCE),
        consumer: text(header::DEAD_LETTER_CONSUMER),
        deliveries: number(header::DEAD_LETTER_DELIVERIES),
        error: text(header::DEAD_LETTER_ERROR),
        redrives: redrives(&message.headers),
        gone: false,
        headers: message.headers,
        payload: message.payload,
        redrive_id,
    }
}

fn redrives(headers: &HeaderMap) -> u64 {
    value(headers, header::DEAD_LETTER_REDRIVES).and_then(|v| v.parse().ok()).unwrap_or_default()
}

fn time(message: &StreamMessage) -> Timestamp {
    Timestamp::from_system(message.time.into())
}

pub(super) fn broken(error: &dyn fmt::Display) -> ApiError {
    ApiError::Broken { subject: DEAD_LETTERS.to_owned(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_one_or_a_range() {
        assert_eq!("7".parse(), Ok(Sequences { first: 7, last: 7 }));
        assert_eq!("7-12".parse::<Sequences>().unwrap().to_string(), "7-12");
        for bad in ["", "0", "a", "7-", "12-7", "-3"] {
            assert!(bad.parse::<Sequences>().is_err(), "{bad:?}");
        }
    }
}
