//! Where the engine is: `VIZDOOM_DIR`, beside the binary, in `../share/doom-agent`, or where it was built.

use std::path::{Path, PathBuf};

use doom_game::SearchPaths;

use crate::exit::{self, Failure};

/// Places that are looked at, in order.
fn candidates() -> Vec<PathBuf> {
    let mut list: Vec<PathBuf> = std::env::var_os("VIZDOOM_DIR").filter(|v| !v.is_empty()).map(PathBuf::from).into_iter().collect();
    if !list.is_empty() {
        // Who names a place means that place.
        return list;
    }
    if let Some(beside) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
        list.push(beside.join("vizdoom"));
        list.push(beside.join("../share/doom-agent/vizdoom"));
    }
    list.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("vendor/vizdoom/engine"));
    list
}

/// The first place that has an engine, or the first place of all.
pub(crate) fn search_paths() -> SearchPaths {
    let list = candidates();
    let engine = list.iter().find(|p| p.join("vizdoom.pk3").is_file()).cloned();
    SearchPaths { scenarios_dir: engine.as_ref().map(|e| e.join("scenarios")), engine_dir: engine }
}

/// Says where it was looked for.
pub(crate) fn require_engine(search: &SearchPaths) -> Result<(), Failure> {
    if search.engine_dir.is_some() {
        return Ok(());
    }
    let places: Vec<String> = candidates().iter().map(|p| p.display().to_string()).collect();
    Err(Failure::new(
        exit::ENGINE,
        format!(
            "no ViZDoom engine (vizdoom and vizdoom.pk3) in {}; set VIZDOOM_DIR, run `cargo xtask setup`, or use --backend mock",
            places.join(" or ")
        ),
    ))
}
