//! What a process uses, and whether it is gone, from `/proc`.

#[cfg(feature = "vizdoom")]
use std::time::Instant;
use std::{fs, path::Path, time::Duration};

/// What may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Resident memory in KiB.
    pub(crate) memory: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Usage {
    /// The least of several looks, so that what is there for a moment does not count.
    pub(crate) fn of(pid: i32) -> Self {
        let look = || {
            let proc = Path::new("/proc").join(pid.to_string());
            let status = fs::read_to_string(proc.join("status")).unwrap();
            let memory = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap().trim().trim_end_matches(" kB").parse().unwrap();
            let count = |dir: &str| fs::read_dir(proc.join(dir)).unwrap().count();
            Self { memory, descriptors: count("fd"), threads: count("task") }
        };
        let mut least = look();
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(10));
            let now = look();
            least.memory = least.memory.min(now.memory);
            least.descriptors = least.descriptors.min(now.descriptors);
            least.threads = least.threads.min(now.threads);
        }
        least
    }
}

/// Waits until a process has ended (whoever inherits it may take a moment to reap it); how long that took.
#[cfg(feature = "vizdoom")]
pub(crate) fn gone_within(pid: i32, bound: Duration) -> Duration {
    let since = Instant::now();
    while fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).is_ok_and(|s| !s.contains(") Z ")) {
        assert!(since.elapsed() < bound, "process {pid} is there after {bound:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    since.elapsed()
}
