//! Where the engine is: `VIZDOOM_DIR`, beside the binary, in `../share/doom-agent`, or where it was built.

use std::path::{Path, PathBuf};

use doom_game::SearchPaths;

use crate::exit::{self, Failure};

/// Places that are looked at, in order.
fn candidates() -> Vec<PathBuf> {
    let roots: Vec<PathBuf> = match std::env::var_os("VIZDOOM_DIR").filter(|v| !v.is_empty()) {
        // Who names a place means that place.
        Some(named) => vec![named.into()],
        None => {
            let program = std::env::current_exe().ok();
            let beside = program.as_deref().and_then(Path::parent);
            let installed = beside.map(|dir| [dir.join("vizdoom"), dir.join("../share/doom-agent/vizdoom")]);
            installed.into_iter().flatten().chain([Path::new(env!("CARGO_MANIFEST_DIR")).join("vendor/vizdoom")]).collect()
        }
    };
    // Laid out as `cargo xtask setup` does (and as the build wants VIZDOOM_DIR), or the engine's directory itself.
    roots.into_iter().flat_map(|root| [root.join("engine"), root]).collect()
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
