//! A record as it is kept and sent: headers and bytes whole, so that a later process sends what this one made, whatever its own codec.

use std::sync::Arc;

use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use doom_protocol::{Codec, header};

use crate::{Origin, Outgoing};

/// The group of all records whose order matters and whose subjects have no other writer; any other group is a subject.
pub(crate) const ORDERED: &str = "";
/// Before the group of a record that no stream takes for its size, until it is tried again.
pub(crate) const ASIDE: &str = "aside:";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Grows with every record of the agent, over restarts.
    pub(crate) order: u64,
    /// Records of one group are sent one at a time, in order.
    pub(crate) group: Arc<str>,
    pub(crate) subject: Subject,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
    /// Made by this process, not by an earlier one.
    pub(crate) own: bool,
}

impl Record {
    /// An event of this process, with its headers.
    pub(crate) fn new(event: Outgoing, origin: &Origin, codec: Codec) -> Self {
        let group = if event.ordered { ORDERED } else { event.subject.as_str() };
        let headers = origin.headers(&event.stamp, codec);
        Self { order: 0, group: group.into(), subject: event.subject, headers, payload: event.payload, own: true }
    }

    /// Its group has the order of the stream to rely on.
    pub(crate) fn is_ordered(&self) -> bool {
        &*self.group == ORDERED
    }

    /// The `Nats-Msg-Id`.
    pub(crate) fn message_id(&self) -> &str {
        self.headers.get(header::MSG_ID).map_or("", |v| v.as_str())
    }

    /// Its seq is in this process's ledger.
    pub(crate) fn is_counted(&self) -> bool {
        self.own && self.headers.get(header::SEQ).is_some()
    }

    /// About what it takes in memory and on disk.
    pub(crate) fn size(&self) -> usize {
        self.payload.len() + 512
    }
}

/// Headers as text, for the disk.
pub(super) fn headers_to_text(headers: &HeaderMap) -> String {
    let pairs: Vec<(&str, &str)> =
        headers.iter().flat_map(|(name, values)| values.iter().map(move |v| (AsRef::<str>::as_ref(name), v.as_str()))).collect();
    // Pairs of texts can always be written as JSON.
    serde_json::to_string(&pairs).unwrap_or_default()
}

/// The other way; `None` where the text is not of our making.
pub(super) fn headers_from_text(text: &str) -> Option<HeaderMap> {
    let pairs: Vec<(String, String)> = serde_json::from_str(text).ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name.parse::<async_nats::HeaderName>().ok()?, value.parse::<async_nats::HeaderValue>().ok()?);
    }
    Some(headers)
}
