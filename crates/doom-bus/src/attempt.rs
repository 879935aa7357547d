//! One try to have one record stored.

use std::{error::Error as _, sync::Arc};

use async_nats::{
    HeaderMap,
    jetstream::{
        self, Context, ErrorCode,
        context::{PublishError, PublishErrorKind},
        message::PublishMessage,
        stream::LastRawMessageErrorKind,
    },
};
use doom_protocol::{header, stream::StreamSet};

use crate::{
    ApiError, Link, find_stream,
    spool::{Marks, Record, Starts},
};

/// A sequence can be overtaken this often (by a repetition of ours that is still under way) before the try counts as failed.
const CONFLICTS: usize = 3;

/// Characters of an instance, a hyphenated UUID.
const INSTANCE_LENGTH: usize = 36;

/// What a try needs.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) record: Record,
    /// Who has opened the spool that the record may come from.
    pub(crate) starts: Arc<Starts>,
    /// The stream, where it is known already.
    pub(crate) stream: Option<String>,
    /// The last message of the subject, where it is known already.
    pub(crate) place: Option<Place>,
    /// The `Nats-Msg-Id`s of the records that wait behind this one, of the same subject.
    pub(crate) later: Vec<String>,
}

/// The last message of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// 0 where there is none.
    pub(crate) sequence: u64,
    /// What it says of spools.
    pub(crate) marks: Marks,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The stream has it (now, or since before).
    Stored {
        /// Which one.
        stream: String,
        /// The subject's last message now, where it is known.
        place: Option<Place>,
    },
    /// No stream takes its subject.
    NoStream,
    /// Server or stream take no message of its size, now or later: a text that says how large.
    TooLarge(String),
    /// Try again later.
    Failed(String),
}

/// What was said to a record that was sent.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Stored at this sequence; none where the stream knew its id already.
    Stored(Option<u64>),
    /// The subject's last message is another one than was expected.
    Conflict,
    NoStream,
    TooLarge(String),
    Failed(String),
}

/// What a try asks of the broker.
pub(crate) trait Streams {
    /// The stream that takes a subject.
    fn find(&self, subject: &str) -> impl Future<Output = Result<Option<String>, ApiError>> + Send;
    /// The last message of a subject: its headers, and its sequence, or 0 where it has left the stream and only a copy is known.
    fn last(&self, stream: &str, subject: &str) -> impl Future<Output = Result<Option<(HeaderMap, u64)>, String>> + Send;
    /// Has a record stored under these headers; where `expected` is given, only behind the message of that sequence.
    fn store(&self, record: &Record, headers: HeaderMap, expected: Option<u64>) -> impl Future<Output = Answer> + Send;
}

/// The streams of a server.
#[derive(Debug)]
pub(crate) struct Jetstream {
    link: Link,
    context: Context,
}

impl Jetstream {
    pub(crate) fn new(link: Link) -> Self {
        let context = jetstream::new(link.client().clone());
        Self { link, context }
    }
}

impl Jetstream {
    async fn last_in(&self, stream: &str, subject: &str) -> Result<Option<(HeaderMap, u64)>, LastRawMessageErrorKind> {
        let stream = self.context.get_stream_no_info(stream).await.map_err(|_| LastRawMessageErrorKind::Other)?;
        match stream.get_last_raw_message_by_subject(subject).await.map_err(|e| e.kind()) {
            Ok(message) => Ok(Some((message.headers, message.sequence))),
            Err(LastRawMessageErrorKind::NoMessageFound) => Ok(None),
            Err(kind) => Err(kind),
        }
    }
}

impl Streams for Jetstream {
    async fn find(&self, subject: &str) -> Result<Option<String>, ApiError> {
        find_stream(&self.link, subject).await
    }

    async fn last(&self, stream: &str, subject: &str) -> Result<Option<(HeaderMap, u64)>, String> {
        if let Some(last) = self.last_in(stream, subject).await.map_err(|e| e.to_string())? {
            return Ok(Some(last));
        }
        // Telemetry evicts records within minutes. The copies stay.
        for copies in StreamSet::standard().iter().filter(|s| s.source.as_ref().is_some_and(|source| source.stream == stream)) {
            match self.last_in(&copies.name, subject).await {
                Ok(Some((headers, _))) => return Ok(Some((headers, 0))),
                Ok(None) => {}
                Err(LastRawMessageErrorKind::JetStream(e)) if e.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
                Err(e) => return Err(e.to_string()),
            }
        }
        Ok(None)
    }

