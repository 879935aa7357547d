//! One event as one line for a person: when, who, what, and what matters of it.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use doom_bus::consume::Delivered;
use doom_protocol::{CodecError, EventKind, SubjectRoot};
use serde::Deserialize;

/// Borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    payload: Payload<'a>,
}

/// What is shown of any payload.
#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, default)]
    agent_id: Option<Text<'a>>,
    #[serde(default)]
    step: Option<u64>,
    #[serde(default)]
    tic: Option<u64>,
    #[serde(borrow, default)]
    action: Option<Pressed<'a>>,
    #[serde(default)]
    reward: Option<f64>,
    #[serde(default)]
    total_reward: Option<f64>,
    #[serde(default)]
    episode_number: Option<u64>,
    #[serde(borrow, default)]
    end_reason: Option<Text<'a>>,
    #[serde(default)]
    steps: Option<u64>,
    #[serde(default)]
    survival_seconds: Option<f64>,
    #[serde(default)]
    kills: Option<i64>,
    #[serde(borrow, default)]
    experiment_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    generation_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    next_generation_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    method: Option<Text<'a>>,
    #[serde(default)]
    population: Option<u64>,
    #[serde(default)]
    evaluations_completed: Option<u64>,
    #[serde(default)]
    evaluations_failed: Option<u64>,
    #[serde(borrow, default)]
    phase: Option<Text<'a>>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
    #[serde(borrow, default)]
    metric_name: Option<Text<'a>>,
    #[serde(default)]
    value: Option<f64>,
    #[serde(borrow, default)]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    message: Option<Text<'a>>,
    #[serde(borrow, default)]
    state: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Pressed<'a> {
    #[serde(borrow)]
    action_type: Cow<'a, str>,
}

/// Above the first line.
pub(crate) const HEAD: &str = "time          agent                 event       ";

/// Appends the line. What is no event is shown as such; why it is none is returned then.
pub(crate) fn append(root: &SubjectRoot, delivered: &Delivered, sequence: u64, out: &mut Vec<u8>) -> io::Result<Option<String>> {
    let read: Result<Event<'_>, CodecError> = delivered.codec().decode(delivered.bytes());
    let subject = delivered.subject();
    match read {
        Ok(event) => {
            let kind = root.strip(subject).and_then(EventKind::of_subject).map_or(&*event.kind, |kind| kind.as_str());
            write_event(&event, kind, out)?;
            Ok(None)
        }
        Err(error) => {
            writeln!(out, "{:12}  {:20}  no event    {} sequence {sequence}: {}", "", "", clean(subject), clean(&error.to_string()))?;
            Ok(Some(error.to_string()))
        }
    }
}

fn write_event(Event { timestamp, payload, kind: of_type }: &Event<'_>, kind: &str, out: &mut Vec<u8>) -> io::Result<()> {
    let time = timestamp.get(11..23).unwrap_or_default();
    let agent = payload.agent_id.as_ref().map_or("", |text| &text.0);
    out.extend_from_slice(clean(time).as_bytes());
    write!(out, "  {:<20}  {kind:<10}", clean(agent))?;
    let mut number = |name: &str, value: Option<u64>| value.map_or(Ok(()), |value| write!(out, "  {name} {value}"));
    number("episode", payload.episode_number)?;
    number("step", payload.step)?;
    number("steps", payload.steps)?;
    number("tic", payload.tic)?;
    number("population", payload.population)?;
    number("complete", payload.evaluations_completed)?;
    number("failed", payload.evaluations_failed)?;
    let mut text = |name: &str, value: Option<&str>| value.map_or(Ok(()), |value| write!(out, "  {name}{}", clean(value)));
    text("", payload.action.as_ref().map(|pressed| &*pressed.action_type))?;
    text("", payload.end_reason.as_ref().map(|text| &*text.0))?;
    if kind == EventKind::Stage.as_str() {
        text("", of_type.rsplit('.').next())?;
        text("", payload.generation_id.as_ref().map(|text| &*text.0))?;
        text("→ ", payload.next_generation_id.as_ref().map(|text| &*text.0))?;
        text("", payload.method.as_ref().map(|text| &*text.0))?;
    }
    if payload.status.is_some() || payload.phase.is_some() {
        text("", payload.experiment_id.as_ref().map(|text| &*text.0))?;
    }
    for part in [&payload.phase, &payload.status, &payload.kind, &payload.message, &payload.state, &payload.metric_name] {
        text("", part.as_ref().map(|text| &*text.0))?;
    }
    let mut float = |name: &str, value: Option<f64>| value.map_or(Ok(()), |value| write!(out, "  {name}{value:.3}"));
    float("", payload.value)?;
    float("reward ", payload.reward)?;
    float("total ", payload.total_reward)?;
    float("survived ", payload.survival_seconds)?;
    if let Some(kills) = payload.kills {
        write!(out, "  kills {kills}")?;
    }
    out.push(b'\n');
    Ok(())
}

/// Without what a terminal would obey.
fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) { text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() } else { text.into() }
}
