//! One try to have one record stored.

use async_nats::{
    HeaderMap,
    jetstream::{self, context::PublishErrorKind, message::PublishMessage, stream::LastRawMessageErrorKind},
};
use doom_protocol::header;

use crate::{ApiError, Link, find_stream, spool::Record};

/// A sequence can be overtaken this often (by a repetition of ours that is still under way) before the try counts as failed.
const CONFLICTS: usize = 3;

/// Characters of an instance, a hyphenated UUID.
const INSTANCE_LENGTH: usize = 36;

/// What a try needs.
pub(crate) struct Attempt {
    pub(crate) link: Link,
    pub(crate) record: Record,
    /// The stream, where it is known already.
    pub(crate) stream: Option<String>,
    /// The last sequence of the subject, where it is known already.
    pub(crate) last_sequence: Option<u64>,
    /// The `Nats-Msg-Id`s of the records that wait behind this one, of the same subject.
    pub(crate) later: Vec<String>,
}

/// What came of it.
pub(crate) enum Outcome {
    /// The stream has it (now, or since before).
    Stored {
        /// Which one.
        stream: String,
        /// The subject's last sequence now, where it is known.
        sequence: Option<u64>,
    },
    /// No stream takes its subject.
    NoStream,
    /// Try again later.
    Failed(String),
}

/// Tries once; a conflict about the expected sequence is resolved within the try.
pub(crate) async fn attempt(task: Attempt) -> Outcome {
    let stream = match task.stream {
        Some(stream) => stream,
        None => match find_stream(&task.link, task.record.subject.as_str()).await {
            Ok(Some(stream)) => stream,
            Ok(None) | Err(ApiError::NoJetStream) => return Outcome::NoStream,
            Err(error) => return Outcome::Failed(error.to_string()),
        },
    };
    let context = jetstream::new(task.link.client().clone());
    let mut expected = task.last_sequence;
    for _ in 0..CONFLICTS {
        let mut message = PublishMessage::build().headers(task.record.headers.clone()).payload(task.record.payload.clone());
        if task.record.is_ordered() {
            let last = match expected {
                Some(last) => last,
                None => match last_of(&context, &stream, &task.record, &task.later).await {
                    Ok(Last::Ours(sequence)) => return Outcome::Stored { stream, sequence: Some(sequence) },
                    Ok(Last::Later) => return Outcome::Stored { stream, sequence: None },
                    Ok(Last::Sequence(n)) => n,
                    Err(error) => return Outcome::Failed(error),
                },
            };
            message = message.expected_last_subject_sequence(last);
        }
        let acknowledged = match context.send_publish(task.record.subject.clone(), message).await {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        match acknowledged {
            Ok(ack) => return Outcome::Stored { stream, sequence: (!ack.duplicate).then_some(ack.sequence) },
            Err(e) if e.kind() == PublishErrorKind::WrongLastSequence => expected = None,
            Err(e) if e.kind() == PublishErrorKind::StreamNotFound => return Outcome::NoStream,
            Err(e) => return Outcome::Failed(e.to_string()),
        }
    }
    Outcome::Failed("another writer keeps publishing to the subject; is the same id in use twice?".to_owned())
}

/// Where a subject stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// The last message is this very record, at this sequence.
    Ours(u64),
    /// The last message is a record that we sent after this one had been acknowledged.
    Later,
    /// Its sequence; 0 where there is none.
    Sequence(u64),
}

async fn last_of(context: &jetstream::Context, stream: &str, record: &Record, later: &[String]) -> Result<Last, String> {
    let stream = context.get_stream_no_info(stream).await.map_err(|e| e.to_string())?;
    match stream.get_last_raw_message_by_subject(record.subject.as_str()).await {
        Ok(message) => Ok(compare(&message.headers, message.sequence, record, later)),
        Err(e) if e.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(Last::Sequence(0)),
        Err(e) => Err(e.to_string()),
    }
}

/// What the last message of the record's subject says about the record.
pub(crate) fn compare(headers: &HeaderMap, sequence: u64, record: &Record, later: &[String]) -> Last {
    let stored = headers.get(header::MSG_ID).map_or("", |v| v.as_str());
    let ours = record.message_id();
    if !stored.is_empty() && stored == ours {
        Last::Ours(sequence)
    } else if later.iter().any(|id| id == stored) || is_later(stored, ours) {
        Last::Later
    } else if closes_lost(headers, record) {
        tracing::info!(id = ours, stored, "this episode was not lost: its score is stored");
        Last::Later
    } else {
        Last::Sequence(sequence)
    }
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

/// Whether the stored record was made by the process whose episode is called lost, after that was last known to be open: then its own score was
/// stored before it, from memory, where the disk no longer took the news.
fn closes_lost(stored: &HeaderMap, lost: &Record) -> bool {
    let text = |headers: &HeaderMap, name: &str| headers.get(name).map(|v| v.as_str().to_owned());
    let same = text(stored, header::INSTANCE).is_some() && text(stored, header::INSTANCE) == text(&lost.headers, header::INSTANCE);
    // Timestamps are texts of one length in UTC, so that they sort as they are.
    let later = text(stored, header::TIMESTAMP) > text(&lost.headers, header::TIMESTAMP);
    lost.message_id().get(INSTANCE_LENGTH..).is_some_and(|rest| rest.starts_with("-lost-")) && same && later
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
