//! One try to have one record stored.

use async_nats::{
    HeaderMap,
    jetstream::{self, context::PublishErrorKind, message::PublishMessage, stream::LastRawMessageErrorKind},
};
use doom_protocol::header;

use crate::{Link, Outgoing, StreamFinding, find_stream};

/// A sequence can be overtaken this often (by a repetition of ours that is still under way) before the try counts as failed.
const CONFLICTS: usize = 3;

/// What a try needs.
pub(crate) struct Attempt {
    pub(crate) link: Link,
    pub(crate) event: Outgoing,
    pub(crate) headers: HeaderMap,
    /// The stream, where it is known already.
    pub(crate) stream: Option<String>,
    /// The last sequence of the subject, where it is known already.
    pub(crate) last_sequence: Option<u64>,
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
    let client = task.link.client();
    let stream = match task.stream {
        Some(stream) => stream,
        None => match find_stream(client, task.event.subject.as_str()).await {
            StreamFinding::Stream(stream) => stream,
            StreamFinding::None | StreamFinding::NoJetStream => return Outcome::NoStream,
            StreamFinding::Unknown(error) => return Outcome::Failed(error),
        },
    };
    let context = jetstream::new(client.clone());
    let mut expected = task.last_sequence;
    for _ in 0..CONFLICTS {
        let mut message = PublishMessage::build().headers(task.headers.clone()).payload(task.event.payload.clone());
        if task.event.ordered {
            let last = match expected {
                Some(last) => last,
                None => match last_of(&context, &stream, &task.event).await {
                    Ok(Last::Ours(sequence)) => return Outcome::Stored { stream, sequence: Some(sequence) },
                    Ok(Last::Sequence(n)) => n,
                    Err(error) => return Outcome::Failed(error),
                },
            };
            message = message.expected_last_subject_sequence(last);
        }
        let acknowledged = match context.send_publish(task.event.subject.clone(), message).await {
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

enum Last {
    /// The last message is this very record, at this sequence.
    Ours(u64),
    /// Its sequence; 0 where there is none.
    Sequence(u64),
}

async fn last_of(context: &jetstream::Context, stream: &str, event: &Outgoing) -> Result<Last, String> {
    let stream = context.get_stream_no_info(stream).await.map_err(|e| e.to_string())?;
    match stream.get_last_raw_message_by_subject(event.subject.as_str()).await {
        Ok(message) => {
            let stored = message.headers.get(header::MSG_ID).map(|v| v.as_str().to_owned());
            Ok(if stored.is_some() && stored == event.stamp.message_id {
                Last::Ours(message.sequence)
            } else {
                Last::Sequence(message.sequence)
            })
        }
        Err(e) if e.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(Last::Sequence(0)),
        Err(e) => Err(e.to_string()),
    }
}
