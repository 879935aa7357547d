//! Under which circumstances something was measured.

use std::path::Path;

use doom_protocol::Timestamp;
use serde::Serialize;

use crate::machine::{Machine, load};

/// What stands at the top of every report.
#[derive(Debug, Serialize)]
pub struct Circumstances {
    commit: String,
    began_at: Timestamp,
    machine: Machine,
    /// The load average when it began; it says how quiet the machine was before us.
    load_before: f64,
}

impl Circumstances {
    /// Those of now; `root` is the workspace's.
    #[must_use]
    pub fn now(root: &Path) -> Self {
        let git = |arguments: &[&str]| {
            let output = std::process::Command::new("git").args(arguments).current_dir(root).output().ok();
            output.filter(|output| output.status.success()).map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let changed = if git(&["status", "--porcelain"]).unwrap_or_default().is_empty() { "" } else { ", changed" };
        Self {
            commit: git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned()) + changed,
            began_at: Timestamp::now(),
            machine: Machine::this(),
            load_before: load(),
        }
    }

    /// The machine, how quiet it was, and what was measured.
    #[must_use]
    pub fn in_words(&self) -> String {
        format!("Machine: {}; load average {:.1} before; commit {}", self.machine.in_words(), self.load_before, self.commit)
    }
}
