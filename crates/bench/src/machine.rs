//! The machine and its processes, as the kernel tells of them.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result};
use serde::Serialize;

/// In general terms.
#[derive(Debug, Serialize)]
pub struct Machine {
    processor: String,
    cpus: usize,
    memory_mb: u64,
    kernel: String,
}

impl Machine {
    /// The one that this runs on.
    #[must_use]
    pub fn this() -> Self {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
        };
        let kilobytes = field("/proc/meminfo", "MemTotal");
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            cpus: cpus().len(),
            memory_mb: kilobytes.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        }
    }

    /// Such as `2 CPUs (Name), 8192 MB`.
    #[must_use]
    pub fn in_words(&self) -> String {
        format!("{} CPUs ({}), {} MB, Linux {}", self.cpus, self.processor, self.memory_mb, self.kernel)
    }
}

/// The CPUs that this process, and what it starts, may use.
#[must_use]
pub fn cpus() -> Vec<usize> {
    let allowed = rustix::thread::sched_getaffinity(None).unwrap_or_else(|_| rustix::thread::CpuSet::new());
    (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect()
}

/// How many processes wanted a CPU, over the last minute.
#[must_use]
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0)
}

/// CPU seconds that a process itself has used.
///
/// # Errors
/// Where it has ended.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    Ok(ticks(&stat(pid)?) / ticks_per_second())
}

/// Resident memory of a process in MB.
///
/// # Errors
/// Where it has ended.
pub fn resident_mb(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).context("the process has ended")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the kernel does not tell resident memory")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().context("resident memory is no number")?;
    Ok(kilobytes / 1024.0)
}

/// Memory of a process in MB that is its own, and its part of what it shares with others (such as the program itself, with its like).
///
/// # Errors
/// Where it has ended.
pub fn proportional_mb(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("the process has ended")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("the kernel does not tell proportional memory")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().context("proportional memory is no number")?;
    Ok(kilobytes / 1024.0)
}

/// Memory in MB that could be had without swapping.
#[must_use]
pub fn available_mb() -> f64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
}

/// How many descriptors a process has open.
///
/// # Errors
/// Where it has ended.
pub fn descriptors(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd")).context("the process has ended")?.count())
}

/// Bytes that a process has had written to a disk; none where its files are in memory.
///
/// # Errors
/// Where it has ended.
pub fn written_bytes(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).context("the process has ended")?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes:")).context("the kernel does not tell what is written")?;
    line.trim().parse().context("what is written is no number")
}

/// The processes that run, each with the one that started it.
#[must_use]
pub fn parents() -> BTreeMap<u32, u32> {
    processes().into_iter().filter_map(|(pid, fields)| Some((pid, parent(&fields)?))).collect()
}

/// The share of this machine's CPU time that others use between two looks.
pub struct Others {
    busy: f64,
    ours: BTreeMap<u32, f64>,
    all: f64,
}

impl Others {
    /// The first look.
    #[must_use]
    pub fn look() -> Self {
        let (busy, all) = whole_machine();
        Self { busy, all, ours: family() }
    }

    /// From 0 to 1, of all CPUs together; the time of processes of ours that ended meanwhile counts as others'.
    #[must_use]
    pub fn share_since(&self) -> f64 {
        let now = Self::look();
        let ours: f64 = now.ours.iter().map(|(pid, ticks)| ticks - self.ours.get(pid).copied().unwrap_or(0.0)).sum();
        ((now.busy - self.busy - ours) / (now.all - self.all).max(1.0)).clamp(0.0, 1.0)
    }
}

/// Ticks that were worked, and all ticks.
fn whole_machine() -> (f64, f64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    // user nice system idle iowait irq softirq steal
    let ticks: Vec<f64> = line.split_whitespace().skip(1).take(8).filter_map(|n| n.parse().ok()).collect();
    let all: f64 = ticks.iter().sum();
    (all - ticks.iter().skip(3).take(2).sum::<f64>(), all)
}

/// Ticks of this process and of everything it has started.
fn family() -> BTreeMap<u32, f64> {
    let stats = processes();
    let mut ours = BTreeMap::from([(std::process::id(), 0.0)]);
    // A child is not always listed after its parent.
    loop {
        let before = ours.len();
        for (pid, fields) in &stats {
            if *pid == std::process::id() || parent(fields).is_some_and(|parent| ours.contains_key(&parent)) {
                ours.insert(*pid, ticks(fields));
            }
        }
        if ours.len() == before {
            return ours;
        }
    }
}

/// All that run, each with the fields of [`stat`].
fn processes() -> Vec<(u32, Vec<String>)> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, stat(pid).ok()?))).collect()
}

/// Who started a process, in the fields of [`stat`].
fn parent(fields: &[String]) -> Option<u32> {
    fields.get(1).and_then(|parent| parent.parse().ok())
}

/// The fields of a process's `stat` from its state on.
fn stat(pid: u32) -> Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process has ended")?;
    // The name before them may contain anything.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

/// User and system ticks in the fields of [`stat`].
fn ticks(fields: &[String]) -> f64 {
    fields.iter().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum()
}

#[expect(clippy::cast_precision_loss, reason = "it is about a hundred")]
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_known_to_the_kernel() {
        let pid = std::process::id();
        assert!(resident_mb(pid).unwrap() > 1.0);
        assert!((1.0..=resident_mb(pid).unwrap()).contains(&proportional_mb(pid).unwrap()) && available_mb() > 1.0);
        assert!(cpu_seconds(pid).unwrap() >= 0.0 && written_bytes(pid).unwrap() >= 0.0 && descriptors(pid).unwrap() > 2);
        assert!(parents()[&pid] > 0 && family().contains_key(&pid) && !cpus().is_empty());
        assert!((0.0..=1.0).contains(&Others::look().share_since()));
    }
}
