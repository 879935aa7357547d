//! Shared memory that a killed host left behind. The files are named by the engine's instance id, so a note of it in the run
//! directory lets the next game there remove them.

use std::{fs, path::Path};

const NOTE: &str = "engine.instance";

/// Writes the note.
pub(crate) fn note(run_dir: &Path, instance: &str) {
    let text = format!("{instance} {}", std::process::id());
    if let Err(error) = fs::write(run_dir.join(NOTE), text) {
        tracing::debug!(%error, "cannot note the engine's instance");
    }
}

/// Removes the note: the game removed its shared memory itself.
pub(crate) fn forget(run_dir: &Path) {
    let _ = fs::remove_file(run_dir.join(NOTE));
}

/// Removes what an earlier host left that is gone by now.
pub(crate) fn sweep(run_dir: &Path) {
    let Ok(text) = fs::read_to_string(run_dir.join(NOTE)) else { return };
    let Some((instance, host)) = text.split_once(' ') else { return };
    let well_formed = !instance.is_empty() && instance.bytes().all(|b| b.is_ascii_alphanumeric()) && host.parse::<u32>().is_ok();
    if !well_formed || Path::new("/proc").join(host).exists() {
        return;
    }
    for base in ["ViZDoomSM", "ViZDoomMQCtr", "ViZDoomMQDoom"] {
        let file = Path::new("/dev/shm").join(format!("{base}{instance}"));
        if fs::remove_file(&file).is_ok() {
            tracing::info!(file = %file.display(), "removed shared memory that a killed host left");
        }
    }
    forget(run_dir);
}
