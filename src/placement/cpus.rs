//! What the kernel says of CPUs and threads, and how a thread is bound to them. Elsewhere than on Linux there is nothing to bind.

use std::fmt;

/// How busy each CPU was, from `/proc/stat`: ticks in all and idle ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Idleness(Vec<(usize, u64, u64)>);

impl Idleness {
    pub(super) fn now() -> Self {
        Self::parse(&std::fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut words = line.strip_prefix("cpu")?.split_ascii_whitespace();
            let cpu = words.next()?.parse().ok()?;
            let ticks: Vec<u64> = words.map_while(|w| w.parse().ok()).collect();
            // user nice system idle iowait irq softirq steal; the guests' are in user's already.
            let idle = ticks.get(3)? + ticks.get(4)?;
            Some((cpu, ticks.iter().take(8).sum(), idle))
        };
        // "cpu " without a number is the sum, whose first word is a number of ticks of a CPU that there is none of.
        Self(text.lines().filter(|l| !l.starts_with("cpu ")).filter_map(line).collect())
    }

    /// The idle share of each CPU since then; a CPU whose ticks did not move (it slept throughout) counts as idle.
    pub(super) fn since(&self, before: &Self) -> Vec<(usize, f64)> {
        let share = |(cpu, all, idle): &(usize, u64, u64)| {
            let (_, all_before, idle_before) = before.0.iter().find(|b| b.0 == *cpu)?;
            let ticks = all.saturating_sub(*all_before);
            Some((*cpu, if ticks == 0 { 1.0 } else { idle.saturating_sub(*idle_before) as f64 / ticks as f64 }))
        };
        self.0.iter().filter_map(share).collect()
    }
}

/// How long threads ran and how long they waited for a CPU, nanoseconds since their start, from `schedstat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waits {
    run: u64,
    delay: u64,
}

impl Waits {
    /// The waiting's share of the time in which they could run; `None` where nothing ran.
    pub(super) fn share_since(&self, before: &Self) -> Option<f64> {
        let run = self.run.saturating_sub(before.run);
        let delay = self.delay.saturating_sub(before.delay);
        (run + delay > 0).then(|| delay as f64 / (run + delay) as f64)
    }
}

fn schedstat(path: &str) -> Option<Waits> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut words = text.split_ascii_whitespace().map(str::parse);
    Some(Waits { run: words.next()?.ok()?, delay: words.next()?.ok()? })
}

/// Of the game thread and its engine's main thread together.
pub(super) fn waits(game: i32, engine: u32) -> Option<Waits> {
    let (game, engine) = (schedstat(&format!("/proc/self/task/{game}/schedstat"))?, schedstat(&format!("/proc/{engine}/schedstat"))?);
    Some(Waits { run: game.run + engine.run, delay: game.delay + engine.delay })
}

/// The threads of a process.
pub(super) fn threads_of(process: u32) -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

pub(super) use bound::{Cpus, thread_id};

impl fmt::Display for Cpus {
    /// As the kernel writes lists: `0-3,8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = self.list();
        let mut comma = "";
        for chunk in list.chunk_by(|a, b| a + 1 == *b) {
            match chunk {
                [one] => write!(f, "{comma}{one}")?,
                [first, .., last] => write!(f, "{comma}{first}-{last}")?,
                [] => {}
            }
            comma = ",";
        }
        Ok(())
    }
}

impl Cpus {
    /// The idlest of them, and its idle share; one of the idlest by chance, so that agents that start together spread.
    pub(super) fn idlest(&self, idle: &[(usize, f64)]) -> Option<(usize, f64)> {
        let ours = || idle.iter().copied().filter(|(cpu, _)| self.has(*cpu));
        let most = ours().map(|(_, share)| share).max_by(f64::total_cmp)?;
        // A tenth is within the measure's noise.
        let good: Vec<_> = ours().filter(|(_, share)| *share >= most - 0.1).collect();
        good.get(rand::Rng::random_range(&mut rand::rng(), 0..good.len())).copied()
    }
}

