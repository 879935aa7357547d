//! From what a server has to what is asked for: which streams are made, changed, narrowed or made anew, and what would be lost by it.

use doom_protocol::{
    SubjectRoot, pattern,
    stream::{StreamDefinition, StreamSet},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    ServerStream, ServerStreams,
    shape::{Shape, age, count, limit, size},
};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The streams.
    pub set: &'a StreamSet,
    /// Whose subjects they take. What a stream takes of other roots stays, so that several populations share the streams of a server.
    pub root: &'a SubjectRoot,
    /// Replicas of each stream; `None` leaves those that there are, and gives a new stream one.
    pub replicas: Option<u8>,
}

/// What is done to one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is made.
    Create,
    /// Its settings change, what it has stays.
    Change,
    /// It is deleted and made anew, since what must change of it cannot be changed.
    Recreate,
    /// It is none of the set's, and has to give up subjects.
    Narrow,
    /// It is as asked for.
    Nothing,
    /// It cannot be made what it should be; [`Step::obstacle`] says why.
    Blocked,
}

/// One setting of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name, as in the file of streams.
    pub field: &'static str,
    /// Now; empty for a stream that is made.
    pub from: String,
    /// Then.
    pub to: String,
    /// What is lost by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loses: Option<String>,
    /// What else should be known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What is done to one stream, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The stream.
    pub stream: String,
    /// What is done.
    pub action: Action,
    /// Setting by setting; for a stream that is made, all of them.
    pub changes: Vec<Change>,
    /// Messages that it has now.
    pub messages: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    obstacle: Option<String>,
    /// What the server is sent.
    #[serde(skip)]
    pub(super) config: Map<String, Value>,
    /// What the server has.
    #[serde(skip)]
    pub(super) before: Option<Map<String, Value>>,
}

impl Step {
    /// What would be lost.
    pub fn loses(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().filter_map(|c| c.loses.as_deref())
    }

    /// Why it cannot be done.
    #[must_use]
    pub fn obstacle(&self) -> Option<&str> {
        self.obstacle.as_deref()
    }
}

/// All of it, in the order in which it is done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// One for each stream of the set, and for each other stream that is in the way.
    pub steps: Vec<Step>,
    /// Streams of a cluster that do not answer: whether they are in the way is not known.
    pub silent: Vec<String>,
}

impl Plan {
    /// Whether everything is as asked for, as far as it answers.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.steps.iter().all(|s| s.action == Action::Nothing)
    }

    /// These streams alone.
    ///
    /// # Errors
    /// The first name that is not in the plan.
    pub fn only(mut self, names: &[String]) -> Result<Self, String> {
        if let Some(unknown) = names.iter().find(|n| !self.steps.iter().any(|s| s.stream == **n)) {
            let there: Vec<&str> = self.steps.iter().map(|s| s.stream.as_str()).collect();
            return Err(format!("there is no stream {unknown}; there are {}", there.join(", ")));
        }
        self.steps.retain(|s| names.contains(&s.stream));
        Ok(self)
    }
}

/// Compares; changes nothing.
#[must_use]
pub fn plan(wanted: &Wanted<'_>, there: &ServerStreams) -> Plan {
    let strangers = there.streams.iter().filter(|s| wanted.set.get(&s.name).is_none());
    let mut steps: Vec<Step> = strangers.filter_map(|s| narrow(wanted, s)).collect();
    let mut own: Vec<Step> = wanted.set.iter().map(|d| own_step(wanted, d, there)).collect();
    // What gives subjects up goes before what takes them, and a source before what copies it.
    own.sort_by_key(|step| match step.action {
        Action::Change | Action::Recreate => 0,
        _ => 1 + usize::from(wanted.set.get(&step.stream).is_some_and(|d| d.source.is_some())),
    });
    steps.append(&mut own);
    Plan { steps, silent: there.silent.clone() }
}

fn own_step(wanted: &Wanted<'_>, definition: &StreamDefinition, there: &ServerStreams) -> Step {
    let blocked = |why: String| Step {
        stream: definition.name.clone(),
        action: Action::Blocked,
        changes: Vec::new(),
        messages: 0,
        obstacle: Some(why),
        config: Map::new(),
        before: None,
    };
    if there.silent.contains(&definition.name) {
        return blocked("the cluster has it and nobody leads it at the moment; look at its peers, and try again".to_owned());
    }
    if definition.source.as_ref().is_some_and(|s| s.subjects.len() > 1) && there.version < (2, 10) {
        let (major, minor) = there.version;
        return blocked(format!(
            "a source of several subjects needs NATS 2.10, the server is {major}.{minor}; name the other streams to apply those"
        ));
    }
    match there.get(&definition.name) {
        None => create(wanted, definition),
        Some(stream) => change(wanted, definition, stream),
    }
}

