//! The gate's own tools, built by cargo into `vendor/tools`.

use anyhow::Result;

use super::{manifest::Manifest, stamp::Stamp};
use crate::{
    progress::Step,
    workspace::{Workspace, output_of},
};

const CARGO_DENY: &str = "cargo-deny";

/// Builds what is missing; `true` where something was.
pub(crate) fn provide(workspace: &Workspace, manifest: &Manifest) -> Result<bool> {
    let version = manifest.version(CARGO_DENY)?;
    if Stamp::holds(&workspace.vendor, CARGO_DENY, version) {
        return Ok(false);
    }
    let step = Step::begin(format!("building {CARGO_DENY} {version} (a few minutes, once)"), None);
    let root = workspace.vendor.join("tools");
    let mut cargo = workspace.cargo();
    // A debug build takes half as long and is fast enough for what it does once.
    cargo.args(["install", "--locked", "--debug", "--quiet", "--force", CARGO_DENY, "--version", version, "--root"]).arg(&root);
    output_of(&mut cargo)?;
    let program = root.join("bin").join(CARGO_DENY);
    let files = vec![(program.strip_prefix(&workspace.vendor).unwrap_or(&program).to_owned(), program.metadata()?.len())];
    Stamp { of: version.to_owned(), files }.write(&workspace.vendor, CARGO_DENY)?;
    step.done();
    Ok(true)
}
