//! `cargo xtask setup`: brings what a fresh machine lacks. What is there already is left alone, and then no network is needed.

mod fetch;
mod manifest;
mod older_server;
mod python;
mod stamp;
pub(crate) mod system;
mod tools;
mod unpack;

use std::fs::{self, File};

use anyhow::{Context, Result};

use self::{manifest::Manifest, python::Python, system::Wanted};
use crate::workspace::Workspace;

/// How much is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// To build the agent and to play.
    Play,
    /// And to pass every test.
    Test,
    /// And to check licences, dependencies and memory.
    Gate,
}

/// Sets up what is missing; `true` where something was.
pub(crate) fn setup(workspace: &Workspace, scope: Scope) -> Result<bool> {
    let manifest = Manifest::read(&workspace.vendor.join("manifest.toml"))?;
    let python = Python::new(workspace, &manifest);
    let vendor = &workspace.vendor;
    // Two setups at once would take each other's files away.
    let lock = vendor.join(".lock");
    let lock = File::create(&lock).and_then(|f| f.lock().map(|()| f)).with_context(|| format!("cannot lock {}", lock.display()))?;
    remove_leftovers(workspace)?;

    let mut missing = Vec::new();
    for archive in &manifest.archives {
        if fetch::is_missing(archive, vendor)? {
            missing.push(archive);
        }
    }
    let tests_lack_python = scope >= Scope::Test && !python.is_complete();
    let tests = scope >= Scope::Test;
    let wanted = Wanted {
        engine: true,
        python: !missing.is_empty() || tests_lack_python,
        bindgen: tests,
        faults: tests,
        memcheck: scope >= Scope::Gate,
        ..Wanted::default()
    };
    let mut changed = system::provide(wanted)?;
    if !missing.is_empty() {
        eprintln!("Fetching into {}", vendor.display());
        python.provide_pip()?;
    }
    for archive in &missing {
        fetch::fetch(archive, &manifest, vendor, &python).with_context(|| format!("cannot fetch {}", archive.what))?;
    }
    if tests_lack_python {
        python.complete()?;
    }
    changed |= !missing.is_empty() || tests_lack_python;
    if tests {
        changed |= older_server::provide(vendor)?;
    }
    if scope >= Scope::Gate {
        changed |= tools::provide(workspace, &manifest)?;
    }
    drop(lock);
    Ok(changed)
}

/// The version of a package that the manifest pins.
pub(crate) fn pinned(workspace: &Workspace, package: &str) -> Result<String> {
    let manifest = Manifest::read(&workspace.vendor.join("manifest.toml"))?;
    manifest.version(package).map(str::to_owned)
}

/// Brings valgrind, and nothing else.
pub(crate) fn provide_valgrind() -> Result<bool> {
    system::provide(Wanted { memcheck: true, ..Wanted::default() })
}

/// What a setup that was interrupted left behind.
fn remove_leftovers(workspace: &Workspace) -> Result<()> {
    for entry in fs::read_dir(&workspace.vendor)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(".fetching-") {
            fs::remove_dir_all(entry.path()).with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}
