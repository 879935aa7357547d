//! The engine's process as seen from here: a handle that kills it from any thread, and its output.

use std::{
    collections::VecDeque,
    fmt,
    io::{BufRead, BufReader, PipeReader},
    ptr::NonNull,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use vizdoom_sys as sys;

struct Process(NonNull<sys::vz_process>);

// SAFETY: the shim guards the process with a mutex; the header allows any thread at any time.
unsafe impl Send for Process {}
// SAFETY: as above.
unsafe impl Sync for Process {}

impl Drop for Process {
    fn drop(&mut self) {
        // SAFETY: made by vz_game_process and freed once, here.
        unsafe { sys::vz_process_free(self.0.as_ptr()) }
    }
}

/// Kills the engine from any thread, so that a call that waits for it returns an error. It outlives the game, and then does nothing.
#[derive(Clone)]
pub struct Killer(Arc<Process>);

impl Killer {
    /// Takes over a process handle; `None` for null.
    pub(crate) fn new(raw: *mut sys::vz_process) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self(Arc::new(Process(raw))))
    }

    /// Kills the engine now, or as soon as it starts. Idempotent.
    pub fn kill(&self) {
        // SAFETY: the handle lives as long as self.
        unsafe { sys::vz_process_kill(self.0.0.as_ptr()) }
    }

    /// The engine's process id; `None` once it ended.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        // SAFETY: the handle lives as long as self.
        let pid = unsafe { sys::vz_process_pid(self.0.0.as_ptr()) };
        u32::try_from(pid).ok().filter(|pid| *pid > 0)
    }

    /// Runs `body` and kills the engine if that takes longer than `limit`; says whether it did.
    pub(crate) fn within<T>(&self, limit: Duration, body: impl FnOnce() -> T) -> (T, bool) {
        let (done, wait) = mpsc::channel::<()>();
        let killer = self.clone();
        let watch = thread::Builder::new().name("engine-deadline".into()).spawn(move || {
            let late = wait.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
            if late {
                killer.kill();
            }
            late
        });
        let result = body();
        drop(done);
        let late = watch.is_ok_and(|watch| watch.join().unwrap_or(false));
        (result, late)
    }
}

impl fmt::Debug for Killer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Killer").field("pid", &self.pid()).finish()
    }
}

/// How many lines of the engine are kept for an error message.
const KEPT: usize = 8;

/// What the engine writes: every line goes to tracing (target `vizdoom::engine`), the last ones are kept.
pub(crate) struct Output {
    last: Arc<Mutex<VecDeque<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    pub(crate) fn read(pipe: PipeReader) -> Self {
        let last = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&last);
        let reader = thread::Builder::new().name("engine-output".into()).spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                if text.is_empty() {
                    continue;
                }
                tracing::debug!(target: "vizdoom::engine", "{text}");
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == KEPT {
                    kept.pop_front();
                }
                kept.push_back(text);
            }
        });
        Self { last, reader: reader.ok() }
    }

    /// Waits for the end of the output, which comes with the end of the engine, and gives the last lines.
    pub(crate) fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().cloned().collect::<Vec<_>>().join("\n")
    }
}