fn create(wanted: &Wanted<'_>, definition: &StreamDefinition) -> Step {
    let shape = Shape::wanted(definition, wanted.root, wanted.replicas.unwrap_or(1).into());
    let mut config = Map::from_iter([("name".to_owned(), json!(definition.name))]);
    shape.put_into(&mut config, shape.sources_for_the_server());
    let new = |field, to| Change { field, from: String::new(), to, loses: None, note: None };
    let mut changes = Vec::new();
    if !shape.subjects.is_empty() {
        changes.push(new("subjects", shape.subjects.join(", ")));
    }
    changes.extend(shape.sources.iter().map(|s| new("source", s.to_string())));
    changes.extend(shape.settings().into_iter().map(|(field, to)| new(field, to)));
    Step { stream: definition.name.clone(), action: Action::Create, changes, messages: 0, obstacle: None, config, before: None }
}

fn change(wanted: &Wanted<'_>, definition: &StreamDefinition, stream: &ServerStream) -> Step {
    let old = &stream.shape;
    let mut new = Shape::wanted(definition, wanted.root, wanted.replicas.map_or(old.num_replicas, u64::from));
    let mut changes = Vec::new();
    changes.extend(subjects(wanted.root, old, &mut new));
    let (sources, change_of_sources) = sources(wanted.root, stream, &new);
    changes.extend(change_of_sources);
    changes.extend(settings(old, &new));
    let rebuilt = unchangeable(old, &new);
    let recreate = !rebuilt.is_empty();
    changes.extend(rebuilt);
    let mut config = stream.config.clone();
    new.put_into(&mut config, sources);
    let action = match (recreate, changes.is_empty()) {
        (true, _) => Action::Recreate,
        (false, true) => Action::Nothing,
        (false, false) => Action::Change,
    };
    Step {
        stream: stream.name.clone(),
        action,
        changes,
        messages: stream.messages,
        obstacle: None,
        config,
        before: Some(stream.config.clone()),
    }
}

/// `new` also keeps what `old` takes of other roots.
fn subjects(root: &SubjectRoot, old: &Shape, new: &mut Shape) -> Option<Change> {
    let requests = root.requests();
    let traps = |subject: &str| requests.iter().any(|r| pattern::overlaps(r, subject));
    let elsewhere: Vec<String> =
        old.subjects.iter().filter(|s| !pattern::overlaps(s, &root.below(">")) && !new.subjects.contains(s)).cloned().collect();
    new.subjects.extend(elsewhere);
    let (mut before, mut after) = (old.subjects.clone(), new.subjects.clone());
    before.sort();
    after.sort();
    if before == after {
        return None;
    }
    let gone: Vec<&String> = before.iter().filter(|b| !after.iter().any(|a| pattern::covers(a, b))).collect();
    // What is given up for the sake of requests is said, and what else goes with it; it is no loss unless it goes beyond the root.
    let lost: Vec<&str> = gone.iter().filter(|s| !traps(s) || !pattern::covers(&root.below(">"), s)).map(|s| s.as_str()).collect();
    let loses = (!lost.is_empty()).then(|| format!("what comes on {} is no longer stored", lost.join(", ")));
    let note = gone.iter().any(|s| traps(s)).then(|| {
        "it took health requests or commands and acknowledged them before the agent could answer; what it has stored stays".to_owned()
    });
    Some(Change { field: "subjects", from: before.join(", "), to: after.join(", "), loses, note })
}

/// The sources that the stream is to have, and how they change: those of other streams and of other roots stay.
fn sources(root: &SubjectRoot, stream: &ServerStream, new: &Shape) -> (Vec<Value>, Option<Change>) {
    let raw = stream.config.get("sources").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(wanted) = new.sources.first() else { return (raw, None) };
    let old = &stream.shape.sources;
    if old.iter().any(|s| s.name == wanted.name && s.filters() == wanted.filters()) {
        return (raw, None);
    }
    let below = root.below(">");
    let stays = |s: &super::shape::SourceShape| {
        s.name != wanted.name || (!s.filters().is_empty() && !s.filters().iter().any(|f| pattern::overlaps(f, &below)))
    };
    let replaced = old.iter().any(|s| !stays(s));
    let mut list: Vec<Value> = raw.into_iter().zip(old).filter(|(_, s)| stays(s)).map(|(value, _)| value).collect();
    list.extend(new.sources_for_the_server());
    let from: Vec<String> = old.iter().map(ToString::to_string).collect();
    let loses = replaced.then(|| "the server begins this source anew: what is copied already may be copied a second time".to_owned());
    (list, Some(Change { field: "source", from: from.join(", "), to: wanted.to_string(), loses, note: None }))
}

