//! What a consumer is to be, and how it comes to be: created, or found and compared.

use std::time::Duration;

use doom_protocol::{Id, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ConsumeError, pull::Position};
use crate::{
    Link,
    api::{self, ApiError},
};

/// Where a new consumer begins. A durable one that is there already goes on where it stopped, whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// With what is stored from now on.
    #[default]
    New,
    /// With the oldest that the stream holds.
    All,
    /// With this stream sequence, or the first after it.
    Sequence(u64),
    /// With the first that was stored at this time or later.
    Time(Timestamp),
}

/// What a reader asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// The stream's name.
    pub stream: String,
    /// What the server matches; empty is everything. Several need nats-server 2.10; an older one is asked for what covers them all,
    /// and the rest is left out here.
    pub subjects: Vec<String>,
    /// The name under which the server remembers how far we are; without one it forgets us a few minutes after the end.
    pub durable: Option<String>,
    /// Where it begins.
    pub start: Start,
    /// How long a delivery of a [`super::Feed`] may take before the server delivers it again.
    pub ack_wait: Duration,
    /// How often the server delivers an event at most; -1 is for ever.
    pub max_deliver: i64,
    /// How many events are asked for at once. Up to two such batches are under way, so twice this many are held in memory at most.
    pub batch: usize,
}

/// How the server is told what has been dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Not at all.
    None,
    /// Up to here, everything.
    All,
    /// Each by itself.
    Explicit,
}

impl Retention {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::All => "all",
            Self::Explicit => "explicit",
        }
    }
}

/// A consumer that nobody reads any more is forgotten after this.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);

#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) name: String,
    #[serde(default)]
    pub(super) num_pending: u64,
    #[serde(default)]
    num_ack_pending: u64,
    #[serde(default)]
    delivered: Sequences,
    #[serde(default)]
    ack_floor: Sequences,
    config: FoundConfig,
}

#[derive(Debug, Default, Deserialize)]
struct Sequences {
    #[serde(default)]
    consumer_seq: u64,
    #[serde(default)]
    stream_seq: u64,
}

impl Found {
    /// Deliveries so far.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered.consumer_seq
    }

    /// Delivered and not acknowledged.
    pub(super) fn unacknowledged(&self) -> u64 {
        self.num_ack_pending
    }

    /// The stream's sequence up to which everything is acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.ack_floor.stream_seq
    }

    pub(super) fn position(&self) -> Position {
        Position { sequence: self.delivered.stream_seq, consumer_sequence: self.delivered.consumer_seq, pending: self.num_pending }
    }
}

#[derive(Debug, Deserialize)]
struct FoundConfig {
    #[serde(default)]
    filter_subject: String,
    #[serde(default)]
    filter_subjects: Vec<String>,
    #[serde(default)]
    ack_policy: String,
    #[serde(default)]
    deliver_subject: String,
}

impl Consumer {
    /// Of this stream and these subjects, from now on, without a name: 30 s for an acknowledgement, ten deliveries, batches of 4,096.
    #[must_use]
    pub fn new(stream: impl Into<String>, subjects: Vec<String>) -> Self {
        let ack_wait = Duration::from_secs(30);
        Self { stream: stream.into(), subjects, durable: None, start: Start::New, ack_wait, max_deliver: 10, batch: 4096 }
    }

    /// From here.
    #[must_use]
    pub fn start(self, start: Start) -> Self {
        Self { start, ..self }
    }

    /// Under this name.
    #[must_use]
    pub fn durable(self, name: impl Into<String>) -> Self {
        Self { durable: Some(name.into()), ..self }
    }

