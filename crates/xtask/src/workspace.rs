//! Where things are, and how other programs are run.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The workspace that xtask was built in.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Where downloads live.
    pub(crate) vendor: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = root.canonicalize().with_context(|| format!("the workspace {} has moved; build xtask again", root.display()))?;
        Ok(Self { vendor: root.join("vendor"), root })
    }

    /// The cargo that runs us, in the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
        command.current_dir(&self.root);
        // Cargo has told us of xtask; a build script that looks at such things (ring's does) would run again, and all that depends on it be built
        // again, whenever a build of ours follows one by hand.
        for (name, _) in std::env::vars_os() {
            if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|told| name.to_string_lossy().starts_with(told)) {
                command.env_remove(name);
            }
        }
        command
    }
}

/// Runs `cargo build` with these arguments and returns the executables of these names.
pub(crate) fn build<const N: usize>(workspace: &Workspace, arguments: &[&str], names: [&str; N]) -> Result<[PathBuf; N]> {
    build_in(workspace, &[], arguments, names)
}

/// The same with these variables in the environment.
pub(crate) fn build_in<const N: usize>(
    workspace: &Workspace,
    environment: &[(&str, &str)],
    arguments: &[&str],
    names: [&str; N],
) -> Result<[PathBuf; N]> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--message-format", "json-render-diagnostics"]).args(arguments).envs(environment.iter().copied());
    eprintln!("Building {} (a few minutes the first time)", names.join(" and "));
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the build failed; what cargo said stands above");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages: Vec<Value> = messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut executables = names.map(|_| PathBuf::new());
    for (executable, name) in executables.iter_mut().zip(names) {
        let built = messages.iter().filter(|m| m["target"]["name"] == name).find_map(|m| m["executable"].as_str());
        *executable = built.with_context(|| format!("cargo did not say where it put {name}"))?.into();
    }
    Ok(executables)
}

/// As a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Runs to a good end and returns standard output; a failure tells the command and the end of what it said.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run `{}`", shown(command)))?;
    check(command, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The error of a program that failed.
pub(crate) fn check(command: &Command, output: &Output) -> Result<()> {
    const LAST_LINES: usize = 15;
    if output.status.success() {
        return Ok(());
    }
    let said = [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat();
    let lines: Vec<&str> = said.lines().collect();
    let tail = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n  ");
    bail!("`{}` failed ({}):\n  {tail}", shown(command), output.status)
}

/// The command's file in the `PATH`.
pub(crate) fn in_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}
