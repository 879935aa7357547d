//! One event as it was delivered, and what may be answered to the server about it.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, Message};
use doom_protocol::{Codec, CodecError, Decoded, Timestamp, header};

use super::{ConsumeError, consumer::at_least};

/// What the server says of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// How often it was delivered, this time included.
    pub delivered: u64,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Deliveries of this consumer so far.
    pub consumer_sequence: u64,
    /// When it was stored, nanoseconds since 1970.
    pub stored_nanos: i64,
    /// Events that match and are still to be delivered.
    pub pending: u64,
}

impl Info {
    /// From the subject to which acknowledgements go:
    /// `$JS.ACK.[domain.account.]stream.consumer.delivered.sequence.consumer_sequence.time.pending[.token]`.
    pub(super) fn of(reply: &str) -> Option<Self> {
        let rest = reply.strip_prefix("$JS.ACK.")?;
        let tokens = rest.bytes().filter(|byte| *byte == b'.').count() + 1;
        // The older form has no domain, no account and nothing after the count.
        let mut fields = rest.split('.').skip(if tokens < 9 { 2 } else { 4 });
        Some(Self {
            delivered: fields.next()?.parse().ok()?,
            sequence: fields.next()?.parse().ok()?,
            consumer_sequence: fields.next()?.parse().ok()?,
            stored_nanos: fields.next()?.parse().ok()?,
            pending: fields.next()?.parse().ok()?,
        })
    }

    /// When it was stored.
    #[must_use]
    pub fn stored(&self) -> Timestamp {
        Timestamp::from_micros(self.stored_nanos / 1000)
    }
}

/// Where answers go.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) client: Client,
}

/// One event as it was delivered.
#[derive(Debug, Clone)]
pub struct Delivered {
    message: Message,
    answers: Arc<Answers>,
}

impl Delivered {
    pub(super) fn new(message: Message, answers: &Arc<Answers>) -> Self {
        Self { message, answers: Arc::clone(answers) }
    }

    /// Where it was published.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.message.subject
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.message.payload
    }

    /// The message with all of its headers.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.message.headers.as_ref()?.get(name).map(async_nats::HeaderValue::as_str)
    }

    /// Of its `Content-Type`.
    #[must_use]
    pub fn codec(&self) -> Codec {
        Codec::of_content_type(self.header(header::CONTENT_TYPE))
    }

    /// The event, typed.
    ///
    /// # Errors
    /// Where the bytes are no event; such a message is best answered by [`Delivered::term`].
    pub fn event(&self) -> Result<Decoded<'_>, CodecError> {
        Decoded::read(self.codec(), &self.message.payload)
    }

    /// What the server says of the delivery.
    ///
    /// # Errors
    /// Where the server's subject for acknowledgements is of a form that is not known.
    pub fn info(&self) -> Result<Info, ConsumeError> {
        let reply = self.message.reply.as_deref().unwrap_or_default();
        Info::of(reply)
            .ok_or_else(|| ConsumeError::Broken(format!("the server's subject for acknowledgements is not understood: {reply:?}")))
    }

    /// Dealt with. Sent without waiting; where it is lost, the server delivers the event again.
    ///
    /// # Errors
    /// Where the client is closed.
    pub async fn ack(&self) -> Result<(), ConsumeError> {
        self.answer("+ACK".into()).await
    }

    /// Dealt with, and the server has noted it.
    ///
    /// # Errors
    /// Where it does not say so.
    pub async fn ack_confirmed(&self) -> Result<(), ConsumeError> {
        let Some(reply) = self.message.reply.clone() else { return Ok(()) };
        let answer = self.answers.client.request(reply, "+ACK".into()).await;
        answer.map(drop).map_err(|e| ConsumeError::Broken(format!("the acknowledgement is not confirmed: {e}")))
    }

    /// Not dealt with: to be delivered again, at once or after a delay.
    ///
    /// # Errors
    /// Where the client is closed.
    pub async fn nak(&self, after: Option<Duration>) -> Result<(), ConsumeError> {
        let text = match after {
            None => "-NAK".to_owned(),
            Some(delay) => format!("-NAK {{\"delay\": {}}}", delay.as_nanos()),
        };
        self.answer(text.into()).await
    }

    /// Still at it: the time for the acknowledgement begins anew.
    ///
    /// # Errors
    /// Where the client is closed.
    pub async fn in_progress(&self) -> Result<(), ConsumeError> {
        self.answer("+WPI".into()).await
    }

    /// Never to be delivered again; the reason stands in the server's advisory (from 2.10 on).
    ///
    /// # Errors
    /// Where the client is closed.
    pub async fn term(&self, reason: &str) -> Result<(), ConsumeError> {
        let says_why = !reason.is_empty() && at_least(&self.answers.client.server_info().version, (2, 10));
        let text = if says_why { format!("+TERM {}", reason.replace(['\r', '\n'], " ")) } else { "+TERM".to_owned() };
        self.answer(text.into()).await
    }

    /// Runs long work, and says so to the server again and again; choose half of the consumer's `ack_wait` or less.
    ///
    /// # Errors
    /// Where the client is closed; the work is dropped then.
    pub async fn while_working<T>(&self, say_every: Duration, work: impl Future<Output = T>) -> Result<T, ConsumeError> {
        let mut work = std::pin::pin!(work);
        loop {
            match tokio::time::timeout(say_every, work.as_mut()).await {
                Ok(done) => return Ok(done),
                Err(_) => self.in_progress().await?,
            }
        }
    }

    async fn answer(&self, text: bytes::Bytes) -> Result<(), ConsumeError> {
        let Some(reply) = self.message.reply.clone() else { return Ok(()) };
        self.answers.client.publish(reply, text).await.map_err(|e| ConsumeError::Broken(format!("the answer cannot be sent: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_servers_subject_are_understood() {
        let expected = Info { delivered: 1, sequence: 42, consumer_sequence: 7, stored_nanos: 1_767_323_045_000_000_123, pending: 5 };
        for reply in [
            "$JS.ACK.S.C.1.42.7.1767323045000000123.5",
            "$JS.ACK._.ACCHASH.S.C.1.42.7.1767323045000000123.5",
            "$JS.ACK.hub.ACCHASH.S.C.1.42.7.1767323045000000123.5.aB3x",
        ] {
            assert_eq!(Info::of(reply), Some(expected), "{reply}");
        }
        assert_eq!(expected.stored().to_string(), "2026-01-02T03:04:05.000000Z");
        for bad in ["", "$JS.ACK.S.C.1", "$JS.ACK.S.C.1.x.7.1.5", "_INBOX.a"] {
            assert_eq!(Info::of(bad), None, "{bad}");
        }
    }
}
