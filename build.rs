//! Facts about the build, for `--version`: the commit, and the engine's version.

use std::{env, fs, path::Path, process::Command};

/// What the program is made of besides the crates; a difference to the commit in any of it makes the build `-dirty`.
const SOURCES: [&str; 5] = ["src", "configs", "build.rs", "Cargo.toml", "Cargo.lock"];
const MANIFEST: &str = "vendor/manifest.toml";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut sources: Vec<String> = SOURCES.map(str::to_owned).to_vec();
    for entry in fs::read_dir("crates")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // These are no part of the program, and a change to them should not build it anew.
        if !["bench", "demo", "doomctl", "scale", "soak", "xtask"].contains(&name.as_str()) {
            sources.push(format!("crates/{name}"));
        }
    }
    // Cargo runs this every time where a path is named that does not exist.
    for path in sources.iter().map(String::as_str).chain([MANIFEST]).filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rerun-if-env-changed=DOOM_AGENT_COMMIT");
    // A build outside git, such as a container's, is told the commit.
    let told = env::var("DOOM_AGENT_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = told.or_else(|| commit(&sources)).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=DOOM_AGENT_COMMIT={commit}");
    let engine = match env::var_os("CARGO_FEATURE_VIZDOOM") {
        Some(_) => format!("ViZDoom {}", vizdoom_version()?),
        None => "mock only".to_owned(),
    };
    println!("cargo::rustc-env=DOOM_AGENT_FEATURES={engine}");
    Ok(())
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("--no-optional-locks").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Twelve digits of it, with `-dirty` where the sources differ; `None` outside git.
fn commit(sources: &[String]) -> Option<String> {
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    // Where a worktree keeps them. The branch's own file is missing while it is packed; its next commit shows in HEAD's log.
    for name in ["HEAD", "logs/HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).is_file()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let status = ["status", "--porcelain", "--"].into_iter().chain(sources.iter().map(String::as_str));
    let dirty = git(&status.collect::<Vec<_>>()).is_some_and(|changes| !changes.is_empty());
    Some(if dirty { format!("{commit}-dirty") } else { commit })
}

/// As pinned in `[versions]` of the manifest.
fn vizdoom_version() -> Result<String, String> {
    let text = fs::read_to_string(MANIFEST).map_err(|e| format!("cannot read {MANIFEST}: {e}"))?;
    let versions = text.lines().skip_while(|line| line.trim() != "[versions]");
    let version = versions.filter_map(|line| line.strip_prefix("vizdoom = \"")?.strip_suffix('"')).next();
    version.map(str::to_owned).ok_or_else(|| format!("{MANIFEST} has no line `vizdoom = \"…\"` under [versions]"))
}
