//! Evaluations handed out to workers: the queue group and the work queue, the worker's side and the dispatcher's.
//!
//! **Work queue.** Evaluations wait in the stream `EVALUATIONS` (retention `workqueue`), each on a subject of its own, so that one that waits
//! is never sent a second time. Workers pull from the durable consumer `eval-workers`, one at a time; they extend the acknowledgement while
//! they play, and acknowledge when the result is stored. A worker that dies loses nothing: after [`ACK_WAIT`] another one has the
//! evaluation, finds the episodes that are recorded, and plays the others.
//!
//! **Queue group.** The same request, asked of `eval-workers` on `{root}.generation.{gen}.evaluate`, is answered with the result. A worker
//! listens there only while it is idle, so that nobody queues behind a busy one: where all are busy the asker hears "no responders" at once.

mod announce;
mod ask;
mod dispatch;
mod queue;
mod recorded;
mod worker;

use std::time::Duration;

use doom_protocol::payload::EvaluationEpisode;
use tokio::sync::{mpsc, oneshot, watch};

pub use announce::{Announcer, announce_within};
pub use ask::ask_workers;
pub use dispatch::{DispatchEvent, Dispatched, dispatch};
pub use queue::{open_queue, purge_queued};
pub use recorded::{Recorded, StoreError, stored_on};
pub use worker::Worker;

/// The queue group, and the durable consumer of the work queue.
pub const WORKERS: &str = "eval-workers";
/// The stream in which evaluations wait.
pub const QUEUE_STREAM: &str = "EVALUATIONS";
/// An evaluation whose worker has been silent for this long is given to another.
pub const ACK_WAIT: Duration = Duration::from_secs(15);
/// An evaluation that has failed at this many deliveries is a dead letter.
pub const DELIVERIES: u64 = 5;
/// The server stops here; beyond [`DELIVERIES`], so that a worker that dies before it has buried an evaluation is followed by another try.
const DELIVERIES_OF_THE_SERVER: i64 = 10;

/// Whether a worker may take an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Idle.
    Open,
    /// Starting, playing, or paused.
    Shut,
    /// Ending.
    Ended,
}

/// Who plays, as the worker sees it.
pub trait Player: Send + 'static {
    /// Begins to play these episodes of an evaluation (places from 1, ascending).
    ///
    /// # Errors
    /// Why it can never be played.
    fn begin(&mut self, request: &doom_protocol::payload::EvaluationRequest, places: Vec<u64>) -> Result<Playing, String>;
    /// Ends what is played; the end says [`PlayEnd::Stopped`].
    fn give_up(&self);
    /// As of now.
    fn steps_per_second(&self) -> f64;
    /// Whether there is room for another evaluation.
    fn gate(&self) -> watch::Receiver<Gate>;
}

/// An evaluation that is played.
#[derive(Debug)]
pub struct Playing {
    /// Every episode, when it is finished.
    pub finished: mpsc::UnboundedReceiver<EvaluationEpisode<'static>>,
    /// Sent once, at the end, with the number of episodes that were finished; they may be told after it.
    pub end: oneshot::Receiver<(PlayEnd, u64)>,
}

/// Why playing ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlayEnd {
    /// All episodes are played.
    Finished,
    /// The engine failed.
    Fault(String),
    /// It can never be played.
    Refused(String),
    /// The agent was told to stop, or the worker to give up.
    Stopped,
}
