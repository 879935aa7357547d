//! A plan is carried out.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Action, Plan, Step};
use crate::{
    Link,
    api::{ApiError, ask},
};

/// What is to happen with steps that lose something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Losses {
    /// Nothing of the plan is done where there is one.
    Refused,
    /// They are done.
    Allowed,
}

/// Why a plan was not carried out, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Nothing was done: these streams cannot be made what they should be.
    #[error("nothing is changed: {}", .0.join("; "))]
    Blocked(Vec<String>),
    /// Nothing was done: these streams would lose something.
    #[error("nothing is changed, since something would be lost: {}", .0.join("; "))]
    Lossy(Vec<String>),
    /// The server refused a step; those before it are done.
    #[error("stream {stream}: {source}{}", what_is_done(.done))]
    Step {
        /// Whose.
        stream: String,
        /// Why.
        source: ApiError,
        /// Streams that are done.
        done: Vec<String>,
    },
}

fn what_is_done(done: &[String]) -> String {
    if done.is_empty() { "; nothing is changed".to_owned() } else { format!("; done before it: {}", done.join(", ")) }
}

/// Carries a plan out; `doing` hears of each step before it is done. A second time changes nothing.
///
/// # Errors
/// [`ApplyError`]; whether anything is blocked or lost is known before anything is done.
pub async fn apply(link: &Link, plan: &Plan, losses: Losses, mut doing: impl FnMut(&Step)) -> Result<(), ApplyError> {
    let blocked: Vec<String> = plan.steps.iter().filter_map(|s| Some(format!("{}: {}", s.stream, s.obstacle()?))).collect();
    if !blocked.is_empty() {
        return Err(ApplyError::Blocked(blocked));
    }
    let lossy: Vec<String> = plan.steps.iter().flat_map(|s| s.loses().map(|l| format!("{}: {l}", s.stream))).collect();
    if losses == Losses::Refused && !lossy.is_empty() {
        return Err(ApplyError::Lossy(lossy));
    }
    let mut done = Vec::new();
    for step in plan.steps.iter().filter(|s| s.action != Action::Nothing) {
        doing(step);
        if let Err(source) = carry_out(link, step).await {
            return Err(ApplyError::Step { stream: step.stream.clone(), source, done });
        }
        done.push(step.stream.clone());
    }
    Ok(())
}

async fn carry_out(link: &Link, step: &Step) -> Result<(), ApiError> {
    match step.action {
        Action::Create => send(link, "CREATE", &step.stream, &step.config).await,
        Action::Change | Action::Narrow => send(link, "UPDATE", &step.stream, &step.config).await,
        Action::Recreate => {
            let name = &step.stream;
            let _: Value = ask(link, &format!("STREAM.DELETE.{name}"), name, &Value::Null).await?;
            let made = send(link, "CREATE", name, &step.config).await;
            if made.is_err()
                && let Some(before) = &step.before
                // What it was is better than nothing; that the new one failed is what matters.
                && let Err(error) = send(link, "CREATE", name, before).await
            {
                tracing::error!(stream = name, %error, "the stream is deleted and could not be made again, neither new nor as it was");
            }
            made
        }
        Action::Nothing | Action::Blocked => Ok(()),
    }
}

async fn send(link: &Link, verb: &str, name: &str, config: &Map<String, Value>) -> Result<(), ApiError> {
    let what = format!("STREAM.{verb}.{name}");
    ask::<Value>(link, &what, name, &Value::Object(config.clone())).await.map(drop)
}

#[derive(Deserialize)]
struct Purged {
    #[serde(default)]
    purged: u64,
}

/// Erases a stream's messages: of a subject or of all, and all but the newest `keep`. Returns how many went.
///
/// # Errors
/// [`ApiError`].
pub async fn purge(link: &Link, stream: &str, subject: Option<&str>, keep: Option<u64>) -> Result<u64, ApiError> {
    let mut body = json!({});
    if let Some(subject) = subject {
        body["filter"] = json!(subject);
    }
    if let Some(keep) = keep.filter(|k| *k > 0) {
        body["keep"] = json!(keep);
    }
    ask::<Purged>(link, &format!("STREAM.PURGE.{stream}"), stream, &body).await.map(|answer| answer.purged)
}
