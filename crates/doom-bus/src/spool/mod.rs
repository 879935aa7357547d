//! The durable outbox: a thread of its own that owns the records' file, so that nobody else ever waits for the disk.

mod marks;
mod record;
mod store;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc as blocking},
    time::Duration,
};

use doom_protocol::Instance;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use self::store::Store;
pub(crate) use self::{
    marks::{Marks, Starts},
    record::{ASIDE, Record},
    store::{Found, StoreError, Write},
};

#[cfg(test)]
pub(crate) use self::record::ORDERED;

/// A file that takes longer than this to open is left alone.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// The one user has at most one write and one read under way.
const REQUESTS: usize = 2;

/// What the thread is asked.
#[derive(Debug)]
pub(crate) enum Request {
    /// Answered by [`Answer::Written`].
    Write(Write),
    /// Records of a group from an order on; answered by [`Answer::Read`].
    Read { group: Arc<str>, from: u64, most: usize, most_bytes: usize },
}

/// What it answers, in the order of the requests.
#[derive(Debug)]
pub(crate) enum Answer {
    Written(Result<(), StoreError>),
    /// The records, and whether there are more.
    Read(Arc<str>, Result<(Vec<Record>, bool), StoreError>),
}

/// The way to the thread. Dropping it ends the thread after what it was asked.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    requests: blocking::SyncSender<Request>,
    pub(crate) answers: mpsc::Receiver<Answer>,
    pub(crate) found: Found,
}

impl Spool {
    /// Opens the file at `path`, or makes it, for the process `instance`; `begin` is called first on the thread that does. What an earlier process
    /// has left in it is sent by whoever gets this spool.
    ///
    /// # Errors
    /// Why there is none: a text for the log. The agent can go on without.
    pub async fn open(path: &Path, instance: Instance, begin: impl FnOnce() + Send + 'static) -> Result<Self, String> {
        let (requests, asked) = blocking::sync_channel(REQUESTS);
        let (answer, answers) = mpsc::channel(REQUESTS);
        let (opened_in, opened) = oneshot::channel();
        let file = path.to_owned();
        let thread = std::thread::Builder::new().name("spool".to_owned()).spawn(move || {
            begin();
            match Store::open(&file, &instance.to_string()) {
                Ok((store, found)) => {
                    // Nobody waits any more where it took too long.
                    if opened_in.send(Ok(found)).is_ok() {
                        serve(store, &asked, &answer);
                    }
                }
                Err(error) => drop(opened_in.send(Err(error.to_string()))),
            }
        });
        // Its end shows in the answers; a thread that hangs on its disk must not keep the process.
        drop(thread.map_err(|e| format!("no thread for it: {e}"))?);
        let found = match tokio::time::timeout(OPEN_WITHIN, opened).await {
            Ok(Ok(found)) => found?,
            Ok(Err(_)) => return Err("its thread ended".to_owned()),
            Err(_) => return Err(format!("the disk did not answer within {} s", OPEN_WITHIN.as_secs())),
        };
        if let Some((aside, why)) = &found.moved {
            tracing::error!(file = %aside.display(), why, "the record spool cannot be used and was moved aside; what it holds is not sent");
        }
        let left: u64 = found.groups.iter().map(|(_, _, n)| n).sum();
        if left > 0 {
            tracing::info!(records = left, of_a_lost_episode = found.willed, "records of an earlier process are still to be sent");
        }
        Ok(Self { path: path.to_owned(), requests, answers, found })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the thread, which closes the file; what an unanswering disk keeps it from is left to the end of the process.
    pub(crate) async fn close(self, until: Instant) {
        let Self { requests, mut answers, .. } = self;
        drop(requests);
        let ended = async { while answers.recv().await.is_some() {} };
        let _ = tokio::time::timeout_at(until, ended).await;
    }

    /// Asks; `false` where the thread is gone.
    pub(crate) fn ask(&self, request: Request) -> bool {
        self.requests.try_send(request).is_ok()
    }
}

fn serve(mut store: Store, asked: &blocking::Receiver<Request>, answers: &mpsc::Sender<Answer>) {
    while let Ok(request) = asked.recv() {
        if answers.blocking_send(answer(&mut store, request)).is_err() {
            return;
        }
    }
}

fn answer(store: &mut Store, request: Request) -> Answer {
    match request {
        Request::Write(write) => Answer::Written(store.write(&write)),
        Request::Read { group, from, most, most_bytes } => {
            let read = store.read(&group, from, most, most_bytes);
            Answer::Read(group, read)
        }
    }
}

/// A spool whose thread is the test: it decides when the disk does what, and whether.
#[cfg(test)]
pub(crate) mod by_hand {
    use std::{path::Path, sync::mpsc as blocking};

    use tokio::sync::mpsc;

    use super::{Answer, REQUESTS, Record, Request, Spool, Store, StoreError, answer};

    pub(crate) struct Hand {
        store: Store,
        asked: blocking::Receiver<Request>,
        answers: mpsc::Sender<Answer>,
    }

    pub(crate) fn open(path: &Path, instance: &str) -> (Spool, Hand) {
        let (requests, asked) = blocking::sync_channel(REQUESTS);
        let (answers_in, answers) = mpsc::channel(REQUESTS);
        let (store, found) = Store::open(path, instance).unwrap();
        (Spool { path: path.to_owned(), requests, answers, found }, Hand { store, asked, answers: answers_in })
    }

    impl Hand {
        /// Does what was asked first; the records that are on disk by it, and what is to become of open episodes, where that changed.
        pub(crate) fn serve(&mut self) -> (Vec<Record>, Option<Vec<Record>>) {
            let Ok(request) = self.asked.try_recv() else { return Default::default() };
            let done = match &request {
                Request::Write(write) => (write.records.clone(), write.will.clone()),
                Request::Read { .. } => Default::default(),
            };
            let answer = answer(&mut self.store, request);
            assert!(!matches!(&answer, Answer::Written(Err(_))), "{answer:?}");
            self.answers.try_send(answer).unwrap();
            done
        }

        /// Fails to write what was asked first, as a disk without room does: reading goes on.
        pub(crate) fn fail(&mut self) {
            let Ok(request) = self.asked.try_recv() else { return };
            let answer = match request {
                Request::Write(_) => Answer::Written(Err(StoreError { text: "no space left on device".to_owned(), corrupt: false })),
                request => answer(&mut self.store, request),
            };
            self.answers.try_send(answer).unwrap();
        }
    }
}