#[cfg(target_os = "linux")]
mod bound {
    use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_setaffinity};

    /// A set of CPUs.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Cpus(CpuSet);

    /// The calling thread's id.
    pub(in super::super) fn thread_id() -> i32 {
        gettid().as_raw_nonzero().get()
    }

    impl Cpus {
        /// Those that the calling thread may use.
        pub(in super::super) fn allowed() -> Self {
            Self(sched_getaffinity(None).unwrap_or_default())
        }

        pub(in super::super) fn has(&self, cpu: usize) -> bool {
            cpu < CpuSet::MAX_CPU && self.0.is_set(cpu)
        }

        pub(in super::super) fn count(&self) -> u32 {
            self.0.count()
        }

        pub(in super::super) fn list(&self) -> Vec<usize> {
            (0..CpuSet::MAX_CPU).filter(|cpu| self.0.is_set(*cpu)).collect()
        }

        pub(in super::super) fn without(&self, cpu: Option<usize>) -> Self {
            let mut set = self.0;
            cpu.into_iter().for_each(|cpu| set.unset(cpu));
            Self(set)
        }

        /// Binds a thread to one of them, or to all.
        pub(in super::super) fn confine(&self, thread: i32, cpu: Option<usize>) {
            let mut set = self.0;
            if let Some(cpu) = cpu {
                set.clear();
                set.set(cpu);
            }
            bind(thread, &set);
        }

        /// Keeps a thread off a CPU, unless that is all there is.
        pub(in super::super) fn avoid(&self, thread: i32, cpu: Option<usize>) {
            let rest = self.without(cpu);
            bind(thread, if rest.count() == 0 { &self.0 } else { &rest.0 });
        }
    }

    /// A thread that has ended meanwhile needs nothing.
    fn bind(thread: i32, set: &CpuSet) {
        if let Some(pid) = Pid::from_raw(thread)
            && let Err(error) = sched_setaffinity(Some(pid), set)
            && error != rustix::io::Errno::SRCH
        {
            tracing::debug!(%error, thread, "a thread cannot be bound to its CPUs");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod bound {
    /// No CPUs to choose from.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Cpus;

    pub(in super::super) fn thread_id() -> i32 {
        0
    }

    impl Cpus {
        pub(in super::super) fn allowed() -> Self {
            Self
        }
        pub(in super::super) fn has(&self, _: usize) -> bool {
            false
        }
        pub(in super::super) fn count(&self) -> u32 {
            0
        }
        pub(in super::super) fn list(&self) -> Vec<usize> {
            Vec::new()
        }
        pub(in super::super) fn without(&self, _: Option<usize>) -> Self {
            Self
        }
        pub(in super::super) fn confine(&self, _: i32, _: Option<usize>) {}
        pub(in super::super) fn avoid(&self, _: i32, _: Option<usize>) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_shares_are_differences_and_the_sum_line_is_no_cpu() {
        let before = Idleness::parse("cpu  9 9 9 9 9\ncpu0 10 0 10 100 0 0 0 0 0 0\ncpu1 0 0 0 50 0 0 0 0 0 0\nintr 5\n");
        let after = Idleness::parse("cpu  9 9 9 9 9\ncpu0 20 0 10 110 0 0 0 0 0 0\ncpu1 0 0 0 50 0 0 0 0 0 0\nintr 5\n");
        assert_eq!(after.since(&before), [(0, 0.5), (1, 1.0)]);
    }

    #[test]
    fn waiting_is_a_share_of_the_time_in_which_one_could_run() {
        let before = Waits { run: 100, delay: 10 };
        assert_eq!(Waits { run: 130, delay: 20 }.share_since(&before), Some(0.25));
        assert_eq!(before.share_since(&before), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_tells_of_this_thread() {
        let me = thread_id();
        assert!(threads_of(std::process::id()).any(|thread| thread == me));
        assert!(waits(me, std::process::id()).is_some());
    }
}
