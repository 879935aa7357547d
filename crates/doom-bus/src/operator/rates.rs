//! How much is said: messages and bytes of each subject, counted by listening for a while.

use std::{collections::HashMap, sync::atomic::Ordering::Relaxed, time::Duration};

use doom_protocol::SubjectRoot;
use futures::StreamExt;
use serde::Serialize;
use tokio::time::Instant;

use super::OperatorError;
use crate::Link;

/// Subjects beyond this are counted as one.
const MOST_SUBJECTS: usize = 10_000;
/// The name of that one.
const OTHERS: &str = "(further subjects)";

/// One subject.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubjectRate {
    /// The subject.
    pub subject: String,
    /// Messages a second.
    pub messages_per_second: f64,
    /// Bytes a second, headers and subject included.
    pub bytes_per_second: f64,
    /// Messages in all.
    pub messages: u64,
}

/// All subjects below a root.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rates {
    /// How long was listened.
    pub seconds: f64,
    /// Sorted by subject.
    pub subjects: Vec<SubjectRate>,
    /// Messages that came and found no room here; the rates are too low by them.
    pub missed: u64,
}

/// Listens for this long. `fold` makes one subject of several.
///
/// # Errors
/// [`OperatorError`]
pub async fn rates(link: &Link, root: &SubjectRoot, window: Duration, fold: impl Fn(&str) -> String) -> Result<Rates, OperatorError> {
    let subject = root.everything();
    let statistics = link.client().statistics();
    let mut refusals = link.refusals();
    let mut messages = link.client().subscribe(subject.clone()).await.map_err(|e| OperatorError::Client(e.to_string()))?;
    link.client().flush().await.map_err(|e| OperatorError::Client(e.to_string()))?;
    let (began, before) = (Instant::now(), statistics.in_messages.load(Relaxed));
    let end = tokio::time::sleep_until(began + window);
    tokio::pin!(end);
    let mut counts: HashMap<String, (u64, u64)> = HashMap::new();
    let mut heard = 0;
    loop {
        tokio::select! {
            biased;
            () = &mut end => break,
            changed = refusals.changed() => {
                changed.map_err(|_| OperatorError::Lost)?;
                if let Some(said) = refusals.borrow_and_update().of(&subject) {
                    return Err(OperatorError::NotPermitted { subject: subject.clone(), said: said.to_owned() });
                }
            }
            message = messages.next() => {
                let message = message.ok_or(OperatorError::Lost)?;
                heard += 1;
                let name = fold(&message.subject);
                let full = counts.len() >= MOST_SUBJECTS && !counts.contains_key(&name);
                let count = counts.entry(if full { OTHERS.to_owned() } else { name }).or_default();
                count.0 += 1;
                count.1 += message.length as u64;
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let came = statistics.in_messages.load(Relaxed) - before;
    // What waits for us at the end was not missed.
    let waiting = std::iter::from_fn(|| futures::FutureExt::now_or_never(messages.next()).flatten()).count() as u64;
    let rate = |n: u64| n as f64 / seconds;
    let mut subjects: Vec<SubjectRate> = counts
        .into_iter()
        .map(|(subject, (messages, bytes))| SubjectRate {
            subject,
            messages_per_second: rate(messages),
            bytes_per_second: rate(bytes),
            messages,
        })
        .collect();
    subjects.sort_by(|a, b| a.subject.cmp(&b.subject));
    Ok(Rates { seconds, subjects, missed: came.saturating_sub(heard + waiting) })
}
