//! The thread that fills the file, so that the connection is read meanwhile.

use std::{
    thread::JoinHandle,
    time::{Duration, Instant},
};

use cli_common::exit::{self, Failure};
use doom_bus::consume::{Batch, Delivered};
use doom_protocol::{Condition, EventKind};
use tokio::sync::mpsc;

use super::{
    Format,
    burial::Burial,
    part::{Note, Place, Purpose},
    sink::{self, Broken, Progress, Sink, Unwritten},
};
use crate::{events, output};

/// Batches that wait for it.
const WAITING: usize = 4;
/// A durable export is put on the disk this often.
const CHECKPOINT: Duration = Duration::from_secs(1);
/// Messages that are no events are named up to this many.
const NAMED: usize = 20;

/// What is to be written, and where.
pub(crate) struct Order {
    pub(crate) format: Format,
    pub(crate) kind: Option<EventKind>,
    pub(crate) place: Place,
    pub(crate) purpose: Purpose,
    pub(crate) note: Option<Note>,
    pub(crate) durable: bool,
    pub(crate) conditions: Vec<Condition>,
}

enum Job {
    Batch { batch: Batch, stream: usize, passed: u64 },
    Finish,
}

/// The thread and the ways to it and from it.
pub(crate) struct Worker {
    jobs: mpsc::Sender<Job>,
    safe: mpsc::UnboundedReceiver<Delivered>,
    thread: JoinHandle<Result<Progress, Failure>>,
}

impl Worker {
    /// Starts it; the unfinished file is opened at once.
    ///
    /// # Errors
    /// Where the system has no thread for it.
    pub(crate) fn start(order: Order, burial: Burial) -> Result<Self, Failure> {
        let (jobs, incoming) = mpsc::channel(WAITING);
        let (done, safe) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new().name("export".to_owned()).spawn(move || work(&order, burial, incoming, &done));
        Ok(Self { jobs, safe, thread: thread.map_err(|e| Failure::new(exit::INTERNAL, e))? })
    }

    /// Hands a batch over; false where the worker has failed ([`Worker::finish`] says why).
    pub(crate) async fn send(&self, batch: Batch, stream: usize, passed: u64) -> bool {
        self.jobs.send(Job::Batch { batch, stream, passed }).await.is_ok()
    }

    /// Tells the server what is on the disk by now.
    ///
    /// # Errors
    /// Where the server does not note it.
    pub(crate) async fn acknowledge(&mut self) -> Result<(), Failure> {
        let mut last = None;
        while let Ok(delivered) = self.safe.try_recv() {
            last = Some(delivered);
        }
        match last {
            Some(last) => last.ack_confirmed().await.map_err(events::failure),
            None => Ok(()),
        }
    }

    /// Waits until everything is written; `whole` gives the file its name, otherwise it can be gone on with.
    ///
    /// # Errors
    /// Where the file cannot be written, or the server does not note the end.
    pub(crate) async fn finish(self, whole: bool) -> Result<Progress, Failure> {
        let Self { jobs, mut safe, thread } = self;
        if whole {
            // A worker that has failed says so below.
            let _ = jobs.send(Job::Finish).await;
        }
        drop(jobs);
        while let Some(delivered) = safe.recv().await {
            delivered.ack_confirmed().await.map_err(events::failure)?;
        }
        thread.join().map_err(|_| Failure::new(exit::INTERNAL, "the exporting thread broke"))?
    }
}

fn work(
    order: &Order,
    mut burial: Burial,
    mut jobs: mpsc::Receiver<Job>,
    safe: &mpsc::UnboundedSender<Delivered>,
) -> Result<Progress, Failure> {
    let trouble = |error: std::io::Error| order.place.trouble(&order.place.part, &error);
    let begun = order.note.as_ref().map(|note| note.progress.clone()).unwrap_or_default();
    let mut progress = begun.clone();
    let mut file = sink::open(order.format, order.kind, &order.place.part, begun).map_err(trouble)?;
    let mut last: Option<(Delivered, usize, u64)> = None;
    let mut checked = Instant::now();
    while let Some(job) = jobs.blocking_recv() {
        match job {
            Job::Batch { mut batch, stream, passed } => {
                for delivered in &batch.events {
                    let sequence = delivered.info().map_err(events::failure)?.sequence;
                    if sequence <= passed || !is_wanted(order, delivered, stream) {
                        continue;
                    }
                    match file.add(delivered, sequence) {
                        Ok(()) => {}
                        Err(Unwritten::File(error)) => return Err(trouble(error)),
                        Err(Unwritten::NoEvent(why)) => {
                            let dead_letter = burial.bury(delivered, &why)?;
                            let stream = order.purpose.streams.get(stream).cloned().unwrap_or_default();
                            leave_out(file.progress(), delivered, &why, Broken { stream, sequence, dead_letter });
                        }
                    }
                }
                let sequence = batch.sequence.max(passed);
                if let Some(end) = batch.events.pop() {
                    last = Some((end, stream, sequence));
                }
                if order.durable && checked.elapsed() >= CHECKPOINT && file.is_due() {
                    progress = check(order, file.as_mut(), last.take(), safe).map_err(trouble)?;
                    checked = Instant::now();
                }
            }
            Job::Finish => {
                progress = if order.durable {
                    check(order, file.as_mut(), last.take(), safe).map_err(trouble)?
                } else {
                    file.checkpoint().map_err(trouble)?
                };
                let made = file.finish().map_err(trouble)?;
                order.place.finish(&made).map_err(|e| order.place.trouble(&order.place.out, &e))?;
                return Ok(progress);
            }
        }
    }
    if order.durable {
        progress = check(order, file.as_mut(), last.take(), safe).map_err(trouble)?;
    }
    Ok(progress)
}

/// Whether it fulfils the stream's condition; what cannot be read is looked at.
fn is_wanted(order: &Order, delivered: &Delivered, stream: usize) -> bool {
    let admits = |condition: &Condition| condition.admits(delivered.codec(), delivered.bytes()).unwrap_or(true);
    order.conditions.get(stream).is_none_or(|condition| condition.is_empty() || admits(condition))
}

/// Counts a message that is not in the file, and names it.
fn leave_out(progress: &mut Progress, delivered: &Delivered, why: &str, broken: Broken) {
    progress.broken += 1;
    if progress.named.len() < NAMED {
        let subject = delivered.subject();
        output::complain(format_args!("{broken} on {subject} is no event of this kind: {why}"));
        progress.named.push(broken);
    }
}

/// First the disk, then the note, then the server.
fn check(
    order: &Order,
    file: &mut dyn Sink,
    last: Option<(Delivered, usize, u64)>,
    safe: &mpsc::UnboundedSender<Delivered>,
) -> std::io::Result<Progress> {
    let progress = file.checkpoint()?;
    if let Some((delivered, stream, sequence)) = last {
        order.place.note(&Note { purpose: order.purpose.clone(), stream, sequence, progress: progress.clone() })?;
        // Where nobody listens any more the server is not told; the note is enough.
        let _ = safe.send(delivered);
    }
    Ok(progress)
}
