//! The thread that a server process belongs to. The kernel's "kill me with my parent" is about the thread that started the process,
//! so one thread starts it, lives as long as it, and reaps it.

use std::{
    process::{Command, ExitStatus},
    sync::mpsc,
    thread::JoinHandle,
};

use crate::NatsServerError;

/// A running process and its thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    pid: u32,
    ended: mpsc::Receiver<Option<ExitStatus>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn start(mut command: Command) -> Result<Self, NatsServerError> {
        let (started_in, started) = mpsc::channel();
        let (ended_in, ended) = mpsc::channel();
        let thread = std::thread::Builder::new().name("nats-server".to_owned()).spawn(move || {
            // A receiver is gone only where nobody cares any more.
            match command.spawn() {
                Ok(mut child) => {
                    let _ = started_in.send(Ok(child.id()));
                    let _ = ended_in.send(child.wait().ok());
                }
                Err(error) => drop(started_in.send(Err(error))),
            }
        });
        let thread = thread.map_err(NatsServerError::io("a thread for nats-server cannot be started"))?;
        let pid = match started.recv() {
            Ok(result) => result.map_err(NatsServerError::io("nats-server cannot be started"))?,
            Err(gone) => return Err(NatsServerError::io("nats-server cannot be started")(std::io::Error::other(gone))),
        };
        Ok(Self { pid, ended, thread: Some(thread) })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the process has ended by now.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits up to `within` for the process to end; `true` where it has.
    pub(crate) fn wait(&mut self, within: std::time::Duration) -> bool {
        let ended = self.thread.is_none() || !matches!(self.ended.recv_timeout(within), Err(mpsc::RecvTimeoutError::Timeout));
        if ended && let Some(thread) = self.thread.take() {
            // The thread does nothing after its last message.
            let _ = thread.join();
        }
        ended
    }
}
