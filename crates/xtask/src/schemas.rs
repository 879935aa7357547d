//! `cargo xtask schemas`: writes `docs/schemas` from the types.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// The types have schemas in their own tests alone, where no program is built of them; so the test writes.
pub(crate) fn schemas(workspace: &Workspace) -> Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["test", "--package", "doom-protocol", "--lib", "schema::"]).env("DOOM_WRITE_SCHEMAS", "1").current_dir(&workspace.root);
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "docs/schemas was not written, or docs/asyncapi.yaml does not agree; see above");
    Ok(())
}
