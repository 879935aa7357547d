//! Evaluations handed out to workers: what `evaluate` and `experiment` share.

pub(crate) mod evaluate;
mod file;
pub(crate) mod table;

use std::{
    collections::HashMap,
    io::{IsTerminal, Write},
    time::Duration,
};

use cli_common::exit::{self, Failure};
use doom_bus::{
    Link,
    work::{self, DispatchEvent, Dispatched, StoreError},
};
use doom_protocol::{SubjectRoot, Timestamp, payload::EvaluationRequest};
use tokio::time::Instant;

pub(crate) use self::file::{policy_text, seeds};
use crate::connection;

/// How evaluations reach the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The JetStream work queue.
    Queue,
    /// The core queue group.
    Group,
}

/// Hands evaluations out, shows progress on standard error, and returns what came back within the time.
///
/// # Errors
/// Exit code 69 where there is no JetStream, no stream, or the server refuses.
pub(crate) async fn hand_out(
    link: &Link,
    root: &SubjectRoot,
    requests: &mut [EvaluationRequest],
    way: Way,
    within: Duration,
    mut answered: impl FnMut(&doom_protocol::payload::EvaluationResult),
) -> Result<Dispatched, Failure> {
    let deadline = Timestamp::from_system(std::time::SystemTime::now() + within);
    for request in requests.iter_mut() {
        request.deadline.get_or_insert(deadline);
    }
    let until = Instant::now() + within;
    let mut progress = Progress::new(requests);
    let tell = |event: DispatchEvent| {
        if let DispatchEvent::Result(result) = &event {
            answered(result);
        }
        progress.see(&event);
    };
    let dispatched = match way {
        Way::Queue => work::dispatch(link, root, requests, until, tell).await,
        Way::Group => work::ask_workers(link, root, requests, until, tell).await,
    };
    dispatched.map_err(refused)
}

/// What a store's error means for the operator.
pub(crate) fn refused(error: StoreError) -> Failure {
    let code = match &error {
        StoreError::Unreadable { .. } => exit::DATA,
        StoreError::Api(error) => connection::code_of(error),
        _ => exit::UNAVAILABLE,
    };
    Failure::new(code, error)
}

/// One line that is redrawn on a terminal, a line for each result elsewhere.
struct Progress {
    terminal: bool,
    total: u64,
    of: HashMap<String, u64>,
    done: usize,
    all: usize,
    workers: HashMap<String, Instant>,
}

impl Progress {
    fn new(requests: &[EvaluationRequest]) -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            total: requests.iter().map(EvaluationRequest::episodes).sum(),
            of: HashMap::new(),
            done: 0,
            all: requests.len(),
            workers: HashMap::new(),
        }
    }

    fn see(&mut self, event: &DispatchEvent) {
        match event {
            DispatchEvent::Sent { done, waiting, sent } => {
                self.line(&format!("{sent} evaluations sent, {waiting} wait in the queue already, {done} have their result"), true);
            }
            DispatchEvent::NoWorkers => self.line("no worker takes evaluations; start some: doom-agent serve --id W1", true),
            DispatchEvent::Progress(p) => {
                self.of.insert(p.evaluation_id.to_string(), p.episodes_completed);
                self.workers.insert(p.agent_id.clone(), Instant::now());
                self.draw();
            }
            DispatchEvent::Result(result) => {
                self.done += 1;
                let id = result.evaluation_id.as_ref().map_or("?", |e| e.as_str());
                self.of.insert(id.to_owned(), result.episodes_completed);
                let why = result.error.as_deref().map_or(String::new(), |e| format!(": {e}"));
                if !result.ok || !self.terminal {
                    let status = format!("{:?}", result.status).to_lowercase();
                    let (completed, total) = (result.episodes_completed, result.episodes_total);
                    self.line(
                        &format!(
                            "{id} {status} by {}, {completed} of {total} episodes{why} ({} of {})",
                            result.agent_id, self.done, self.all
                        ),
                        true,
                    );
                }
                self.draw();
            }
        }
    }

    fn draw(&mut self) {
        if self.terminal {
            self.workers.retain(|_, heard| heard.elapsed() < Duration::from_secs(5));
            let episodes: u64 = self.of.values().sum();
            let text = format!(
                "{} of {} evaluations, {episodes} of {} episodes, {} workers at it",
                self.done,
                self.all,
                self.total,
                self.workers.len()
            );
            self.line(&text, false);
        }
    }

    fn line(&self, text: &str, stays: bool) {
        let mut err = std::io::stderr().lock();
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        // Progress that nobody can read is no reason to stop.
        let _ = write!(err, "{clear}{text}{}", if stays { "\n" } else { "" }).and_then(|()| err.flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal {
            self.line("", false);
        }
    }
}
