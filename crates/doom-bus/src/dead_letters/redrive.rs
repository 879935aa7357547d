//! A dead letter is given back to the subject that it had, once; or dropped.

use async_nats::jetstream::{self, stream::RetentionPolicy};
use doom_protocol::{header, stream::DEAD_LETTERS};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Kind, Letter, letter::broken, of_the_message, settle::publish, value};
use crate::{
    Link,
    api::{ApiError, ask, if_there},
};

/// What became of a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Redriven {
    /// This stream has the message again.
    GivenBack {
        /// The stream.
        stream: String,
        /// The message's sequence there.
        stream_sequence: u64,
    },
    /// The letter's message is no more; the letter stays, for whoever wants to know.
    Gone,
    /// No stream has taken it; the letter stays.
    Refused {
        /// Why.
        why: String,
    },
}

/// Gives a letter's message back to its subject, and erases the letter after a stream has acknowledged it. The `Nats-Msg-Id` is a
/// letter's own, so that a second attempt after a crash in between is stored once within the stream's duplicate window; after it,
/// where the message is still the last of its subject.
///
/// # Errors
/// [`ApiError`] where the letter cannot be erased; it has been given back then, and the same call again only erases.
pub async fn redrive(link: &Link, letter: &Letter) -> Result<Redriven, ApiError> {
    let Some(subject) = letter.subject.as_deref().filter(|_| !letter.gone) else { return Ok(Redriven::Gone) };
    let context = jetstream::new(link.client().clone());
    let given_back = match earlier(&context, letter, subject).await {
        Some(earlier) => earlier,
        None => {
            let mut headers = of_the_message(&letter.headers);
            headers.insert(header::DEAD_LETTER_REDRIVES, (letter.redrives + 1).to_string());
            if let Some(id) = value(&letter.headers, header::DEAD_LETTER_MSG_ID).or_else(|| value(&letter.headers, header::MSG_ID))
                && !id.starts_with("dead-")
            {
                headers.insert(header::DEAD_LETTER_MSG_ID, id);
            }
            match publish(&context, subject, headers, letter.payload.clone(), &letter.redrive_id, None).await {
                Ok(stored) => (stored.stream, stored.sequence),
                Err(why) => return Ok(Redriven::Refused { why: format!("{subject}: {why}") }),
            }
        }
    };
    if letter.kind == Kind::Advisory {
        leave_the_queue(link, &context, letter).await?;
    }
    erase(link, DEAD_LETTERS, letter.sequence).await?;
    let (stream, stream_sequence) = given_back;
    Ok(Redriven::GivenBack { stream, stream_sequence })
}

/// Erases a letter for good. `false` where it is not there any more.
///
/// # Errors
/// [`ApiError`].
pub async fn drop_letter(link: &Link, sequence: u64) -> Result<bool, ApiError> {
    erase(link, DEAD_LETTERS, sequence).await
}

/// Where the same letter was given back before, and is the last message of its subject.
async fn earlier(context: &jetstream::Context, letter: &Letter, subject: &str) -> Option<(String, u64)> {
    let name = letter.stream.as_deref()?;
    let last = context.get_stream_no_info(name).await.ok()?.get_last_raw_message_by_subject(subject).await.ok()?;
    (value(&last.headers, header::MSG_ID) == Some(letter.redrive_id.as_str())).then(|| (name.to_owned(), last.sequence))
}

/// A work queue keeps what it will not deliver again; the copy takes its place.
async fn leave_the_queue(link: &Link, context: &jetstream::Context, letter: &Letter) -> Result<(), ApiError> {
    let (Some(name), Some(sequence)) = (&letter.stream, letter.stream_sequence) else { return Ok(()) };
    let stream = context.get_stream(name).await.map_err(|e| broken(&e))?;
    if stream.cached_info().config.retention == RetentionPolicy::WorkQueue {
        erase(link, name, sequence).await?;
    }
    Ok(())
}

async fn erase(link: &Link, stream: &str, sequence: u64) -> Result<bool, ApiError> {
    let what = format!("STREAM.MSG.DELETE.{stream}");
    if_there(ask::<Value>(link, &what, stream, &json!({ "seq": sequence })).await).map(|there| there.is_some())
}
