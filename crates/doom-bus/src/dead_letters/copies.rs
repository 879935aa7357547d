//! Letters of a reader that does not settle message by message, and may meet the same message again: an export, for instance.

use std::collections::BTreeMap;

use async_nats::Message;
use doom_protocol::{SubjectRoot, stream::DEAD_LETTERS};
use serde_json::{Value, json};

use super::{AGAIN, DeadLetterError, DeadLetters, Filter, Letters, settle::Delivery};
use crate::{
    Link,
    api::{ask, if_there},
};

/// Keeps copies of what a reader cannot deal with; of each message one, however often it is read under the same reader's name.
#[derive(Debug)]
pub struct Copies {
    link: Link,
    root: SubjectRoot,
    letters: DeadLetters,
    reader: String,
    /// The reader's letters by the identity of their messages, once they have been looked up.
    known: Option<BTreeMap<String, u64>>,
}

impl Copies {
    /// Of this reader; nothing is looked up yet.
    #[must_use]
    pub fn new(link: &Link, root: &SubjectRoot, reader: &str) -> Self {
        let letters = DeadLetters::new(link.client().clone(), root.clone());
        Self { link: link.clone(), root: root.clone(), letters, reader: reader.to_owned(), known: None }
    }

    /// Keeps a copy, or finds the one that is there: the letter's sequence. The message itself stays as it is.
    ///
    /// # Errors
    /// [`DeadLetterError`], where no stream has acknowledged the copy, or letters cannot be looked up.
    pub async fn keep(&mut self, message: &Message, why: &str) -> Result<u64, DeadLetterError> {
        let delivery = self.letters.delivery_to(message, &self.reader)?;
        let subject = self.root.dead_letter(&message.subject);
        let known = match &mut self.known {
            Some(known) => known,
            unknown => {
                let found = look_up(&self.link, &self.root, &self.reader).await;
                unknown.insert(found.map_err(|error| DeadLetterError::NotStored { subject: subject.clone(), why: error.to_string() })?)
            }
        };
        let identity = delivery.identity();
        if let Some(letter) = known.get(&identity) {
            return Ok(*letter);
        }
        let refused = self.link.refused(&format!("\"{subject}\""));
        let letter = tokio::select! {
            stored = store(&self.link, &self.letters, &delivery, why) => stored?,
            why = refused => return Err(DeadLetterError::NotStored { subject, why }),
        };
        known.insert(identity, letter);
        Ok(letter)
    }
}

/// Stores a copy. The stream remembers ids for a while, also those of letters that were dropped meanwhile: where it takes the copy for one of
/// these, the copy gets an id of its own.
async fn store(link: &Link, letters: &DeadLetters, delivery: &Delivery, why: &str) -> Result<u64, DeadLetterError> {
    let first = format!("dead-{}", delivery.identity());
    let mut id = first.clone();
    loop {
        let stored = letters.store_as(delivery, why, &id).await?;
        if !stored.duplicate || is_there(link, stored.sequence).await {
            return Ok(stored.sequence);
        }
        id = format!("{first}{AGAIN}{}", stored.sequence);
    }
}

/// Whether the stream has a letter; where it does not say, it has.
async fn is_there(link: &Link, letter: u64) -> bool {
    let what = format!("STREAM.MSG.GET.{DEAD_LETTERS}");
    !matches!(if_there(ask::<Value>(link, &what, DEAD_LETTERS, &json!({ "seq": letter })).await), Ok(None))
}

async fn look_up(link: &Link, root: &SubjectRoot, reader: &str) -> Result<BTreeMap<String, u64>, crate::ApiError> {
    let filter = Filter { consumer: Some(reader.to_owned()), ..Filter::default() };
    let mut letters = Letters::open(link, root, filter).await?;
    let mut known = BTreeMap::new();
    while let Some(letter) = letters.next().await? {
        known.insert(letter.identity().to_owned(), letter.sequence);
    }
    Ok(known)
}
