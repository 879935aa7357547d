//! Messages that a consumer cannot deal with: tried again with growing pauses, then kept as dead letters, and given back on demand.
//!
//! A consumer of ours settles every message through [`DeadLetters::handle`]. What it gives up is first copied to
//! `{root}.deadletter.{subject}`, with its history in headers, and terminated only after a stream has acknowledged the copy. A process that
//! dies in between finds the message again: the second copy bears the same `Nats-Msg-Id` and is not stored. Of consumers that are not
//! ours the server says in an advisory when it has delivered a message for the last time; these are stored beside the letters, and
//! [`Letters`] finds the message that one is about.

mod copies;
mod letter;
mod redrive;
mod settle;

pub use copies::Copies;
pub use letter::{Filter, Kind, Letter, Letters, Sequences};
pub use redrive::{Redriven, drop_letter, redrive};
pub use settle::{Backoff, DeadLetterError, DeadLetters, Failed, Fate, SERVER_DELIVERIES};

use async_nats::HeaderMap;
use doom_protocol::header;

/// In the id of a letter, before the sequence of the one whose place it takes: a letter of the same message that was dropped.
const AGAIN: char = '~';

/// A message of a stream and the consumer that gave it up, as one text: the same for every copy of it, and for no other message, since
/// the time tells a stream that was made anew from the one before.
fn identity(stream: &str, sequence: u64, consumer: &str, stored_nanos: i128) -> String {
    format!("{stream}-{sequence}-{consumer}-{stored_nanos}")
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(async_nats::HeaderValue::as_str)
}

/// Those of a message that mean something to readers, not to the server.
fn of_the_message(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, values) in headers.iter() {
        let name: &str = name.as_ref();
        if !name.to_ascii_lowercase().starts_with("nats-") && !name.starts_with("dead-letter-") {
            values.iter().for_each(|v| kept.append(name, v.clone()));
        }
    }
    if let Some(redrives) = value(headers, header::DEAD_LETTER_REDRIVES) {
        kept.insert(header::DEAD_LETTER_REDRIVES, redrives);
    }
    kept
}
