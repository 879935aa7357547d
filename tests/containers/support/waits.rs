//! How long the machine kept a game waiting for a CPU, by the scheduler's own account: on a machine that is busy with other things an episode may
//! be late by that, and by nothing else.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;

use super::Container;

const EVERY: Duration = Duration::from_millis(100);

/// What the game's thread of one agent had waited for in all, at one instant after the other, until it ended. Empty where the engine's processes
/// are not this machine's.
#[derive(Clone, Default)]
pub(crate) struct Waits(Arc<Mutex<Vec<(Timestamp, Duration)>>>);

impl Waits {
    /// Looks at it until its process is gone.
    pub(crate) fn watch(container: &Container) -> Self {
        let waits = Self::default();
        let (seen, pid) = (waits.clone(), container.inspect("{{.State.Pid}}"));
        std::thread::spawn(move || {
            let tasks = PathBuf::from("/proc").join(pid).join("task");
            let mut game = None;
            while tasks.is_dir() {
                game = game.or_else(|| thread_named(&tasks, "game"));
                if let Some(waited) = game.as_ref().and_then(|game: &PathBuf| waited(&fs::read_to_string(game.join("schedstat")).ok()?)) {
                    seen.0.lock().unwrap().push((Timestamp::now(), waited));
                }
                std::thread::sleep(EVERY);
            }
        });
        waits
    }

    /// From one instant to another, and until they were looked at before and after.
    pub(crate) fn within(&self, from: Timestamp, to: Timestamp) -> Duration {
        let seen = self.0.lock().unwrap();
        let before = seen.iter().rev().find(|(at, _)| *at <= from).or(seen.first());
        let after = seen.iter().find(|(at, _)| *at >= to).or(seen.last());
        before.zip(after).map_or(Duration::ZERO, |((_, before), (_, after))| after.saturating_sub(*before))
    }
}

fn thread_named(tasks: &PathBuf, name: &str) -> Option<PathBuf> {
    let mut all = fs::read_dir(tasks).ok()?.flatten().map(|task| task.path());
    all.find(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name))
}

/// Of `schedstat`: nanoseconds on a CPU, nanoseconds waiting for one, how often it got one.
fn waited(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}