/// Settings that the server lets us change.
fn settings(old: &Shape, new: &Shape) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut differ = |field, from: String, to: String, loses: Option<&str>| {
        if from != to {
            changes.push(Change { field, from, to, loses: loses.map(str::to_owned), note: None });
        }
    };
    let shorter = |old: u64, new: u64| new != 0 && (old == 0 || new < old);
    let fewer = |old: i64, new: i64| limit(new).is_some_and(|n| limit(old).is_none_or(|o| n < o));
    differ("description", old.description.clone(), new.description.clone(), None);
    differ("max_age", age(old.max_age), age(new.max_age), shorter(old.max_age, new.max_age).then_some("what is older goes"));
    let bytes = fewer(old.max_bytes, new.max_bytes).then_some("the oldest goes until the rest fits");
    differ("max_bytes", size(old.max_bytes), size(new.max_bytes), bytes);
    let message = fewer(old.max_msg_size, new.max_msg_size).then_some("larger messages are refused from now on");
    differ("max_message", size(old.max_msg_size), size(new.max_msg_size), message);
    differ("max_msgs", count(old.max_msgs), count(new.max_msgs), None);
    differ("max_msgs_per_subject", count(old.max_msgs_per_subject), count(new.max_msgs_per_subject), None);
    differ("duplicate_window", age(old.duplicate_window), age(new.duplicate_window), None);
    let full = "where it is full the oldest goes, instead of the new being refused";
    differ("discard", old.discard.clone(), new.discard.clone(), (old.discard == "new").then_some(full));
    if old.retention != new.retention && !needs_rebuild(old, new) {
        let interest = (new.retention == "interest").then_some("what no consumer waits for goes");
        differ("retention", old.retention.clone(), new.retention.clone(), interest);
    }
    differ("replicas", old.num_replicas.to_string(), new.num_replicas.to_string(), None);
    differ("allow_direct", old.allow_direct.to_string(), new.allow_direct.to_string(), None);
    differ("no_ack", old.no_ack.to_string(), new.no_ack.to_string(), None);
    changes
}

fn needs_rebuild(old: &Shape, new: &Shape) -> bool {
    (old.retention == "workqueue") != (new.retention == "workqueue")
}

/// Settings that no server changes on a stream that there is.
fn unchangeable(old: &Shape, new: &Shape) -> Vec<Change> {
    let loses = || Some("it is deleted and made anew: its messages and consumers go".to_owned());
    let mut changes = Vec::new();
    let mut rebuild = |field, from: &str, to: &str| {
        changes.push(Change { field, from: from.to_owned(), to: to.to_owned(), loses: loses(), note: None });
    };
    if old.storage != new.storage {
        rebuild("storage", &old.storage, &new.storage);
    }
    if needs_rebuild(old, new) {
        rebuild("retention", &old.retention, &new.retention);
    }
    if old.mirror.is_some() {
        rebuild("mirror", "it mirrors another stream", "none");
    }
    if old.sealed {
        rebuild("sealed", "true", "false");
    }
    changes
}

/// A stream that is none of the set's, where it takes requests or what the set's streams take.
fn narrow(wanted: &Wanted<'_>, stream: &ServerStream) -> Option<Step> {
    let (root, shape) = (wanted.root, &stream.shape);
    let requests = root.requests();
    // Without acknowledgements it answers nobody.
    let traps = |s: &str| !shape.no_ack && requests.iter().any(|r| pattern::overlaps(r, s));
    let claimed: Vec<(String, &str)> =
        wanted.set.iter().flat_map(|d| d.all_subjects(root.as_str()).into_iter().map(|s| (s, d.name.as_str()))).collect();
    let rival = |s: &str| claimed.iter().find(|(c, _)| pattern::overlaps(c, s)).map(|(_, name)| *name);
    let (gone, mut stay): (Vec<&String>, Vec<String>) = {
        let (gone, stay): (Vec<_>, Vec<_>) = shape.subjects.iter().partition(|s| traps(s) || rival(s).is_some());
        (gone, stay.into_iter().cloned().collect())
    };
    if gone.is_empty() {
        return None;
    }
    if stay.is_empty() {
        // A stream without subjects would take its own name's; nobody publishes here, and what is stored stays readable.
        stay.push(root.below(&format!("retired.{}", stream.name)));
    }
    let lost: Vec<String> = gone
        .iter()
        .filter_map(|s| {
            if !pattern::covers(&root.below(">"), s) {
                return Some(format!("what comes on {s} outside of {root} is no longer stored"));
            }
            let name = rival(s).filter(|_| !traps(s))?;
            Some(format!("{s} goes to {name}, since only one stream may take a subject"))
        })
        .collect();
    let note = gone.iter().any(|s| traps(s)).then(|| {
        "it took health requests or commands and acknowledged them before the agent could answer; what it has stored stays".to_owned()
    });
    let change = Change {
        field: "subjects",
        from: shape.subjects.join(", "),
        to: stay.join(", "),
        loses: (!lost.is_empty()).then(|| lost.join("; ")),
        note,
    };
    let mut config = stream.config.clone();
    config.insert("subjects".to_owned(), json!(stay));
    Some(Step {
        stream: stream.name.clone(),
        action: Action::Narrow,
        changes: vec![change],
        messages: stream.messages,
        obstacle: None,
        config,
        before: Some(stream.config.clone()),
    })
}