    /// So many at once (at least 1, at most 16,384).
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Self { batch: batch.clamp(1, 16_384), ..self }
    }

    /// The last sequence that the stream has now.
    pub(super) async fn stream_end(&self, link: &Link) -> Result<u64, ConsumeError> {
        #[derive(Deserialize)]
        struct Stream {
            state: State,
        }
        #[derive(Deserialize)]
        struct State {
            last_seq: u64,
        }
        let stream: Stream = api::ask(link, &format!("STREAM.INFO.{}", self.stream), &self.stream, &Value::Null).await?;
        Ok(stream.state.last_seq)
    }

    /// Finds it or makes it.
    pub(super) async fn open(&self, link: &Link, retention: Retention) -> Result<Found, ConsumeError> {
        api::connected(link).await?;
        let Some(durable) = &self.durable else {
            return Ok(self.create(link, retention, &format!("doom-{}", unique(link))).await?);
        };
        durable.parse::<Id>().map_err(|e| ConsumeError::Name(durable.clone(), e.to_string()))?;
        match self.find(link, durable).await? {
            Some(found) => self.same(link, retention, found),
            None => Ok(self.create(link, retention, durable).await?),
        }
    }

    /// What the server says of the consumer of this name; `None` where it is not there.
    pub(super) async fn find(&self, link: &Link, name: &str) -> Result<Option<Found>, ApiError> {
        let what = format!("CONSUMER.INFO.{}.{name}", self.stream);
        api::if_there(api::ask(link, &what, &self.stream, &Value::Null).await)
    }

    /// Deletes it, where it is there.
    pub(super) async fn delete(&self, link: &Link, name: &str) -> Result<(), ApiError> {
        let what = format!("CONSUMER.DELETE.{}.{name}", self.stream);
        api::if_there(api::ask::<Value>(link, &what, &self.stream, &Value::Null).await).map(drop)
    }

    fn same(&self, link: &Link, retention: Retention, found: Found) -> Result<Found, ConsumeError> {
        let mut theirs = found.config.filter_subjects.clone();
        theirs.extend((!found.config.filter_subject.is_empty()).then(|| found.config.filter_subject.clone()));
        theirs.sort_unstable();
        let mut ours = self.asked(link);
        ours.sort_unstable();
        let mut differs = Vec::new();
        if theirs != ours {
            differs.push(format!("its subjects ({}, not {})", said(&theirs), said(&ours)));
        }
        if found.config.ack_policy != retention.as_str() {
            differs.push(format!("its acknowledgements ({}, not {})", found.config.ack_policy, retention.as_str()));
        }
        if !found.config.deliver_subject.is_empty() {
            differs.push("being a push consumer".to_owned());
        }
        if differs.is_empty() {
            return Ok(found);
        }
        Err(ConsumeError::Different { stream: self.stream.clone(), durable: found.name, differs: differs.join(" and ") })
    }

    pub(super) async fn create(&self, link: &Link, retention: Retention, name: &str) -> Result<Found, ApiError> {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let asked = self.asked(link);
        let mut config = json!({ "name": name, "ack_policy": retention.as_str(), "replay_policy": "instant", "max_waiting": 512 });
        let mut set = |key: &str, value: Value| {
            if let Some(map) = config.as_object_mut() {
                map.insert(key.to_owned(), value);
            }
        };
        if retention != Retention::None {
            set("max_ack_pending", json!(if retention == Retention::All { -1 } else { 65_536 }));
            set("max_deliver", json!(self.max_deliver));
            set("ack_wait", json!(nanos(self.ack_wait)));
        }
        match &self.durable {
            Some(_) => set("durable_name", json!(name)),
            None => {
                set("inactive_threshold", json!(nanos(FORGOTTEN_AFTER)));
                set("mem_storage", json!(true));
                set("num_replicas", json!(1));
            }
        }
        match self.start {
            Start::New => set("deliver_policy", json!("new")),
            Start::All => set("deliver_policy", json!("all")),
            Start::Sequence(sequence) => {
                set("deliver_policy", json!("by_start_sequence"));
                set("opt_start_seq", json!(sequence.max(1)));
            }
            Start::Time(time) => {
                set("deliver_policy", json!("by_start_time"));
                set("opt_start_time", json!(time));
            }
        }
        let mut what = format!("CONSUMER.CREATE.{}.{name}", self.stream);
        match &*asked {
            [] => {}
            [one] => {
                set("filter_subject", json!(one));
                what = format!("{what}.{one}");
            }
            several => set("filter_subjects", json!(several)),
        }
        let body = json!({ "stream_name": self.stream, "config": config });
        api::ask(link, &what, &self.stream, &body).await
    }

    /// What the server is asked for: our subjects, or one that covers them where it is too old for several.
    fn asked(&self, link: &Link) -> Vec<String> {
        let old = !at_least(&link.client().server_info().version, (2, 10));
        if old && self.subjects.len() > 1 { cover(&self.subjects).into_iter().collect() } else { self.subjects.clone() }
    }

    /// Whether what comes must be compared with our subjects once more.
    pub(super) fn must_match(&self, link: &Link) -> bool {
        self.asked(link) != self.subjects
    }
}

fn said(subjects: &[String]) -> String {
    if subjects.is_empty() { "all".to_owned() } else { subjects.join(" ") }
}

/// A part of a new inbox: unique, and made of what a name may have.
fn unique(link: &Link) -> String {
    link.client().new_inbox().rsplit('.').next().unwrap_or_default().to_owned()
}

pub(super) fn at_least(version: &str, wanted: (u32, u32)) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) >= wanted
}

/// The narrowest subject that covers all of these: tokens that differ become `*`, differing lengths end in `>`.
fn cover(subjects: &[String]) -> Option<String> {
    let mut all = subjects.iter().map(|subject| subject.split('.').collect::<Vec<_>>());
    let mut covering = all.next()?;
    for tokens in all {
        if tokens.len() != covering.len() {
            let same = tokens.iter().zip(&covering).take_while(|(a, b)| a == b).count();
            covering.truncate(same);
            covering.push(">");
            continue;
        }
        for (mine, other) in covering.iter_mut().zip(tokens) {
            if *mine != other {
                *mine = "*";
            }
        }
    }
    Some(covering.join("."))
}

/// Whether a subject is one of a pattern.
pub(super) fn matches(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in pattern.split('.') {
        match (wanted, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (wanted, Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_asked_for_what_covers_all() {
        let covered = |subjects: &[&str]| cover(&subjects.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).unwrap();
        assert_eq!(covered(&["r.agent.*.score", "r.agent.*.death"]), "r.agent.*.*");
        assert_eq!(covered(&["r.agent.A.score", "r.agent.B.score"]), "r.agent.*.score");
        assert_eq!(covered(&["r.experiment.>", "r.agent.B.score"]), "r.>");
        assert!(at_least("2.15.0", (2, 10)) && at_least("2.10.1-beta", (2, 10)) && !at_least("2.9.25", (2, 10)) && !at_least("", (2, 10)));
    }

    #[test]
    fn subjects_are_matched_token_by_token() {
        for (pattern, subject, expected) in [
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.b.d", false),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            ("a.b", "a.b", true),
        ] {
            assert_eq!(matches(pattern, subject), expected, "{pattern} {subject}");
        }
    }
}
