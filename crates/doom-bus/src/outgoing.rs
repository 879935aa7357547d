//! An event on its way out: where to, its headers, its bytes; and the trait by which slots become events.

use async_nats::{HeaderMap, HeaderName, Subject};
use bytes::Bytes;
use doom_protocol::{Codec, Timestamp, TraceId, header};

/// The headers that differ from event to event.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// One per episode.
    pub trace_id: TraceId,
    /// The same instant as the envelope's.
    pub timestamp: Timestamp,
    /// On action, observe, score and death.
    pub seq: Option<u64>,
    /// On records: the id under which the stream recognises a repetition.
    pub message_id: Option<String>,
    /// Where the bytes are neither JSON nor MessagePack (a picture): their type.
    pub content_type: Option<&'static str>,
    /// Further headers.
    pub extra: Vec<(&'static str, String)>,
}

impl Stamp {
    /// A stamp without any of the optional parts.
    #[must_use]
    pub fn new(trace_id: TraceId, timestamp: Timestamp) -> Self {
        Self { trace_id, timestamp, seq: None, message_id: None, content_type: None, extra: Vec::new() }
    }
}

/// One event, encoded.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Where to.
    pub subject: Subject,
    /// Its headers.
    pub stamp: Stamp,
    /// Its bytes.
    pub payload: Bytes,
    /// Records of one group are stored in the order in which they were made, and nobody else writes to their subjects.
    pub ordered: bool,
}

/// Turns slots into events; the one place where names and formats appear.
pub trait Encode<S>: Send + 'static {
    /// Appends the events of a slot (one for a step, several for a score) to `out`.
    fn encode(&mut self, codec: Codec, seq: u64, slot: &S, numbers: &[f64], out: &mut Vec<Outgoing>);

    /// Appends the records by which the next start closes what is open now, should this process not live to close it itself. They are asked
    /// for after every batch and about once a second.
    fn will(&mut self, codec: Codec, out: &mut Vec<Outgoing>) {
        let _ = (codec, out);
    }

    /// Appends the record by which others hear that a record could not be stored and was put aside.
    fn refused(&mut self, codec: Codec, refused: &crate::Refused, out: &mut Vec<Outgoing>) {
        let _ = (codec, refused, out);
    }
}

// Names that are known to be headers' already, and are not copied.
const TRACE_ID: HeaderName = HeaderName::from_static(header::TRACE_ID);
const TIMESTAMP: HeaderName = HeaderName::from_static(header::TIMESTAMP);
const SEQ: HeaderName = HeaderName::from_static(header::SEQ);

/// The headers that are the same on every event of a process.
#[derive(Debug, Clone)]
pub struct Origin {
    json: HeaderMap,
    msgpack: HeaderMap,
    pairs: Vec<(&'static str, String)>,
}

impl Origin {
    /// `backend` is `vizdoom` or `mock`.
    #[must_use]
    pub fn new(agent: &str, instance: &str, backend: &str) -> Self {
        let pairs =
            vec![(header::SOURCE_AGENT, agent.to_owned()), (header::INSTANCE, instance.to_owned()), (header::BACKEND, backend.to_owned())];
        let template = |codec: Codec| {
            let fixed = pairs.iter().map(|(name, value)| (*name, value.as_str()));
            let fixed = fixed.chain([(header::CONTENT_TYPE, codec.content_type())]);
            fixed.map(|(name, value)| (HeaderName::from_static(name), value.into())).collect()
        };
        Self { json: template(Codec::Json), msgpack: template(Codec::Msgpack), pairs }
    }

    pub(crate) fn headers(&self, stamp: &Stamp, codec: Codec) -> HeaderMap {
        let template = match codec {
            Codec::Json => &self.json,
            Codec::Msgpack => &self.msgpack,
        };
        let mut headers = template.clone();
        headers.insert(TRACE_ID, stamp.trace_id.to_string());
        headers.insert(TIMESTAMP, stamp.timestamp.to_string());
        if let Some(seq) = stamp.seq {
            headers.insert(SEQ, seq.to_string());
        }
        if let Some(content_type) = stamp.content_type {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        if let Some(id) = &stamp.message_id {
            headers.insert(header::MSG_ID, id.as_str());
        }
        for (name, value) in &stamp.extra {
            headers.insert(*name, value.as_str());
        }
        headers
    }

    /// Bytes of an event on the wire as the server counts them against its limit: headers, and a payload of this length.
    #[must_use]
    pub fn wire_size(&self, stamp: &Stamp, codec: Codec, payload: usize) -> usize {
        // `NATS/1.0`, then `NAME: VALUE` for each, then an empty line.
        let headers: usize = self.pairs(stamp, codec).map(|(name, value)| name.len() + value.len() + 4).sum();
        12 + headers + payload
    }

    /// All headers as pairs, for readers that are not NATS.
    pub(crate) fn pairs(&self, stamp: &Stamp, codec: Codec) -> impl Iterator<Item = (&'static str, String)> {
        self.pairs
            .iter()
            .cloned()
            .chain([(header::TRACE_ID, stamp.trace_id.to_string()), (header::TIMESTAMP, stamp.timestamp.to_string())])
            .chain([(header::CONTENT_TYPE, stamp.content_type.unwrap_or(codec.content_type()).to_owned())])
            .chain(stamp.seq.map(|seq| (header::SEQ, seq.to_string())))
            .chain(stamp.message_id.clone().map(|id| (header::MSG_ID, id)))
            .chain(stamp.extra.iter().cloned())
    }
}

/// Publishes an event that nobody waits for and nobody counts, such as a metric.
///
/// # Errors
/// A text, where the client refuses it.
pub async fn publish_once(link: &crate::Link, codec: Codec, origin: &Origin, event: &Outgoing) -> Result<(), String> {
    let headers = origin.headers(&event.stamp, codec);
    link.client().publish_with_headers(event.subject.clone(), headers, event.payload.clone()).await.map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_of_a_message_are_those_of_a_line() {
        let origin = Origin::new("A", "instance", "mock");
        let trace = doom_protocol::Instance::new().trace(1);
        let mut stamp = Stamp { seq: Some(7), message_id: Some("id".to_owned()), ..Stamp::new(trace, Timestamp::now()) };
        for picture in [false, true] {
            if picture {
                stamp.content_type = Some("image/png");
                stamp.extra.push((header::WIDTH, "320".to_owned()));
            }
            for codec in [Codec::Json, Codec::Msgpack] {
                let headers = origin.headers(&stamp, codec);
                let pairs: Vec<_> = origin.pairs(&stamp, codec).collect();
                assert_eq!(headers.len(), pairs.len());
                for (name, value) in pairs {
                    assert_eq!(headers.get(name).map(|v| v.as_str()), Some(&*value), "{name}");
                }
            }
        }
    }
}
