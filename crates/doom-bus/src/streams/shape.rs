//! What a plan compares of a stream: the server's words for it, and ours.

use std::{collections::BTreeSet, fmt, time::Duration};

use bytesize::ByteSize;
use doom_protocol::{SubjectRoot, stream::StreamDefinition};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The part of a stream's configuration that sets speak of.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Shape {
    pub(super) description: String,
    pub(super) subjects: Vec<String>,
    pub(super) sources: Vec<SourceShape>,
    pub(super) mirror: Option<Value>,
    pub(super) retention: String,
    pub(super) storage: String,
    pub(super) discard: String,
    /// Nanoseconds; 0 is for ever.
    pub(super) max_age: u64,
    pub(super) max_bytes: i64,
    pub(super) max_msgs: i64,
    pub(super) max_msgs_per_subject: i64,
    pub(super) max_msg_size: i64,
    pub(super) duplicate_window: u64,
    pub(super) num_replicas: u64,
    pub(super) allow_direct: bool,
    pub(super) no_ack: bool,
    pub(super) sealed: bool,
}

/// One source.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct SourceShape {
    pub(super) name: String,
    filter_subject: String,
    subject_transforms: Vec<Transform>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Transform {
    src: String,
}

impl SourceShape {
    /// What it takes of the stream; none is everything.
    pub(super) fn filters(&self) -> BTreeSet<&str> {
        let one = Some(self.filter_subject.as_str()).filter(|f| !f.is_empty());
        one.into_iter().chain(self.subject_transforms.iter().map(|t| t.src.as_str())).collect()
    }
}

impl fmt::Display for SourceShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filters: Vec<&str> = self.filters().into_iter().collect();
        write!(f, "{} ({})", self.name, if filters.is_empty() { "all".to_owned() } else { filters.join(", ") })
    }
}

/// A limit in the server's words: `None` where there is none.
pub(super) fn limit(value: i64) -> Option<u64> {
    u64::try_from(value).ok().filter(|v| *v > 0)
}

pub(super) fn age(nanos: u64) -> String {
    if nanos == 0 { "for ever".to_owned() } else { humantime::format_duration(Duration::from_nanos(nanos)).to_string() }
}

pub(super) fn size(value: i64) -> String {
    limit(value).map_or_else(|| "no limit".to_owned(), |v| ByteSize::b(v).display().iec().to_string())
}

pub(super) fn count(value: i64) -> String {
    limit(value).map_or_else(|| "no limit".to_owned(), |v| v.to_string())
}

impl Shape {
    /// What a definition asks for, in the server's words.
    pub(super) fn wanted(definition: &StreamDefinition, root: &SubjectRoot, replicas: u64) -> Self {
        let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        let bytes = |b: Option<u64>| b.and_then(|b| i64::try_from(b).ok()).unwrap_or(-1);
        let source = definition.source.as_ref().map(|source| {
            let mut filters: Vec<String> = source.subjects.iter().map(|s| root.below(s)).collect();
            // One is understood by every server, several need subject transforms.
            let filter_subject = if filters.len() == 1 { filters.remove(0) } else { String::new() };
            let subject_transforms = filters.into_iter().map(|src| Transform { src }).collect();
            SourceShape { name: source.stream.clone(), filter_subject, subject_transforms }
        });
        Self {
            description: definition.description.clone().unwrap_or_default(),
            subjects: definition.all_subjects(root.as_str()),
            sources: source.into_iter().collect(),
            mirror: None,
            retention: definition.retention.as_str().to_owned(),
            storage: definition.storage.as_str().to_owned(),
            discard: "old".to_owned(),
            max_age: definition.max_age.map_or(0, nanos),
            max_bytes: bytes(definition.max_bytes),
            max_msgs: -1,
            max_msgs_per_subject: -1,
            max_msg_size: bytes(definition.max_message),
            duplicate_window: nanos(definition.duplicate_window),
            num_replicas: replicas,
            allow_direct: true,
            no_ack: false,
            sealed: false,
        }
    }

    /// Puts it into a configuration, whose other settings stay. `sources` are those that the server is to have.
    pub(super) fn put_into(&self, config: &mut Map<String, Value>, sources: Vec<Value>) {
        let texts = [("retention", &self.retention), ("storage", &self.storage), ("discard", &self.discard)];
        config.extend(texts.map(|(key, text)| (key.to_owned(), json!(text))));
        let limits = [
            ("max_bytes", self.max_bytes),
            ("max_msgs", self.max_msgs),
            ("max_msgs_per_subject", self.max_msgs_per_subject),
            ("max_msg_size", self.max_msg_size),
        ];
        config.extend(limits.map(|(key, value)| (key.to_owned(), json!(limit(value).map_or(-1, u64::cast_signed)))));
        let counts = [("max_age", self.max_age), ("duplicate_window", self.duplicate_window), ("num_replicas", self.num_replicas)];
        config.extend(counts.map(|(key, value)| (key.to_owned(), json!(value))));
        config.extend([("allow_direct", self.allow_direct), ("no_ack", self.no_ack)].map(|(key, value)| (key.to_owned(), json!(value))));
        config.insert("description".to_owned(), json!(self.description));
        for (key, list) in [("subjects", self.subjects.iter().map(|s| json!(s)).collect()), ("sources", sources)] {
            if list.is_empty() {
                config.remove(key);
            } else {
                config.insert(key.to_owned(), Value::Array(list));
            }
        }
        config.remove("mirror");
        config.remove("sealed");
    }

    /// Its sources as the server takes them.
    pub(super) fn sources_for_the_server(&self) -> Vec<Value> {
        let source = |s: &SourceShape| {
            let mut value = json!({ "name": s.name });
            if !s.filter_subject.is_empty() {
                value["filter_subject"] = json!(s.filter_subject);
            }
            if !s.subject_transforms.is_empty() {
                let all: Vec<Value> = s.subject_transforms.iter().map(|t| json!({ "src": t.src, "dest": "" })).collect();
                value["subject_transforms"] = Value::Array(all);
            }
            value
        };
        self.sources.iter().map(source).collect()
    }

    /// For people.
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("max_age", age(self.max_age)),
            ("max_bytes", size(self.max_bytes)),
            ("max_message", size(self.max_msg_size)),
            ("retention", self.retention.clone()),
            ("storage", self.storage.clone()),
            ("replicas", self.num_replicas.to_string()),
        ]
    }
}

/// Major and minor of a server's version; 0 where it is not understood.
pub(crate) fn version(text: &str) -> (u32, u32) {
    let mut parts = text.trim_start_matches('v').split(['.', '-']).map(|p| p.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}
