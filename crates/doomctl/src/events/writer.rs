//! The thread that makes lines and writes them, so that the connection is read meanwhile.

use std::{
    io::{self, IsTerminal, Write},
    thread::JoinHandle,
};

use cli_common::exit::{self, Failure};
use doom_bus::consume::Delivered;
use doom_protocol::{Condition, SubjectRoot};
use tokio::sync::mpsc;

use super::{lines, table};
use crate::output;

/// Chunks that wait for the writer; a chunk is what came at once.
const WAITING: usize = 4;
/// Bytes that are gathered before they are written.
const GATHERED: usize = 1 << 16;

/// What came at once from one source.
pub(crate) struct Chunk {
    /// The events.
    pub(crate) events: Vec<Delivered>,
    /// Whose condition they must fulfil.
    pub(crate) source: usize,
    /// Those that are no events, by their place, and why; the writer finds them.
    pub(crate) broken: Vec<(usize, String)>,
}

impl Chunk {
    /// Not looked at yet.
    pub(crate) fn new(events: Vec<Delivered>, source: usize) -> Self {
        Self { events, source, broken: Vec::new() }
    }
}

/// How a line looks, and when there are enough.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) json: bool,
    pub(crate) root: SubjectRoot,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) most: Option<u64>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    /// Lines of events.
    pub(crate) events: u64,
    /// Lines of what is no event.
    pub(crate) broken: u64,
}

impl Written {
    /// Says it to the operator.
    pub(crate) fn say(&self) {
        let Self { events, broken } = *self;
        let of = if broken > 0 { format!(", {broken} of them no events") } else { String::new() };
        output::complain(format_args!("{events} events{of}"));
    }
}

/// The thread and the way to it.
pub(crate) struct Writer {
    chunks: mpsc::Sender<Chunk>,
    /// What has been written, to be acknowledged; it ends when nobody reads our output any more or enough is written.
    pub(crate) written: mpsc::Receiver<Chunk>,
    thread: JoinHandle<io::Result<Written>>,
}

impl Writer {
    /// Starts it; it writes to standard output. With `hand_back` every chunk comes back once it is written.
    ///
    /// # Errors
    /// Where the system has no thread for it.
    pub(crate) fn start(look: Look, hand_back: bool) -> Result<Self, Failure> {
        let (chunks, incoming) = mpsc::channel(WAITING);
        let (done, written) = mpsc::channel(WAITING);
        let thread = std::thread::Builder::new().name("writer".to_owned());
        let thread = thread.spawn(move || write(&look, incoming, &done, hand_back)).map_err(|e| Failure::new(exit::INTERNAL, e))?;
        Ok(Self { chunks, written, thread })
    }

    /// Where chunks go; it is closed when there is enough.
    pub(crate) fn chunks(&self) -> mpsc::Sender<Chunk> {
        self.chunks.clone()
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// Exit code 70 where the output cannot be written; a reader that has gone is no error.
    pub(crate) fn finish(self) -> Result<Written, Failure> {
        drop((self.chunks, self.written));
        let end = self.thread.join().map_err(|_| Failure::new(exit::INTERNAL, "the writing thread broke"))?;
        end.map_err(|e| Failure::new(exit::INTERNAL, format!("standard output cannot be written: {e}")))
    }
}

fn write(look: &Look, mut incoming: mpsc::Receiver<Chunk>, done: &mpsc::Sender<Chunk>, hand_back: bool) -> io::Result<Written> {
    let mut written = Written::default();
    let mut out = io::stdout().lock();
    let mut text = Vec::with_capacity(2 * GATHERED);
    if !look.json && out.is_terminal() {
        writeln!(out, "{}", table::HEAD)?;
    }
    while let Some(mut chunk) = incoming.blocking_recv() {
        let condition = look.conditions.get(chunk.source);
        let mut taken = 0;
        for delivered in &chunk.events {
            if look.most.is_some_and(|most| written.events >= most) {
                break;
            }
            taken += 1;
            let admitted = condition.is_none_or(|c| c.is_empty() || c.admits(delivered.codec(), delivered.bytes()).unwrap_or(true));
            if !admitted {
                continue;
            }
            let sequence = delivered.info().map_or(0, |info| info.sequence);
            let trouble = if look.json {
                lines::append(delivered, sequence, &mut text)?
            } else {
                table::append(&look.root, delivered, sequence, &mut text)?
            };
            written.events += 1;
            if let Some(why) = trouble {
                written.broken += 1;
                chunk.broken.push((taken - 1, why));
            }
            if text.len() >= GATHERED && !put(&mut out, &mut text)? {
                return Ok(written);
            }
        }
        if !put(&mut out, &mut text)? {
            return Ok(written);
        }
        // What was not looked at is not acknowledged.
        chunk.events.truncate(taken);
        if hand_back && done.blocking_send(chunk).is_err() {
            return Ok(written);
        }
        if look.most.is_some_and(|most| written.events >= most) {
            return Ok(written);
        }
    }
    Ok(written)
}

/// False where nobody reads any more.
fn put(out: &mut impl Write, text: &mut Vec<u8>) -> io::Result<bool> {
    let result = out.write_all(text).and_then(|()| out.flush());
    text.clear();
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true),
    }
}