    async fn store(&self, record: &Record, headers: HeaderMap, expected: Option<u64>) -> Answer {
        let mut message = PublishMessage::build().headers(headers).payload(record.payload.clone());
        if let Some(last) = expected {
            message = message.expected_last_subject_sequence(last);
        }
        let acknowledged = match self.context.send_publish(record.subject.clone(), message).await {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        match acknowledged {
            Ok(ack) => Answer::Stored((!ack.duplicate).then_some(ack.sequence)),
            Err(e) => match e.kind() {
                PublishErrorKind::WrongLastSequence => Answer::Conflict,
                PublishErrorKind::StreamNotFound => Answer::NoStream,
                PublishErrorKind::MaxPayloadExceeded => Answer::TooLarge(e.to_string()),
                _ if exceeds_stream(&e) => Answer::TooLarge(e.to_string()),
                _ => Answer::Failed(e.to_string()),
            },
        }
    }
}

/// The stream has a bound of its own.
fn exceeds_stream(error: &PublishError) -> bool {
    let said = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
    said.is_some_and(|e| e.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)
}

/// Tries once; a conflict about the expected sequence is resolved within the try.
pub(crate) async fn attempt(streams: &impl Streams, task: Attempt) -> Outcome {
    let Attempt { record, starts, stream, mut place, later } = task;
    let stream = match stream {
        Some(stream) => stream,
        None => match streams.find(record.subject.as_str()).await {
            Ok(Some(stream)) => stream,
            Ok(None) | Err(ApiError::NoJetStream) => return Outcome::NoStream,
            Err(error) => return Outcome::Failed(error.to_string()),
        },
    };
    for _ in 0..CONFLICTS {
        let (mut headers, mut expected, mut marks) = (record.headers.clone(), None, Marks::default());
        if record.is_ordered() {
            let last = match place.take() {
                Some(place) => place,
                None => match streams.last(&stream, record.subject.as_str()).await {
                    Ok(None) => Place { sequence: 0, marks: Marks::default() },
                    Ok(Some((last, sequence))) => match compare(&last, &record, &starts, &later) {
                        Last::Ours => return Outcome::Stored { stream, place: Some(Place { sequence, marks: Marks::of(&last) }) },
                        Last::Later => return Outcome::Stored { stream, place: None },
                        Last::Before => Place { sequence, marks: Marks::of(&last) },
                    },
                    Err(error) => return Outcome::Failed(error),
                },
            };
            marks = starts.mark(record.order, &last.marks);
            if !marks.is_empty() {
                headers.insert(header::STORED_THROUGH, marks.to_string());
            }
            expected = Some(last.sequence);
        }
        match streams.store(&record, headers, expected).await {
            Answer::Stored(sequence) => {
                return Outcome::Stored { stream, place: sequence.map(|sequence| Place { sequence, marks }) };
            }
            Answer::Conflict => {}
            Answer::NoStream => return Outcome::NoStream,
            Answer::TooLarge(why) => return Outcome::TooLarge(why),
            Answer::Failed(error) => return Outcome::Failed(error),
        }
    }
    Outcome::Failed("another writer keeps publishing to the subject; is the same id in use twice?".to_owned())
}

/// What the last message of a record's subject is to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The record itself.
    Ours,
    /// One that was stored after the record had been.
    Later,
    /// One behind which the record belongs.
    Before,
}

fn compare(last: &HeaderMap, record: &Record, starts: &Starts, later: &[String]) -> Last {
    let stored = last.get(header::MSG_ID).map_or("", |v| v.as_str());
    let ours = record.message_id();
    if !stored.is_empty() && stored == ours {
        return Last::Ours;
    }
    let said = Marks::of(last);
    let is_stored = match starts.stored_through(&said) {
        Some(order) => record.order <= order,
        // Of a release that wrote no marks.
        None => later.iter().any(|id| id == stored) || is_later(stored, ours),
    };
    if is_stored {
        return Last::Later;
    }
    // Of a process whose episode is called lost more is stored than the disk knew: the score of that episode, which was open as far as the disk knew.
    if ours.get(INSTANCE_LENGTH..).is_some_and(|rest| rest.starts_with("-lost-")) && starts.outran_its_disk(&ours[..INSTANCE_LENGTH], &said)
    {
        tracing::info!(id = ours, stored, "this episode was not lost: its score is stored");
        return Last::Later;
    }
    Last::Before
}

/// Whether the stored id is that of a later record of the same process and kind: `{instance}-{number}`, and a suffix that names the kind.
fn is_later(stored: &str, ours: &str) -> bool {
    let parts = |id: &'_ str| -> Option<(String, u64, String)> {
        let (instance, rest) = id.split_at_checked(INSTANCE_LENGTH)?;
        let rest = rest.strip_prefix('-')?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, kind) = rest.split_at_checked(digits)?;
        Some((instance.to_owned(), number.parse().ok()?, kind.to_owned()))
    };
    match (parts(stored), parts(ours)) {
        (Some(stored), Some(ours)) => stored.0 == ours.0 && stored.2 == ours.2 && stored.1 > ours.1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_later;

    #[test]
    fn a_later_record_of_the_same_process_and_kind_is_told_by_its_id() {
        let (a, b) = ("0190a0a0-0000-7000-8000-000000000001", "0190a0a0-0000-7000-8000-000000000002");
        let later = |stored: String, ours: String| is_later(&stored, &ours);
        assert!(later(format!("{a}-12"), format!("{a}-9")));
        assert!(later(format!("{a}-12-generation"), format!("{a}-9-generation")));
        for (stored, ours) in [
            (format!("{a}-9"), format!("{a}-9")),
            (format!("{a}-8"), format!("{a}-9")),
            (format!("{b}-12"), format!("{a}-9")),
            (format!("{a}-12-generation"), format!("{a}-9")),
            (format!("{a}-lost-12"), format!("{a}-9")),
            (String::new(), format!("{a}-9")),
            ("\u{e9}".repeat(20), format!("{a}-9")),
        ] {
            assert!(!later(stored.clone(), ours.clone()), "{stored} {ours}");
        }
    }
}
